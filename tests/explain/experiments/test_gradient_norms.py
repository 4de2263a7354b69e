"""The gradient at each layer of networks with and without shortcuts."""

import numpy as np
import pytest

from minitorch_cnn import explain, nn, rng
from minitorch_cnn.explain.experiments import gradient_norms as module_under_test
from minitorch_cnn.explain.experiments.gradient_norms import PlainBlock
from minitorch_cnn.models.resnet import BasicBlock


@pytest.mark.parametrize("kind", ["plain", "residual", "dense"])
def test_networks_have_the_depth_that_was_asked_for(kind):
    model = explain.deep_network(kind, 26)
    found = explain.pattern(explain.topology(model, (1, 3, 16, 16)))
    assert found.depth == 26


def test_a_plain_network_is_the_residual_one_without_its_shortcuts():
    plain, residual = (explain.deep_network(kind, 20) for kind in ("plain", "residual"))
    assert {k: a.shape for k, a in plain.state_dict().items()} == {k: a.shape for k, a in residual.state_dict().items()}
    kinds = {
        kind: [node.kind for node in explain.topology(model, (1, 3, 16, 16)).nodes]
        for kind, model in (("plain", plain), ("residual", residual))
    }
    assert "add" not in kinds["plain"] and [kind for kind in kinds["residual"] if kind != "add"] == kinds["plain"]
    assert issubclass(PlainBlock, BasicBlock)


def test_shortcuts_keep_the_gradient_even():
    state = rng.get_state()
    found = explain.gradient_norms((32,), ("plain", "residual"))
    assert found.spread("plain", 32) > 5 * found.spread("residual", 32)
    assert len(found.norms["plain", 32]) == 31 and min(found.norms["plain", 32]) > 0
    assert rng.get_state() == state


def test_the_norm_is_that_of_the_gradient_that_backward_leaves(monkeypatch):
    made = []
    make = module_under_test.deep_network
    monkeypatch.setattr(module_under_test, "deep_network", lambda *words: made.append(make(*words)) or made[-1])
    found = explain.gradient_norms((8,), ("residual",))
    first = next(module for module in made[0].modules() if isinstance(module, nn.Conv2d))
    assert found.norms["residual", 8][0] == pytest.approx(np.sqrt((first.weight.grad.astype(float) ** 2).sum()))


def test_text_and_figure(tmp_path):
    found = explain.GradientNorms({("plain", 8): [8.0, 2.0], ("dense", 8): [1.0, 1.0]})
    assert str(found).splitlines()[-2].split() == ["plain", "8", "8", "2", "4", "4"]
    axes = found.figure().axes[0]
    assert [line.get_label() for line in axes.lines] == ["plain", "dense"] and axes.get_yscale() == "log"
    found.save(tmp_path / "norms.png")
    assert (tmp_path / "norms.png").read_bytes().startswith(b"\x89PNG")


def test_bad_arguments():
    with pytest.raises(ValueError, match="deep_network: kind - expected one of plain, residual, dense, got 'wide'"):
        explain.deep_network("wide", 20)
    with pytest.raises(ValueError, match=r"deep_network: depth - expected 6n \+ 2, at least 8, got 21"):
        explain.deep_network("plain", 21)


def test_kinds_and_depths_may_be_generators():
    found = explain.gradient_norms((depth for depth in (8, 14)), (kind for kind in ("plain", "residual")))
    assert list(found.norms) == [("plain", 8), ("residual", 8), ("plain", 14), ("residual", 14)]
    with pytest.raises(TypeError, match="gradient_norms: kinds - expected a sequence, got 'plain'"):
        explain.gradient_norms((8,), "plain")
