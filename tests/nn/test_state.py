"""State dicts: all or nothing, and one message that lists every difference."""

import numpy as np
import pytest

from minitorch_cnn import nn
from minitorch_cnn.autograd import GraphError
from minitorch_cnn.tensor import Tensor


def net(features=4):
    return nn.Sequential(nn.Linear(3, features), nn.BatchNorm1d(features), nn.ReLU(), nn.Linear(features, 2))


def equal(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) and a[key].dtype == b[key].dtype for key in a)


def test_keys_are_those_of_pytorch_in_its_order():
    assert list(net().state_dict()) == [
        "0.weight",
        "0.bias",
        "1.weight",
        "1.bias",
        "1.running_mean",
        "1.running_var",
        "1.num_batches_tracked",
        "3.weight",
        "3.bias",
    ]


def test_the_counter_of_batches_is_an_int64_scalar():
    counter = net().state_dict()["1.num_batches_tracked"]
    assert counter.shape == () and counter.dtype == np.int64


def test_a_state_dict_is_a_snapshot():
    model = net()
    before = model.state_dict()
    model[0].weight.data[...] = 0
    assert before["0.weight"].any()


def test_a_state_dict_goes_into_another_model():
    source, target = net(), net()
    assert target.load_state_dict(source.state_dict()) == ([], [])
    assert equal(source.state_dict(), target.state_dict())


def test_loading_copies():
    source, target = net().state_dict(), net()
    target.load_state_dict(source)
    source["0.weight"][...] = 0
    assert target[0].weight.data.any()


def test_every_difference_is_in_one_message_and_nothing_is_loaded():
    model, other = net(), net().state_dict()
    before = model.state_dict()
    del other["0.bias"], other["1.running_var"]
    other["extra"] = np.zeros(1, np.float32)
    other["3.weight"] = np.zeros((7, 4), np.float32)
    other["3.bias"] = np.zeros(2, np.int64)
    other["1.bias"] = [0.0] * 4
    with pytest.raises(nn.StateDictError) as caught:
        model.load_state_dict(other)
    assert str(caught.value).splitlines() == [
        "load_state_dict: arrays - expected the entries of Sequential, got",
        "    1.bias: expected an ndarray, got list",
        "    3.bias: expected dtype float32, got int64",
        "    3.weight: expected shape (2, 4), got (7, 4)",
        "    missing 0.bias",
        "    missing 1.running_var",
        "    unexpected extra",
    ]
    assert isinstance(caught.value, ValueError) and equal(model.state_dict(), before)


def test_the_counter_of_batches_may_be_missing():
    model, other = net(), net().state_dict()
    del other["1.num_batches_tracked"]
    assert model.load_state_dict(other) == ([], [])


def test_without_strict_missing_and_unexpected_keys_are_returned():
    model, other = net(), net().state_dict()
    del other["0.bias"]
    other["extra"] = np.zeros(1)
    assert model.load_state_dict(other, strict=False) == (["0.bias"], ["extra"])
    np.testing.assert_array_equal(model[3].weight.data, other["3.weight"])


def test_without_strict_shapes_must_still_match():
    with pytest.raises(nn.StateDictError, match=r"0\.weight: expected shape \(4, 3\), got \(5, 3\)"):
        net().load_state_dict(net(5).state_dict(), strict=False)


def test_float64_arrays_go_into_float32_parameters():
    model, other = net(), net().double()
    model.load_state_dict(other.state_dict())
    assert model[0].weight.dtype == np.float32
    np.testing.assert_array_equal(model[0].weight.data, other[0].weight.data.astype(np.float32))


def test_half_precision_is_widened():
    model = net()
    other = {key: a.astype(np.float16) if a.dtype.kind == "f" else a for key, a in net().state_dict().items()}
    model.load_state_dict(other)
    assert model[0].weight.dtype == np.float32
    np.testing.assert_array_equal(model[0].weight.data, other["0.weight"])


def test_any_memory_order_is_taken():
    model, other = net(), net().state_dict()
    model.load_state_dict({key: np.asarray(array, order="F") for key, array in other.items()})
    np.testing.assert_array_equal(model[0].weight.data, other["0.weight"])
    assert model[0].weight.data.flags.c_contiguous


def test_a_shared_module_appears_under_each_of_its_names():
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert nn.Sequential(layer, nn.ReLU(), layer).load_state_dict(model.state_dict()) == ([], [])


def tied():
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.weight = first.weight
    return nn.Sequential(first, nn.BatchNorm1d(2), second)


def test_weights_that_are_not_shared_do_not_go_into_a_module_that_shares_them():
    model, norm = tied(), nn.BatchNorm1d(2)
    before, loose = model.state_dict(), nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2)).state_dict()
    for strict in (True, False):
        with pytest.raises(nn.StateDictError, match="2.weight: expected the array of 0.weight, which this"):
            model.load_state_dict(loose, strict)
    assert equal(before, model.state_dict())
    twice = nn.Sequential(norm, norm)
    arrays = twice.state_dict()
    arrays["1.running_mean"] += 1
    with pytest.raises(nn.StateDictError, match="1.running_mean: expected the array of 0.running_mean"):
        twice.load_state_dict(arrays)


@pytest.mark.parametrize("absent", ["0.weight", "2.weight"])
def test_one_name_of_a_shared_parameter_is_enough(absent):
    model = tied()
    arrays = model.state_dict()
    arrays["0.weight"] += 1
    arrays["2.weight"] = arrays["0.weight"]
    shared = arrays.pop(absent) * np.float32(1)
    assert model.load_state_dict(arrays) == ([], [])
    np.testing.assert_array_equal(model[2].weight.data, shared)
    with pytest.raises(nn.StateDictError, match=r"(?s)missing 0.weight.*missing 2.weight"):
        model.load_state_dict({key: array for key, array in arrays.items() if not key.endswith("weight")})


def test_shared_weights_with_nan_are_loaded():
    model = tied()
    model[0].weight.data[0, 0] = np.nan
    assert model.load_state_dict(model.state_dict()) == ([], [])


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ma.masked_array(np.ones((2, 2)), np.eye(2, dtype=bool)), "weight: expected an array without masked elem"),
        (np.array([[1, 2], [3, -1e300]]), r"weight: expected numbers that float32 can hold, got 1e\+300"),
    ],
)
def test_numbers_that_would_be_lost_are_refused(weight, message):
    model = nn.Linear(2, 2, bias=False)
    before = model.state_dict()
    with pytest.raises(nn.StateDictError, match=message):
        model.load_state_dict({"weight": weight})
    assert equal(before, model.state_dict())
    model.load_state_dict({"weight": np.ma.array([[1, 2], [3, np.inf]])})
    assert np.isinf(model.weight.data[1, 1])


def test_loading_between_forward_and_backward_is_noticed():
    model = net()
    out = model(Tensor(np.ones((2, 3), np.float32))).sum()
    model.load_state_dict(net().state_dict())
    with pytest.raises(GraphError, match="changed in place"):
        out.backward()


@pytest.mark.parametrize("arrays", ["x.pth", None, [np.zeros(2)]])
def test_a_state_that_is_not_a_dict_is_refused(arrays):
    with pytest.raises(TypeError, match="load_state_dict: arrays - expected a dict of arrays, got"):
        nn.Linear(1, 1).load_state_dict(arrays)
