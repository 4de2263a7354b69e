"""NaN and infinity are found before they reach the weights, and the message says where they began."""

import numpy as np
import pytest

from minitorch_cnn import ops, train


def state_of(trainer):
    return {name: array.copy() for name, array in trainer.model.state_dict().items()}


def poison(trainer, step, do):
    """Call ``do`` before a step."""
    whole_step = trainer.step

    def poisoned(*batch):
        if trainer.progress.step == step:
            do()
        whole_step(*batch)

    trainer.step = poisoned


@pytest.mark.parametrize(
    "value, layer, message",
    [
        (np.nan, "0.weight", "the first NaN comes out of Conv2d in layer 0"),
        (np.nan, "5.bias", "the first NaN comes out of .* in layer 5"),
        (np.inf, "1.bias", r"the first infinity comes out of BatchNorm\w* in layer 1"),
    ],
)
def test_the_first_layer_is_named(start, value, layer, message):
    trainer = start()
    parameter = dict(trainer.model.named_parameters())[layer]

    def spoil():
        parameter.data[...] = value

    poison(trainer, 4, spoil)
    with pytest.raises(train.TrainingDivergedError, match=message) as caught:
        trainer.fit()
    assert "epoch 1, batch 5: the loss is" in str(caught.value)
    assert "Stopped before the optimiser's step; last good checkpoint:" in str(caught.value)
    assert "Try a peak learning rate of 0.001 instead of 0.01" in str(caught.value)


def test_no_step_is_made_after_a_bad_gradient(start, monkeypatch):
    trainer = start()

    def spoil():
        monkeypatch.setattr(
            ops.conv.Conv2d,
            "backward",
            staticmethod(lambda ctx, grad: (None, np.full((4, 3, 3, 3), np.inf, np.float32), None)),
        )

    poison(trainer, 3, spoil)
    with pytest.raises(train.TrainingDivergedError, match="the gradient of 0.weight holds infinity"):
        trainer.fit()
    assert trainer.progress.step == 3
    assert all(np.isfinite(array).all() for array in state_of(trainer).values())


def test_weights_stay_finite_and_the_last_checkpoint_is_good(start, go_on):
    trainer = start(save_every=0.0)
    poison(trainer, 9, lambda: trainer.model[5].bias.data.fill(np.nan))
    with pytest.raises(train.TrainingDivergedError):
        trainer.fit()
    resumed = go_on()
    assert resumed.progress.step == 9
    assert all(np.isfinite(array).all() for array in state_of(resumed).values())
    assert resumed.fit()


def test_images_that_are_bad_already(start):
    trainer = start()
    images, labels = next(iter(trainer.loader))
    images.data[0, 0, 0, 0] = np.nan
    with pytest.raises(train.TrainingDivergedError, match="the images of the batch already hold NaN"):
        trainer.step(images, labels)


def test_a_loss_that_is_bad_by_itself(start, monkeypatch):
    trainer = start()
    images, labels = next(iter(trainer.loader))
    cross_entropy = ops.cross_entropy
    monkeypatch.setattr(ops, "cross_entropy", lambda *a, **k: cross_entropy(*a, **k) * float("inf"))
    with pytest.raises(train.TrainingDivergedError, match="the loss is inf, of finite outputs of Small"):
        trainer.step(images, labels)
