"""Cross-correlation beside convolution, and what two layers learn by them."""

import numpy as np
import pytest
from PIL import Image

from minitorch_cnn import explain, ops

K = np.arange(1, 7).reshape(2, 3)


def test_an_impulse_gives_the_kernel_by_convolution_and_its_flip_by_cross_correlation():
    both = explain.side_by_side(K)
    assert both.x.shape == (3, 5) and both.x.sum() == both.x[1, 2] == 1
    np.testing.assert_array_equal(both.convolved, K)
    np.testing.assert_array_equal(both.correlated, K[::-1, ::-1])
    assert "S(i, j) = sum over m, n of I(i + m, j + n) K(m, n)\n  6 5 4\n  3 2 1\n" in str(both)
    assert str(both).endswith("S(i, j) = sum over m, n of I(i - m, j - n) K(m, n)\n  1 2 3\n  4 5 6")


def test_any_image_by_hand():
    both = explain.side_by_side([[1, 2]], [[1, 10, 100], [2, 20, 200]])
    assert both.correlated.tolist() == [[21, 210], [42, 420]]
    assert both.convolved.tolist() == [[12, 120], [24, 240]]


def test_learning_makes_the_flip_irrelevant():
    for seed in (0, 1):
        learned = explain.learn_flip(K, seed=seed)
        np.testing.assert_allclose(learned.correlation, K, atol=1e-6)
        np.testing.assert_allclose(learned.convolution, K[::-1, ::-1], atol=1e-6)
        assert learned.difference < 1e-6
        assert learned.losses.shape == (2, 41) and (learned.losses[:, 0] > 1).all()
        assert (np.diff(learned.losses) < 0).all() and (learned.losses[:, -1] < 1e-10).all()


def test_before_learning_the_two_layers_differ():
    learned = explain.learn_flip(K, steps=1)
    assert learned.difference > 0.1
    assert "mean squared error" in str(learned) and "the flip of the other: " in str(learned)


def test_files(tmp_path):
    for name, made in (("both", explain.side_by_side(K)), ("learned", explain.learn_flip(K, steps=2))):
        for kind in ("png", "svg", "txt"):
            made.save(tmp_path / f"{name}.{kind}")
        with Image.open(tmp_path / f"{name}.png") as image:
            assert image.size == (1280, 720)
        assert made._repr_svg_().encode() == (tmp_path / f"{name}.svg").read_bytes()
        assert (tmp_path / f"{name}.txt").read_text() == f"{made}\n"
    with pytest.raises(ValueError, match="path - expected the extension .png or .svg or .pdf, got"):
        explain.side_by_side(K).save(tmp_path / "a.gif")


def test_kernels_that_mix_the_two_up_are_caught(monkeypatch):
    monkeypatch.setattr(ops, "convolve", ops.conv2d)
    with pytest.raises(explain.MismatchError, match="explain.side_by_side: at .* the kernel gives 6.0, the textbook"):
        explain.side_by_side(K)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: explain.side_by_side([1, 2]), r"explain.side_by_side: weight - expected 2 axes, got shape \(2,\)"),
        (lambda: explain.side_by_side(K, [[1, 2]]), r"x - expected at least the kernel's size \(2, 3\), got \(1, 2\)"),
        (lambda: explain.learn_flip([1]), r"explain.learn_flip: weight - expected 2 axes"),
        (lambda: explain.learn_flip(np.ones((13, 1))), "expected at least 13 padded pixels"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
