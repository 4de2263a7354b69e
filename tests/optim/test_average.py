"""Lookahead and EMA against loops written out by hand, and their state."""

import copy

import numpy as np
import pytest

from minitorch_cnn import Tensor, nn, optim, rng


def model():
    rng.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))


def moved(net, step):
    """Change all floating state of a model as a step of training does."""
    noise = np.random.default_rng(step)
    for array in [*(p.data for p in net.parameters()), *net.buffers()]:
        if array.dtype.kind == "f":
            array += noise.standard_normal(array.shape).astype(array.dtype)


def floats(net):
    return {path: array for path, array in net.state_dict().items() if array.dtype.kind == "f"}


def test_lookahead_is_the_loop_of_its_formula():
    net, twin = model(), model()
    ahead = optim.Lookahead(net, 12, every=4, decay=0.9, power=2)
    slow = floats(twin)
    for t in range(1, 13):
        moved(net, t)
        moved(twin, t)
        ahead.step()
        if t % 4 == 0:
            keep = 0.9**4 * (t / 12) ** 2
            slow = {path: keep * slow[path] + (1 - keep) * array for path, array in floats(twin).items()}
            twin.load_state_dict(slow, strict=False)
    assert ahead.keep(6) == pytest.approx(0.9**4 / 4)
    for path, array in floats(net).items():
        np.testing.assert_allclose(array, slow[path], rtol=1e-5, atol=1e-6)


def test_ema_follows_the_weights_and_is_applied_for_a_while():
    net = model()
    average, expected = optim.EMA(net, 0.75), floats(net)
    for t in range(1, 6):
        moved(net, t)
        average.step()
        expected = {path: 0.75 * expected[path] + 0.25 * array for path, array in floats(net).items()}
    own = floats(net)
    with average.applied():
        for path, array in floats(net).items():
            np.testing.assert_allclose(array, expected[path], rtol=1e-5, atol=1e-6)
    for path, array in floats(net).items():
        np.testing.assert_array_equal(array, own[path])
    average.finish()
    np.testing.assert_array_equal(net[1].running_var, average.arrays["1.running_var"].astype(np.float32))


def test_an_average_that_moves_slowly_does_not_stop_on_its_way():
    """From 1 towards 1.0005 the first move is 5e-8, less than half of the last digit of float32 there."""
    net = nn.Linear(1, 1)
    net.weight.data[...] = 1
    average = optim.EMA(net, 0.9999)
    net.weight.data[...] = 1.0005
    for _ in range(2000):
        average.step()
    expected = 1.0005 - 0.0005 * 0.9999**2000
    np.testing.assert_allclose(average.arrays["weight"], expected, rtol=1e-7)
    average.finish()
    np.testing.assert_allclose(net.weight.data, expected, rtol=1e-7)


def test_an_average_of_an_older_file_in_float32_goes_on():
    net = nn.Linear(2, 1)
    average, other = optim.EMA(net), optim.EMA(nn.Linear(2, 1))
    saved = average.state_dict()
    saved["arrays"] = {path: array.astype(np.float32) for path, array in saved["arrays"].items()}
    other.load_state_dict(saved)
    for path, array in other.arrays.items():
        assert array.dtype == np.float64
        np.testing.assert_array_equal(array, average.arrays[path])


@pytest.mark.parametrize("make", [lambda net: optim.EMA(net, 0.9), lambda net: optim.Lookahead(net, 9, every=2)])
def test_saved_and_loaded_the_next_steps_have_the_same_bits(make):
    net = model()
    average = make(net)
    for t in range(1, 4):
        moved(net, t)
        average.step()
    weights, saved = net.state_dict(), average.state_dict()
    other = model()
    other.load_state_dict(weights)
    again = make(other)
    again.load_state_dict(saved)
    for t in range(4, 8):
        for one, mean in ((net, average), (other, again)):
            moved(one, t)
            mean.step()
    for path, array in average.arrays.items():
        np.testing.assert_array_equal(array, again.arrays[path])
    for path, array in net.state_dict().items():
        np.testing.assert_array_equal(array, other.state_dict()[path])


def test_ctrl_c_while_the_average_is_put_into_the_model(monkeypatch):
    net = model()
    average = optim.EMA(net)
    moved(net, 1)
    own, put = {path: array.copy() for path, array in floats(net).items()}, average._put

    def interrupted(arrays):
        put(arrays)
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(average, "_put", interrupted)
    with pytest.raises(KeyboardInterrupt), average.applied():
        pass
    for path, array in floats(net).items():
        np.testing.assert_array_equal(array, own[path])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: optim.EMA(3), TypeError, "EMA: model - expected a Module, got int"),
        (lambda: optim.EMA(model(), 2), ValueError, "EMA: decay - expected 0 to 1, got 2"),
        (lambda: optim.Lookahead(model(), 0), ValueError, "Lookahead: total_steps - expected at least 1, got 0"),
        (lambda: optim.Lookahead(model(), 5, power=-1), ValueError, "Lookahead: power - expected at least 0, got -1"),
        (lambda: optim.WeightAverage(model()).step(), NotImplementedError, "WeightAverage: step - expected a method"),
        (lambda: optim.EMA(model()).load_state_dict({}), ValueError, "EMA: saved - expected 'steps' and 'arrays'"),
        (
            lambda: optim.EMA(model()).load_state_dict({"steps": 1, "arrays": {"x": np.zeros(2)}}),
            ValueError,
            "EMA: saved - expected .* got",
        ),
    ],
)
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: nn.Linear(2, 1), r"1.weight of shape \(3, 2\), as when .*, got \(1, 2\)|1.bias .* got \(1,\)"),
        (lambda: nn.Identity(), "got None; make a new average"),
        (lambda: nn.Sequential(nn.Linear(2, 3)), "expected 1.* of shape"),
    ],
)
@pytest.mark.parametrize("make", [optim.EMA, lambda net: optim.Lookahead(net, 9, every=1)])
def test_a_layer_that_was_replaced_needs_a_new_average(make, layer, message):
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 3))
    average = make(net)
    before = average.state_dict()["arrays"]
    net[1] = layer()
    with pytest.raises(ValueError, match=message):
        average.step()
    assert all(np.array_equal(array, before[path]) for path, array in average.arrays.items())


def test_an_average_that_keeps_nothing_is_the_model_and_equal_numbers_stay():
    model = nn.Linear(2, 1, bias=False)
    average = optim.EMA(model, 0.0)
    average.arrays["weight"][...] = 1e9
    average.step()
    np.testing.assert_array_equal(average.arrays["weight"], model.weight.data)
    average.decay = 0.3
    average.step()
    np.testing.assert_array_equal(average.arrays["weight"], model.weight.data)


@pytest.mark.parametrize(
    "arrays, error, message",
    [
        ([1.0], TypeError, "EMA: saved: arrays - expected an object of dict, got list"),
        ({"weight": [1.0]}, ValueError, "EMA: saved - expected weight as .*, got"),
    ],
)
def test_arrays_of_another_kind_are_refused_by_name(arrays, error, message):
    with pytest.raises(error, match=message):
        optim.EMA(nn.Linear(2, 1, bias=False)).load_state_dict({"steps": 1, "arrays": arrays})


def optimiser_step(net, average):
    for parameter in net.parameters():
        parameter.grad = np.ones_like(parameter.data)
    optim.SGD(net.parameters(), lr=0.1).step()


@pytest.mark.parametrize(
    "change, message",
    [
        (optimiser_step, r"SGD.step: parameters - expected .* got those inside `with EMA.applied\(\)`"),
        (lambda net, average: average.step(), "EMA.step: parameters - expected the weights of the training"),
        (lambda net, average: average.finish(), "EMA.finish: parameters - expected the weights of the training"),
        (
            lambda net, average: optim.Lookahead(net, 1, every=1).step(),
            "Lookahead.step: parameters - expected the weights of the training",
        ),
        (lambda net, average: net.load_state_dict(model().state_dict()), "EMA.applied: model .* got another"),
        (lambda net, average: net(Tensor(np.ones((2, 2, 3, 3), np.float32))), "EMA.applied: .* got another 1.running"),
    ],
)
def test_what_would_be_lost_at_the_end_of_applied_is_refused(change, message):
    net = model()
    average = optim.EMA(net, 0.5)
    moved(net, 1)
    average.step()
    own, kept = floats(net), average.state_dict()
    with pytest.raises(ValueError, match=message), average.applied():
        change(net, average)
    for path, array in floats(net).items():
        np.testing.assert_array_equal(array, own[path])
    assert average.steps == kept["steps"]
    for path, array in average.arrays.items():
        np.testing.assert_array_equal(array, kept["arrays"][path])
    optimiser_step(net, average)  # works again outside
    np.testing.assert_array_equal(net[0].weight.data, own["0.weight"] - np.float32(0.1))


def test_a_copy_made_inside_applied_learns_on_its_own():
    net = model()
    average = optim.EMA(net, 0.5)
    moved(net, 1)
    with average.applied(), average.applied():  # twice, and the inner end leaves the outer one open
        judged = copy.deepcopy(net)
        optimiser_step(judged, average)
    with average.applied():
        np.testing.assert_array_equal(judged[0].weight.data, net[0].weight.data - np.float32(0.1))
        with average.applied():
            pass
        with pytest.raises(ValueError, match="SGD.step: parameters"):
            optimiser_step(net, average)


@pytest.mark.parametrize(
    "make, other, message",
    [
        (optim.EMA, lambda net: optim.EMA(net, 0.5), "EMA: saved - expected .* decay=0.5, got that of one with 0.99"),
        (optim.EMA, lambda net: optim.Lookahead(net, 9), "Lookahead: saved - expected the state of Lookahead, .* EMA"),
        (
            lambda net: optim.Lookahead(net, 9),
            lambda net: optim.Lookahead(net, 8),
            "Lookahead: saved - expected .* total_steps=8, got that of one with 9",
        ),
    ],
)
def test_a_state_of_another_average_is_refused(make, other, message):
    with pytest.raises(ValueError, match=message):
        other(model()).load_state_dict(make(model()).state_dict())
