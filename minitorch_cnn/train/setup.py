"""The parts of a training that follow from its recipe: augmentation, first weights, optimiser and schedule."""

import contextlib
import inspect
import math
import os
from typing import Any

import numpy as np

import minitorch_cnn as mt
from minitorch_cnn import arguments, data, nn, optim, rng
from minitorch_cnn.autograd import no_grad
from minitorch_cnn.nn.tracing import evaluating
from minitorch_cnn.ops.reproducible_sum import in_blocks
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.train.recipes import Recipe
from minitorch_kernels.runtime.dry_run import dry_run

PLATEAU = {"factor": 0.2, "patience": 2}
WHITENED = 5000  # images that the filters of a first layer are computed from
MUON_ITERATIONS = 3


def options(recipe, ranks, given):
    """Check the options of a `Trainer` that are chosen once, before a checkpoint has to hold them.

    Parameters
    ----------
    recipe : Recipe
    ranks : SingleProcess or MpiProcesses
    given : dict
        By the names in `state.OPTIONS`.

    Returns
    -------
    dict
        The same as types of Python, which the record of a run can hold.

    Raises
    ------
    TypeError, ValueError
        If one is of another type, or out of range.
    """
    arguments.instance("Trainer", Recipe, recipe=recipe)
    source, accumulate = given["source"], given["accumulate"]
    if source is not None and not isinstance(source, (str, os.PathLike)):
        raise TypeError(f"Trainer: source - expected a str, a Path or None, got {source!r}")
    arguments.integer("Trainer", least=0, **{name: given[name] for name in ("seed", "holdout", "first_epoch")})
    arguments.integer("Trainer", least=1, accumulate=accumulate)
    if recipe.keeps_best and not given["holdout"]:
        raise ValueError("Trainer: holdout - expected at least 1 image, which early_stop and keep_best need, got 0")
    most = recipe.batch_size // ranks.size  # images of the smallest share
    if accumulate > most:
        raise ValueError(f"Trainer: accumulate - expected 1 to {most}, the images of a rank, got {accumulate!r}")
    arguments.flag("Trainer", **{name: given[name] for name in ("sync_bn", "save_epochs")})
    _check_precision(recipe)
    checked = {name: int(given[name]) for name in ("seed", "holdout", "accumulate", "first_epoch")}
    checked |= {name: bool(given[name]) for name in ("sync_bn", "save_epochs")}
    checked["source"] = None if source is None else os.fspath(source)
    return {name: checked[name] for name in given}


def held_out(images, count):
    """Return the images to learn from, and those that are held out, or None if there are none; see `data.hold_out`."""
    if count >= len(images) > 0:
        raise ValueError(f"Trainer: holdout - expected 0 to {len(images) - 1}, got {count}")
    return data.hold_out(images, count) if count else (images, None)


def _check_precision(recipe):
    """Raise ValueError if this processor cannot train in the precision of a recipe, or another one was asked for."""
    with mt.precision(recipe.precision):
        pass
    if mt.get_precision() == "bf16" != recipe.precision:
        expected = "precision='bf16', which set_precision has set"
        raise ValueError(f"Trainer: recipe - expected {expected}, got {recipe.precision!r}")


def callback(on_epoch):
    """Return what is called after every epoch, or None; raise TypeError if it cannot be called with two arguments."""
    expected = "Trainer: on_epoch - expected a function of trainer and record, or None"
    if on_epoch is not None and not callable(on_epoch):
        raise TypeError(f"{expected}, got {on_epoch!r}")
    if on_epoch is not None:
        with contextlib.suppress(ValueError):  # a built-in function may not tell its parameters
            parameters = inspect.signature(on_epoch)
            try:
                parameters.bind("trainer", "record")
            except TypeError as error:
                raise TypeError(f"{expected}, got one of {parameters}: {error}") from None
    return on_epoch


def batches(recipe, images, ranks, workers, seed):
    """Return the loader of the training images; raise ValueError if they are too few for a batch."""
    if workers is None:
        workers = data.possible_workers(-(-recipe.workers // ranks.local_size))
    loader = data.DataLoader(
        images,
        batch_size=recipe.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        transforms=augmentation(recipe),
        seed=seed,
        share=(ranks.rank, ranks.size),
        mixing=data.Mixing(recipe.mixup, recipe.cutmix) if recipe.mixup or recipe.cutmix else None,
    )
    if len(loader) == 0:
        expected = f"at least one batch of {recipe.batch_size} images"
        raise ValueError(f"Trainer: train_set - expected {expected}, got {len(images.labels)} images")
    return loader


def parts(count, accumulate):
    """Return the slices that a batch of ``count`` images is divided into."""
    ends = [count * i // accumulate for i in range(accumulate + 1)]
    return [slice(first, end) for first, end in zip(ends, ends[1:], strict=False)]


def augmentation(recipe: Recipe) -> list[Any]:
    """Return the transforms of the training images, in their order.

    Parameters
    ----------
    recipe : Recipe

    Returns
    -------
    list of callables
        See `data.transforms`.

    Raises
    ------
    TypeError
        If ``recipe`` is not one.
    """
    arguments.instance("augmentation", Recipe, recipe=recipe)
    size, jitter = recipe.image_size or 0, recipe.color_jitter
    flip = data.AlternatingFlip if recipe.flip == "alternating" else data.Flip
    steps = [  # whether the recipe wants each, and what makes it
        (recipe.resized_crop, lambda: data.RandomResizedCrop(recipe.resized_crop)),
        (recipe.crop_padding, lambda: data.PadCrop(recipe.crop_padding, recipe.crop_mode)),
        (recipe.flip, flip),
        (recipe.rotate, lambda: data.Rotate(recipe.rotate)),
        (recipe.color_jitter or recipe.hue, lambda: data.ColorJitter(jitter, jitter, jitter, recipe.hue)),
        (recipe.rand_augment, lambda: data.RandAugment(magnitude=recipe.rand_augment)),
        (recipe.cutout, lambda: data.Cutout(recipe.cutout)),
        (recipe.erase, lambda: data.RandomErasing(recipe.erase)),
        (size, lambda: data.Resize((size, size))),  # after the others, because small images are changed faster
    ]
    return [make() for wanted, make in steps if wanted]


@contextlib.contextmanager
def as_chosen(trainer, blocks):
    """Return a context in which a batch is learned from: in the precision of the recipe, from the trainer's stream."""
    with in_blocks(blocks), mt.precision(trainer.recipe.precision), rng.using(trainer.state.random):
        yield


def total_steps(epochs, batches):
    """Return the steps of a number of epochs, which may be a fraction, with this many batches in each."""
    return math.ceil(round(epochs * batches, 6))  # 9.9 * 50 is a little more than 495


def prepare(recipe, model, images):
    """Freeze the layers that should not learn, compute what is computed, and set the recipe's rate of dropout.

    Parameters
    ----------
    recipe : Recipe
    model : Module
    images : ArrayDataset
        That the training learns from.
    """
    if recipe.whiten_bias_epochs is not None:
        _whiten(_whitening_layer(model), images, recipe.image_size)
    if recipe.freeze_until is not None:
        model.freeze(recipe.freeze_until)
    if recipe.dropout is not None:
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = recipe.dropout


def _whitening_layer(model):
    layer = dict(model.named_modules()).get("whiten")
    if not isinstance(layer, nn.Conv2d):
        expected, got = "None for a network without a convolution `whiten`", type(model).__name__
        raise ValueError(f"Recipe: whiten_bias_epochs - expected {expected}, got a number and {got}")
    return layer


def _whiten(layer, images, size):
    few = images.images[:WHITENED]
    few = data.Resize((size, size))(few, None) if size else few
    x = (few / 255 - np.array(images.mean)) / np.array(images.std)
    nn.init.patch_whitening_(layer, x.transpose(0, 3, 1, 2).astype(np.float32))
    layer.weight.requires_grad = False


def begin_epoch(recipe, model, epoch):
    """Let the bias of a whitening layer learn in the first epochs only, counted from 0.

    Nothing before the first block learns then, and backward ends there.
    """
    if recipe.whiten_bias_epochs is not None:
        bias = _whitening_layer(model).bias
        if bias is not None:
            bias.requires_grad = epoch < recipe.whiten_bias_epochs


def average(recipe, model, total):
    """Return the average of the weights that a recipe wants, or None."""
    if recipe.lookahead:
        return optim.Lookahead(model, total, recipe.lookahead)
    return optim.EMA(model, recipe.ema) if recipe.ema else None


def checked(classifier):
    """Return a classifier; raise, before anything is written, if its network does not give one logit per class.

    No kernel runs here, see `minitorch_kernels.runtime.dry_run`: otherwise each would be compiled now, one after
    the other, and not ahead of the first step in several processes.

    Parameters
    ----------
    classifier : Classifier

    Raises
    ------
    ValueError
        If the output has another shape; errors of the network itself, such as one for small images, come through.
    """
    model, classes = classifier.model, len(classifier.classes)
    image = np.zeros((1, len(classifier.metadata["mean"]), *classifier.input_size), np.float32)
    with evaluating(model), no_grad(), dry_run(), np.errstate(all="ignore"):  # its results are 0
        logits = model(Tensor(image))
    got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if got != (1, classes):
        expected = f"logits of shape (N, {classes}), one per class"
        raise ValueError(f"Trainer: model - expected {expected}, got {got} for one image")
    return classifier


def _groups(recipe, model):
    """Return the parameters that learn, as groups by name, in the order of the optimiser; without empty groups."""
    head = {id(parameter) for parameter in model.parameters()}
    if recipe.backbone_lr_scale < 1:
        head = {id(parameter) for parameter in last_linear(model)[1].parameters()}
    biases, muon = set(), recipe.optimizer == "muon"
    if recipe.norm_bias_lr_scale != 1:
        owners = [module for module in model.modules() if muon or isinstance(module, nn.BatchNorm2d)]
        biases = {id(module.bias) for module in owners if getattr(module, "bias", None) is not None}
    groups = {"filters": [], "body": [], "head": [], "bias": []}
    for parameter in model.parameters():
        if parameter.requires_grad:
            kind = "head" if id(parameter) in head else "body"
            kind = "filters" if muon and parameter.data.ndim == 4 else kind
            groups["bias" if id(parameter) in biases else kind].append(parameter)
    return {name: params for name, params in groups.items() if params}


def main_group(recipe, model):
    """Return the index of the group of parameters that learns at the recipe's ``peak_lr``."""
    names = list(_groups(recipe, model))
    return next(names.index(name) for name in ("filters", "head", "body", "bias") if name in names)


def optimizer(recipe, model):
    """Return the optimiser of the layers that learn: filters, body, head and biases, those that have another rate.

    Parameters
    ----------
    recipe : Recipe
    model : Module
        Its frozen layers are left out.

    Returns
    -------
    Optimizer
    """
    rate, body, scale = recipe.peak_lr, recipe.backbone_lr_scale, recipe.norm_bias_lr_scale
    others, decay = rate * recipe.sgd_lr_scale, recipe.weight_decay
    own = {
        "filters": {"lr": rate * body, "momentum": recipe.muon_momentum, "weight_decay": 0.0, "orthogonal": True},
        "body": {"lr": others * body},
        "head": {"lr": others},
        "bias": {"lr": others * scale, "weight_decay": decay / scale},
    }
    groups = [{"params": params, **own[name]} for name, params in _groups(recipe, model).items()]
    options = {"lr": recipe.peak_lr, "weight_decay": recipe.weight_decay}
    if recipe.optimizer == "adam":
        return optim.Adam(groups, **options)
    options |= {"momentum": recipe.momentum, "nesterov": recipe.momentum > 0}
    if recipe.optimizer == "sgd":
        return optim.SGD(groups, **options)
    return optim.Muon(groups, **options, orthogonal=False, iterations=MUON_ITERATIONS, unit_rows=True)


def schedule(recipe, optimizer, total_steps):
    """Return the schedule of a recipe; each group of parameters has its own peak."""
    if recipe.schedule == "plateau":
        return optim.ReduceLROnPlateau(optimizer, **PLATEAU)
    if recipe.schedule == "steps":
        return optim.MultiStepLR(optimizer, [total_steps // 2, total_steps * 3 // 4])
    if recipe.schedule == "linear":
        peak = min(int(recipe.warmup_fraction * total_steps), total_steps - 1)
        rise = [(0, recipe.start_factor)] if peak else []
        return optim.PiecewiseLinearLR(optimizer, [*rise, (peak, 1.0), (total_steps, recipe.end_factor)])
    peaks = [group["lr"] for group in optimizer.param_groups]
    return optim.OneCycleLR(optimizer, peaks, total_steps, pct_start=recipe.warmup_fraction)


def last_linear(model):
    """Return path and layer of the last fully connected layer of a model, which has one output per class.

    Parameters
    ----------
    model : Module

    Returns
    -------
    (str, Linear)

    Raises
    ------
    ValueError
        If there is none.
    """
    found = [(path, module) for path, module in model.named_modules() if isinstance(module, nn.Linear)]
    if not found:
        got = type(model).__name__
        raise ValueError(f"last_linear: model - expected a fully connected layer at its end, got {got}")
    return found[-1]


def only_trainable(model):
    """Return the last fully connected layer of a model in which all other layers are frozen.

    Parameters
    ----------
    model : Module

    Returns
    -------
    Linear

    Raises
    ------
    ValueError
        If another layer learns too.
    """
    path, head = last_linear(model)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and not name.startswith(f"{path}."):
            raise ValueError(f"only_trainable: model - expected all but {path} frozen, got {name} that learns")
    return head


def put(model, path, layer):
    """Replace a layer of a model."""
    parent, _, name = path.rpartition(".")
    setattr(dict(model.named_modules())[parent], name, layer)
