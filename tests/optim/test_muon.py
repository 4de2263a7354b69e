"""Muon against its formula in NumPy float64, the singular value decomposition, and PyTorch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_cnn import nn, optim
from minitorch_cnn.optim.muon import COEFFICIENTS, orthogonalised
from minitorch_cnn.tensor import Tensor
from minitorch_kernels.runtime.threads import num_threads

BAR = {np.float32: 2e-5, np.float64: 1e-12}
FILTERS = (6, 2, 3, 3)


def gradients(shape, steps=4, seed=3):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for _ in range(steps)]


def by_decomposition(matrix, iterations):
    """Map the singular values by the polynomial; U and V stay."""
    u, s, v = np.linalg.svd(np.asarray(matrix, np.float64), full_matrices=False)
    s /= max(np.sqrt(np.sum(s * s)), 1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(iterations):
        s = a * s + b * s**3 + c * s**5
    return u * s @ v


def by_formula(x, grads, lr, momentum, nesterov, decay=0.0, decoupled=False, iterations=5, unit_rows=False):
    """Return the filters after these steps."""
    velocity = np.zeros_like(x)
    for grad in grads:
        grad = grad if decoupled else grad + decay * x
        velocity = momentum * velocity + grad
        u = grad + momentum * velocity if nesterov else velocity
        x = x * (1 - lr * decay) if decoupled else x
        x = x * np.sqrt(len(x) / np.sum(x * x)) if unit_rows else x
        x = x - lr * by_decomposition(u.reshape(len(u), -1), iterations).reshape(x.shape)
    return x


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=15, deadline=None)
@given(
    rows=st.integers(1, 12),
    columns=st.integers(1, 12),
    iterations=st.integers(0, 6),
    scale=st.sampled_from([1e-30, 1e-6, 1.0, 1e30]),
    seed=st.integers(0, 99),
)
def test_the_iteration_maps_the_singular_values_by_its_polynomial(dtype, rows, columns, iterations, scale, seed):
    matrix = (np.random.default_rng(seed).standard_normal((rows, columns)) * scale).astype(dtype)
    out = orthogonalised(matrix, iterations)
    assert out.dtype == dtype and out.flags.c_contiguous
    np.testing.assert_allclose(out, by_decomposition(matrix, iterations), rtol=0, atol=BAR[dtype])


@pytest.mark.parametrize("shape", [(20, 50), (50, 20)])
def test_all_directions_of_a_step_are_nearly_of_one_length(shape):
    rng = np.random.default_rng(0)
    u, v = (np.linalg.qr(rng.standard_normal((size, 20)))[0] for size in shape)
    matrix = u * np.geomspace(0.02, 1, 20) @ v.T
    lengths = np.linalg.svd(orthogonalised(matrix), compute_uv=False)
    assert lengths.min() > 0.65 and lengths.max() < 1.25


def test_no_direction_comes_from_zeros_and_a_nan_stays_seen():
    assert not orthogonalised(np.zeros((3, 4), np.float32)).any()
    assert orthogonalised(np.zeros((0, 4), np.float32)).shape == (0, 4)
    assert np.isnan(orthogonalised(np.array([[np.nan, 1.0], [0.0, 1.0]]))).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "options",
    [
        {"momentum": 0.0, "nesterov": False},
        {"momentum": 0.6, "nesterov": True, "iterations": 3, "unit_rows": True},
        {"momentum": 0.9, "nesterov": False, "weight_decay": 0.1},
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1, "decoupled": True},
    ],
    ids=str,
)
def test_steps_of_filters_follow_the_formula(options, dtype):
    start = np.random.default_rng(1).standard_normal(FILTERS)
    parameter = nn.Parameter(start.astype(dtype))
    optimizer = optim.Muon([parameter], lr=0.1, **options)
    for grad in gradients(FILTERS):
        parameter.grad = grad.astype(dtype)
        optimizer.step()
    expected = by_formula(start, gradients(FILTERS), 0.1, decay=options.pop("weight_decay", 0.0), **options)
    np.testing.assert_allclose(parameter.data, expected, rtol=0, atol=20 * BAR[dtype])


def test_vectors_and_groups_that_ask_for_it_take_the_steps_of_sgd():
    options = {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}
    shapes = (4,), (), (3, 5)
    mine, theirs = ([nn.Parameter(np.ones(shape, np.float32)) for shape in shapes] for _ in range(2))
    muon = optim.Muon([{"params": mine[:2]}, {"params": mine[2:], "orthogonal": False}], **options)
    sgd = optim.SGD(theirs, **options)
    for step in range(3):
        for ours, other in zip(mine, theirs, strict=True):
            ours.grad = other.grad = np.asarray(gradients(ours.shape)[step], np.float32)
        muon.step()
        sgd.step()
    for ours, other in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(ours.data, other.data)


@pytest.mark.oracle
@pytest.mark.parametrize(("shape", "nesterov"), [((6, 9), True), ((9, 6), False)])
def test_steps_are_those_of_pytorch_but_for_its_bfloat16(shape, nesterov):
    torch = pytest.importorskip("torch")
    start = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    mine, theirs = nn.Parameter(start), torch.nn.Parameter(torch.from_numpy(start.copy()))
    options = {"momentum": 0.9, "nesterov": nesterov, "weight_decay": 0.1}
    other = torch.optim.Muon([theirs], lr=0.05, **options)
    # They multiply the rate, but not the decay, by sqrt(max(1, M / K)).
    factor = max(1, shape[0] / shape[1]) ** 0.5
    options["weight_decay"] /= factor
    optimizer = optim.Muon([mine], lr=0.05 * factor, decoupled=True, **options)
    for grad in gradients(shape):
        mine.grad, theirs.grad = grad.astype(np.float32), torch.from_numpy(grad.astype(np.float32))
        optimizer.step()
        other.step()
    np.testing.assert_allclose(mine.data, theirs.detach().numpy(), rtol=0, atol=4 * 0.05 * 0.03)
    assert np.abs(mine.data - start).mean() > 0.03  # what the steps changed is far above that


def test_steps_have_the_same_bits_for_any_number_of_threads():
    grads, results = gradients((48, 40, 3, 3), 2), []
    for threads in (1, 2):
        parameter = nn.Parameter(np.ones((48, 40, 3, 3), np.float32))
        optimizer = optim.Muon([parameter], lr=0.1)
        with num_threads(threads):
            for grad in grads:
                parameter.grad = grad.astype(np.float32)
                optimizer.step()
        results.append(parameter.data.tobytes())
    assert results[0] == results[1]


def test_filters_of_any_memory_order_take_the_same_step():
    plain = nn.Parameter(np.ones(FILTERS, np.float32))
    channels_last = Tensor(np.ones((6, 3, 3, 2), np.float32).transpose(0, 3, 1, 2), requires_grad=True)
    for parameter in (plain, channels_last):
        parameter.grad = gradients(FILTERS)[0].astype(np.float32)
        optim.Muon([parameter], lr=0.1).step()
    np.testing.assert_array_equal(plain.data, channels_last.data)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"lr": -1}, ValueError, "Muon: lr - expected at least 0, got -1"),
        ({"lr": 1, "momentum": 0}, ValueError, "Muon: nesterov - expected False where momentum is 0, got True"),
        ({"lr": 1, "iterations": 0}, ValueError, "Muon: iterations - expected at least 1, got 0"),
        ({"lr": 1, "iterations": 2.5}, TypeError, "Muon: iterations - expected an integer, got 2.5"),
        ({"lr": 1, "orthogonal": "no"}, TypeError, "Muon: orthogonal - expected True or False, got 'no'"),
        ({"lr": 1, "unit_rows": 1}, TypeError, "Muon: unit_rows - expected True or False, got 1"),
    ],
)
def test_bad_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        optim.Muon([nn.Parameter(np.ones((2, 2)))], **options)
