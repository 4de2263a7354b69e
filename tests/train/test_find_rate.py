"""The learning-rate finder: it leaves no trace, and names a rate or says why it cannot."""

import dataclasses
import itertools
import sys

import numpy as np
import pytest

from minitorch_cnn import nn, train
from minitorch_cnn.train import state


def flat(tree, prefix=""):
    """Return nested dicts as one, arrays as bytes."""
    items = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            items |= flat(value, f"{prefix}{key}/")
        else:
            items[prefix + key] = value.tobytes() if isinstance(value, np.ndarray) else value
    return items


def whole(trainer):
    """Return everything that the next steps of a trainer depend on."""
    flags = [(parameter.requires_grad, parameter.grad) for parameter in trainer.model.parameters()]
    modes = [module.training for module in trainer.model.modules()]
    return flat(state.snapshot(trainer.state, trainer.settings)), flags, modes


@pytest.mark.parametrize("changes", [{}, {"optimizer": "sgd", "lookahead": 2}, {"schedule": "plateau"}])
def test_a_training_is_the_same_with_and_without_the_search(start, recipe, changes):
    recipe = dataclasses.replace(recipe, **changes, epochs=2)
    plain = start("plain", recipe)
    assert plain.fit()
    searched = start("searched", recipe)
    before = whole(searched)
    train.find_rate(searched, steps=30)
    assert whole(searched) == before
    assert searched.fit()
    assert flat(searched.model.state_dict()) == flat(plain.model.state_dict())
    assert searched.progress.fingerprint == plain.progress.fingerprint


class Counting(nn.Sequential):
    """Keeps numbers of its calls, one of which the first call makes."""

    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3), nn.GlobalAvgPool(), nn.Linear(4, 2))
        self.calls, self.sizes, self.seen = 0, [], []

    def forward(self, x):
        self.calls += 1
        if self.training:
            self.last = len(x)
        self.sizes.append(len(x))
        self.seen.append(x)
        return super().forward(x)


def test_the_search_leaves_numbers_of_a_network_as_they_were(start):
    trainer = start(model=Counting())
    before = trainer.model.calls, trainer.model.sizes.copy()
    train.find_rate(trainer, steps=30)
    assert (trainer.model.calls, trainer.model.sizes) == before and not hasattr(trainer.model, "last")


def test_a_resumed_run_stays_in_its_epoch(start, go_on):
    trainer = start()
    with trainer._running():
        for images, labels in itertools.islice(trainer.loader.iterate(), 3):
            trainer.step(images, labels)
        trainer.save()
    found = go_on()
    before = whole(found)
    train.find_rate(found, steps=30)
    assert whole(found) == before and before[0]["progress/batch"] == 3
    images, _ = next(found.loader.iterate(start_batch=3))
    np.testing.assert_array_equal(images.data, next(go_on().loader.iterate(start_batch=3))[0].data)


def test_the_search_leaves_no_trace_when_it_fails(start):
    trainer = start()
    before = whole(trainer)

    def stop(done, count):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train.find_rate(trainer, on_step=stop)
    assert whole(trainer) == before


def test_a_rate_is_found_where_the_loss_falls(start, recipe, tmp_path):
    found = train.find_rate(start(), steps=60)
    assert 1e-6 < found.rate < 10 and "lowest between" in found.reason
    assert len(found.rates) == len(found.losses) == len(found.smoothed) <= 60
    assert min(found.smoothed) < found.smoothed[0] and found.name == recipe.name
    found.save(tmp_path / "chart.png")
    assert (tmp_path / "chart.png").stat().st_size > 1000


def test_groups_keep_their_shares(start, recipe, monkeypatch):
    trainer = start(recipe=dataclasses.replace(recipe, backbone_lr_scale=0.25))
    seen = []

    def learn(images, labels):
        seen.append([group["lr"] for group in trainer.optimizer.param_groups])
        return np.array([1.0, 0.0, 1.0])

    monkeypatch.setattr(trainer, "learn", learn)
    train.find_rate(trainer, least=1e-3, most=1.0, steps=31)
    np.testing.assert_allclose(seen[0], [0.25e-3, 1e-3])
    np.testing.assert_allclose(seen[-1], [0.25, 1.0])
    assert len(seen) == 31  # over several epochs: one has 7 batches


class Unlearnable(nn.Module):
    """Gives the same logits for any weights, or NaN."""

    def __init__(self, value):
        super().__init__()
        self.linear, self.value = nn.Linear(3, 2), value

    def forward(self, x):
        return self.linear(x.mean((2, 3))) * self.value


@pytest.mark.parametrize(("value", "words"), [(0.0, "no more than it differs"), (np.nan, "not finite at the low")])
def test_without_a_rate_the_reason_is_told(start, value, words):
    found = train.find_rate(start(model=Unlearnable(value)), steps=30)
    assert found.rate is None and words in found.reason
    found.chart()  # draws what there is


def test_a_network_that_diverges_at_low_rates_is_told(start):
    found = train.find_rate(start(), least=1e4, most=1e9, steps=40)
    assert found.rate is None and "at the low rate of" in found.reason


def choice(losses, steps=120):
    """Return what is chosen for some losses at rates from 1e-6 to 10."""
    module, losses = sys.modules["minitorch_cnn.train.find_rate"], np.array(losses)
    width = module._WIDTH * steps
    return module._choice(np.geomspace(1e-6, 10, steps), losses, module._smoothed(losses, width), width)


def test_the_first_valley_counts():
    """After a network has broken down, the loss may fall below what it learned to, at rates that are far too high."""
    noise = 0.02 * np.random.default_rng(0).standard_normal(120)
    valley = np.concatenate([np.full(30, 2.3), np.linspace(2.3, 1.5, 20), np.full(20, 1.5), np.linspace(1.5, 4, 15)])
    rate, reason = choice(noise + np.concatenate([valley, np.linspace(4, 1.2, 35)]))
    assert 2e-4 < rate < 8e-3 and "falls from 2.3 to 1.5" in reason


def test_a_loss_that_still_falls_is_told():
    rate, reason = choice(np.concatenate([np.full(60, 2.3), np.linspace(2.3, 1.0, 60)]))
    assert rate > 1 and reason.endswith("the highest that was tried")


def test_arguments_are_checked(start):
    trainer = start()
    for options, message in (
        ({"least": 0}, "least - expected a positive"),
        ({"least": 1.0, "most": 1.0}, "most - expected a finite number above least, 1.0, got 1.0"),
        ({"most": float("inf")}, "most - expected a finite number above least"),
        ({"steps": 29}, "steps - expected at least 30"),
    ):
        with pytest.raises(ValueError, match=f"find_rate: {message}"):
            train.find_rate(trainer, **options)
    with pytest.raises(TypeError, match="find_rate: trainer - expected an object of Trainer, got NoneType"):
        train.find_rate(None)
    trainer.ranks = type("Ranks", (), {"size": 2})()
    with pytest.raises(ValueError, match="find_rate: trainer - expected one process, got one of 2 ranks"):
        train.find_rate(trainer)
