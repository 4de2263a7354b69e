"""A trained network together with what using it requires: class names, normalisation, image size."""

import dataclasses
import itertools
import os
import pathlib
from collections.abc import Callable, Iterable
from typing import Any, Self

import numpy as np

from minitorch_cnn import arguments, data, models, ops, weights
from minitorch_cnn.autograd import no_grad
from minitorch_cnn.data.samples import as_arrays
from minitorch_cnn.display import columns, html
from minitorch_cnn.nn import Module, hooks
from minitorch_cnn.nn.tracing import evaluating
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.train import network
from minitorch_cnn.train.distributed.ranks import SingleProcess, given_ranks
from minitorch_cnn.train.metrics.metadata import ENTRIES, check_metadata
from minitorch_cnn.train.metrics.views import answers_of, list_views, view
from minitorch_cnn.train.network import Model
from minitorch_cnn.types import Array, Path

_BATCH = 256  # images a forward pass; a fixed number, so that the sums are always the same


class ClassifierError(ValueError):
    """A file that holds no classifier, or an image that cannot be classified."""


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The answer for one image file: the most probable class, its probability, and those of all classes."""

    file: str
    label: str
    probability: float
    probabilities: dict[str, Any]

    def __str__(self) -> str:
        r"""File, class and probability as a row of a table, with tabs between them; a tab in a name is ``\t``."""
        return "\t".join(map(columns.cell, (self.file, self.label, f"{self.probability:.4f}")))


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The result on labelled images: mean cross-entropy, share of right answers, all probabilities.

    ``views`` tells how many views of each image were averaged, ``plain_accuracy`` the accuracy without that.
    """

    loss: float
    accuracy: float
    probabilities: Array  # (N, classes) float32
    views: int = 1
    plain_accuracy: float | None = None

    @property
    def predictions(self) -> Array:
        """The most probable class of each image, (N,) int64; -1 where the outputs of the network are not finite."""
        return answers_of(self.probabilities)

    def _repr_html_(self):
        numbers = f"{self.accuracy:.2%}", f"{self.loss:.4f}", f"{len(self.probabilities):,}"
        return html.table([("accuracy", "loss", "images"), numbers])


class Classifier:
    """A model for images of given classes.

    Parameters
    ----------
    model : Module
        Takes images (N, C, H, W), returns logits (N, classes).
    metadata : dict
        "architecture": the keyword arguments of `models.create`, among them "image_size", or what a run has recorded
        about a network of your own; "classes": names; "mean" and "std": of each channel, for pixels scaled to 0..1.
        Optional: "input_size", [H, W] in pixels, where images are not square. Any other entries that JSON can
        hold are saved, too.

    Attributes
    ----------
    input_size : (int, int), pixels
        Height and width of what the model takes.

    Raises
    ------
    TypeError, ValueError
        If the metadata are not a dict, or an entry is missing or malformed.
    """

    def __init__(self, model: Module, metadata: dict[str, Any]):
        arguments.instance("Classifier", Module, model=model)
        check_metadata("Classifier: metadata", metadata)
        self.model = model
        self.metadata = metadata
        self.classes = list(metadata["classes"])
        self.image_size = metadata["architecture"]["image_size"]
        self.input_size = tuple(metadata.get("input_size") or (self.image_size,) * 2)

    @property
    def facts(self) -> dict[str, Any]:
        """An older name of ``metadata``."""
        return self.metadata

    def save(self, path: Path) -> str:
        """Write weights and metadata into a file; return the weights' sha256; ValueError if it is another network."""
        metadata = network.as_it_is(self.model, self.metadata, "Classifier.save")
        hooks.warn_of_replaced(self.model, "Classifier.save")
        return weights.save(path, self.model.state_dict(), metadata)

    def export(self, path: Path) -> bool:
        """Write the model as an ONNX file, with the metadata inside; see `weights.save_onnx`; errors as `save`."""
        shape = 1, len(self.metadata["mean"]), *self.input_size
        metadata = network.as_it_is(self.model, self.metadata, "Classifier.export")
        return weights.save_onnx(path, self.model, shape, metadata)

    @classmethod
    def load(cls, path: Path, model: Model | None = None) -> Self:
        """Read a classifier that `save` or `export` wrote.

        Parameters
        ----------
        path : str or Path
            The file, or the folder of a run.
        model : Module, callable, str or None
            The network that takes the weights, or a class, function or ``FILE:NAME`` that makes it. None makes
            the network that the file names; of your own networks it finds those whose class is imported.

        Returns
        -------
        Classifier

        Raises
        ------
        ClassifierError
            If the file has weights but no classifier.
        OwnNetworkError
            If it is of a network of your own that ``model`` has to name.
        WeightFileError, FileNotFoundError
            As `weights.load`.
        """
        arguments.path("Classifier.load", path=path)
        path = pathlib.Path(path)
        if path.is_dir():
            path = path / "model.safetensors"
            if not path.exists() and any(path.parent.glob("checkpoint-*.safetensors")):
                raise ClassifierError(f"{path.parent} - expected a run that is finished, got one to be resumed first")
        exported = path.suffix == ".onnx"
        arrays, metadata = weights.load_onnx(path) if exported else weights.load(path)
        if absent := ENTRIES - metadata.keys():
            raise ClassifierError(f"{path} - expected a classifier, got weights without {', '.join(sorted(absent))}")
        try:
            check_metadata("metadata", metadata)
        except (TypeError, ValueError) as error:
            raise ClassifierError(f"{path} - expected a file that `save` wrote, got another: {error}") from error
        model = network.rebuild(metadata["architecture"], model, f"Classifier.load: {path}")
        if exported:
            weights.onnx.restore(model, arrays)
        else:
            model.load_state_dict(arrays)
        return cls(model, metadata)

    @classmethod
    def pretrained(cls, name: str, path: Path | None = None) -> Self:
        """Make a classifier of a network with weights from a file that holds nothing else.

        Parameters
        ----------
        name, path
            As for `models.load_pretrained`, whose errors are raised here too.

        Returns
        -------
        Classifier
            The classes are numbered, because such a file does not name them.
        """
        source = models.load_pretrained(name, path)
        classes = [f"class {number}" for number in range(source.classes)]
        architecture = {"name": name, "num_classes": source.classes, "image_size": source.image_size}
        return cls(
            source.model, {"architecture": architecture, "classes": classes, "mean": source.mean, "std": source.std}
        )

    def logits(self, images: Array) -> Array:
        """Return the logits of images, in evaluation mode.

        Parameters
        ----------
        images : ndarray of uint8, shape (N, H, W, C)
            Those of another size than the model's are scaled to it, as they were for training.

        Returns
        -------
        ndarray of float32, shape (N, classes)

        Raises
        ------
        ClassifierError
            If the images have another number of channels than those of training.
        """
        return self._logits_of_views(images, 1)[0]

    def _logits_of_views(self, images, count):
        """Return the weighted logits of all views, and those of the images as they are, (2, N, classes)."""
        self._check_channels(images)
        unlabelled = np.zeros(len(images), np.int64)
        dataset = data.ArrayDataset(images, unlabelled, self.classes, self.metadata["mean"], self.metadata["std"])
        scale = [] if images.shape[1:3] == self.input_size else [data.Resize(self.input_size)]
        with evaluating(self.model), no_grad():
            batches = data.DataLoader(dataset, batch_size=_BATCH, transforms=scale)
            parts = [self._mean_of_views(batch, list_views(count)) for batch, _ in batches]
        return np.concatenate(parts, axis=1) if parts else np.empty((2, 0, len(self.classes)), np.float32)

    def _mean_of_views(self, batch, chosen):
        plain = self.model(batch).data
        mean = plain * np.float32(chosen[0][0])
        for weight, shift, mirror in chosen[1:]:
            mean = mean + self.model(Tensor(view(batch.data, shift, mirror))).data * np.float32(weight)
        return np.stack([mean, plain])

    def answers(self, images: Array) -> Array:
        """Return the logits as `logits` does; raise ClassifierError unless there is one for each class name."""
        return self._with_a_logit_for_each_class(self.logits(images))

    def _with_a_logit_for_each_class(self, logits):
        if logits.size and logits.shape[-1] != len(self.classes):
            expected = f"{logits.shape[-1]} names, one for each output of the model"
            raise ClassifierError(f"Classifier: classes - expected {expected}, got {len(self.classes)}")
        return logits

    def evaluate(self, dataset: data.Dataset, ranks: SingleProcess | None = None, views: int = 1) -> Evaluation:
        """Compare the answers with the labels of a dataset.

        Parameters
        ----------
        dataset : Dataset
            Its classes are those of this classifier, in the same order.
        ranks : SingleProcess, MpiProcesses or None
            The processes that share the images; each gets the whole answer. None means this process alone.
        views : 1, 2 or 6
            The image; also its mirror image; also both moved by a pixel in two directions. The logits are averaged.

        Returns
        -------
        Evaluation

        Raises
        ------
        ClassifierError
            If the dataset has no images or other classes, or the model another number of outputs.
        ValueError
            If ``views`` is another number.
        """
        list_views(views)  # raises unless it is a number of views
        dataset = as_arrays("evaluate", "dataset", dataset, self.classes)
        if self._names(dataset) != self._names(self):
            expected = f"the classes {self.classes} in this order"
            raise ClassifierError(f"evaluate: dataset - expected {expected}, got {list(dataset.classes)}")
        if len(dataset.images) == 0:
            raise ClassifierError("evaluate: dataset - expected at least one image, got none")
        ranks, count = given_ranks("evaluate", ranks), len(dataset.images)
        first, end = (_BATCH * i for i in ranks.share(-(-count // _BATCH)))  # the batches of one process
        both = np.zeros((2, count, len(self.classes)), np.float32)
        both[:, first:end] = self._with_a_logit_for_each_class(self._logits_of_views(dataset.images[first:end], views))
        both = ranks.sum(both)
        logits = Tensor(both[0])
        return Evaluation(
            loss=ops.cross_entropy(logits, dataset.labels).item(),
            accuracy=float(np.mean(answers_of(both[0]) == dataset.labels)),
            probabilities=ops.softmax(logits).data,
            views=views,
            plain_accuracy=float(np.mean(answers_of(both[1]) == dataset.labels)),
        )

    def read(self, paths: Iterable[Path]) -> Array:
        """Return image files as uint8 (N, H, W, C), in the size that the model takes; errors as `classify`."""
        channels = len(self.metadata["mean"])
        images = [_read_image(path, self.input_size, channels) for path in _several(paths)]
        return np.stack(images) if images else np.empty((0, *self.input_size, channels), np.uint8)

    def prepare(self, dataset: data.Dataset) -> Any:
        """Return a dataset as this model takes it: with its mean and std, and scaled to its size.

        Parameters
        ----------
        dataset : Dataset

        Returns
        -------
        ArrayDataset
            Cost: that of scaling, where the images have another size.

        Raises
        ------
        ClassifierError
            If the images have another number of channels.
        """
        dataset = as_arrays("prepare", "dataset", dataset, self.classes)
        images, mean = dataset.images, self.metadata["mean"]
        self._check_channels(images)
        if images.shape[1:3] != self.input_size:
            images = data.Resize(self.input_size)(images, None) if len(images) else self.read([])
        return dataclasses.replace(dataset, images=images, mean=mean, std=self.metadata["std"])

    def _check_channels(self, images):
        channels, array = len(self.metadata["mean"]), np.asarray(images)
        if array.ndim != 4 or array.shape[3] != channels or array.dtype != np.uint8:  # floats may be scaled already
            expected = f"uint8 (N, H, W, {channels}), the channels of training"
            raise ClassifierError(f"Classifier: images - expected {expected}, got {array.dtype} {array.shape}")

    def labels(self, dataset: data.Dataset) -> Array:
        """Return the labels of a dataset, or None if its classes are not those of this classifier, in its order."""
        dataset = as_arrays("labels", "dataset", dataset, self.classes)
        return dataset.labels if self._names(dataset) == self._names(self) else None

    @staticmethod
    def _names(owner):
        return [str(name) for name in owner.classes]

    def normalised(self, images: Array) -> Array:
        """Return uint8 images (N, H, W, C) of the model's size as it takes them: float32 (N, C, H, W)."""
        self._check_channels(images)
        x = (np.asarray(images) / 255 - self.metadata["mean"]) / self.metadata["std"]
        return x.transpose(0, 3, 1, 2).astype(np.float32)

    def classify(
        self, paths: Iterable[Path], on_error: Callable[[Any, Exception], None] | None = None
    ) -> list[Prediction]:
        """Classify image files.

        Parameters
        ----------
        paths : iterable of str or Path
            Pictures, see `data.read_picture`, such as `data.find_pictures` finds in a folder. Those of other
            proportions are cropped around the middle. They are read and classified in batches, so that any number of
            them fits into memory.
        on_error : callable or None
            Called with a ClassifierError for each file that cannot be read; the others are classified. None raises it.

        Returns
        -------
        list of Prediction

        Raises
        ------
        TypeError
            If ``paths`` is a single path.
        ClassifierError
            If a file is not a picture, is damaged, or cannot be shown in 8 bits of red, green and blue, or the
            model's outputs for it are not finite.
        OSError
            If it cannot be read.
        """
        arguments.function("classify", on_error=on_error or print)
        answers, readable = [], self._readable(paths, on_error)
        while batch := list(itertools.islice(readable, _BATCH)):
            answers += self._predictions(*zip(*batch, strict=True))
        return answers

    def _readable(self, paths, on_error):
        """Yield (path, image) for each file that can be read."""
        for path in _several(paths):
            try:
                image = self.read([path])[0]
            except (ClassifierError, OSError) as error:
                if on_error is None:
                    raise
                got = f"{path} - expected a file that can be read, got: {getattr(error, 'strerror', None) or error}"
                on_error(error if isinstance(error, ClassifierError) else ClassifierError(got))
            else:
                yield path, image

    def _predictions(self, paths, images):
        probabilities = ops.softmax(Tensor(self.answers(np.stack(images)))).data
        for path, row in zip(paths, probabilities, strict=True):
            if np.isnan(row).any():
                raise ClassifierError(f"Classifier: model - expected finite outputs, got NaN or infinity for {path}")
            named = {name: float(value) for name, value in zip(self.classes, row, strict=True)}
            best = self.classes[row.argmax()]
            yield Prediction(str(path), best, named[best], named)


def _several(paths):
    """Return an iterable of paths; raise TypeError for a single path, which would be read letter by letter."""
    if isinstance(paths, (str, os.PathLike)):
        raise TypeError(f"Classifier: paths - expected an iterable of paths, got one path, {str(paths)!r}")
    if not np.iterable(paths):
        raise TypeError(f"Classifier: paths - expected an iterable of paths, got {paths!r}")
    return paths


def _read_image(path, size, channels=3):
    """Return an image file as uint8 (H, W, channels), for a size of (H, W) or a square."""
    try:
        return data.read_picture(path, size, channels)
    except data.PictureError as error:
        raise ClassifierError(str(error)) from error
