"""Cross-entropy, NLL, MSE: values, gradients, reductions, and invalid labels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_cnn import Tensor, ops
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.testing import gradcheck

REDUCTIONS = ["mean", "sum", "none"]
reductions = st.sampled_from(REDUCTIONS)


@st.composite
def logits_and_labels(draw):
    images, classes = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    return (images, classes), np.array(draw(st.lists(st.integers(0, classes - 1), min_size=images, max_size=images)))


def textbook(logits, labels, smoothing):
    """Return the losses, one per row, by the formula of the docstring."""
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    target = (1 - smoothing) * np.eye(logits.shape[1])[labels] + smoothing / logits.shape[1]
    return -(target * np.log(probabilities)).sum(1)


def reduced(losses, reduction):
    return {"mean": losses.mean(), "sum": losses.sum(), "none": losses}[reduction]


@settings(max_examples=40, deadline=None)
@given(case=logits_and_labels(), smoothing=st.sampled_from([0.0, 0.1, 1.0]), reduction=reductions)
def test_cross_entropy_is_that_of_the_formula(normal, case, smoothing, reduction):
    shape, labels = case
    logits = 2 * normal(shape)
    for dtype, tolerance in ((np.float32, 1e-5), (np.float64, 1e-13)):
        loss = ops.cross_entropy(Tensor(logits.astype(dtype)), labels, label_smoothing=smoothing, reduction=reduction)
        assert loss.dtype == dtype
        expected = reduced(textbook(logits, labels, smoothing), reduction)
        np.testing.assert_allclose(loss.data, expected, rtol=tolerance, atol=tolerance)


@settings(max_examples=20, deadline=None)
@given(case=logits_and_labels(), smoothing=st.sampled_from([0.0, 0.1, 1.0]), reduction=reductions)
def test_gradients_of_cross_entropy_match_finite_differences(normal, case, smoothing, reduction):
    shape, labels = case
    gradcheck(
        lambda x: ops.cross_entropy(x, labels, label_smoothing=smoothing, reduction=reduction), Tensor(normal(shape))
    )


@settings(max_examples=20, deadline=None)
@given(case=logits_and_labels(), reduction=reductions)
def test_nll_after_log_softmax_is_cross_entropy(normal, case, reduction):
    shape, labels = case
    logits = Tensor(normal(shape))
    loss = ops.nll_loss(ops.log_softmax(logits), labels, reduction=reduction)
    np.testing.assert_allclose(loss.data, ops.cross_entropy(logits, labels, reduction=reduction).data, atol=1e-12)
    gradcheck(lambda x: ops.nll_loss(x, labels, reduction=reduction), logits)


@settings(max_examples=20, deadline=None)
@given(shape=st.sampled_from([(), (3,), (2, 3), (2, 3, 4)]), reduction=reductions)
def test_mse(normal, shape, reduction):
    x, target = normal(shape), normal(shape, 1)
    loss = ops.mse_loss(Tensor(x), Tensor(target), reduction=reduction)
    np.testing.assert_allclose(loss.data, reduced((x - target) ** 2, reduction), rtol=1e-13)
    gradcheck(lambda x, target: ops.mse_loss(x, target, reduction=reduction), Tensor(x), Tensor(target))


@pytest.mark.oracle
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_losses_are_those_of_pytorch(normal, same_as_torch, reduction):
    torch = pytest.importorskip("torch")
    functional, labels = torch.nn.functional, np.array([4, 0, 2])
    for smoothing in (0.0, 0.2):
        same_as_torch(
            lambda x, s=smoothing: ops.cross_entropy(x, labels, label_smoothing=s, reduction=reduction),
            lambda x, s=smoothing: functional.cross_entropy(
                x, torch.from_numpy(labels), label_smoothing=s, reduction=reduction
            ),
            normal((3, 5)),
        )
    same_as_torch(
        lambda x: ops.nll_loss(x, labels, reduction=reduction),
        lambda x: functional.nll_loss(x, torch.from_numpy(labels), reduction=reduction),
        normal((3, 5)),
    )
    same_as_torch(
        lambda x, y: ops.mse_loss(x, y, reduction=reduction),
        lambda x, y: functional.mse_loss(x, y, reduction=reduction),
        normal((3, 5)),
        normal((3, 5), 1),
    )


def test_by_hand():
    logits = Tensor([[0.0, np.log(3)]], requires_grad=True)  # probabilities 1/4 and 3/4
    loss = ops.cross_entropy(logits, [0])
    loss.backward()
    np.testing.assert_allclose(loss.data, np.log(4))
    np.testing.assert_allclose(logits.grad, [[-0.75, 0.75]])


def test_layouts_and_labels_of_any_integer_kind(normal, same_in_every_layout):
    same_in_every_layout(lambda x: ops.cross_entropy(x, np.array([1, 0, 4])), normal((3, 5)))
    losses = [
        float(ops.cross_entropy(Tensor(normal((3, 5))), labels).data)
        for labels in ([1, 0, 4], Tensor([1, 0, 4]), np.array([1, 0, 4], np.uint8))
    ]
    assert losses[0] == losses[1] == losses[2]


def test_labels_changed_after_the_forward_do_not_change_the_gradient(normal):
    labels, logits = np.array([0, 1]), Tensor(normal((2, 2)), requires_grad=True)
    loss = ops.cross_entropy(logits, labels)
    labels[:] = 0
    loss.backward()
    assert logits.grad[1, 1] < 0 < logits.grad[1, 0]


def test_huge_logits_give_finite_losses():
    logits = Tensor(np.array([[3e38, -3e38]], np.float32))
    assert np.isfinite(ops.cross_entropy(logits, [0]).data)
    np.testing.assert_array_equal(ops.cross_entropy(Tensor([[1000.0, 0.0]]), [1]).data, 1000)


@pytest.mark.parametrize(("op", "name"), [(ops.cross_entropy, "logits"), (ops.nll_loss, "log_probs")])
def test_labels_and_rows_that_do_not_fit(op, name):
    rows, own = Tensor(np.zeros((2, 3))), op.__name__
    with pytest.raises(TypeError, match=f"{own}: {name} - expected a Tensor, got ndarray"):
        op(np.zeros((2, 3)), [0, 1])
    with pytest.raises(
        TypeError, match=f"{own}: labels - expected integers, the index of each class, got dtype float64"
    ):
        op(rows, [0.0, 1.0])
    with pytest.raises(ShapeError, match=rf"{own}: {name} - expected \(N, K\), .* got shape \(3,\)"):
        op(Tensor(np.zeros(3)), [0, 1, 2])
    with pytest.raises(ShapeError, match=rf"{own}: labels - expected shape \(2,\), .* got \(3,\)"):
        op(rows, [0, 1, 2])
    with pytest.raises(ValueError, match=f"{own}: labels - expected 0 to 2 for 3 classes, got 3 at position 1"):
        op(rows, [0, 3])
    with pytest.raises(ValueError, match="got -1 at position 0"):
        op(rows, [-1, 0])
    with pytest.raises(ValueError, match=f"{own}: reduction - expected one of 'mean', 'sum', 'none', got 'avg'"):
        op(rows, [0, 1], reduction="avg")


@pytest.mark.parametrize("smoothing", [-0.1, 1.1, "much"])
def test_smoothing_out_of_range(smoothing):
    with pytest.raises(ValueError, match="cross_entropy: label_smoothing - expected a number, 0 to 1, got"):
        ops.cross_entropy(Tensor(np.zeros((1, 2))), [0], label_smoothing=smoothing)


def test_mse_of_what_does_not_fit():
    with pytest.raises(ShapeError, match=r"mse_loss: target - expected shape \(2,\), got \(1,\)"):
        ops.mse_loss(Tensor([1.0, 2.0]), Tensor([1.0]))
    with pytest.raises(TypeError, match="mse_loss: target - expected a Tensor, got float"):
        ops.mse_loss(Tensor(1.0), 1.0)
    with pytest.raises(ValueError, match="mse_loss: reduction - expected one of"):
        ops.mse_loss(Tensor(1.0), Tensor(1.0), reduction=None)
