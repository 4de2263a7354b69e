"""The classifier under the address that it had in earlier versions; it stands in `train.metrics.classifier`."""

from minitorch_cnn.train.metrics.classifier import Classifier, ClassifierError, Evaluation, Prediction, _read_image

__all__ = ["Classifier", "ClassifierError", "Evaluation", "Prediction", "_read_image"]
