"""A trained network together with what it takes to use it: class names, normalisation, image size."""

import dataclasses
import pathlib

import numpy as np

from minitorch_cnn import data, models, ops, weights
from minitorch_cnn.autograd import no_grad
from minitorch_cnn.display import html
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.train.distributed.ranks import Alone

_BATCH = 256  # images a forward pass; a fixed number, so that the sums are always the same


class ClassifierError(ValueError):
    """A file that holds no classifier, or an image that it cannot look at."""


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The answer for one image file: the likeliest class, its probability, and those of all classes."""

    file: str
    label: str
    probability: float
    probabilities: dict


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """How a classifier does on labelled images: mean cross-entropy, share of right answers, all probabilities."""

    loss: float
    accuracy: float
    probabilities: np.ndarray  # (N, classes) float32

    @property
    def predictions(self):
        """The likeliest class of each image, (N,) int64."""
        return self.probabilities.argmax(axis=1)

    def _repr_html_(self):
        numbers = f"{self.accuracy:.2%}", f"{self.loss:.4f}", f"{len(self.probabilities):,}"
        return html.table([("accuracy", "loss", "images"), numbers])


class Classifier:
    """A model for images of given classes.

    Parameters
    ----------
    model : Module
        Images (N, 3, H, W) in, one number a class out.
    facts : dict
        "architecture": the keyword arguments of `models.create`, among them "image_size";
        "classes": names; "mean" and "std": of each channel, for pixels in 0 .. 1. Any further
        entries that JSON can hold travel along.
    """

    def __init__(self, model, facts):
        self.model = model
        self.facts = facts
        self.classes = list(facts["classes"])
        self.image_size = facts["architecture"]["image_size"]

    def save(self, path):
        """Write weights and facts into one file; return the sha256 of the weights."""
        return weights.save(path, self.model.state_dict(), self.facts)

    @classmethod
    def load(cls, path, model=None):
        """Read a classifier that `save` wrote.

        Parameters
        ----------
        path : str or Path
            The file, or the folder of a run.
        model : Module or None
            What the weights belong into; None makes the model that the file names.

        Returns
        -------
        Classifier

        Raises
        ------
        ClassifierError
            If the file has weights but no classifier.
        WeightFileError, FileNotFoundError
            As `weights.load`.
        """
        path = pathlib.Path(path)
        path = path / "model.safetensors" if path.is_dir() else path
        arrays, facts = weights.load(path)
        if absent := {"architecture", "classes", "mean", "std"} - facts.keys():
            raise ClassifierError(f"{path} - expected a classifier, got weights without {', '.join(sorted(absent))}")
        if model is None:
            model = models.create(**facts["architecture"], drawn=False)  # the file has every weight
        model.load_state_dict(arrays)
        return cls(model, facts)

    @classmethod
    def pretrained(cls, name, path=None):
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
        facts = {"architecture": architecture, "classes": classes, "mean": source.mean, "std": source.std}
        return cls(source.model, facts)

    def logits(self, images):
        """Return one number a class for each image, in evaluation mode.

        Parameters
        ----------
        images : ndarray of uint8, shape (N, H, W, 3)
            Of another size than the model's they are scaled to it.

        Returns
        -------
        ndarray of float32, shape (N, classes)
        """
        nameless, size = np.zeros(len(images), np.int64), (self.image_size, self.image_size)
        dataset = data.ArrayDataset(images, nameless, self.classes, self.facts["mean"], self.facts["std"])
        scale = [] if images.shape[1:3] == size else [data.Resize(size)]
        was_training = self.model.training
        self.model.eval()
        with no_grad():
            batches = data.DataLoader(dataset, batch_size=_BATCH, transforms=scale)
            parts = [self.model(batch).data for batch, _ in batches]
        self.model.train(was_training)
        return np.concatenate(parts) if parts else np.empty((0, len(self.classes)), np.float32)

    def evaluate(self, dataset, ranks=None):
        """Compare the answers with the labels of a dataset.

        Parameters
        ----------
        dataset
            With ``images``, uint8 (N, H, W, 3), and ``labels``, int64 (N,).
        ranks : Alone, Mpi or None
            Who share the images; each gets the whole answer. None looks at all of them here.

        Returns
        -------
        Evaluation
        """
        ranks = ranks or Alone()
        count = len(dataset.images)
        first, end = (_BATCH * i for i in ranks.share(-(-count // _BATCH)))  # the batches of one process
        logits = np.zeros((count, len(self.classes)), np.float32)
        logits[first:end] = self.logits(dataset.images[first:end])
        logits = Tensor(ranks.sum(logits))
        probabilities = ops.softmax(logits).data
        return Evaluation(
            loss=ops.cross_entropy(logits, dataset.labels).item(),
            accuracy=float(np.mean(probabilities.argmax(axis=1) == dataset.labels)),
            probabilities=probabilities,
        )

    def read(self, paths):
        """Return image files as uint8 (N, image_size, image_size, 3); errors as `classify`."""
        images = [_read_image(path, self.image_size) for path in paths]
        return np.stack(images) if images else np.empty((0, self.image_size, self.image_size, 3), np.uint8)

    def normalised(self, images):
        """Return uint8 images (N, H, W, C) as the model takes them: float32 (N, C, H, W)."""
        x = (images / 255 - self.facts["mean"]) / self.facts["std"]
        return x.transpose(0, 3, 1, 2).astype(np.float32)

    def classify(self, paths):
        """Look at image files.

        Parameters
        ----------
        paths : iterable of str or Path
            Pictures, see `data.read_picture`. Other sizes are cut to a square around the middle and resized.

        Returns
        -------
        list of Prediction

        Raises
        ------
        ClassifierError
            If a file is no picture, or of a kind that has no 8 bits of red, green and blue.
        OSError
            If it cannot be read.
        """
        paths = list(paths)
        probabilities = ops.softmax(Tensor(self.logits(self.read(paths)))).data
        answers = []
        for path, row in zip(paths, probabilities, strict=True):
            named = {name: float(value) for name, value in zip(self.classes, row, strict=True)}
            best = self.classes[row.argmax()]
            answers.append(Prediction(str(path), best, named[best], named))
        return answers


def _read_image(path, size, channels=3):
    """Return an image file as uint8 (H, W, channels), for a size of (H, W) or a square."""
    try:
        return data.read_picture(path, size, channels)
    except data.PictureError as error:
        raise ClassifierError(str(error)) from error
