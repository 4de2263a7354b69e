"""Recipes: what to train, and with which numbers.

recipe("cifar4")              the recipe of that name
recipe("cifar4", epochs=2)    the same with the whole schedule squeezed into two epochs
recipe("resnet32")            the recipe for a network, by its family
"""

import dataclasses
import math
from typing import Any

from minitorch_cnn import arguments, models
from minitorch_cnn.hints import hint
from minitorch_cnn.train.recipe_fields import OLDER_NAMES, Recipe

_CIFAR4 = Recipe("cifar4")
# The optimiser of the ResNet and the DenseNet paper, with the one cycle in place of its steps.
_RESIDUAL = {"optimizer": "sgd", "peak_lr": 0.2, "weight_decay": 1e-4}

_AIR = Recipe(
    # Rates of SGD are in proportion to the batch: here for 1,024 images. The published numbers, for a loss that is
    # summed over the batch, are 11.5 and 0.0153 per 1,024 images: 11.5 / (1 + 1 / (1 - 0.85)) = 1.5, and the decay is
    # 0.0153 / 11.5 = 1.33e-3. Published are 9.9 epochs; 12 take about 10 minutes on two cores.
    # Source: airbench94.py of https://github.com/KellerJordan/cifar10-airbench.
    "air94",
    model="air94",
    epochs=12,
    batch_size=1024,
    optimizer="sgd",
    peak_lr=1.5,
    momentum=0.85,
    weight_decay=0.0153 / 11.5,
    norm_bias_lr_scale=64,
    schedule="linear",
    warmup_fraction=0.23,
    label_smoothing=0.2,
    crop_padding=2,
    crop_mode="reflect",
    flip="alternating",
    whiten_bias_epochs=3,
    lookahead=5,
    views=6,
)


def _air(name, epochs, batch_size, **changes):
    """Return the recipe of a network ``air...``; the slow weights follow after equally many images at any batch."""
    share = batch_size / _AIR.batch_size
    changes = {"model": name, "peak_lr": _AIR.peak_lr * share, "lookahead": round(_AIR.lookahead / share)} | changes
    return dataclasses.replace(_AIR, name=name, epochs=epochs, batch_size=batch_size, **changes)


def _muon(name, epochs, batch_size):
    """Return the recipe of a network ``air...`` whose filters learn by Muon, whose rate is the same for any batch.

    The published rates of the others, for a loss that is summed over 2,000 images, are 0.67 for the head and 0.053 for
    biases, and their decay is 2e-6 for each image. There the head is (256 / 9)**2 times less sensitive, because it
    begins at a standard deviation of 1 and its logits are divided by 256; ours begins at 0.036 and they are divided by
    9. So our rate is 0.67 * (9 / 256)**2 for a summed loss, 1.66 for the mean over 2,000 images, and that of
    the biases is 64 times higher.
    Source: airbench94_muon.py of https://github.com/KellerJordan/cifar10-airbench.
    """
    sgd_lr = 0.67 * (9 / 256) ** 2 * batch_size
    changes = {"optimizer": "muon", "peak_lr": 0.24, "sgd_lr_scale": sgd_lr / 0.24}
    changes |= {"weight_decay": 2e-6 * batch_size / sgd_lr, "warmup_fraction": 0.0, "end_factor": 0.0, "lookahead": 0}
    return _air(name, epochs, batch_size, model=name.removesuffix("_muon"), **changes)


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
        # The paper's 64,000 steps, with its learning rates; SGD has Nesterov momentum here. It reached 91.25 %.
        # Source: He et al. 2015, section 4.2 and table 6, https://arxiv.org/abs/1512.03385.
        Recipe("resnet20_paper", "resnet20", epochs=164, schedule="steps", **_RESIDUAL | {"peak_lr": 0.1}),
        Recipe("resnet9", "resnet9", epochs=10, optimizer="sgd", peak_lr=0.3, weight_decay=5e-4, label_smoothing=0.1),
        _TRANSFER,
        # A new layer that learns alone diverges at 0.3: no layer before it adapts. Two epochs of 3,000 images of 32
        # pixels ended at a loss of 6.2 with 0.3, 1.7 with 0.1, 1.45 with 0.03 and 1.55 with 0.01.
        dataclasses.replace(_TRANSFER, name="transfer_head", peak_lr=0.03),
        # Of 5,000 held-out training images, trained on the other 45,000: air80 81.6 % after 2 epochs (80.3 % without
        # further views), 83.7 % after 3 without further views; air90 90.0 % after 5 epochs (89.3 %), 90.5 % after 6
        # (89.5 %).
        _air("air80", 2, 256),
        _air("air90", 6, 512),
        _air("air93", 11, 1024),
        _AIR,
        # Published for batches of 2,000. After two epochs, of 5,000 held-out images with six views: 90.4 % with batches
        # of 512, 90.1 % with 1,000, and 87.0 % with SGD and 512.
        _muon("air94_muon", 8, 512),
        _air("air95", 15, 1024, peak_lr=10 / 11.5 * _AIR.peak_lr, weight_decay=1.53e-3),
        _air(
            "air96",
            37,
            1024,
            peak_lr=9 / 11.5 * _AIR.peak_lr,
            weight_decay=0.012 / 9,
            warmup_fraction=0.1,
            end_factor=0.0,
            crop_padding=4,
            cutout=12,
        ),
        Recipe("densenet40_k12", model="densenet40_k12", epochs=3, batch_size=64, **_RESIDUAL),
    )
}
# The recipe of a network without its own: the first row whose beginning and end fit the name.
_FAMILIES = (
    ("air", "", "air94"),
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
    in proportion to the batch for SGD, to its square root for Adam. Muon's steps do not depend on the size of the
    gradient: only the rate of SGD beside it falls.

    Parameters
    ----------
    recipe : Recipe
    count : int, >= 1
        Training images.

    Returns
    -------
    dict
        ``batch_size``, ``peak_lr`` or ``sgd_lr_scale``, and ``epochs``, as far as they change.

    Raises
    ------
    TypeError, ValueError
        If ``recipe`` is not one, or ``count`` not a positive integer.
    """
    arguments.instance("few_images", Recipe, recipe=recipe)
    arguments.integer("few_images", least=1, count=count)
    batch = recipe.batch_size
    while batch > 4 and count // batch < _BATCHES:
        batch //= 2
    epochs = min(max(recipe.epochs, -(-_STEPS // max(1, count // batch))), max(recipe.epochs, _MOST_EPOCHS))
    changes: dict[str, Any] = {} if epochs == recipe.epochs else {"epochs": epochs}
    if batch < recipe.batch_size:
        share = batch / recipe.batch_size
        changes["batch_size"] = batch
        if recipe.optimizer == "muon":
            changes["sgd_lr_scale"] = recipe.sgd_lr_scale * share
        else:
            changes["peak_lr"] = recipe.peak_lr * (share if recipe.optimizer == "sgd" else math.sqrt(share))
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
        expected = f"expected one of {', '.join(RECIPES)}, or a network of models.list()"
        raise ValueError(f"recipe: name - {expected}, got {name!r}{hint(name, [*RECIPES, *networks])}")
    known = [field.name for field in dataclasses.fields(Recipe)]
    changes = {OLDER_NAMES.get(field, field): value for field, value in changes.items()}
    if unknown := sorted(changes.keys() - set(known)):
        raise ValueError(f"recipe: {unknown[0]} - expected one of {', '.join(known)}")
    if name not in RECIPES:
        fits = (recipe for start, end, recipe in _FAMILIES if name.startswith(start) and name.endswith(end))
        changes = {"name": name, "model": name} | changes
        return dataclasses.replace(RECIPES[next(fits, "cifar4")], **changes)
    return dataclasses.replace(RECIPES[name], **changes)
