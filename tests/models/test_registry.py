"""Models by name."""

import pytest

from minitorch_cnn import models, nn, rng
from minitorch_cnn.models import registry


@pytest.fixture
def names(monkeypatch):
    """Restore the registry after the test."""
    monkeypatch.setattr(registry, "_models", dict(registry._models))


def test_the_list_is_sorted_and_every_model_can_be_made():
    assert models.list() == sorted(models.list())
    assert {"cifar4", "mlp"} <= set(models.list())


@pytest.mark.usefixtures("names")
def test_a_user_s_model_can_be_registered():
    @models.register("tiny")
    class Tiny(nn.Linear):
        def __init__(self, num_classes=10, depth=1):
            super().__init__(depth, num_classes)

    assert "tiny" in models.list()
    assert models.create("tiny", num_classes=3, depth=2).weight.shape == (3, 2)
    with pytest.raises(ValueError, match="register: name - expected a new name, got 'tiny', which is .*Tiny"):
        models.register("tiny")(Tiny)


def test_a_model_whose_weights_are_not_drawn_has_their_shapes():
    before = rng.get_state()
    undrawn = models.create("resnet20", num_classes=3, drawn=False)
    assert rng.get_state() == before
    drawn = models.create("resnet20", num_classes=3)
    shapes = [{key: value.shape for key, value in model.state_dict().items()} for model in (undrawn, drawn)]
    assert shapes[0] == shapes[1] and rng.get_state() != before


@pytest.mark.parametrize(("typed", "meant"), [("cifar", "cifar4"), ("CIFAR4", "cifar4"), ("mpl", "mlp"), ("", None)])
def test_an_unknown_name_gives_the_nearest(typed, meant):
    end = f"; did you mean '{meant}'\\?$" if meant else "$"
    with pytest.raises(ValueError, match=f"create: name - expected one of .*cifar4, .*got '{typed}'{end}"):
        models.create(typed)
