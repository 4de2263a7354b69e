"""Adam and AdamW against PyTorch."""

import itertools

import numpy as np
import pytest

from minitorch_cnn import nn, optim

COMBINATIONS = [
    {"betas": betas, "eps": eps, "weight_decay": decay}
    for betas, eps, decay in itertools.product(((0.9, 0.999), (0.5, 0.0)), (1e-8, 0.1), (0.0, 0.05))
]


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["Adam", "AdamW"])
@pytest.mark.parametrize("options", COMBINATIONS, ids=str)
def test_ten_steps_are_those_of_pytorch(name, options, dtype):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    start = rng.standard_normal((7, 5)).astype(dtype)
    mine, theirs = nn.Parameter(start), torch.nn.Parameter(torch.from_numpy(start.copy()))
    optimizer = getattr(optim, name)([mine], lr=0.01, **options)
    other = getattr(torch.optim, name)([theirs], lr=0.01, **options)
    for _ in range(10):
        grad = rng.standard_normal((7, 5)).astype(dtype)
        mine.grad, theirs.grad = grad, torch.from_numpy(grad.copy())
        optimizer.step()
        other.step()
        tolerance = 50 * np.finfo(dtype).eps
        np.testing.assert_allclose(mine.data, theirs.detach().numpy(), rtol=tolerance, atol=tolerance)


def test_the_first_step_moves_every_element_by_the_learning_rate():
    parameter = nn.Parameter(np.zeros(3))
    parameter.grad = np.array([1e-3, -5.0, 1e4])
    optim.Adam([parameter], lr=0.01, eps=0.0).step()
    np.testing.assert_allclose(parameter.data, [-0.01, 0.01, -0.01], rtol=1e-9)


def test_a_parameter_that_was_frozen_starts_with_its_own_first_step():
    late, reference = nn.Parameter([1.0]), nn.Parameter([1.0])
    early = nn.Parameter([1.0])
    optimizer = optim.Adam([early, late], lr=0.01)
    late.requires_grad = False
    for _ in range(5):
        early.grad = late.grad = np.ones(1, np.float32)
        optimizer.step()
    late.requires_grad = True
    optimizer.step()
    reference.grad = np.ones(1, np.float32)
    optim.Adam([reference], lr=0.01).step()
    np.testing.assert_array_equal(late.data, reference.data)
    assert {key: kept["step"] for key, kept in optimizer.state_dict()["state"].items()} == {"0": 6, "1": 1}


def test_the_step_count_is_a_python_int():
    parameter = nn.Parameter([1.0])
    parameter.grad = np.ones(1, np.float32)
    optimizer = optim.Adam([parameter])
    optimizer.step()
    assert type(optimizer.state_dict()["state"]["0"]["step"]) is int
