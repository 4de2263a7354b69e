"""Every public argument that is a flag takes True or False alone: "no", 2 or None would silently count as one of them.

The flags are found by their signatures, so a new one fails these tests until it has a line in `CALLS`.
"""

import inspect
import re

import numpy as np
import pytest

import minitorch_cnn as mt
from minitorch_cnn import Tensor, autograd, data, explain, models, nn, ops, optim, testing, train, weights

MODULES = {"mt": mt} | {
    module.__name__.rpartition(".")[2]: module
    for module in (autograd, data, explain, models, nn, ops, optim, testing, train, weights)
}
REFUSED = "no", "True", 2, 1, 0.0, None, [True], (), np.ones(3, bool), np.array(True)
X = Tensor(np.random.default_rng(0).standard_normal((2, 3, 6, 6)).astype(np.float32))
ROWS, SIGNALS = Tensor(X.data.reshape(18, 12)), Tensor(X.data.reshape(2, 6, 18))
PIXELS, NAMES = np.zeros((8, 8, 8, 1), np.uint8), ("red", "blue")
STATISTICS = np.zeros(3, np.float32), np.ones(3, np.float32)


def parameter():
    return nn.Parameter(np.ones((2, 3), np.float32))


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.GlobalAvgPool())


def trainer(**flag):
    images = data.ArrayDataset(PIXELS, np.arange(8) % 2, NAMES, (0.5,), (0.5,))
    recipe = train.Recipe("small", model="cifar4", epochs=1, batch_size=99, crop_padding=0, workers=0)
    return train.Trainer(recipe, images, None, **flag)


CALLS = {
    "autograd.Variable": lambda **flag: Tensor([1.0], **flag),
    "autograd.Variable.backward": lambda **flag: Tensor([1.0], requires_grad=True).sum().backward(**flag),
    "data.ArrayDataset": lambda **flag: data.ArrayDataset(PIXELS, np.arange(8) % 2, NAMES, (0,), (1,), **flag),
    "data.CIFAR10": lambda **flag: data.CIFAR10("nowhere", **flag),
    "data.CIFAR100": lambda **flag: data.CIFAR100("nowhere", **flag),
    "data.DataLoader": lambda **flag: data.DataLoader(data.Shapes10(size=4), 2, **flag),
    "data.FashionMNIST": lambda **flag: data.FashionMNIST("nowhere", **flag),
    "data.ImageFolder": lambda **flag: data.ImageFolder("nowhere", **flag),
    "data.ImageTable": lambda **flag: data.ImageTable("nowhere", **flag),
    "data.MNIST": lambda **flag: data.MNIST("nowhere", **flag),
    "data.Shapes10": lambda **flag: data.Shapes10(size=4, **flag),
    "explain.grad_cam": lambda **flag: explain.grad_cam(network(), X, "0", **flag),
    "explain.pool": lambda **flag: explain.pool(np.ones((4, 4)), 2, "avg", **flag),
    "explain.pool_gradient": lambda **flag: explain.pool_gradient(np.ones((4, 4)), 2, "avg", **flag),
    "models.DenseNet": lambda **flag: models.DenseNet((1, 1), 2, 4, 10, image_size=8, stem="cifar", **flag),
    "models.ResNet": lambda **flag: models.ResNet(models.resnet.BasicBlock, (1,), (4,), 10, 3, 8, "cifar", **flag),
    "models.VGG": lambda **flag: models.VGG("A", 10, image_size=8, **flag),  # which is too small
    "models.create": lambda **flag: models.create("lenet5", **flag),
    "models.resnet18": lambda **flag: models.resnet18(path="nowhere", **flag),
    "mt.Tensor": lambda **flag: Tensor([1.0], **flag),
    "nn.Conv1d": lambda **flag: nn.Conv1d(2, 2, 3, **flag),
    "nn.Conv2d": lambda **flag: nn.Conv2d(2, 2, 3, **flag),
    "nn.ConvTranspose1d": lambda **flag: nn.ConvTranspose1d(2, 2, 3, **flag),
    "nn.ConvTranspose2d": lambda **flag: nn.ConvTranspose2d(2, 2, 3, **flag),
    "nn.AdaptiveMaxPool1d": lambda **flag: nn.AdaptiveMaxPool1d(2, **flag),
    "nn.AdaptiveMaxPool2d": lambda **flag: nn.AdaptiveMaxPool2d(2, **flag),
    "nn.AvgPool1d": lambda **flag: nn.AvgPool1d(2, **flag),
    "nn.AvgPool2d": lambda **flag: nn.AvgPool2d(2, **flag),
    "nn.BatchNorm1d": lambda **flag: nn.BatchNorm1d(2, **flag),
    "nn.BatchNorm2d": lambda **flag: nn.BatchNorm2d(2, **flag),
    "nn.BatchNorm2d.forward": lambda **flag: nn.BatchNorm2d(3)(X, **flag),
    "nn.Conv2d.forward": lambda **flag: nn.Conv2d(3, 2, 1)(X, **flag),
    "nn.GroupNorm": lambda **flag: nn.GroupNorm(1, 2, **flag),
    "nn.InstanceNorm1d": lambda **flag: nn.InstanceNorm1d(2, **flag),
    "nn.InstanceNorm2d": lambda **flag: nn.InstanceNorm2d(2, **flag),
    "nn.LayerNorm": lambda **flag: nn.LayerNorm(2, **flag),
    "nn.Linear": lambda **flag: nn.Linear(2, 2, **flag),
    "nn.MaxPool1d": lambda **flag: nn.MaxPool1d(2, **flag),
    "nn.MaxPool2d": lambda **flag: nn.MaxPool2d(2, **flag),
    "nn.Module.load_state_dict": lambda **flag: network().load_state_dict(network().state_dict(), **flag),
    "nn.Module.train": lambda **flag: network().train(**flag),
    "nn.Parameter": lambda **flag: nn.Parameter([1.0], **flag),
    "nn.RMSNorm": lambda **flag: nn.RMSNorm(2, **flag),
    "nn.Resize": lambda **flag: nn.Resize(2, **flag),
    "nn.SyncBatchNorm2d": lambda **flag: nn.SyncBatchNorm2d(2, **flag),
    "nn.fuse": lambda **flag: nn.fuse(network(), **flag),
    "ops.adaptive_max_pool1d": lambda **flag: ops.adaptive_max_pool1d(SIGNALS, 2, **flag),
    "ops.adaptive_max_pool2d": lambda **flag: ops.adaptive_max_pool2d(X, 2, **flag),
    "ops.avg_pool1d": lambda **flag: ops.avg_pool1d(SIGNALS, 2, **flag),
    "ops.avg_pool2d": lambda **flag: ops.avg_pool2d(X, 2, **flag),
    "ops.batch_norm": lambda **flag: ops.batch_norm(X, None, None, *STATISTICS, **flag),
    "ops.batch_norm_relu": lambda **flag: ops.batch_norm_relu(X, None, None, *STATISTICS, **flag),
    "ops.dropout": lambda **flag: ops.dropout(X, **flag),
    "ops.instance_norm": lambda **flag: ops.instance_norm(X, None, None, *STATISTICS, **flag),
    **{
        f"ops.{name}": lambda name=name, **flag: getattr(ops, name)(X, **flag)
        for name in ("sum", "mean", "max", "min", "var", "prod")
    },
    "ops.max_pool1d": lambda **flag: ops.max_pool1d(SIGNALS, 2, **flag),
    "ops.max_pool2d": lambda **flag: ops.max_pool2d(X, 2, **flag),
    "ops.resize": lambda **flag: ops.resize(X, 3, **flag),
    "ops.topk": lambda **flag: ops.topk(X, 2, **flag),
    "optim.Adam": lambda **flag: optim.Adam([parameter()], **flag),
    "optim.AdamW": lambda **flag: optim.AdamW([parameter()], **flag),
    "optim.Muon": lambda **flag: optim.Muon([parameter()], 0.1, **flag),
    "optim.RMSprop": lambda **flag: optim.RMSprop([parameter()], **flag),
    "optim.SGD": lambda **flag: optim.SGD([parameter()], 0.1, 0.9, **flag),
    "testing.gradcheck": lambda **flag: testing.gradcheck(nn.Tanh(), Tensor([1.0]), **flag),
    "train.Recipe": lambda **flag: train.Recipe("small", model="cifar4", epochs=1, **flag),
    "train.Trainer": trainer,  # more images to a batch than there are
    **{
        f"mt.Tensor.{name}": lambda name=name, **flag: getattr(X, name)(**flag)
        for name in ("sum", "mean", "max", "min", "var", "argmax", "argmin")
    },
}


def callables():
    """Yield (name, callable) of every public function and class, and of every public method of a class."""
    for short, module in MODULES.items():
        for name in getattr(module, "__all__", dir(module)):
            value = getattr(module, name)
            if name.startswith("_") or not getattr(value, "__module__", "").startswith("minitorch_cnn"):
                continue
            if inspect.isfunction(value) or inspect.isclass(value):
                yield f"{short}.{name}", value
            if inspect.isclass(value):
                methods = {key: own for key, own in vars(value).items() if inspect.isfunction(own) and key[0] != "_"}
                yield from ((f"{short}.{name}.{key}", own) for key, own in methods.items())


def is_flag(argument):
    text = str(argument.annotation).replace("tuple[bool, ...]", "")
    of_arrays = "_SupportsArray" in text  # NumPy's ArrayLike, which old versions write out: it has bool among others
    return isinstance(argument.default, bool) or ("bool" in text and not of_arrays)


def flags():
    """Return {"owner: argument": its parameter} of all flags that users give."""
    found = {}
    for name, value in callables():
        for argument in inspect.signature(value).parameters.values() if not is_result(value) else ():
            if is_flag(argument):
                found[f"{name}: {argument.name}"] = argument
    return found


def is_result(value):
    """Return whether users get objects of a class but do not make them: a dataclass that checks nothing, an error."""
    made = hasattr(value, "__dataclass_fields__") and not hasattr(value, "__post_init__")
    return made or (inspect.isclass(value) and issubclass(value, (BaseException, tuple)))


FLAGS = flags()


def refusal(name, value):
    """Return the error of a call with this value of a flag, "" if there is none."""
    owner, argument = name.split(": ")
    try:
        CALLS[owner](**{argument: value})
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def test_every_flag_is_tried():
    assert len(FLAGS) > 100
    assert {name.split(": ")[0] for name in FLAGS} == set(CALLS)


@pytest.mark.parametrize("name", FLAGS)
def test_a_flag_is_true_or_false(name):
    argument = FLAGS[name]
    for value in REFUSED:
        if value is None and "None" in str(argument.annotation):
            continue
        kind = "ValueError" if name.startswith("train.Recipe") else "TypeError"  # as for all fields of a recipe
        assert re.match(rf"{kind}: [\w.]+: {argument.name} - expected .*True.*, got ", refusal(name, value)), value


def test_the_mode_of_a_layer_is_true_or_false():
    layer = nn.BatchNorm2d(3)
    for value in REFUSED:
        with pytest.raises(TypeError, match="BatchNorm2d: training - expected True or False, got "):
            layer.training = value
    layer.training = np.False_
    np.testing.assert_array_equal(layer(X).data, layer.eval()(X).data)


@pytest.mark.parametrize("name", FLAGS)
def test_booleans_of_numpy_are_flags_too(name):
    for value in (True, False):
        assert refusal(name, np.bool_(value)) == refusal(name, value), value
        assert "expected True" not in refusal(name, np.bool_(value)) or name.endswith((": nesterov", ": bias"))
