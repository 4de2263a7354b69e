"""The feature cache: if all but the last layer is frozen, the frozen layers run once for all epochs."""

import numpy as np

from minitorch_cnn import nn
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.train import setup

_PART = 2048  # images between two lines of progress


class FeatureLoader:
    """Serves the features that the frozen layers compute: these run once, not once per epoch.

    Parameters
    ----------
    classifier : Classifier
        Its last fully connected layer is left out.
    loader : DataLoader
        Gives images, order and size of the batches; its transforms are not applied.
    reporter : Reporter
        Shows the progress of the frozen layers, which take a while.

    Notes
    -----
    Memory: 4 bytes per image and feature; 100 MB for 50,000 images and the 512 features of a ResNet-18.
    """

    def __init__(self, classifier, loader, reporter):
        self._classifier, self._loader, self._reporter = classifier, loader, reporter
        self._features = None

    def __len__(self):
        """The number of batches of an epoch."""
        return len(self._loader)

    def set_epoch(self, epoch):
        """Choose the epoch that the next iteration serves."""
        self._loader.set_epoch(epoch)

    def iterate(self, start_batch=0):
        """Serve (features (N, D), labels (N,)) from batch ``start_batch`` on."""
        if self._features is None:
            self._features = self._all_features()
        for chosen in self._loader.batches(start_batch):
            yield Tensor(self._features[chosen]), self._loader.dataset.labels[chosen]

    def _all_features(self):
        images, parts = self._loader.dataset.images, []
        self._reporter.say(f"running the frozen layers once over {len(images):,} images")
        for first in range(0, len(images), _PART):
            parts.append(features(self._classifier, images[first : first + _PART]))
            self._reporter.part_done("frozen layers", min(first + _PART, len(images)), len(images))
        self._reporter.restart_clock()  # these seconds are not part of a step
        return np.concatenate(parts)

    def close(self):
        """Do nothing: there are no workers to stop."""


def features(classifier, images):
    """Return what the last fully connected layer of a classifier takes in.

    Parameters
    ----------
    classifier : Classifier
    images : ndarray of uint8, shape (N, H, W, C)

    Returns
    -------
    ndarray of float32, shape (N, D)
    """
    path, head = setup.last_linear(classifier.model)
    setup.put(classifier.model, path, nn.Identity())
    try:
        return classifier.logits(images)
    finally:
        setup.put(classifier.model, path, head)
