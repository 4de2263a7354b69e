"""`Recipe`: every number that a training depends on, except the seed, and the range of each."""

import dataclasses
import functools
import math
import numbers
from collections.abc import Sequence

import numpy as np

VIEWS = (1, 2, 6)  # how many views of an image can be averaged
_CHOICES = {  # of fields that take one of a few values
    "optimizer": ("adam", "sgd", "muon"),
    "schedule": ("one_cycle", "linear", "steps", "plateau"),
    "crop_mode": ("zero", "reflect"),
    "flip": (False, True, "alternating"),
    "views": VIEWS,
    "precision": ("float32", "bf16"),
}
_OPTIONAL = ("image_size", "dropout", "freeze_until", "whiten_bias_epochs", "early_stop")  # may be None
_LEAST = {  # of fields that are integers
    "batch_size": 2,
    "crop_padding": 0,
    "workers": 0,
    "image_size": 1,
    "cutout": 0,
    "whiten_bias_epochs": 0,
    "lookahead": 0,
    "early_stop": 1,
}
_MOST = {  # of fields that are numbers from 0
    "mixup": math.inf,
    "cutmix": math.inf,
    "color_jitter": 1,
    "hue": 0.5,
    "rotate": 180,
    "resized_crop": 1,
    "erase": 1,
    "rand_augment": 10,
}
AUGMENTATION = ("crop_padding", "flip", "cutout", *_MOST)  # fields that change images
OLDER_NAMES = {"rise": "warmup_fraction", "body_rate": "backbone_lr_scale"}


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
    epochs : int or float, >= 1
        The schedule is a function of steps done / all steps, so this stretches or squeezes the whole of it. Of 9.9
        epochs the last one ends after nine tenths of its batches.
    batch_size : int, >= 2, images
        Batch norm needs more than one. Images that do not fill the last batch of an epoch are left out of it.
    peak_lr : float, > 0
        The highest learning rate.
    warmup_fraction : float, 0 to 1
        Share of the steps in which the rate climbs to it.
    schedule : "one_cycle", "linear", "steps" or "plateau"
        How the learning rate changes. One cycle over all steps, see `optim.OneCycleLR`; straight lines from
        ``start_factor`` of ``peak_lr`` up to it and down to ``end_factor``, see `optim.PiecewiseLinearLR`; ``peak_lr``,
        a tenth of it after half of the steps and a hundredth after three quarters, see `optim.MultiStepLR`; or constant
        until the loss on the held-out images, without them that of training, has not fallen for two epochs, then a
        fifth, see `optim.ReduceLROnPlateau`.
    start_factor, end_factor : float, 0 to 1
        The linear schedule's first and last rate as shares of the highest.
    optimizer : "adam", "sgd" or "muon"
        SGD has Nesterov momentum. Muon takes the filters of convolutions, see `optim.Muon`, with ``unit_rows``, three
        iterations and no weight decay; all other parameters take the steps of SGD.
    momentum : float, 0 to below 1
        Of SGD.
    muon_momentum : float, above 0 to below 1
        Of the filters with Muon.
    sgd_lr_scale : float, > 0
        With Muon, the learning rate of all parameters but the filters as a multiple of theirs, which is ``peak_lr``.
    norm_bias_lr_scale : float, > 0
        The learning rate of the biases of batch norm as a multiple of all others'; with Muon that of all biases. Their
        weight decay is divided by it, so that the product of both is the same for all.
    weight_decay : float, >= 0
        Times the weight, added to its gradient.
    label_smoothing : float, 0 to below 1
    dropout : float, 0 to 1, or None
        Rate of all dropout layers; None leaves the network's own.
    crop_padding : int, >= 0, pixels
        Images are padded with this many zeros and cropped to their size at a random position.
    crop_mode : "zero" or "reflect"
        "reflect" pads with the mirrored border.
    flip : bool or "alternating"
        Whether images are mirrored left to right at random, half of them on average; "alternating" mirrors each in
        every other epoch, see `data.AlternatingFlip`.
    cutout : int, >= 0, pixels
        Side of a square that is blacked out at a random position.
    mixup, cutmix : float, >= 0
        Mix images in pairs, see `data.Mixing`; 0: not.
    color_jitter : float, 0 to 1
        Largest change of brightness, contrast and saturation, see `data.ColorJitter`.
    hue : float, 0 to 0.5
        Largest change of the hue, see `data.ColorJitter`.
    rotate : float, 0 to 180, degrees
        Largest angle, see `data.Rotate`.
    resized_crop : float, 0 to 1
        Cut out a part of at least this share of the area and scale it up, see `data.RandomResizedCrop`; 0: not.
    erase : float, 0 to 1
        Probability that a box is blacked out, see `data.RandomErasing`.
    rand_augment : float, 0 to 10
        Magnitude of two random operations, see `data.RandAugment`; 0: none.
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
    class_weights : None, "balanced", or a sequence of numbers >= 0, one per class
        How much each class counts in the loss. "balanced" makes up for classes of few images: the weights are in
        proportion to 1 / images of the class. They are scaled so that their mean over the training images is 1.
    early_stop : int, >= 1, epochs, or None
        Training stops once the loss on the held-out images has not fallen for this many epochs, and keeps the best.
    keep_best : bool
        The classifier that comes out is that of the epoch with the lowest loss on the held-out images, not of the last.
    whiten_bias_epochs : int >= 0, or None
        Compute the filters of the network's layer ``whiten`` from 5,000 training images, see
        `nn.init.patch_whitening_`, and leave them so; its bias learns in the first epochs only, this many. None: it is
        a layer as any other.
    lookahead : int, steps, >= 0
        Every that many steps the weights go back to slow weights, see `optim.Lookahead`; 0: never.
    ema : float, 0 to below 1
        The decay of an average of the weights, see `optim.EMA`, that takes their place at the end; 0: none.
    views : 1, 2 or 6
        How many views of each image are averaged when the model is judged, see `Classifier.evaluate`.
    precision : "float32" or "bf16"
        Of large products in the steps of the training, see `set_precision`. The model is judged in float32.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """

    name: str
    model: str = "cifar4"
    dataset: str = "cifar10"
    epochs: float = 8
    batch_size: int = 128
    peak_lr: float = 5e-3
    warmup_fraction: float = 0.3
    label_smoothing: float = 0.0
    dropout: float | None = None
    crop_padding: int = 4
    flip: bool | str = True
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
    start_factor: float = 0.2
    end_factor: float = 0.07
    momentum: float = 0.9
    norm_bias_lr_scale: float = 1.0
    crop_mode: str = "zero"
    cutout: int = 0
    whiten_bias_epochs: int | None = None
    lookahead: int = 0
    ema: float = 0.0
    views: int = 1
    muon_momentum: float = 0.6
    sgd_lr_scale: float = 1.0
    mixup: float = 0.0
    cutmix: float = 0.0
    color_jitter: float = 0.0
    hue: float = 0.0
    rotate: float = 0.0
    resized_crop: float = 0.0
    erase: float = 0.0
    rand_augment: float = 0.0
    precision: str = "float32"

    def __post_init__(self) -> None:
        for field in ("name", "model", "dataset", "freeze_until"):
            self._keep(field, str, isinstance(getattr(self, field), str), "a string")
        for field in ("cache_features", "keep_best"):
            self._keep(field, bool, isinstance(getattr(self, field), (bool, np.bool_)), "True or False")
        if isinstance(self.flip, np.bool_):
            object.__setattr__(self, "flip", bool(self.flip))
        for field, allowed in _CHOICES.items():
            value = getattr(self, field)
            fits = any(type(value) is type(choice) and value == choice for choice in allowed)
            self._keep(field, type(value), fits, _one_of(allowed))
        self._keep_number("epochs", lambda value: 1 <= value < math.inf, "at least 1")
        object.__setattr__(self, "epochs", round(self.epochs, 6))  # a smaller rest would be no batch
        if self.epochs == int(self.epochs):
            object.__setattr__(self, "epochs", int(self.epochs))
        for field, least in _LEAST.items():
            value = getattr(self, field)
            fits = isinstance(value, numbers.Integral) and not isinstance(value, bool) and value >= least
            self._keep(field, int, fits, f"an integer of at least {least}")
        self._keep_number("peak_lr", lambda value: 0 < value < math.inf, "a positive number")
        self._keep_number("weight_decay", lambda value: 0 <= value < math.inf, "at least 0")
        self._keep_number("label_smoothing", lambda value: 0 <= value < 1, "0 to below 1")
        for field in ("norm_bias_lr_scale", "sgd_lr_scale"):
            self._keep_number(field, lambda value: 0 < value < math.inf, "a positive number")
        self._keep_number("muon_momentum", lambda value: 0 < value < 1, "above 0 to below 1")
        for field in ("momentum", "ema"):
            self._keep_number(field, lambda value: 0 <= value < 1, "0 to below 1")
        for field in ("warmup_fraction", "backbone_lr_scale", "dropout", "start_factor", "end_factor"):
            self._keep_number(field, lambda value: 0 <= value <= 1, "0 to 1")
        for field, most in _MOST.items():
            expected = "at least 0" if most == math.inf else f"0 to {most}"
            self._keep_number(field, lambda value, most=most: 0 <= value <= most and value < math.inf, expected)
        if self.cache_features and (changing := [field for field in AUGMENTATION if getattr(self, field)]):
            expected = "crop_padding=0 and flip=False with it, and no other change of images"
            raise ValueError(f"Recipe: cache_features - expected {expected}, got {', '.join(changing)}")
        if not isinstance(self.class_weights, (str, type(None))) or self.class_weights not in (None, "balanced"):
            fits = _are_weights(self.class_weights)
            self._keep("class_weights", _as_weights, fits, "None, 'balanced' or numbers >= 0")
        if self.optimizer != "muon" and self.sgd_lr_scale != 1:
            raise ValueError(f"Recipe: sgd_lr_scale - expected 1 without optimizer='muon', got {self.sgd_lr_scale}")
        if self.lookahead and self.ema:
            raise ValueError(f"Recipe: ema - expected 0 with lookahead={self.lookahead}, got {self.ema}")

    def _keep_number(self, field, fits, expected):
        value = getattr(self, field)
        is_number = isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))
        self._keep(field, float, is_number and fits(value), expected)

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


def _one_of(values):
    """Return "'adam' or 'sgd'", or "1, 2 or 6"."""
    *most, last = map(repr, values)
    return f"{', '.join(most)} or {last}"


def _with_older_names(init):
    """Let `Recipe` take the names that two of its fields had before: scripts and saved runs have them."""

    @functools.wraps(init)
    def taking_both(self, *values, **fields):
        init(self, *values, **{OLDER_NAMES.get(name, name): value for name, value in fields.items()})

    return taking_both


Recipe.__init__ = _with_older_names(Recipe.__init__)
