"""The explorer: one HTML file in which a model computes, which opens from a folder and needs no network."""

import html
from typing import TYPE_CHECKING, Any

import numpy as np

from minitorch_cnn import arguments, data
from minitorch_cnn.explain.page import document
from minitorch_cnn.explain.page.content import network_content
from minitorch_cnn.explain.page.film import film_content
from minitorch_cnn.types import Array, Path

if TYPE_CHECKING:
    from minitorch_cnn.train import Classifier

FILM_LIMIT = 9_000_000  # bytes of a page with a film
FILM_FLOAT32_LIMIT = 3_000_000  # bytes of weights beyond which such a page gets them rounded


class Explorer:
    """A page about one model; `save` writes it, a notebook shows it.

    Attributes
    ----------
    content : dict
        What the page knows: the network, its weights, the images.
    html : str
    rounded : bool
        Whether the weights are integers of 16 bits in the page, times a scale for each filter: to keep it small, they
        are rounded by at most 2**-16 of the largest weight of the filter.
    """

    def __init__(self, content: dict[str, Any]):
        self.content, self.html, self.rounded = content, _page(content), min(content["bits"], default=32) < 32

    def save(self, path: Path) -> None:
        """Write the page to a file; ValueError if its name does not end with .html."""
        document.save("Explorer.save", path, self.html)

    def _repr_html_(self):
        return f'<iframe srcdoc="{html.escape(self.html)}" width="100%" height="720" style="border: 0"></iframe>'


def explore(
    classifier: "Classifier",
    images: Array,
    labels: Array | None = None,
    title: str | None = None,
    run: Path | None = None,
) -> Explorer:
    """Make a page in which a classifier computes: forward, and backward from any unit or the loss.

    Parameters
    ----------
    classifier : Classifier
        Of `minitorch_cnn.train`: a model with names of classes and the normalisation of its images.
    images : uint8 ndarray, shape (N, H, W, C)
        Examples to choose from, at least one; those of another size than the classifier takes are scaled.
    labels : integer ndarray, shape (N,), or None
        Their classes.
    title : str or None
        None takes the name of the model's class.
    run : str or Path or None
        Folder of the run that trained the model: the page shows the training as a film, from the epochs that were
        saved (``Trainer(save_epochs=True)``), else from the checkpoints. Their weights are rounded to 8 bits, of
        large layers to 4, and as many are taken as fit into a page of 9 MB.

    Returns
    -------
    Explorer

    Raises
    ------
    TypeError, ValueError
        If images or labels are of another form, the page cannot compute an operation of the model, or the folder
        of the run has no weights for a film.

    Notes
    -----
    The page checks itself: it holds the outputs that the kernels computed for the examples, compares its own with
    them, and says so.
    """
    if isinstance(classifier, type) or not all(hasattr(classifier, name) for name in ("model", "metadata")):
        raise TypeError(f"explore: classifier - expected an object of Classifier, got {classifier!r:.60}")
    if title is not None:
        arguments.instance("explore", str, title=title)
    if run is not None:
        arguments.path("explore", run=run)
    images = _checked(classifier, images)
    labels = _checked_labels(labels, len(images), len(classifier.classes))
    facts = {name: list(classifier.metadata[name]) for name in ("mean", "std")} | {"classes": list(classifier.classes)}
    x, limit = classifier.normalised(images), None if run is None else FILM_FLOAT32_LIMIT
    content = network_content(classifier.model, x, images, labels, facts, limit)
    content["title"] = title or type(classifier.model).__name__
    if run is not None:
        content["film"] = film_content(run, classifier.model, x, FILM_LIMIT - len(_page(content)))
    return Explorer(content)


def _checked(classifier, images):
    """Return uint8 images of the size that the classifier takes."""
    images, channels = np.asarray(images), len(classifier.metadata["mean"])
    if images.dtype != np.uint8 or images.ndim != 4 or not images.size or images.shape[3] != channels:
        expected = f"uint8 (N, H, W, {channels}) with at least one image"
        raise ValueError(f"explore: images - expected {expected}, got {images.dtype} {images.shape}")
    if images.shape[1:3] != classifier.input_size:
        images = data.Resize(classifier.input_size)(images, None)
    return images


def _checked_labels(labels, count, classes):
    """Return a class index or None for each image."""
    if labels is None:
        return [None] * count
    labels = np.asarray(labels)
    if labels.shape != (count,) or labels.dtype.kind not in "iu" or not ((labels >= 0) & (labels < classes)).all():
        expected = f"{count} integers of 0 to {classes - 1}, one for each image"
        raise ValueError(f"explore: labels - expected {expected}, got {labels.dtype} {labels.shape}")
    return labels.tolist()


def _page(content):
    """Return the page: styles, elements, data and script in one text."""
    return document.page(
        "views/explorer.html",
        ("views/theme.css", "views/network.css", "views/explorer.css"),
        "views/explorer.mjs",
        content,
        title=html.escape(content["title"]),
    )
