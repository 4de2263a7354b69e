"""Early stopping, the best epoch on the held-out images, schedules that measure, and weights of classes."""

import dataclasses

import numpy as np
import pytest

from minitorch_cnn import Tensor, ops, train
from minitorch_cnn.train import best, objective


def history(*losses):
    return [{"epoch": i + 1, "holdout_loss": loss} for i, loss in enumerate(losses)]


@pytest.mark.parametrize(
    "losses, first_epoch, ends",
    [
        ([], 0, False),
        ([3.0, 2.0, 1.0], 0, False),
        ([1.0, 2.0], 0, False),
        ([1.0, 2.0, 2.0], 0, True),
        ([1.0, 1.0, 1.0], 0, True),  # as good as the best is not better
        ([1.0, 2.0, 2.0], 2, False),  # an earlier run's epochs do not count
        ([1.0, 2.0, 2.0, 2.0], 2, True),
    ],
)
def test_training_stops_after_epochs_without_a_lower_loss(losses, first_epoch, ends, recipe):
    recipe = dataclasses.replace(recipe, epochs=50, early_stop=2)
    progress = train.Progress(epoch=len(losses), history=history(*losses))
    assert best.at_end(recipe, progress, first_epoch) is ends


def judged_by(trainer, losses, monkeypatch):
    """Let the held-out images give these losses, epoch by epoch."""
    evaluate, left = trainer.classifier.evaluate, iter(losses)
    monkeypatch.setattr(
        trainer.classifier,
        "evaluate",
        lambda *arguments: dataclasses.replace(evaluate(*arguments), loss=next(left)),
    )


def test_it_stops_early_and_the_best_epoch_comes_out(start, recipe, make_model, monkeypatch):
    recipe = dataclasses.replace(recipe, epochs=9, early_stop=2)
    trainer = start(recipe=recipe, holdout=12, save_epochs=True)
    judged_by(trainer, [3.0, 1.0, 2.0, 1.5], monkeypatch)
    assert trainer.fit()
    assert trainer.progress.epoch == 4
    result = trainer.final_eval()
    assert (result["epochs"], result["kept_epoch"]) == (4, 2)
    assert result["train_loss"] == trainer.progress.history[1]["train_loss"]
    kept = train.Classifier.load(trainer.folder.path, make_model()).model.state_dict()
    second = train.Classifier.load(trainer.folder.path / "epoch-002.safetensors", make_model()).model.state_dict()
    for name, array in second.items():
        np.testing.assert_array_equal(kept[name], array)


def test_a_run_that_was_killed_keeps_the_same_best_epoch(start, go_on, recipe):
    recipe = dataclasses.replace(recipe, epochs=6, keep_best=True)
    results = []
    for name in ("whole", "resumed"):
        trainer = start(name, recipe, holdout=12)
        if name == "resumed":
            trainer.on_epoch = lambda trainer, record: 1 / (3 - record["epoch"])  # fails in epoch 3
            with pytest.raises(ZeroDivisionError):
                trainer.fit()
            trainer = go_on(name)
        trainer.fit()
        results.append(trainer.final_eval())
    assert results[0]["weights_sha256"] == results[1]["weights_sha256"]
    assert results[0]["kept_epoch"] == results[1]["kept_epoch"]
    losses = [record["holdout_loss"] for record in trainer.progress.history]
    assert results[0]["kept_epoch"] == 1 + losses.index(min(losses))


@pytest.mark.parametrize("field", [{"early_stop": 1}, {"keep_best": True}])
def test_both_need_held_out_images(start, recipe, field):
    with pytest.raises(ValueError, match="holdout - expected at least 1 image, which early_stop and keep_best need"):
        start(recipe=dataclasses.replace(recipe, **field))


@pytest.mark.parametrize("holdout", [0, 12])
def test_the_rate_falls_on_a_plateau_and_continues_there_after_a_resume(start, go_on, recipe, holdout, monkeypatch):
    recipe = dataclasses.replace(recipe, epochs=6, schedule="plateau", peak_lr=1e-9)  # nothing is learnt
    trainer = start(recipe=recipe, holdout=holdout)
    trainer.fit()
    rates = [record["lr"] for record in trainer.progress.history]
    assert rates[0] == 1e-9 and rates[-1] < 1e-9
    trainer = start("stopped", recipe, holdout=holdout)
    trainer.on_epoch = lambda trainer, record: 1 / (4 - record["epoch"])
    with pytest.raises(ZeroDivisionError):
        trainer.fit()
    trainer = go_on("stopped")
    trainer.fit()
    assert [record["lr"] for record in trainer.progress.history] == rates


def test_a_function_sees_every_epoch(start):
    seen = []
    trainer = start(on_epoch=lambda trainer, record: seen.append((trainer.progress.epoch, record)))
    trainer.fit()
    assert [epoch for epoch, _ in seen] == [1, 2, 3]
    assert [record for _, record in seen] == trainer.progress.history
    with pytest.raises(TypeError, match="on_epoch - expected a function of trainer and record, or None, got 3"):
        start("other", on_epoch=3)
    with pytest.raises(TypeError, match=r"on_epoch - expected .*, got one of \(trainer\): too many positional"):
        start("other", on_epoch=lambda trainer: None)  # it would be called after the first epoch


# ------------------------------------------------------------------------------- weights of classes


def test_balanced_weights_give_each_class_the_same_share(recipe):
    labels = np.array([0] * 30 + [1] * 10)
    loss = objective.Objective(dataclasses.replace(recipe, class_weights="balanced"), labels, 3)
    np.testing.assert_allclose(loss.weight[:2], [40 / 60, 40 / 20], rtol=1e-6)
    assert loss.weight[labels].mean() == pytest.approx(1)


@pytest.mark.parametrize("factor", [1e-300, 1e307])
def test_the_scale_of_weights_does_not_matter(recipe, factor):
    labels = np.array([0] * 30 + [1] * 10 + [2])
    plain, scaled = (
        objective.Objective(dataclasses.replace(recipe, class_weights=weights), labels, 3).weight
        for weights in ((3.0, 0.0, 7.0), (3 * factor, 0.0, 7 * factor))
    )
    np.testing.assert_allclose(scaled, plain, rtol=1e-6)


def test_the_sum_over_parts_does_not_depend_on_the_parts(recipe):
    draw = np.random.default_rng(0)
    logits, labels = draw.standard_normal((12, 3)), draw.integers(0, 3, 12)
    loss = objective.Objective(dataclasses.replace(recipe, class_weights=(1, 2, 5)), labels, 3)
    expected = ops.cross_entropy(Tensor(logits), labels, reduction="none").data @ loss.weight[labels]
    for ends in ([0, 12], [0, 5, 12], [0, 1, 2, 12]):
        total = 0.0
        for first, end in zip(ends, ends[1:], strict=False):
            mean, count = loss(Tensor(logits[first:end]), labels[first:end])
            total += mean.item() * count
        np.testing.assert_allclose(total, expected, rtol=1e-6)


def test_a_rare_class_is_more_probable_with_balanced_weights(start, recipe, make_images):
    images = make_images(60)
    kept = np.flatnonzero((images.labels == 0) | (np.arange(60) < 8))
    rates = {}
    for weights in (None, "balanced"):
        chosen = dataclasses.replace(recipe, class_weights=weights, epochs=1)
        trainer = start(str(weights), chosen, images.select(kept))
        trainer.fit()
        rates[weights] = trainer.classifier.evaluate(images).probabilities[:, 1].mean()
    assert rates["balanced"] > rates[None]


def test_wrong_weights_are_refused(start, recipe):
    for wrong in ("equal", (1, -1), [0.0, 0.0], {}, 3, ("a", "b")):
        with pytest.raises(ValueError, match="Recipe: class_weights - expected None, 'balanced' or numbers >= 0"):
            dataclasses.replace(recipe, class_weights=wrong)
    with pytest.raises(ValueError, match="class_weights - expected 2 numbers, one per class, got 3"):
        start(recipe=dataclasses.replace(recipe, class_weights=(1, 2, 3)))
    with pytest.raises(ValueError, match="expected 'one_cycle', 'linear', 'steps' or 'plateau', got 'cosine'"):
        dataclasses.replace(recipe, schedule="cosine")


@pytest.mark.parametrize("losses, number", [([float("nan"), 2.0, 3.0], 2), ([float("nan")] * 2, 1), ([1.0, 1.0], 1)])
def test_nan_is_no_lowest_loss(losses, number):
    assert best.epoch(history(*losses))["epoch"] == number


def test_a_batch_of_images_that_do_not_count_teaches_nothing(start, recipe):
    trainer = start(recipe=dataclasses.replace(recipe, epochs=2, batch_size=2, class_weights=[0, 1]))
    assert trainer.fit()
    assert all(np.isfinite(record["train_loss"]) for record in trainer.progress.history)
    logits = Tensor(np.ones((2, 2), np.float32), requires_grad=True)
    loss, count = objective.Objective(trainer.recipe, np.array([0, 1]), 2)(logits, np.array([0, 0]))
    loss.backward()
    assert loss.item() == count == 0 and not logits.grad.any()
