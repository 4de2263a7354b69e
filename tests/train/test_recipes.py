"""Recipes: the numbers are checked, and names that are nearly right get a hint."""

import dataclasses

import pytest

from minitorch_cnn import models, train


def test_the_lectures_advice():
    recipe = train.recipe("cifar4")
    assert (recipe.model, recipe.dataset, recipe.batch_size, recipe.workers) == ("cifar4", "cifar10", 128, 4)
    assert recipe.epochs == 8 and recipe.peak_lr == 5e-3 and recipe.crop_padding == 4 and recipe.flip


@pytest.mark.parametrize("name", train.RECIPES)
def test_each_recipe_names_a_model_that_exists(name):
    recipe = train.recipe(name)
    assert recipe.name == name
    models.create(recipe.model, image_size=32)


def test_changes():
    assert train.recipe("mlp", epochs=2, peak_lr=0.5) == dataclasses.replace(
        train.RECIPES["mlp"], epochs=2, peak_lr=0.5
    )


@pytest.mark.parametrize(
    "network, like",
    [
        ("resnet20", "resnet20"),
        ("resnet32_b", "resnet20"),
        ("resnet9", "resnet9"),
        ("densenet_bc_100_k12", "densenet40_k12"),
        ("vgg_d_cifar", "vgg_a_cifar"),
        ("vgg16_bn", "vgg_a_bn_cifar"),
        ("vgg_d_bn_cifar", "vgg_a_bn_cifar"),
        ("strided_cnn_c", "allcnn_c"),
        ("convpool_cnn_c", "allcnn_c"),
        ("lenet5", "lenet5_cifar"),
        ("alexnet", "vgg_a_cifar"),
    ],
)
def test_a_network_without_a_recipe_takes_that_of_its_family(network, like):
    assert train.recipe(network) == dataclasses.replace(train.RECIPES[like], name=network, model=network)
    assert train.recipe(network, epochs=2).epochs == 2


def test_there_is_a_recipe_for_every_network():
    assert {train.recipe(network).model for network in models.list()} == set(models.list())


def test_unknown_names():
    with pytest.raises(ValueError, match="name - expected one of cifar4, .*, got 'cifr4'; did you mean 'cifar4'"):
        train.recipe("cifr4")
    with pytest.raises(ValueError, match="recipe: epoch - expected one of name, model, .*epochs"):
        train.recipe("cifar4", epoch=3)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"epochs": 0}, "epochs - expected at least 1, got 0"),
        ({"epochs": True}, "epochs - expected at least 1, got True"),
        ({"batch_size": 1}, "batch_size - expected an integer of at least 2, got 1"),
        ({"crop_padding": -1}, "crop_padding - expected an integer of at least 0, got -1"),
        ({"workers": 1.5}, "workers - expected an integer of at least 0, got 1.5"),
        ({"peak_lr": 0}, "peak_lr - expected a positive number, got 0"),
        ({"peak_lr": float("nan")}, "peak_lr - expected a positive number, got nan"),
        ({"warmup_fraction": 1.1}, "warmup_fraction - expected 0 to 1, got 1.1"),
        ({"label_smoothing": 1}, "label_smoothing - expected 0 to below 1, got 1"),
        ({"backbone_lr_scale": -0.1}, "backbone_lr_scale - expected 0 to 1, got -0.1"),
        ({"dropout": 1.5}, "dropout - expected 0 to 1, got 1.5"),
        ({"image_size": 0}, "image_size - expected an integer of at least 1, got 0"),
        ({"optimizer": "lion"}, "optimizer - expected 'adam', 'sgd' or 'muon', got 'lion'"),
        ({"precision": "float16"}, "precision - expected 'float32' or 'bf16', got 'float16'"),
        ({"weight_decay": -1}, "weight_decay - expected at least 0, got -1"),
    ],
)
def test_numbers_out_of_range(change, message):
    with pytest.raises(ValueError, match=f"Recipe: {message}"):
        train.recipe("cifar4", **change)


@pytest.mark.parametrize(
    ("count", "batch", "epochs"), [(50_000, 128, 8), (4_000, 128, 49), (1_000, 64, 60), (60, 4, 60), (1, 4, 60)]
)
def test_few_images_take_smaller_batches_and_more_epochs(count, batch, epochs):
    adam = train.recipe("cifar4")
    changed = train.recipe("cifar4", **train.few_images(adam, count))
    assert (changed.batch_size, changed.epochs) == (batch, epochs)
    assert changed.peak_lr == pytest.approx(adam.peak_lr * (batch / 128) ** 0.5)


def test_few_images_slow_sgd_in_proportion_and_never_shorten_a_recipe():
    sgd = train.recipe("resnet20", epochs=90)
    changed = train.few_images(sgd, 600)
    assert changed == {"batch_size": 32, "peak_lr": pytest.approx(0.2 / 4)}
    assert train.few_images(sgd, 1_000_000) == {}


def test_few_images_slow_only_the_sgd_beside_muon():
    muon = train.recipe("air94_muon", epochs=90)
    changed = train.few_images(muon, 5000)
    assert changed == {"batch_size": 256, "sgd_lr_scale": pytest.approx(muon.sgd_lr_scale / 2)}


def test_a_rest_of_an_epoch_that_is_no_batch_is_left_out(recipe):
    assert dataclasses.replace(recipe, epochs=1.00000001).epochs == 1
    assert dataclasses.replace(recipe, epochs=2.25).epochs == 2.25
