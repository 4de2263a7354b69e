"""Transfer learning: a network that learned from other images learns new classes.

pretrained = models.load_pretrained("resnet18", "weights.pth")      # or train.Classifier.load("runs/cifar4-1")
trainer = train.transfer(train.recipe("transfer"), pretrained, data.CIFAR10(train=True), "runs/transfer")
trainer.fit()
"""

import dataclasses
from typing import TYPE_CHECKING, Any

from minitorch_cnn import arguments, models, nn, rng
from minitorch_cnn.data import Dataset
from minitorch_cnn.data.samples import as_arrays
from minitorch_cnn.train import setup
from minitorch_cnn.train.metrics.classifier import Classifier
from minitorch_cnn.train.recipes import Recipe
from minitorch_cnn.train.trainer import Trainer
from minitorch_cnn.types import Path

if TYPE_CHECKING:
    from minitorch_cnn.models import Pretrained


def transfer(
    recipe: Recipe,
    pretrained: "Pretrained | Classifier",
    train_set: Dataset,
    folder: Path,
    *,
    seed: int = 0,
    **options: Any,
) -> Trainer:
    """Return a trainer for a pretrained network with a new last layer.

    Parameters
    ----------
    recipe : Recipe
        Such as ``recipe("transfer", epochs=3)``; its image size of None means the one that the
        network was pretrained at. ``recipe("transfer_head")`` has the learning rate for a new layer that learns alone.
        With ``cache_features`` and no ``freeze_until``, all layers before the new one are frozen.
    pretrained : Pretrained or Classifier
        See `models.load_pretrained` and `Classifier.load`; its network is changed.
    train_set : Dataset
        It is normalised as the pretrained network wants it.
    folder, seed, options
        As for `Trainer`.

    Returns
    -------
    Trainer
        `Trainer.resume` continues its run without the file of weights.

    Raises
    ------
    TypeError
        If ``pretrained`` is something else.
    ValueError
        If the network has no fully connected layer, or as `Trainer`.

    Notes
    -----
    Source: Yosinski, Clune, Bengio and Lipson 2014, "How transferable are features in deep neural
    networks?", arXiv 1411.1792.
    """
    arguments.instance("transfer", Recipe, recipe=recipe)
    train_set = as_arrays("transfer", "train_set", train_set)
    if isinstance(pretrained, Classifier):
        mean, std = pretrained.metadata["mean"], pretrained.metadata["std"]
    elif isinstance(pretrained, models.Pretrained):
        mean, std = pretrained.mean, pretrained.std
    else:
        got = type(pretrained).__name__
        raise TypeError(f"transfer: pretrained - expected a Pretrained or a Classifier, got {got}")
    with rng.using(rng.stream(seed)):
        model = replace_head(pretrained.model, len(train_set.classes))
    if recipe.cache_features and recipe.freeze_until is None:
        recipe = dataclasses.replace(recipe, freeze_until=before_head(model))
    train_set = dataclasses.replace(train_set, mean=mean, std=std)
    recipe = dataclasses.replace(recipe, image_size=recipe.image_size or pretrained.image_size)
    return Trainer(recipe, train_set, folder, model=model, seed=seed, **options)


def before_head(model: nn.Module) -> str | None:
    """Return the path of the layer before the last fully connected layer: freezing up to it leaves that one to learn.

    Parameters
    ----------
    model : Module

    Returns
    -------
    str or None
        None if there is no layer before it.

    Raises
    ------
    ValueError
        If it has no fully connected layer.
    """
    head, _ = setup.last_linear(model)
    paths = [path for path, _ in model.named_modules() if path]
    return next((path for path in reversed(paths[: paths.index(head)]) if not head.startswith(f"{path}.")), None)


def only_head_learns(model: nn.Module, freeze_until: str | None) -> bool:
    """Freeze a model up to a layer; return whether nothing but the last fully connected layer is left to learn.

    Parameters
    ----------
    model : Module
        Is changed.
    freeze_until : str or None
        See `Module.freeze`; None freezes nothing.

    Returns
    -------
    bool

    Raises
    ------
    ValueError
        If there is no such layer, or no fully connected one.
    """
    arguments.instance("only_head_learns", nn.Module, model=model)
    if freeze_until is not None:
        model.freeze(freeze_until)
    head, _ = setup.last_linear(model)
    return all(name.startswith(f"{head}.") for name, parameter in model.named_parameters() if parameter.requires_grad)


def replace_head(model: nn.Module, num_classes: int) -> nn.Module:
    """Give a model a new last fully connected layer, with random weights, for other classes.

    Parameters
    ----------
    model : Module
    num_classes : int

    Returns
    -------
    Module
        The model itself.

    Raises
    ------
    ValueError
        If it has no fully connected layer.
    """
    arguments.instance("replace_head", nn.Module, model=model)
    arguments.integer("replace_head", least=1, num_classes=num_classes)
    path, old = setup.last_linear(model)
    setup.put(model, path, nn.Linear(old.in_features, num_classes))
    return model
