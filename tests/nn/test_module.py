"""Registration, the tree, modes, freezing, dtypes, copies, and what a shape error says."""

import collections
import copy
import dataclasses
import functools
import pickle
import types

import numpy as np
import pytest

from minitorch_cnn import autograd, nn, ops
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.tensor import Tensor


class Block(nn.Module):
    def __init__(self):
        self.conv = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(4)

    def forward(self, x):
        return ops.relu(self.bn(self.conv(x)))


class Net(nn.Module):
    def __init__(self):
        self.block1 = Block()
        self.block2 = nn.Sequential(nn.Conv2d(4, 2, 1), nn.BatchNorm2d(2))
        self.fc = nn.Linear(2, 10)

    def forward(self, x):
        return self.fc(ops.global_avg_pool(self.block2(self.block1(x))))


def images(shape=(2, 3, 6, 6), seed=0):
    return Tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


# ------------------------------------------------------------------------------ parameters


def test_a_parameter_copies_its_data_and_requires_a_gradient():
    array = np.zeros((2, 3), np.float32)
    parameter = nn.Parameter(array)
    array[:] = 7
    assert parameter.requires_grad and not parameter.data.any()


def test_a_parameter_of_a_transposed_array_is_c_contiguous():
    parameter = nn.Parameter(np.arange(6.0).reshape(2, 3).T)
    assert parameter.data.flags.c_contiguous and parameter.dtype == np.float64
    np.testing.assert_array_equal(parameter.data, [[0, 3], [1, 4], [2, 5]])


def test_a_parameter_can_be_made_of_a_tensor_or_a_scalar():
    assert nn.Parameter(Tensor([1.0, 2.0])).dtype == np.float32
    assert nn.Parameter(0.5).shape == ()
    empty = nn.Parameter.empty(2, 3)
    assert (empty.shape, empty.dtype, empty.requires_grad) == ((2, 3), np.float32, True)


def test_a_parameter_refuses_integers():
    with pytest.raises(TypeError, match="Parameter: data - expected float32 or float64, got int64"):
        nn.Parameter(np.arange(3))


def test_the_result_of_an_operation_on_a_parameter_is_not_a_parameter():
    out = nn.Parameter([1.0, -1.0]) * 2.0
    assert type(out) is Tensor and out.requires_grad


# ---------------------------------------------------------------------------- registration


def test_parameters_and_modules_are_found_in_the_order_of_assignment():
    names = [name for name, _ in Net().named_parameters()]
    assert names == [
        "block1.conv.weight",
        "block1.bn.weight",
        "block1.bn.bias",
        "block2.0.weight",
        "block2.0.bias",
        "block2.1.weight",
        "block2.1.bias",
        "fc.weight",
        "fc.bias",
    ]


def test_named_modules_goes_depth_first_and_starts_with_the_module_itself():
    paths = [path for path, _ in Net().named_modules()]
    assert paths == ["", "block1", "block1.conv", "block1.bn", "block2", "block2.0", "block2.1", "fc"]


def test_children_are_the_modules_directly_inside():
    net = Net()
    assert [name for name, _ in net.named_children()] == ["block1", "block2", "fc"]
    assert list(net.children()) == [net.block1, net.block2, net.fc]


def test_replacing_a_layer_keeps_its_position():
    net = Net()
    net.block1 = nn.Conv2d(3, 4, 1)
    assert [name for name, _ in net.named_children()] == ["block1", "block2", "fc"]
    assert net.state_dict().keys() >= {"block1.weight", "block1.bias"}


def test_a_deleted_layer_is_gone():
    net = Net()
    del net.fc
    assert not any(name.startswith("fc") for name, _ in net.named_parameters())


def test_a_shared_module_counts_once_as_a_parameter():
    net = Net()
    net.again = net.fc
    assert sum(parameter is net.fc.weight for parameter in net.parameters()) == 1
    assert [path for path, module in net.named_modules() if module is net.fc] == ["fc"]


def test_a_subclass_need_not_call_the_base_constructor():
    class Scale(nn.Module):
        def __init__(self):
            self.factor = nn.Parameter([2.0])

    assert Scale().training and len(list(Scale().parameters())) == 1


def test_an_array_in_place_of_a_parameter_is_refused():
    net = Net()
    with pytest.raises(
        TypeError, match=r"Linear\.weight: value - expected a Parameter or None in place of one, got nda"
    ):
        net.fc.weight = np.zeros((10, 2))


def test_a_number_in_place_of_a_module_is_refused():
    with pytest.raises(TypeError, match=r"Net\.fc: value - expected a Module or None in place of one, got int"):
        Net().fc = 3


def layer():
    return nn.Linear(2, 2)


@dataclasses.dataclass
class Pair:
    first: object
    second: object


UNREGISTERED = {
    "list": lambda part: [part],
    "tuple": lambda part: (1, part),
    "dict": lambda part: {"a": part},
    "dict of keys": lambda part: {part: "a"},
    "ordered dict": lambda part: collections.OrderedDict(a=part),
    "values of a dict": lambda part: {"a": part}.values(),
    "set": lambda part: {part},
    "frozen set": lambda part: frozenset([part]),
    "deque": lambda part: collections.deque([part]),
    "nested": lambda part: [[1, {"a": ("b", [part])}]],
    "array of objects": lambda part: np.frompyfunc(lambda _: part, 1, 1)(np.arange(2)),
    "dataclass": lambda part: Pair(1, [part]),
    "namespace": lambda part: types.SimpleNamespace(a=part),
    "bound argument": lambda part: functools.partial(max, part),
    "bound keyword": lambda part: functools.partial(max, key=part),
}


@pytest.mark.parametrize("hold", UNREGISTERED.values(), ids=UNREGISTERED)
@pytest.mark.parametrize(
    "make", [layer, nn.ReLU, lambda: nn.Parameter([1.0])], ids=["layer", "no weights", "parameter"]
)
def test_modules_and_parameters_in_a_container_are_refused_because_they_would_not_be_trained(hold, make):
    class Bad(nn.Module):
        def __init__(self):
            self.parts = hold(make())

    with pytest.raises(
        TypeError, match=r"Bad\.parts: value - expected a ModuleList, Sequential or attributes one by one"
    ):
        Bad()


FILL_LATER = {
    "list": ([], lambda parts, part: parts.append(part)),
    "dict": ({}, lambda parts, part: parts.update(a=part)),
    "set": (set(), lambda parts, part: parts.add(part)),
    "list in a list": ([[]], lambda parts, part: parts[0].append(part)),
    "default dict": (collections.defaultdict(list), lambda parts, part: parts["a"].append(part)),
    "dataclass": (Pair(1, 2), lambda parts, part: setattr(parts, "second", part)),
    "namespace": (types.SimpleNamespace(), lambda parts, part: setattr(parts, "layer", part)),
}


@pytest.mark.parametrize("name", FILL_LATER)
@pytest.mark.parametrize(
    "use",
    [
        lambda net: list(net.parameters()),
        lambda net: list(net.modules()),
        lambda net: net.state_dict(),
        lambda net: net.load_state_dict({}),
        lambda net: net.train(),
        lambda net: net.zero_grad(),
        lambda net: net(images()),
        lambda net: list(nn.Sequential(net).parameters()),
    ],
    ids=["parameters", "modules", "state_dict", "load", "train", "zero_grad", "call", "outer"],
)
def test_a_container_that_is_filled_later_is_refused_at_the_first_use(name, use):
    class Bad(nn.Module):
        def __init__(self):
            self.parts = copy.deepcopy(FILL_LATER[name][0])
            FILL_LATER[name][1](self.parts, layer())

        def forward(self, x):
            return x

    net = Bad()
    with pytest.raises(TypeError, match=r"Bad\.parts: value - expected a ModuleList, .* neither trained nor saved"):
        use(net)


def test_a_later_filled_list_of_layers_that_are_attributes_too_is_fine():
    class Net(nn.Module):
        def __init__(self):
            self.order = []
            for i in range(2):
                setattr(self, f"layer{i}", layer())
                self.order.append(getattr(self, f"layer{i}"))
            self.order.append(self.layer0.weight)

    assert len(list(Net().parameters())) == 4


def test_ordinary_containers_are_left_alone():
    net = nn.Module()
    net.table = {"a": [1, 2.0, "b", None, np.ones(3)], "t": Tensor([1.0])}
    net.loop = loop = []
    loop.append(loop)
    assert not list(net.parameters())


@pytest.mark.parametrize("value", [layer(), nn.Parameter([1.0]), [layer()], {"a": layer()}])
def test_a_layer_of_the_class_itself_is_refused(value):
    with pytest.raises(
        TypeError, match=r"Bad\.part: value - expected an assignment to self in __init__, got one to the"
    ):
        type("Bad", (nn.Module,), {"part": value})


def test_a_cycle_of_modules_is_refused():
    net = Net()
    with pytest.raises(ValueError, match=r"Block\.parent: value - expected a module that does not contain this one"):
        net.block1.parent = net


def test_a_buffer_is_saved_and_not_learned():
    module = nn.Module()
    module.register_buffer("mean", np.ones(3))
    assert list(module.state_dict()) == ["mean"] and not list(module.parameters())
    module.mean = np.zeros(3)
    np.testing.assert_array_equal(module.state_dict()["mean"], np.zeros(3))


def test_a_buffer_is_an_array():
    module = nn.Module()
    with pytest.raises(TypeError, match=r"Module\.mean: value - expected an ndarray for a buffer, got float"):
        module.register_buffer("mean", 1.0)


@pytest.mark.parametrize("name", ["", "a.b", "weight", "forward", "training", "named_modules", 3])
def test_a_buffer_takes_the_name_of_nothing_else(name):
    module = nn.Linear(2, 2)
    before = list(module.state_dict())
    with pytest.raises((TypeError, ValueError), match="name - expected"):
        module.register_buffer(name, np.ones(2, np.float32))
    assert list(module.state_dict()) == before and callable(module.forward) and module.training is True


def test_a_buffer_that_is_registered_again_is_replaced():
    module = nn.Module()
    for value in (0, 1):
        module.register_buffer("mean", np.full(2, value))
    assert [(name, array.tolist()) for name, array in module.named_buffers()] == [("mean", [1, 1])]


@pytest.mark.parametrize("part", [nn.ReLU(), nn.Parameter([1.0])], ids=["module", "parameter"])
@pytest.mark.parametrize("name", ["train", "parameters", "children", "frozen", "a.b", ""])
def test_a_part_takes_no_name_that_every_module_has(part, name):
    module = nn.Module()
    with pytest.raises(ValueError, match="name - expected one without dots that no module has already"):
        setattr(module, name, part)
    assert not list(module.parameters()) and not list(module.children())


def test_calling_a_module_without_forward_raises():
    with pytest.raises(NotImplementedError, match="Module: forward - expected a method, got none"):
        nn.Module()(images())


def test_apply_visits_children_before_parents():
    seen = []
    net = Net()
    assert net.apply(seen.append) is net
    assert seen[-1] is net and seen.index(net.block1.conv) < seen.index(net.block1)
    assert len(seen) == len(list(net.modules()))


# ----------------------------------------------------------------------------------- modes


def test_train_and_eval_reach_every_module():
    net = Net()
    assert net.eval() is net and not any(module.training for module in net.modules())
    assert net.train() is net and all(module.training for module in net.modules())


def test_zero_grad_forgets_all_gradients():
    net = Net()
    net(images()).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    net.zero_grad()
    assert all(parameter.grad is None for parameter in net.parameters())


def frozen_paths(net):
    return [path for path, module in net.named_modules() if module.frozen]


def test_freeze_freezes_everything():
    net = Net().freeze()
    assert not any(parameter.requires_grad for parameter in net.parameters())
    assert all(module.frozen for module in net.modules())


def test_freeze_until_takes_everything_up_to_and_including_the_module():
    net = Net().freeze(until="block2")
    assert frozen_paths(net) == ["block1", "block1.conv", "block1.bn", "block2", "block2.0", "block2.1"]
    assert [name for name, p in net.named_parameters() if p.requires_grad] == ["fc.weight", "fc.bias"]


def test_freeze_until_a_module_inside_another_leaves_the_outer_one():
    net = Net().freeze(until="block2.0")
    assert frozen_paths(net) == ["block1", "block1.conv", "block1.bn", "block2.0"]


def test_freeze_keeps_running_statistics_and_leaves_gradients_alone():
    net = Net().freeze(until="block1")
    before = net.state_dict()
    net.train()(images()).sum().backward()
    after = net.state_dict()
    assert all(np.array_equal(before[k], after[k]) for k in before if k.startswith("block1"))
    assert not np.array_equal(before["block2.1.running_mean"], after["block2.1.running_mean"])
    assert net.block1.conv.weight.grad is None and net.fc.weight.grad is not None


def test_a_frozen_batch_norm_gives_the_same_in_training_and_evaluation():
    net, x = Net().freeze(until="block1"), images()
    np.testing.assert_array_equal(net.train().block1(x).data, net.eval().block1(x).data)


def test_unfreeze_undoes_freeze():
    net = Net().freeze().unfreeze()
    assert all(parameter.requires_grad for parameter in net.parameters()) and not frozen_paths(net)


@pytest.mark.parametrize("until", ["block3", "", "fc.weight"])
def test_freeze_until_an_unknown_module_lists_the_known_ones(until):
    with pytest.raises(ValueError, match=r"freeze: until - expected one of block1, block1\.conv, .*, fc, got"):
        Net().freeze(until=until)


def test_double_and_float_convert_parameters_and_floating_buffers():
    net = Net()
    net(images()).sum().backward()
    assert net.double() is net
    assert {p.dtype for p in net.parameters()} == {np.dtype(np.float64)}
    assert all(p.grad is None for p in net.parameters())
    assert net.block1.bn.running_mean.dtype == np.float64 and net.block1.bn.num_batches_tracked.dtype == np.int64
    assert net(Tensor(images().data.astype(np.float64))).dtype == np.float64
    assert net.float()(images()).dtype == np.float32


def test_to_dtype_refuses_other_dtypes():
    with pytest.raises(TypeError, match="to_dtype: dtype - expected float32 or float64, got .*float16"):
        Net().to_dtype(np.float16)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_a_copy_is_equal_and_independent(clone):
    net, x = Net().freeze(until="block1").eval(), images()
    other = clone(net)
    np.testing.assert_array_equal(net(x).data, other(x).data)
    with autograd.no_grad():
        other.fc.weight.fill_(0)
    assert net.fc.weight.data.any() and repr(net) == repr(other)
    assert [p.requires_grad for p in other.parameters()] == [p.requires_grad for p in net.parameters()]


# ----------------------------------------------------------------------- paths and errors


def test_every_operation_knows_the_path_of_its_module():
    with autograd.trace() as records:
        Net()(images())
    paths = [(record.path, record.op.__name__) for record in records]
    assert paths[:4] == [
        ("block1.conv", "Conv2d"),
        ("block1.bn", "BatchNorm"),
        ("block1", "ReLU"),
        ("block2.0", "Conv2d"),
    ]
    assert paths[-1][0] == "fc"


def test_the_path_starts_at_the_module_that_was_called():
    with autograd.trace() as records:
        Net().block1(images())
    assert [record.path for record in records] == ["conv", "bn", ""]


def test_a_shape_error_names_the_module_and_the_shapes_before_it():
    net = Net()
    net.block2[0] = nn.Conv2d(5, 2, 1)
    with pytest.raises(ShapeError) as caught:
        net(images())
    assert str(caught.value).splitlines() == [
        "conv2d: x - expected 5 channels (weight (2, 5, 1, 1), groups 1), got 4 (x (2, 4, 6, 6))",
        "in module block2.0",
        "6 -conv3 s1 p1-> 6, Conv2d expects 5 channels: use Conv2d(4, 2, ...)",
        "shapes so far:",
        "    block1.conv Conv2d (2, 3, 6, 6) -> (2, 4, 6, 6)",
        "    block1.bn BatchNorm (2, 4, 6, 6) -> (2, 4, 6, 6)",
        "    block1 ReLU (2, 4, 6, 6) -> (2, 4, 6, 6)",
    ]


def test_a_long_chain_of_shapes_shows_its_end():
    net = nn.Sequential(*(nn.ReLU() for _ in range(40)), nn.Linear(3, 1))
    repair = r"Linear expects 3: use Linear\(5, 1\)"
    end = rf"in module 40\n{repair}\nshapes so far:\n    \.\.\. 10 operations before\n    10 ReLU"
    with pytest.raises(ShapeError, match=end):
        net(images((2, 5)))


def test_a_shape_error_of_a_single_layer_is_left_as_it_is():
    with pytest.raises(ShapeError) as caught:
        nn.Conv2d(4, 2, 1)(images())
    assert "\n" not in str(caught.value)


def test_after_an_error_the_next_call_starts_anew():
    net = Net()
    with pytest.raises(ShapeError):
        net(images((2, 5, 6, 6)))
    assert autograd.module_call.get() is None
    assert net(images()).shape == (2, 10)


def test_a_traced_call_leaves_buffers_alone():
    net = Net()
    before = net.state_dict()
    out = net(Tensor.like_shape((4, 3, 8, 8)))
    assert out.traced and out.shape == (4, 10)
    assert all(np.array_equal(before[key], array) for key, array in net.state_dict().items())
