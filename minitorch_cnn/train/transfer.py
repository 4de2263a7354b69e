"""Transfer learning: a network that learned from other images goes on with new classes.

pretrained = models.load_pretrained("resnet18", "weights.pth")
trainer = train.transfer(train.recipe("transfer"), pretrained, data.CIFAR10(train=True), "runs/transfer")
trainer.fit()
"""

import dataclasses
from typing import TYPE_CHECKING, Any

from minitorch_cnn import nn, rng
from minitorch_cnn.train import setup
from minitorch_cnn.train.recipes import Recipe
from minitorch_cnn.train.trainer import Trainer
from minitorch_cnn.types import Path

if TYPE_CHECKING:
    from minitorch_cnn.data import ArrayDataset
    from minitorch_cnn.models import Pretrained


def transfer(
    recipe: Recipe, pretrained: "Pretrained", train_set: "ArrayDataset", folder: Path, *, seed: int = 0, **options: Any
) -> Trainer:
    """Return a trainer for a pretrained network with a new last layer.

    Parameters
    ----------
    recipe : Recipe
        Such as ``recipe("transfer", epochs=3)``; its image size of None means the one that the
        network was pretrained at.
    pretrained : Pretrained
        See `models.load_pretrained`; its network is changed.
    train_set : ArrayDataset
        It is normalised as the pretrained network wants it.
    folder, seed, options
        As for `Trainer`.

    Returns
    -------
    Trainer
        `Trainer.resume` goes on with its run, and does not need the file of weights for it.

    Raises
    ------
    ValueError
        If the network has no fully connected layer, or as `Trainer`.

    Notes
    -----
    Source: Yosinski, Clune, Bengio and Lipson 2014, "How transferable are features in deep neural
    networks?", arXiv 1411.1792.
    """
    rng.manual_seed(seed)
    model = replace_head(pretrained.model, len(train_set.classes))
    train_set = dataclasses.replace(train_set, mean=pretrained.mean, std=pretrained.std)
    recipe = dataclasses.replace(recipe, image_size=recipe.image_size or pretrained.image_size)
    return Trainer(recipe, train_set, folder, model=model, seed=seed, **options)


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
    path, old = setup.last_linear(model)
    setup.put(model, path, nn.Linear(old.in_features, num_classes))
    return model
