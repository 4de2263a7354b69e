"""Recipes: what to train, and every number that the training depends on, except the seed.

recipe("cifar4")              the recipe of that name
recipe("cifar4", epochs=2)    the same with the whole schedule squeezed into two epochs
recipe("resnet32")            the recipe for a network, by its family
"""

import dataclasses
import difflib
import functools
import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from minitorch_cnn import arguments, models

_OPTIMIZERS = ("adam", "sgd")
_SCHEDULES = ("one_cycle", "plateau")
_OPTIONAL = ("image_size", "dropout", "freeze_until", "early_stop")  # may be None
_OLDER_NAMES = {"rise": "warmup_fraction", "body_rate": "backbone_lr_scale"}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The numbers of one training.

    Parameters
    ----------
    name : str
    model : str
        One of `models.list`.
    dataset : str
        "cifar10", "shapes10", "mnist" or "fashion_mnist": what the recipe was made for. It trains on any dataset of
        that image size.
    epochs : int, >= 1
        The schedule is a function of steps done / all steps, so this stretches or squeezes the whole of it.
    batch_size : int, >= 2, images
        Batch norm needs more than one. Images that do not fill the last batch of an epoch are left out of it.
    peak_lr : float, > 0
        The highest learning rate.
    warmup_fraction : float, 0 to 1
        Share of the steps in which the rate climbs to it.
    optimizer : "adam" or "sgd"
        SGD has Nesterov momentum of 0.9.
    weight_decay : float, >= 0
        Times the weight, added to its gradient.
    label_smoothing : float, 0 to below 1
    dropout : float, 0 to 1, or None
        Rate of all dropout layers; None leaves the network's own.
    crop_padding : int, >= 0, pixels
        Images are padded with this many zeros and cropped to their size at a random position.
    flip : bool
        Whether images are mirrored left to right at random, half of them on average.
    workers : int, >= 0
        Processes that read and augment; the batches are the same for any number.
    image_size : int >= 1, pixels, or None
        Images are scaled to this many pixels per side after the other changes; None leaves them as they are.
    freeze_until : str or None
        The layers up to this one do not learn; see `Module.freeze`.
    cache_features : bool
        Run the frozen layers once, not every epoch. All but the last fully connected layer must be frozen, and
        images must not change: no crops and no flips.
    backbone_lr_scale : float, 0 to 1
        The learning rate of all but the last fully connected layer, as a share of the schedule's: what was
        learned from other images should change less than what is new.
    schedule : "one_cycle" or "plateau"
        How the learning rate changes: one cycle over all steps, or constant at ``peak_lr`` until the loss on the
        held-out images, without them that of training, has not fallen for two epochs; then it falls to a fifth. See
        `optim.OneCycleLR` and `optim.ReduceLROnPlateau`.
    class_weights : None, "balanced", or a sequence of numbers >= 0, one per class
        How much each class counts in the loss. "balanced" makes up for classes of few images: the weights are in
        proportion to 1 / images of the class. They are scaled so that their mean over the training images is 1.
    early_stop : int, >= 1, epochs, or None
        Training stops once the loss on the held-out images has not fallen for this many epochs, and keeps the best.
    keep_best : bool
        The classifier that comes out is that of the epoch with the lowest loss on the held-out images, not of the last.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """

    name: str
    model: str = "cifar4"
    dataset: str = "cifar10"
    epochs: int = 8
    batch_size: int = 128
    peak_lr: float = 5e-3
    warmup_fraction: float = 0.3
    label_smoothing: float = 0.0
    dropout: float | None = None
    crop_padding: int = 4
    flip: bool = True
    workers: int = 4
    optimizer: str = "adam"
    weight_decay: float = 0.0
    image_size: int | None = None
    freeze_until: str | None = None
    cache_features: bool = False
    backbone_lr_scale: float = 1.0
    schedule: str = "one_cycle"
    class_weights: str | Sequence[float] | None = None
    early_stop: int | None = None
    keep_best: bool = False

    def __post_init__(self) -> None:
        for field in ("name", "model", "dataset", "freeze_until"):
            self._keep(field, str, isinstance(getattr(self, field), str), "a string")
        for field in ("flip", "cache_features", "keep_best"):
            self._keep(field, bool, isinstance(getattr(self, field), (bool, np.bool_)), "True or False")
        sizes = {"epochs": 1, "batch_size": 2, "crop_padding": 0, "workers": 0, "image_size": 1, "early_stop": 1}
        for field, least in sizes.items():
            value = getattr(self, field)
            fits = isinstance(value, numbers.Integral) and not isinstance(value, bool) and value >= least
            self._keep(field, int, fits, f"an integer of at least {least}")
        self._keep_number("peak_lr", lambda value: 0 < value < math.inf, "a positive number")
        self._keep_number("weight_decay", lambda value: 0 <= value < math.inf, "at least 0")
        self._keep_number("label_smoothing", lambda value: 0 <= value < 1, "0 to below 1")
        for field in ("warmup_fraction", "backbone_lr_scale", "dropout"):
            self._keep_number(field, lambda value: 0 <= value <= 1, "0 to 1")
        if self.cache_features and (self.crop_padding or self.flip):
            raise ValueError("Recipe: cache_features - expected crop_padding=0 and flip=False with it, got others")
        for field, known in (("optimizer", _OPTIMIZERS), ("schedule", _SCHEDULES)):
            if getattr(self, field) not in known:
                expected = " or ".join(map(repr, known))
                raise ValueError(f"Recipe: {field} - expected {expected}, got {getattr(self, field)!r}")
        if not isinstance(self.class_weights, (str, type(None))) or self.class_weights not in (None, "balanced"):
            fits = _are_weights(self.class_weights)
            self._keep("class_weights", _as_weights, fits, "None, 'balanced' or numbers >= 0")

    def _keep_number(self, field, fits, expected):
        value = getattr(self, field)
        self._keep(field, float, isinstance(value, numbers.Real) and fits(value), expected)

    def _keep(self, field, kind, fits, expected):
        """Raise ValueError unless a field fits; keep it as a type of Python, which the record of a run can hold."""
        value = getattr(self, field)
        if value is None and field in _OPTIONAL:
            return
        if not fits:
            raise ValueError(f"Recipe: {field} - expected {expected}, got {value!r}")
        object.__setattr__(self, field, kind(value))

    @property
    def keeps_best(self) -> bool:
        """Whether the classifier of the best epoch comes out: ``keep_best``, or ``early_stop``."""
        return self.keep_best or self.early_stop is not None

    @property
    def rise(self) -> float:
        """An older name of ``warmup_fraction``."""
        return self.warmup_fraction

    @property
    def body_rate(self) -> float:
        """An older name of ``backbone_lr_scale``."""
        return self.backbone_lr_scale


def _are_weights(values):
    """Return whether values are numbers >= 0, and at least one of them is positive."""
    if isinstance(values, str) or not isinstance(values, (Sequence, np.ndarray)):
        return False
    fit = all(isinstance(value, numbers.Real) and 0 <= value < math.inf for value in values)
    return fit and any(value > 0 for value in values)


def _as_weights(values):
    return [float(value) for value in values]


def _with_older_names(init):
    """Let `Recipe` take the names that two of its fields had before: scripts and saved runs have them."""

    @functools.wraps(init)
    def taking_both(self, *values, **fields):
        init(self, *values, **{_OLDER_NAMES.get(name, name): value for name, value in fields.items()})

    return taking_both


Recipe.__init__ = _with_older_names(Recipe.__init__)

_CIFAR4 = Recipe("cifar4")
# The optimiser of the ResNet and the DenseNet paper, with the one cycle in place of its steps.
_RESIDUAL = {"optimizer": "sgd", "peak_lr": 0.2, "weight_decay": 1e-4}

_TRANSFER = Recipe(
    # The pretrained layers change at up to 0.12. At 0.04 five epochs of 128 pixels still ended at 88.5 % of the
    # test images; at 0.12 three epochs of 64 pixels gave 86.6 % of 5,000 held-out training images.
    "transfer",
    model="resnet18",
    optimizer="sgd",
    peak_lr=0.3,
    backbone_lr_scale=0.4,
    warmup_fraction=0.2,
    weight_decay=5e-4,
    label_smoothing=0.1,
)

RECIPES = {
    recipe.name: recipe
    for recipe in (
        _CIFAR4,
        # Three epochs do not overfit: strong augmentation would only slow them down. Twice as many steps of half
        # the images gain one percentage point on 5,000 held-out training images (80.8 to 81.9 %).
        dataclasses.replace(_CIFAR4, name="cifar4_fast", epochs=3, batch_size=64, crop_padding=2),
        Recipe("mlp", model="mlp", epochs=12, peak_lr=1e-3, crop_padding=0, label_smoothing=0.1),
        dataclasses.replace(_CIFAR4, name="shapes10", dataset="shapes10", epochs=4, crop_padding=2, flip=False),
        # Digits keep their sides; clothes may be mirrored.
        Recipe("mnist", model="lenet5", dataset="mnist", epochs=10, peak_lr=2e-3, crop_padding=2, flip=False),
        Recipe("fashion_mnist", model="lenet5", dataset="fashion_mnist", epochs=10, peak_lr=2e-3, crop_padding=2),
        Recipe("lenet5_cifar", model="lenet5_cifar", epochs=10, peak_lr=2e-3, crop_padding=2),
        # Without batch norm a deep network learns only with small steps at first.
        Recipe("vgg_a_cifar", model="vgg_a_cifar", epochs=10, peak_lr=1e-3),
        Recipe("vgg_a_bn_cifar", model="vgg_a_bn_cifar", optimizer="sgd", peak_lr=0.1, weight_decay=5e-4),
        # Eight epochs do not overfit. Five epochs of 12,000 images gave, on 3,000 others, 36 % with the paper's dropout
        # and SGD, 49 % without the dropout, and 51 % with Adam.
        Recipe("allcnn_c", model="allcnn_c", peak_lr=1e-3, dropout=0.0),
        Recipe("resnet20", model="resnet20", epochs=15, **_RESIDUAL),
        Recipe("resnet9", "resnet9", epochs=10, optimizer="sgd", peak_lr=0.3, weight_decay=5e-4, label_smoothing=0.1),
        _TRANSFER,
        # A new layer that learns alone diverges at 0.3: no layer before it adapts. Two epochs of 3,000 images of 32
        # pixels ended at a loss of 6.2 with 0.3, 1.7 with 0.1, 1.45 with 0.03 and 1.55 with 0.01.
        dataclasses.replace(_TRANSFER, name="transfer_head", peak_lr=0.03),
        Recipe("densenet40_k12", model="densenet40_k12", epochs=3, batch_size=64, **_RESIDUAL),
    )
}
# The recipe of a network without its own: the first row whose beginning and end fit the name.
_FAMILIES = (
    ("lenet", "", "lenet5_cifar"),
    ("vgg", "_bn_cifar", "vgg_a_bn_cifar"),
    ("vgg", "_bn", "vgg_a_bn_cifar"),
    ("vgg", "", "vgg_a_cifar"),
    ("alexnet", "", "vgg_a_cifar"),
    ("allcnn", "", "allcnn_c"),
    ("strided_cnn", "", "allcnn_c"),
    ("convpool_cnn", "", "allcnn_c"),
    ("resnet", "", "resnet20"),
    ("densenet", "", "densenet40_k12"),
)


_BATCHES = 10  # steps of an epoch, at least, if there are enough images
_STEPS, _MOST_EPOCHS = 1500, 60  # that a training takes at least, and what more epochs than that would be


def few_images(recipe: Recipe, count: int) -> dict[str, Any]:
    """Return what should change in a recipe where there are few training images.

    Of few images an epoch has few steps. Smaller batches and more epochs make up for that, up to a limit: beyond it a
    network learns the images by heart. With a smaller batch the learning rate falls, as the gradients are noisier:
    in proportion to the batch for SGD, to its square root for Adam.

    Parameters
    ----------
    recipe : Recipe
    count : int, >= 1
        Training images.

    Returns
    -------
    dict
        ``batch_size``, ``peak_lr`` and ``epochs``, as far as they change.
    """
    batch = recipe.batch_size
    while batch > 4 and count // batch < _BATCHES:
        batch //= 2
    epochs = min(max(recipe.epochs, -(-_STEPS // max(1, count // batch))), max(recipe.epochs, _MOST_EPOCHS))
    changes: dict[str, Any] = {} if epochs == recipe.epochs else {"epochs": epochs}
    if batch < recipe.batch_size:
        share = batch / recipe.batch_size
        factor = share if recipe.optimizer == "sgd" else math.sqrt(share)
        changes |= {"batch_size": batch, "peak_lr": recipe.peak_lr * factor}
    return changes


def recipe(name: str, **changes: Any) -> Recipe:
    """Return a recipe by name, with some of its numbers changed.

    Parameters
    ----------
    name : str
        A key of ``RECIPES``, such as "cifar4_fast", or a network, one of `models.list`: a network
        without a recipe of its own is trained with that of its family.
    changes
        Fields of `Recipe`.

    Returns
    -------
    Recipe

    Raises
    ------
    ValueError
        If there is no such recipe, network or field, or a number is out of its range.
    """
    arguments.instance("recipe", str, name=name)
    networks = models.list()
    if name not in RECIPES and name not in networks:
        near = difflib.get_close_matches(str(name), [*RECIPES, *networks], n=1, cutoff=0.0)[0]
        expected = f"expected one of {', '.join(RECIPES)}, or a network of models.list()"
        raise ValueError(f"recipe: name - {expected}, got {name!r}; did you mean {near!r}?")
    known = [field.name for field in dataclasses.fields(Recipe)]
    changes = {_OLDER_NAMES.get(field, field): value for field, value in changes.items()}
    if unknown := sorted(changes.keys() - set(known)):
        raise ValueError(f"recipe: {unknown[0]} - expected one of {', '.join(known)}")
    if name not in RECIPES:
        fits = (recipe for start, end, recipe in _FAMILIES if name.startswith(start) and name.endswith(end))
        changes = {"name": name, "model": name} | changes
        return dataclasses.replace(RECIPES[next(fits, "cifar4")], **changes)
    return dataclasses.replace(RECIPES[name], **changes)
