"""The classifier under its import path of earlier versions; it is defined in `train.metrics.classifier`."""

from minitorch_cnn.train.metrics.classifier import Classifier, ClassifierError, Evaluation, Prediction, _read_image

__all__ = ["Classifier", "ClassifierError", "Evaluation", "Prediction", "_read_image"]
