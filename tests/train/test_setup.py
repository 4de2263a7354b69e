"""Parts of a training: what a recipe makes of a model."""

import dataclasses

import numpy as np
import pytest

from minitorch_cnn import data, models, nn, optim, train
from minitorch_cnn.train import setup
from minitorch_kernels.runtime import dry_run

RECIPE = train.Recipe("small", peak_lr=0.1)


def changed(**fields):
    return dataclasses.replace(RECIPE, **fields)


def two_layers():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.GlobalAvgPool(), nn.Linear(4, 5), nn.Linear(5, 2))


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_network_of_another_number_of_outputs_is_refused_before_anything_is_written(start, tmp_path, outputs):
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, outputs))
    message = rf"Trainer: model - expected logits of shape \(N, 2\), one per class, got \(1, {outputs}\) for one image"
    with pytest.raises(ValueError, match=message):
        start(model=model)
    assert not (tmp_path / "run").exists()


def test_a_network_for_larger_images_is_refused_before_anything_is_written(start, tmp_path):
    model = nn.Sequential(nn.Conv2d(3, 2, 9), nn.GlobalAvgPool())
    with pytest.raises(ValueError, match="conv2d: height - expected at least 9 padded pixels"):
        start(model=model)
    assert not (tmp_path / "run").exists()


def test_the_check_of_a_network_changes_nothing(start):
    trainer = start()
    before = trainer.model.state_dict()
    assert trainer.model.training
    setup.checked(trainer.classifier)
    assert trainer.model.training and all(np.array_equal(a, before[k]) for k, a in trainer.model.state_dict().items())


def test_the_check_of_a_network_runs_no_kernel(start):
    class Watched(nn.Conv2d):
        def forward(self, x):
            seen.append(dry_run.active())
            return super().forward(x)

    seen = []
    start(model=nn.Sequential(Watched(3, 2, 3), nn.GlobalAvgPool()))
    assert seen == [True]


def test_small_images_are_changed_before_they_are_scaled():
    names = [type(transform) for transform in setup.augmentation(changed(image_size=16))]
    assert names == [data.PadCrop, data.Flip, data.Resize]
    assert setup.augmentation(changed(crop_padding=0, flip=False)) == []


def test_adam_and_sgd():
    adam, sgd = (setup.optimizer(changed(optimizer=name, weight_decay=0.01), two_layers()) for name in ("adam", "sgd"))
    assert isinstance(adam, optim.Adam) and isinstance(sgd, optim.SGD)
    (group,) = sgd.param_groups
    assert (group["lr"], group["momentum"], group["nesterov"], group["weight_decay"]) == (0.1, 0.9, True, 0.01)
    assert len(group["params"]) == 6


def test_the_rates_of_the_papers_fall_after_half_and_after_three_quarters_of_the_steps():
    recipe = train.recipe("resnet20_paper", epochs=1)
    optimizer = setup.optimizer(recipe, models.create(recipe.model))
    rates = [setup.schedule(recipe, optimizer, 8).lr(step)[0] for step in range(8)]
    np.testing.assert_allclose(rates, [0.1] * 4 + [0.01] * 2 + [0.001] * 2)


def test_the_last_layer_learns_faster_than_the_rest():
    model = two_layers()
    optimizer = setup.optimizer(changed(backbone_lr_scale=0.25), model)
    body, head = optimizer.param_groups
    assert (body["lr"], head["lr"], len(body["params"])) == (0.025, 0.1, 4)
    assert [id(parameter) for parameter in head["params"]] == [id(parameter) for parameter in model[3].parameters()]
    schedule = setup.schedule(RECIPE, optimizer, 10)
    highest = [max(rates) for rates in zip(*(schedule.lr(step) for step in range(10)), strict=True)]
    assert highest == pytest.approx([0.025, 0.1])


def test_frozen_layers_get_no_optimiser():
    model = two_layers().freeze("2")
    optimizer = setup.optimizer(changed(backbone_lr_scale=0.25), model)
    assert [len(group["params"]) for group in optimizer.param_groups] == [2]
    assert setup.only_trainable(model) is model[3]


def test_the_rates_of_dropout():
    own = [module.p for module in models.create("allcnn_c").modules() if isinstance(module, nn.Dropout)]
    for rate, expected in ((None, own), (0.1, [0.1] * len(own))):
        model = nn.fuse(models.create("allcnn_c"))
        setup.prepare(changed(dropout=rate), model, images=None)
        assert [module.p for module in model.modules() if isinstance(module, nn.Dropout)] == expected
    assert own == [0.2, 0.5, 0.5]


def test_more_than_one_layer_that_learns():
    with pytest.raises(ValueError, match="only_trainable: model - expected all but 3 frozen, got 2.weight that learns"):
        setup.only_trainable(two_layers().freeze("1"))


def test_a_model_without_a_full_connection():
    with pytest.raises(ValueError, match="model - expected a fully connected layer at its end, got Sequential"):
        setup.last_linear(nn.Sequential(nn.ReLU()))


def test_another_layer_in_the_place_of_one_deep_inside():
    model = nn.Sequential(nn.Sequential(nn.ReLU(), nn.Linear(4, 5)))
    path, layer = setup.last_linear(model)
    assert path == "0.1" and layer is model[0][1]
    setup.put(model, path, nn.Identity())
    assert isinstance(model[0][1], nn.Identity)
