"""The loss that a training minimises: cross-entropy, with label smoothing and weights of the classes."""

import math

import numpy as np

from minitorch_cnn import ops


class Objective:
    """Cross-entropy of logits and labels, as the recipe wants it.

    Parameters
    ----------
    recipe : Recipe
    labels : ndarray of int, shape (N,)
        Of the training images: weights of classes depend on how many each class has.
    classes : int
        K, the number of classes.

    Attributes
    ----------
    weight : ndarray of float32, shape (K,), or None
        Their mean over the training images is 1, so that the size of the gradients, and with it the learning rate,
        stays what it is without weights.

    Raises
    ------
    ValueError
        If the recipe has another number of weights than there are classes.
    """

    def __init__(self, recipe, labels, classes):
        self.label_smoothing = recipe.label_smoothing
        self.weight = _class_weights(recipe.class_weights, labels, classes)

    def __call__(self, logits, labels):
        """Return the mean loss of a batch, a Tensor, and how many images it counts for.

        With weights, the mean is the weighted one, and the count is the sum of the weights: mean times count, added
        over parts of a batch, does not depend on how the batch was divided. Labels may be probabilities (N, K); their
        mean divides by the number of images.
        """
        by_count = self.weight is None or labels.ndim == 2
        count = len(labels) if by_count else float(self.weight[labels].sum(dtype=np.float64))
        reduction = "mean" if count else "sum"  # where no image counts, there is no mean; the sum is 0
        options = {"weight": self.weight, "label_smoothing": self.label_smoothing, "reduction": reduction}
        return ops.cross_entropy(logits, labels, **options), count

    @staticmethod
    def right(logits, labels):
        """Return how many answers, ndarray (N, K), are right; of probabilities the most likely class is."""
        labels = labels.argmax(axis=1) if labels.ndim == 2 else labels
        return np.count_nonzero(logits.argmax(axis=1) == labels)


def _class_weights(given, labels, classes):
    """Return one weight per class as an array, or None; "balanced" gives each class the same share of the loss."""
    if given is None:
        return None
    if given == "balanced":
        given = 1 / np.maximum(np.bincount(labels, minlength=classes), 1)
    weight = np.asarray(given, np.float64)
    if weight.shape != (classes,):
        raise ValueError(f"Trainer: class_weights - expected {classes} numbers, one per class, got {len(weight)}")
    weight = np.ldexp(weight, -math.frexp(weight.max())[1])  # at most 1, so that no sum overflows; an exact factor
    mean = weight[labels].mean()
    if not mean:
        raise ValueError("Trainer: class_weights - expected a positive one for a class that has images, got 0 for all")
    return (weight / mean).astype(np.float32)
