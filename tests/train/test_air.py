"""What the fast recipes add to a training: whitening, slow weights, a part of an epoch, and resume in all of it."""

import dataclasses
import io

import numpy as np
import pytest

from minitorch_cnn import data, optim, train
from minitorch_kernels.runtime.threads import num_threads

AIR = train.recipe("air80", epochs=2.6, batch_size=10, lookahead=3, whiten_bias_epochs=1, workers=0, peak_lr=0.05)


@pytest.fixture
def start_air(tmp_path, make_images):
    """Return a function that begins a training of 2.6 epochs of six steps each on images of 12 pixels."""

    def make(name="air", recipe=AIR, **options):
        images = make_images(60)
        images = dataclasses.replace(images, images=np.pad(images.images, ((0, 0), (2, 2), (2, 2), (0, 0)), "reflect"))
        return train.Trainer(recipe, images, tmp_path / name, reporter=train.Reporter(io.StringIO()), **options)

    return make


def state_of(trainer):
    return {path: array.tobytes() for path, array in trainer.model.state_dict().items()}


def test_the_training_ends_within_an_epoch(start_air):
    trainer = start_air()
    assert trainer.fit()
    assert (trainer.progress.step, trainer.progress.epoch, trainer.schedule.steps) == (16, 3, 16)
    slow = trainer.state.average.arrays
    np.testing.assert_array_equal(trainer.model.fc.weight.data, slow["fc.weight"].astype(np.float32))
    assert not trainer.fit.__self__.progress.batch


def test_whitening_filters_stay_and_their_bias_learns_in_the_first_epochs(start_air):
    trainer, biases, moved = start_air(), [], []
    layer, step = trainer.model.whiten, trainer.step
    filters = layer.weight.data.copy()
    assert filters[:12].any() and np.array_equal(filters[12:], -filters[:12])

    def noted(*batch):
        step(*batch)
        biases.append(layer.bias.data.copy())
        moved.append(layer.bias.requires_grad)

    trainer.step = noted
    trainer.fit()
    np.testing.assert_array_equal(layer.weight.data, filters)
    assert moved == [True] * 6 + [False] * 10
    assert biases[0].any() and not np.array_equal(biases[3], biases[5])


MUON = {"lookahead": 0, "optimizer": "muon", "sgd_lr_scale": 0.5, "end_factor": 0.0}


CHANGES = {"lookahead": 0, "ema": 0.8, "optimizer": "sgd"}, {"lookahead": 0}, MUON


@pytest.mark.parametrize("change", [{}, *(pytest.param(change, marks=pytest.mark.slow) for change in CHANGES)])
def test_a_resume_has_the_bits_of_a_training_without_a_break(start_air, tmp_path, change):
    recipe = dataclasses.replace(AIR, **change)
    whole = start_air("whole", recipe)
    whole.fit()
    for stop in (4, 8, 14):
        broken = start_air(f"stop{stop}", recipe, save_every=0.0)
        count = broken.progress.count

        def counted(*arguments, count=count, broken=broken, stop=stop):
            count(*arguments)
            if broken.progress.step == stop:
                raise KeyboardInterrupt

        broken.progress.count = counted
        with pytest.raises(KeyboardInterrupt):
            broken.fit()
        reporter = train.Reporter(io.StringIO())
        again = train.Trainer.resume(tmp_path / f"stop{stop}", broken.train_set, reporter=reporter)
        assert again.progress.step == stop - 1 and again.fit()
        assert state_of(again) == state_of(whole)


@pytest.mark.parametrize("change", [{}, MUON], ids=["sgd", "muon"])
def test_workers_and_threads_do_not_change_a_bit(start_air, change):
    recipe, results = dataclasses.replace(AIR, **change), []
    for workers, threads in ((0, 1), (4, 2)):
        trainer = start_air(f"workers{workers}", recipe, workers=workers)
        with num_threads(threads):
            trainer.fit()
        results.append(state_of(trainer))
    assert results[0] == results[1]


def test_biases_of_batch_norm_have_their_own_rate(start_air):
    trainer = start_air()
    others, norms = trainer.optimizer.param_groups
    assert len(norms["params"]) == 6 and all(p.data.ndim == 1 for p in norms["params"])
    assert norms["lr"] == pytest.approx(64 * others["lr"])
    assert norms["weight_decay"] * norms["lr"] == pytest.approx(others["weight_decay"] * others["lr"])
    assert others["lr"] == pytest.approx(0.2 * AIR.peak_lr)
    assert isinstance(trainer.state.average, optim.Lookahead)


def test_the_rate_of_a_record_is_the_one_that_the_recipe_names(start_air):
    for change in ({}, MUON, {"backbone_lr_scale": 0.5}):
        recipe = dataclasses.replace(AIR, **change | {"epochs": 1, "end_factor": 1.0})
        trainer = start_air(f"rate{len(change)}", recipe)
        trainer.fit()
        assert trainer.progress.history[0]["lr"] == pytest.approx(AIR.peak_lr)


def test_muon_takes_the_filters_and_sgd_the_rest(start_air):
    trainer = start_air(recipe=dataclasses.replace(AIR, warmup_fraction=0.0, **MUON))
    filters, head, biases = trainer.optimizer.param_groups
    assert isinstance(trainer.optimizer, optim.Muon)
    assert [len(group["params"]) for group in (filters, head, biases)] == [6, 1, 7]
    assert [group["orthogonal"] for group in (filters, head, biases)] == [True, False, False]
    assert (filters["lr"], filters["momentum"], filters["weight_decay"], filters["unit_rows"]) == (0.05, 0.6, 0.0, True)
    assert head["params"] == [trainer.model.fc.weight] and head["lr"] == pytest.approx(0.025)
    assert biases["lr"] == pytest.approx(64 * 0.025) and biases["weight_decay"] == head["weight_decay"] / 64
    assert any(parameter is trainer.model.whiten.bias for parameter in biases["params"])


def test_the_result_tells_views_and_plain_accuracy(start_air):
    trainer = start_air(recipe=dataclasses.replace(AIR, epochs=1), holdout=20)
    trainer.fit()
    result = trainer.final_eval()
    assert result["views"] == 6 and 0 <= result["plain_holdout_accuracy"] <= 1


def test_a_network_without_a_whitening_layer_is_refused(start, recipe):
    with pytest.raises(ValueError, match="Recipe: whiten_bias_epochs - expected None for a network without"):
        start(recipe=dataclasses.replace(recipe, whiten_bias_epochs=1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flip": "always"}, "flip - expected False, True or 'alternating', got 'always'"),
        ({"views": 3}, "views - expected 1, 2 or 6, got 3"),
        ({"schedule": "cosine"}, "schedule - expected 'one_cycle', 'linear', 'steps' or 'plateau', got 'cosine'"),
        ({"crop_mode": "wrap"}, "crop_mode - expected 'zero' or 'reflect', got 'wrap'"),
        ({"momentum": 1}, "momentum - expected 0 to below 1, got 1"),
        ({"norm_bias_lr_scale": 0}, "norm_bias_lr_scale - expected a positive number, got 0"),
        ({"ema": 0.9}, "ema - expected 0 with lookahead=3, got 0.9"),
        ({"muon_momentum": 0}, "muon_momentum - expected above 0 to below 1, got 0"),
        ({"sgd_lr_scale": 2}, "sgd_lr_scale - expected 1 without optimizer='muon', got 2"),
        ({"sgd_lr_scale": 0}, "sgd_lr_scale - expected a positive number, got 0"),
        ({"lookahead": -1}, "lookahead - expected an integer of at least 0, got -1"),
    ],
)
def test_numbers_out_of_range(change, message):
    with pytest.raises(ValueError, match=f"Recipe: {message}"):
        dataclasses.replace(AIR, **change)


def test_published_rates_for_a_mean_loss():
    recipe = train.recipe("air94")
    theirs = 11.5 / (1024 * (1 + 1 / (1 - 0.85)))  # on the sum over the batch, in their program
    assert recipe.peak_lr == pytest.approx(theirs * 1024)
    assert recipe.weight_decay * recipe.peak_lr == pytest.approx(0.0153 * 1024 / (1024 * (1 + 1 / 0.15)))
    half = train.recipe("air90")
    assert (half.peak_lr, half.lookahead) == (recipe.peak_lr / 2, 10)


def test_published_rates_of_muon_for_a_mean_loss_and_our_scale_of_logits():
    recipe = train.recipe("air94_muon")
    rate = recipe.peak_lr * recipe.sgd_lr_scale
    # Their head W and ours w give the same logits if W / 256 = w / 9; a step of W is (256 / 9)**2 steps of w.
    assert rate * (256 / 9) ** 2 == pytest.approx(0.67 * recipe.batch_size)
    assert rate * recipe.norm_bias_lr_scale == pytest.approx(0.053 * recipe.batch_size, rel=1e-3)
    assert rate * recipe.weight_decay == pytest.approx(2e-6 * recipe.batch_size)
    assert (recipe.peak_lr, recipe.muon_momentum, recipe.lookahead, recipe.end_factor) == (0.24, 0.6, 0, 0.0)


def test_alternating_flips_show_both_forms_in_any_two_epochs_in_a_row():
    images = np.random.default_rng(0).integers(0, 256, (50, 4, 5, 3), dtype=np.uint8)
    seen = []
    for epoch in range(4):
        seen.append(data.transforms.finished(images, np.arange(50), [data.AlternatingFlip()], 7, epoch))
    flipped = [np.array([not np.array_equal(a, b) for a, b in zip(images, out, strict=True)]) for out in seen]
    assert 10 < flipped[0].sum() < 40
    np.testing.assert_array_equal(flipped[1], ~flipped[0])
    np.testing.assert_array_equal(seen[0], seen[2])
    np.testing.assert_array_equal(seen[1], seen[3])
    np.testing.assert_array_equal(seen[0][flipped[0]], images[flipped[0]][:, :, ::-1])
