"""What all optimisers share: groups, which parameters move, errors, saving and loading."""

import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_cnn import autograd, nn, optim
from minitorch_cnn.tensor import Tensor

OPTIMIZERS = {
    "sgd": lambda params: optim.SGD(params, lr=0.1),
    "momentum": lambda params: optim.SGD(params, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda params: optim.Adam(params, lr=0.01, weight_decay=0.1),
    "adamw": lambda params: optim.AdamW(params, lr=0.01),
    "amsgrad": lambda params: optim.Adam(params, lr=0.01, amsgrad=True),
    "rmsprop": lambda params: optim.RMSprop(params, lr=0.01, momentum=0.5, centered=True),
    "muon": lambda params: optim.Muon(params, lr=0.1),
}
every_optimizer = pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)


def parameters(shapes=((3, 4), (5,), ()), seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return [nn.Parameter(np.asarray(rng.standard_normal(shape), dtype)) for shape in shapes]


def give_gradients(params, seed):
    rng = np.random.default_rng(seed)
    for parameter in params:
        parameter.grad = np.asarray(rng.standard_normal(parameter.shape), parameter.dtype)


def run(optimizer, params, steps, first=0):
    for step in range(first, first + steps):
        give_gradients(params, step)
        optimizer.step()


def values(params):
    return [parameter.data.copy() for parameter in params]


@every_optimizer
def test_a_step_goes_downhill(make):
    parameter = nn.Parameter([3.0, -2.0])
    optimizer = make([parameter])
    for _ in range(20):
        optimizer.zero_grad()
        loss = (parameter * parameter).sum()
        loss.backward()
        optimizer.step()
    assert (parameter * parameter).sum().item() < 13


@every_optimizer
def test_parameters_without_a_gradient_or_frozen_stay(make):
    params = parameters()
    optimizer = make(params)
    give_gradients(params, 1)
    params[0].grad, params[1].requires_grad = None, False
    before = values(params)
    optimizer.step()
    np.testing.assert_array_equal(params[0].data, before[0])
    np.testing.assert_array_equal(params[1].data, before[1])
    assert params[2].data != before[2]


@every_optimizer
def test_gradients_of_any_memory_order_are_read_by_position(make):
    a, b = parameters(((3, 4),)), parameters(((3, 4),))
    give_gradients(a, 1)
    b[0].grad = np.asfortranarray(a[0].grad)
    make(a).step()
    make(b).step()
    np.testing.assert_array_equal(a[0].data, b[0].data)


@every_optimizer
def test_a_tensor_that_is_not_contiguous_is_changed_too(make):
    strided, plain = (
        Tensor(np.ones((3, 4), np.float32)[:, ::2], requires_grad=True),
        nn.Parameter(np.ones((3, 2), np.float32)),
    )
    give_gradients([strided], 1)
    give_gradients([plain], 1)
    make([strided]).step()
    make([plain]).step()
    np.testing.assert_array_equal(strided.data, plain.data)


@every_optimizer
def test_a_step_between_forward_and_backward_is_noticed(make):
    parameter = nn.Parameter([1.0, 2.0])
    optimizer, loss = make([parameter]), (parameter * parameter).sum()
    parameter.grad = np.ones(2, np.float32)
    optimizer.step()
    with pytest.raises(autograd.GraphError, match="changed in place"):
        loss.backward()


@pytest.mark.parametrize(
    "make",
    [
        lambda params, **more: optim.SGD(params, 0.1, 0.9, weight_decay=0.1, **more),
        lambda params, **more: optim.SGD(params, 0.1, decoupled=True, weight_decay=0.1, **more),
        lambda params, **more: optim.Adam(params, weight_decay=0.1, amsgrad=True, **more),
        lambda params, **more: optim.AdamW(params, weight_decay=0.1, **more),
        lambda params, **more: optim.RMSprop(params, momentum=0.5, weight_decay=0.1, centered=True, **more),
        lambda params, **more: optim.Muon(params, 0.1, weight_decay=0.1, **more),
    ],
)
def test_maximize_is_a_step_with_the_gradients_negated(make):
    climbing, falling = parameters(), parameters()
    upward, downward = make(climbing, maximize=True), make(falling)
    for step in range(3):
        give_gradients(climbing, step)
        give_gradients(falling, step)
        for parameter in falling:
            parameter.grad = np.asarray(-parameter.grad)
        kept = [parameter.grad.copy() for parameter in climbing]
        upward.step()
        downward.step()
        for parameter, grad in zip(climbing, kept, strict=True):  # the gradient itself stays as it was
            np.testing.assert_array_equal(parameter.grad, grad)
    for one, other in zip(climbing, falling, strict=True):
        np.testing.assert_array_equal(one.data, other.data)


def test_maximize_belongs_to_a_group_and_is_saved_with_it():
    params = parameters()
    optimizer = optim.SGD([{"params": params[:1], "maximize": True}, {"params": params[1:]}], lr=0.1, momentum=0.9)
    saved = json.loads(json.dumps(optimizer.state_dict()["groups"]))
    assert [saved[number]["maximize"] for number in "01"] == [True, False]
    run(optimizer, params, 2)
    other = parameters()
    for parameter, kept in zip(other, params, strict=True):
        parameter.data = kept.data.copy()
    again = optim.SGD([{"params": other[:1]}, {"params": other[1:]}], lr=0.1, momentum=0.9)
    again.load_state_dict(optimizer.state_dict())
    run(optimizer, params, 2, first=2)
    run(again, other, 2, first=2)
    for one, two in zip(params, other, strict=True):
        np.testing.assert_array_equal(one.data, two.data)


@every_optimizer
def test_a_file_from_before_maximize_is_read(make):
    params = parameters()
    optimizer = make(params)
    run(optimizer, params, 1)
    saved = optimizer.state_dict()
    for options in saved["groups"].values():
        del options["maximize"]
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["maximize"] is False
    saved["groups"]["0"]["maximize"] = "yes"
    with pytest.raises(TypeError, match=r"maximize - expected True or False, got 'yes'"):
        optimizer.load_state_dict(saved)


def test_an_optimiser_of_ones_own_may_have_maximize():
    class Plain(optim.Optimizer):
        def __init__(self, params, maximize):
            super().__init__(params, {"maximize": maximize})

        def _check_group(self, group):
            pass

        def _update(self, parameter, grad, state, group):
            parameter -= grad

    parameter = nn.Parameter([1.0])
    parameter.grad = np.array([0.25], np.float32)
    Plain([parameter], True).step()
    assert parameter.data == 1.25


def test_zero_grad_forgets_gradients():
    params = parameters()
    give_gradients(params, 0)
    optim.SGD(params, lr=0.1).zero_grad()
    assert all(parameter.grad is None for parameter in params)


def test_groups_have_their_own_options():
    params = parameters()
    optimizer = optim.SGD([{"params": params[:1], "lr": 1.0}, {"params": params[1:]}], lr=0.5)
    before = values(params)
    for parameter in params:
        parameter.grad = np.ones_like(parameter.data)
    optimizer.step()
    for parameter, old, lr in zip(params, before, (1.0, 0.5, 0.5), strict=True):
        np.testing.assert_allclose(parameter.data, old - lr, rtol=1e-6)


def test_a_single_tensor_counts_as_a_list_of_one():
    parameter = nn.Parameter([1.0])
    assert optim.SGD(parameter, lr=0.1).param_groups[0]["params"] == [parameter]
    assert optim.SGD([{"params": parameter}], lr=0.1).param_groups[0]["params"] == [parameter]


def computed():
    return nn.Parameter([1.0]) * 2.0


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda p: optim.SGD([], lr=0.1), ValueError, "SGD: params - expected at least one parameter, got none"),
        (lambda p: optim.Adam([{"params": []}]), ValueError, "Adam: params - expected at least one parameter"),
        (
            lambda p: optim.SGD([p, p], lr=0.1),
            ValueError,
            r"SGD: params - expected each parameter once, got one of \(2,\)",
        ),
        (
            lambda p: optim.SGD([{"params": [p]}, {"params": [p]}], lr=0.1),
            ValueError,
            "SGD: params - expected each parameter once",
        ),
        (lambda p: optim.SGD([p.data], lr=0.1), TypeError, "SGD: params - expected Tensors, got ndarray"),
        (
            lambda p: optim.SGD([{"params": [p]}, p], lr=0.1),
            TypeError,
            "SGD: params - expected Tensors, or dicts with 'pa",
        ),
        (
            lambda p: optim.SGD([{"lr": 1.0}], lr=0.1),
            TypeError,
            "SGD: params - expected Tensors, or dicts with 'params'",
        ),
        (lambda p: optim.SGD([computed()], lr=0.1), ValueError, "SGD: params - expected floating leaves of the graph"),
        (lambda p: optim.SGD([Tensor([1])], lr=0.1), ValueError, "SGD: params - expected floating leaves of the graph"),
        (
            lambda p: optim.SGD([{"params": [p], "rate": 1}], lr=0.1),
            ValueError,
            "SGD: params - expected options among lr, momentum, nesterov, weight_decay, decoupled, maximize, got rate",
        ),
        (lambda p: optim.SGD([p], lr=-1), ValueError, "SGD: lr - expected at least 0, got -1"),
        (lambda p: optim.SGD([{"params": [p], "lr": -1}], lr=1), ValueError, "SGD: lr - expected at least 0, got -1"),
        (lambda p: optim.SGD([p], lr=1, momentum=-0.1), ValueError, r"SGD: momentum - expected at least 0, got -0\.1"),
        (
            lambda p: optim.SGD([p], lr=1, weight_decay=-1),
            ValueError,
            "SGD: weight_decay - expected at least 0, got -1",
        ),
        (
            lambda p: optim.SGD([p], lr=1, nesterov=True),
            ValueError,
            "SGD: nesterov - expected False where momentum is 0, got True",
        ),
        (lambda p: optim.Adam([p], lr=-1), ValueError, "Adam: lr - expected at least 0, got -1"),
        (lambda p: optim.Adam([p], eps=-1), ValueError, "Adam: eps - expected at least 0, got -1"),
        (lambda p: optim.AdamW([p], weight_decay=-1), ValueError, "AdamW: weight_decay - expected at least 0, got -1"),
        (
            lambda p: optim.Adam([p], betas=(0.9, 1.0)),
            ValueError,
            r"Adam: betas - expected two numbers from 0 to below 1, got \(0\.9, 1\.0\)",
        ),
        (lambda p: optim.Adam([p], betas=(0.9,)), ValueError, "Adam: betas - expected two numbers"),
        (lambda p: optim.Adam([p], betas=0.9), TypeError, r"Adam: betas - expected two numbers .*, got 0\.9"),
        (lambda p: optim.SGD([p], lr="0.1"), TypeError, "SGD: lr - expected a number, got '0.1'"),
        (lambda p: optim.SGD([p], lr=True), TypeError, "SGD: lr - expected a number, got True"),
        (lambda p: optim.SGD([p], lr=np.inf), ValueError, "SGD: lr - expected a finite number, got inf"),
        (lambda p: optim.Adam([p], eps=np.inf), ValueError, "Adam: eps - expected a finite number, got inf"),
        (
            lambda p: optim.SGD([p], 0.1, 0.9, nesterov="no"),
            TypeError,
            "SGD: nesterov - expected True or False, got 'no'",
        ),
        (lambda p: optim.SGD({p}, lr=0.1), TypeError, "SGD: params - expected a list, got a set"),
        (lambda p: optim.SGD([{"params": {p}}], lr=0.1), TypeError, "SGD: params - expected a list, got a set"),
        (lambda p: optim.SGD(nn.Linear(1, 1), 0.1), TypeError, r"SGD: params .* got Linear; call its parameters\(\)"),
        (lambda p: optim.SGD(nn.Linear(1, 1).parameters, 0.1), TypeError, "SGD: params - expected an iterable of"),
        (lambda p: optim.SGD(None, 0.1), TypeError, "SGD: params - expected an iterable of Tensors or dicts, got None"),
    ],
)
def test_bad_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make(nn.Parameter([1.0, 2.0]))


def test_a_misshapen_gradient_is_refused_before_anything_moves():
    params = parameters()
    optimizer = optim.SGD(params, lr=0.1)
    give_gradients(params, 0)
    params[1].grad = np.zeros(4, np.float32)
    before = values(params)
    with pytest.raises(
        ValueError, match=r"SGD: gradient of parameter 1 - expected \(\(5,\), .*float32.*\), got \(\(4,\)"
    ):
        optimizer.step()
    assert all(np.array_equal(a, b) for a, b in zip(before, values(params), strict=True))
    params[1].grad = 1.0
    with pytest.raises(ValueError, match=r"SGD: gradient of parameter 1 - expected .*, got \(1.0, None\)"):
        optimizer.step()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda group: group.update(lr=np.nan), ValueError, "SGD: lr - expected at least 0, got nan"),
        (lambda group: group.update(momentum="0.9"), TypeError, "SGD: momentum - expected a number, got '0.9'"),
        (lambda group: group.pop("lr"), ValueError, "SGD: param_groups - expected a group with lr, got none"),
    ],
)
def test_an_option_that_was_set_wrong_later_is_refused_before_anything_moves(change, error, message):
    params = parameters()
    optimizer = optim.SGD(params, lr=0.1)
    give_gradients(params, 0)
    before = values(params)
    change(optimizer.param_groups[0])
    with pytest.raises(error, match=message):
        optimizer.step()
    assert all(np.array_equal(a, b) for a, b in zip(before, values(params), strict=True))


def test_a_saved_state_is_a_dict():
    with pytest.raises(TypeError, match="SGD: saved - expected a dict with 'groups', got str"):
        optim.SGD(parameters(), lr=0.1).load_state_dict("checkpoint")


def test_a_parameter_that_changed_its_dtype_needs_a_new_optimiser():
    net = nn.Linear(2, 2)
    optimizer = optim.Adam(net.parameters())
    run(optimizer, list(net.parameters()), 1)
    net.double()
    give_gradients(net.parameters(), 1)
    with pytest.raises(ValueError, match="Adam: m of parameter 0 - expected 4 elements of float64, got 4 of float32"):
        optimizer.step()


# ------------------------------------------------------------------------ saving and loading


@every_optimizer
def test_loading_goes_on_to_the_last_bit(make):
    straight, stopped = parameters(), parameters()
    a, b = make(straight), make(stopped)
    run(a, straight, 7)
    run(b, stopped, 3)
    resumed = [nn.Parameter(parameter.data) for parameter in stopped]
    c = make(resumed)
    c.load_state_dict(b.state_dict())
    run(c, resumed, 4, first=3)
    for x, y in zip(values(straight), values(resumed), strict=True):
        np.testing.assert_array_equal(x, y)


def split_for_a_file(tree, path=""):
    """Return arrays and the rest as a checkpoint would store them."""
    arrays = {}
    for key, value in list(tree.items()):
        if isinstance(value, dict):
            arrays.update(split_for_a_file(value, f"{path}{key}/"))
        elif isinstance(value, np.ndarray):
            arrays[path + key] = tree.pop(key)
    return arrays


@every_optimizer
def test_all_but_the_arrays_survives_json(make):
    params = parameters()
    optimizer = make(params)
    run(optimizer, params, 2)
    saved = optimizer.state_dict()
    rest = copy.deepcopy(saved)
    arrays = split_for_a_file(rest)
    rest = json.loads(json.dumps(rest))
    for path, array in arrays.items():
        *parents, name = path.split("/")
        place = rest
        for parent in parents:
            place = place[parent]
        place[name] = array
    other_params = [nn.Parameter(parameter.data) for parameter in params]
    other = make(other_params)
    other.load_state_dict(rest)
    run(optimizer, params, 2, first=2)
    run(other, other_params, 2, first=2)
    for x, y in zip(values(params), values(other_params), strict=True):
        np.testing.assert_array_equal(x, y)


def test_a_state_dict_is_a_snapshot():
    params = parameters()
    optimizer = optim.Adam(params)
    run(optimizer, params, 1)
    saved = optimizer.state_dict()
    kept = saved["state"]["0"]["m"].copy()
    run(optimizer, params, 1)
    np.testing.assert_array_equal(saved["state"]["0"]["m"], kept)
    other = optim.Adam(parameters())
    other.load_state_dict(saved)
    run(other, other.param_groups[0]["params"], 1)
    np.testing.assert_array_equal(saved["state"]["0"]["m"], kept)


def test_loading_brings_the_options():
    optimizer = optim.SGD(parameters(), lr=0.1, momentum=0.9)
    other = optim.SGD(parameters(), lr=0.7, momentum=0.5)
    other.load_state_dict(optimizer.state_dict())
    assert other.param_groups[0]["lr"] == 0.1 and other.param_groups[0]["momentum"] == 0.9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("groups"), "SGD: saved - expected 'groups', got 'state', 'shapes', .* without 'groups'"),
        (lambda s: s["groups"]["0"].pop("lr"), r"SGD: saved - expected the options \{'0': \['decoupled', 'lr'"),
        (lambda s: s["groups"].update({"1": {}}), "SGD: saved - expected the options"),
        (lambda s: s["groups"]["0"].update(lr=-1.0), "SGD: lr - expected at least 0, got -1.0"),
        (lambda s: s["state"]["1"].pop("velocity"), "SGD: saved state of parameter 1 - expected velocity, got"),
        (lambda s: s["state"].update({"3": {}}), "SGD: saved - expected positions below 3, got 3"),
        (
            lambda s: s["state"]["1"].update(velocity=np.zeros(4, np.float32)),
            r"SGD: saved velocity of parameter 1 - expected \(\(5,\), .*float32.*\), got \(\(4,\)",
        ),
        (lambda s: s["state"].update(x=s["state"].pop("1")), "SGD: saved - expected positions below 3, got x"),
        (lambda s: s["state"]["1"].update(velocity=1.0), "saved velocity of parameter 1 - expected an array, got 1.0"),
        (lambda s: s["shapes"].pop("0"), "SGD: saved - expected in group 0 parameters of the shapes .*, got None"),
        (lambda s: s.update(shapes=True), "SGD: saved - expected in group 0 parameters of the shapes .*, got True"),
        (lambda s: s.update(kind="Adam"), "SGD: saved - expected the state of SGD, got that of Adam"),
        (lambda s: s["shapes"]["0"].reverse(), "SGD: saved - .* make the optimiser with the same parameters in the"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, message):
    params = parameters()
    optimizer = optim.SGD(params, lr=0.1, momentum=0.9)
    run(optimizer, params, 1)
    saved, before = optimizer.state_dict(), optimizer.state_dict()
    saved["groups"]["0"]["lr"] = 5.0
    change(saved)
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(saved)
    after = optimizer.state_dict()
    assert after["groups"] == before["groups"]
    assert all(np.array_equal(after["state"][k]["velocity"], before["state"][k]["velocity"]) for k in before["state"])


def two_groups(first, second, make=optim.Adam):
    return make([{"params": first, "lr": 0.5}, {"params": second, "lr": 0.25}])


@pytest.mark.parametrize(
    "other",
    [
        lambda a, b, c: two_groups([a], [b, c]),  # divided otherwise: b would take the rate of the second group
        lambda a, b, c: two_groups([b, a], [c]),  # b is the transposed form of a: as many elements
        lambda a, b, c: two_groups([a, b], [c, nn.Parameter(np.zeros(2))]),
        lambda a, b, c: two_groups([a, b], [nn.Parameter(np.zeros((3, 3)))]),
    ],
    ids=["divided otherwise", "another order", "one more", "another shape"],
)
def test_a_state_of_other_parameters_is_refused(other):
    a, b, c = (nn.Parameter(np.ones(shape)) for shape in ((2, 3), (3, 2), (2, 3)))
    optimizer = two_groups([a, b], [c])
    run(optimizer, [a, b, c], 1)
    with pytest.raises(ValueError, match="Adam: saved - expected in group [01] parameters of the shapes"):
        other(a, b, c).load_state_dict(optimizer.state_dict())


def test_a_file_from_before_shapes_is_read():
    params = parameters()
    optimizer = optim.RMSprop(params)
    run(optimizer, params, 1)
    saved = optimizer.state_dict()
    del saved["shapes"]
    optimizer.load_state_dict(saved)


def test_a_count_of_steps_that_is_none_is_refused_at_once():
    params = parameters()
    optimizer = optim.Adam(params)
    run(optimizer, params, 1)
    saved = optimizer.state_dict()
    saved["state"]["0"]["step"] = "1"
    with pytest.raises(TypeError, match="Adam: saved state of parameter 0: step - expected an integer, got '1'"):
        optimizer.load_state_dict(saved)


@settings(max_examples=20, deadline=None)
@given(
    shape=st.lists(st.integers(0, 4), max_size=3).map(tuple),
    steps=st.integers(0, 3),
    kind=st.sampled_from([*OPTIMIZERS]),
)
def test_saving_and_loading_at_any_step_and_shape(shape, steps, kind):
    first, second = parameters([shape]), parameters([shape])
    a, b = OPTIMIZERS[kind](first), OPTIMIZERS[kind](second)
    run(a, first, steps)
    b.load_state_dict(a.state_dict())
    second[0].data[...] = first[0].data
    run(a, first, 1, first=steps)
    run(b, second, 1, first=steps)
    np.testing.assert_array_equal(first[0].data, second[0].data)


def test_numbers_of_numpy_are_kept_as_numbers_that_json_holds():
    parameter = nn.Parameter([1.0])
    adam = optim.Adam([parameter], betas=(np.float64(0.5), np.float32(0.75)))
    for optimizer in (optim.SGD([parameter], lr=np.float32(0.5)), adam):
        json.dumps(optimizer.state_dict())


@every_optimizer
def test_a_group_added_later_learns_and_a_wrong_one_changes_nothing(make):
    first, second = parameters()[:2]
    optimizer = make([first])
    run(optimizer, [first], 2)
    for wrong in ({"params": [first]}, {"params": [second], "lr": -1}, [second]):
        with pytest.raises((TypeError, ValueError), match="expected"):
            optimizer.add_param_group(wrong)
        assert len(optimizer.param_groups) == 1
    optimizer.add_param_group({"params": [second], "lr": 0.5})
    before = second.data.copy()
    run(optimizer, [first, second], 1, first=2)
    assert (second.data != before).all() and optimizer.param_groups[1]["lr"] == 0.5
    other = make([*parameters()[:2]][:1])
    other.add_param_group({"params": [parameters()[1]]})
    other.load_state_dict(optimizer.state_dict())
    assert other.param_groups[1]["lr"] == 0.5


def test_amsgrad_needs_its_maxima():
    params = parameters()
    optimizer = optim.Adam(params[:1], amsgrad=True)
    optimizer.add_param_group({"params": params[1:], "amsgrad": False})
    run(optimizer, params, 2)
    saved = optimizer.state_dict()
    optimizer.load_state_dict(saved)
    del saved["state"]["0"]["largest"]
    with pytest.raises(ValueError, match="saved state of parameter 0 - expected step, m, v, largest, got step, m, v"):
        optimizer.load_state_dict(saved)
    saved["groups"]["0"]["amsgrad"] = False
    optimizer.load_state_dict(saved)


def test_a_file_from_before_amsgrad_is_read():
    params = parameters()
    optimizer = optim.Adam(params)
    run(optimizer, params, 1)
    saved = optimizer.state_dict()
    for options in saved["groups"].values():
        del options["amsgrad"]
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["amsgrad"] is False


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"alpha": 1}, ValueError, "RMSprop: alpha - expected 0 to below 1, got 1"),
        ({"alpha": 2}, ValueError, "RMSprop: alpha - expected 0 to 1, got 2"),
        ({"momentum": -1}, ValueError, "RMSprop: momentum - expected at least 0, got -1"),
        ({"centered": "no"}, TypeError, "RMSprop: centered - expected True or False, got 'no'"),
    ],
)
def test_options_of_rmsprop(options, error, message):
    with pytest.raises(error, match=message):
        optim.RMSprop(parameters(), **options)


def test_adam_does_not_take_the_state_of_adam_with_decoupled_decay():
    """They keep the same arrays and options, and decay the weights in another way."""
    one, other = optim.Adam(parameters(), weight_decay=0.1), optim.AdamW(parameters(), weight_decay=0.1)
    with pytest.raises(ValueError, match="AdamW: saved - expected the state of AdamW, got that of Adam"):
        other.load_state_dict(one.state_dict())
    saved = one.state_dict()
    del saved["kind"]  # as older versions wrote it
    other.load_state_dict(saved)
