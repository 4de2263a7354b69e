"""Every public argument refuses what it cannot be by a message that says what is expected, not by an error of Python.

The functions and classes are found by their names, so a new one fails `test_every_function_is_tried` until it has a
line in `CALLS`, or a reason in `ELSEWHERE`. A call is made with one wrong value after the other in place of each
argument; flags are left to `test_flags`, operations to the table of operations.
"""

import inspect
import os

import numpy as np
import pytest
from PIL import Image

from minitorch_cnn import Tensor, data, explain, models, nn, ops, optim, train, weights
from tests.test_flags import callables, is_flag, is_result


class Other:
    """Neither its objects nor the class are what an argument can be, but for a function."""

    def __init__(self, *given, **named):
        pass


WRONG = {"None": None, "object": Other(), "type": Other, "list": [None], "dict": {1: 2}, "complex": 1j, "text": "x\0"}
OF_A_SYSTEM = FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError
X = np.random.default_rng(0).standard_normal((2, 3, 6, 6)).astype(np.float32)
LINES = np.arange(16.0).reshape(4, 4)
SHAPE = (1, 3, 6, 6)
RECIPE = train.Recipe("small", model="mlp", epochs=1, batch_size=4, crop_padding=0, workers=0)
ADDED = np.ones((4, 3, 3, 3), np.float32)
WINDOWS = "AvgPool1d", "AvgPool2d", "MaxPool1d", "MaxPool2d"
SIZES = "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d"
NORMS = "BatchNorm1d", "BatchNorm2d", "InstanceNorm1d", "InstanceNorm2d", "SyncBatchNorm2d"
PADS = tuple(f"{kind}Pad{axes}d" for kind in ("Circular", "Reflection", "Replication", "Zero") for axes in (1, 2))
PLAIN = "BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "HuberLoss", "L1Loss", "MSELoss", "NLLLoss", "SmoothL1Loss"
PLAIN += "Dropout", "ELU", "Flatten", "LeakyReLU", "LogSoftmax", "PReLU", "Softmax", "Softplus", "Identity"
PLAIN += "GELU", "GlobalAvgPool", "GlobalMaxPool", "Hardsigmoid", "Hardswish", "Mish", "ReLU", "ReLU6", "SELU", "SiLU"
PLAIN += "Sigmoid", "Tanh"
CHANCES = "ColorJitter", "Cutout", "Flip", "Mixing", "PadCrop", "RandAugment", "RandomErasing"
CHANCES += "RandomResizedCrop", "Rotate", "Translate"
READERS = "is_own", "load", "load_metadata", "load_safetensors"
NETWORKS = "MLP", "LeNet5", "Cifar4", "ResNet9", "Air"


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.GlobalAvgPool(), nn.Linear(4, 2))


def images():
    return data.ArrayDataset(np.zeros((8, 8, 8, 3), np.uint8), np.arange(8) % 2, ("a", "b"), (0.5,) * 3, (0.5,) * 3)


def parameters():
    parameter = nn.Parameter(np.ones((2, 3), np.float32))
    parameter.grad = np.ones((2, 3), np.float32)
    return [parameter]


def sgd():
    return optim.SGD(parameters(), 0.1)


def classifier():
    architecture = {"name": "mlp", "num_classes": 2, "image_size": 8}
    facts = {"architecture": architecture, "classes": ["a", "b"], "mean": [0.5] * 3, "std": [0.5] * 3}
    return train.Classifier(models.create(**architecture), facts)


def pattern():
    return explain.pattern(explain.topology(network(), SHAPE))


def block():
    return {"x": Tensor(X), "bn": nn.BatchNorm2d(3), "conv": nn.Conv2d(3, 3, 3)}


CALLS = {  # name: the arguments of a call that succeeds, or a function that makes them
    **{f"data.{name}": {} for name in CHANCES},
    "data.ArrayDataset": {
        "images": np.zeros((2, 4, 4, 3), np.uint8),
        "labels": np.arange(2),
        "classes": ("a", "b"),
        "mean": (0.5,) * 3,
        "std": (0.5,) * 3,
    },
    "data.DataLoader": lambda: {"dataset": images(), "batch_size": 2},
    "data.ImageFolder": {"root": "pictures"},
    "data.ImageTable": {"file": "table.csv"},
    "data.Resize": {"size": (4, 4)},
    "data.find_pictures": {"folder": "pictures"},
    "data.hold_out": lambda: {"dataset": images(), "count": 2},
    "data.read_picture": {"path": "pictures/a/0.png"},
    "data.read_samples": lambda: {"dataset": images()},
    "data.survey": {"source": "pictures"},
    "explain.as_matrix": lambda: {"layer": nn.Conv2d(1, 1, 3), "input_shape": (1, 1, 5, 5)},
    "explain.conv": {"x": LINES, "weight": np.ones((2, 2))},
    "explain.conv_gradient": {"x": LINES, "weight": np.ones((2, 2))},
    "explain.dataset": lambda: {"train_set": images()},
    "explain.deep_network": {"kind": "plain", "depth": 8},
    "explain.explore": lambda: {"classifier": classifier(), "images": np.zeros((1, 8, 8, 3), np.uint8)},
    "explain.feature_maps": lambda: {"model": network(), "image": X[:1]},
    "explain.field_growth": lambda: {"networks": {"a": (network(), SHAPE)}},
    "explain.filter_film": {"layer": "0", "frames": [("a", ADDED), ("b", ADDED)]},
    "explain.filters": lambda: {"model": network()},
    "explain.grad_cam": lambda: {"model": network(), "x": X, "layer": "0"},
    "explain.gradient_norms": {"depths": (8,), "kinds": ("plain",)},
    "explain.graph": lambda: {"result": network()(Tensor(X))},
    "explain.learn_flip": {"weight": np.ones((2, 2)), "steps": 1},
    "explain.normalised": lambda: {"pixels": images().images, "dataset": images()},
    "explain.occlusion": lambda: {"model": network(), "x": X, "size": 3},
    "explain.patches": lambda: {"model": network(), "layer": "0", "dataset": images()},
    "explain.pattern": lambda: {"topology": explain.topology(network(), SHAPE)},
    "explain.pool": {"x": LINES, "kernel": 2},
    "explain.pool_gradient": {"x": LINES, "kernel": 2},
    "explain.poster": {"networks": (("lenet5", "LeNet-5", 1998),)},
    "explain.receptive_field": lambda: {
        "model": network(), "layer": "0", "y": 1, "x": 1,
        "input_shape": SHAPE, "images": 0,
    },
    "explain.saliency": lambda: {"model": network(), "x": X},
    "explain.seen": {"files": ["a.png"], "probabilities": [{"a": 1.0}], "size": 8},
    "explain.shared": lambda: {"patterns": [pattern()]},
    "explain.shift_sensitivity": {"images": np.zeros((2, 1, 16, 16), np.float32)},
    "explain.side_by_side": {"x": LINES, "weight": np.ones((2, 2))},
    "explain.summary": lambda: {"model": network(), "input_shape": SHAPE},
    "explain.topology": lambda: {"model": network(), "input_shape": SHAPE},
    "models.create": {"name": "mlp"},
    "models.native_input": {"name": "mlp"},
    **{f"models.{name}": {} for name in NETWORKS},
    **{f"nn.{name}": {} for name in PLAIN},
    **{f"nn.{name}": {"kernel_size": 2} for name in WINDOWS},
    **{f"nn.{name}": {"output_size": 2} for name in SIZES},
    **{f"nn.{name}": {"num_features": 4} for name in NORMS},
    **{f"nn.{name}": {"padding": 1} for name in PADS},
    **{f"nn.ConstantPad{axes}d": {"padding": 1, "value": 0.0} for axes in (1, 2)},
    **{
        f"nn.{name}": {"in_channels": 4, "out_channels": 4, "kernel_size": 3}
        for name in ("Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d")
    },
    "nn.GroupNorm": {"num_groups": 2, "num_channels": 4},
    "nn.LayerNorm": {"normalized_shape": 4},
    "nn.Linear": {"in_features": 3, "out_features": 2},
    "nn.LocalResponseNorm": {"size": 3},
    "nn.ModuleDict": lambda: {"items": {"a": nn.ReLU()}},
    "nn.ModuleList": lambda: {"modules": [nn.ReLU()]},
    "nn.Parameter": {"data": [1.0]},
    "nn.ParameterDict": lambda: {"items": {"a": nn.Parameter([1.0])}},
    "nn.ParameterList": lambda: {"parameters": [nn.Parameter([1.0])]},
    "nn.RMSNorm": {"normalized_shape": 4},
    "nn.Residual": lambda: {"body": nn.ReLU()},
    "nn.Resize": {"size": 3},
    "nn.bn_act_conv": block,
    "nn.conv_bn_act": block,
    "nn.fold_batch_norm": lambda: {"model": network(), "input_shape": SHAPE},
    "nn.fuse": lambda: {"model": network()},
    "nn.sync_batch_norm": lambda: {"model": network(), "total": lambda array: array},
    **{f"optim.{name}": lambda: {"params": parameters()} for name in ("Adam", "AdamW", "RMSprop")},
    **{f"optim.{name}": lambda: {"params": parameters(), "lr": 0.1} for name in ("SGD", "Muon")},
    "optim.CosineLR": lambda: {"optimizer": sgd(), "total_steps": 9},
    "optim.CosineRestartsLR": lambda: {"optimizer": sgd(), "period": 3},
    "optim.EMA": lambda: {"model": network()},
    "optim.ExponentialLR": lambda: {"optimizer": sgd(), "gamma": 0.9},
    "optim.LambdaLR": lambda: {"optimizer": sgd(), "factor": float},
    "optim.Lookahead": lambda: {"model": network(), "total_steps": 9},
    "optim.MultiStepLR": lambda: {"optimizer": sgd(), "milestones": [1, 2]},
    "optim.OneCycleLR": lambda: {"optimizer": sgd(), "max_lr": 1.0, "total_steps": 9},
    "optim.PiecewiseLinearLR": lambda: {"optimizer": sgd(), "points": [(0, 0.1), (5, 1.0)]},
    "optim.ReduceLROnPlateau": lambda: {"optimizer": sgd()},
    "optim.StepLR": lambda: {"optimizer": sgd(), "step_size": 3},
    "optim.WarmupLR": lambda: {"schedule": optim.StepLR(sgd(), 3), "warmup_steps": 3},
    "optim.WeightAverage": lambda: {"model": network()},
    "optim.clip_grad_norm": lambda: {"parameters": parameters(), "max_norm": 1.0},
    "optim.clip_grad_value": lambda: {"parameters": parameters(), "clip_value": 1.0},
    "train.Checkpoints": {"folder": "."},
    "train.Classifier": lambda: {"model": classifier().model, "metadata": classifier().metadata},
    "train.Recipe": {"name": "small"},
    "train.RunFolder": {"path": "run"},
    "train.Runs": {"runs": [], "broken": []},
    "train.augmentation": {"recipe": RECIPE},
    "train.few_images": {"recipe": RECIPE, "count": 3},
    "train.only_head_learns": lambda: {"model": network(), "freeze_until": None},
    "train.recipe": {"name": "mlp"},
    "train.replace_head": lambda: {"model": network(), "num_classes": 3},
    "train.runs": {"folder": "pictures"},
    **{f"weights.{name}": {"path": "a.safetensors"} for name in READERS},
    "weights.load_onnx": {"path": "a.onnx"},
    "weights.load_pth": {"path": "a.pth"},
    "weights.save": {"path": "b.safetensors", "state_dict": {"a": ADDED}},
    "weights.save_onnx": lambda: {"path": "b.onnx", "model": network(), "input_shape": SHAPE},
    "weights.save_pth": {"path": "b.pth", "state_dict": {"a": ADDED}},
    "testing.compare": lambda: {"layer": ops.tanh, "reference": np.tanh},
    "testing.gradcheck": lambda: {"function": nn.Tanh()},
}
MORE = {"testing.compare": (Tensor([1.0]),), "testing.gradcheck": (Tensor([1.0]),)}  # after the first arguments
ELSEWHERE = {  # why a function or class is not called here
    "its own tests pass files and folders of datasets": ("CIFAR10", "CIFAR100", "MNIST", "FashionMNIST", "fetch"),
    "draws pictures for a minute": ("Shapes10", "build_lecture", "copy_lecture", "efficiency"),
    "tests/train/test_arguments.py": ("Trainer", "find_rate", "transfer", "more", "connect", "Reporter"),
    "tests/train/report/test_runs.py": ("train.compare",),
    "takes the records of a trace": ("receptive_fields",),
    "made by the library": ("Explorer", "Lecture", "BackwardTrace", "Dataset", "Alone", "SingleProcess", "Mpi"),
    "made by it, too": ("MpiProcesses", "LiveChart", "TensorBoard", "Progress", "TrainingState", "environment"),
    "tests/models check those of networks from the registry": (
        *("VGG", "AlexNet", "AlexNet2012", "AllCNN", "AllCNNImageNet", "DenseNet", "ResNet", "from_file", "list"),
        *("load_pretrained", "register", "resnet18"),
    ),
    "takes any number of modules, or a base class": ("Sequential", "Concat", "Module", "Optimizer", "Schedule"),
    "has no arguments, or lists of layers of DenseNet": ("possible_workers", "dense_block", "mutants", "strategies"),
}
SKIPPED = {name for names in ELSEWHERE.values() for name in names}
CHECKED = "data", "explain", "models", "nn", "optim", "testing", "train", "weights"
FOUND = {n: v for n, v in callables() if n.split(".")[0] in CHECKED and n.count(".") == 1 and not is_result(v)}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Go to a folder with the files that the calls read."""
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        os.makedirs(f"pictures/{name}")
        for number in range(3):
            Image.new("RGB", (8, 8)).save(f"pictures/{name}/{number}.png")
    rows = [f"pictures/{name}/{number}.png,{name}\n" for name in "ab" for number in range(3)]
    (tmp_path / "table.csv").write_text("path,label\n" + "".join(rows))
    weights.save("a.safetensors", {"a": ADDED})
    weights.save_pth("a.pth", {"a": ADDED})


def given(name):
    return CALLS[name]() if callable(CALLS[name]) else dict(CALLS[name])


def error_of(name, arguments):
    """Return the error of a call, or None."""
    try:
        FOUND[name](*arguments.values(), *MORE[name]) if name in MORE else FOUND[name](**arguments)
    except Exception as error:
        return error
    return None


def test_every_function_is_tried():
    assert len(CALLS) > 150
    assert {name for name in FOUND if not {name, name.split(".")[1]} & SKIPPED} == set(CALLS)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CALLS)
def test_what_an_argument_cannot_be_is_refused_by_what_is_expected(name, folder):
    if name.endswith("_onnx"):
        pytest.importorskip("onnx")
        weights.save_onnx("a.onnx", network(), SHAPE)
    assert error_of(name, given(name)) is None
    known = inspect.signature(FOUND[name]).parameters
    wanted = list(given(name)) if name in MORE else known
    for argument in wanted:
        if is_flag(known[argument]) or known[argument].kind is inspect.Parameter.VAR_KEYWORD:
            continue
        for what, value in WRONG.items():
            error = error_of(name, given(name) | {argument: value})
            if error is None:  # not an error: None is the default, and objects may be written as text
                allowed = ("Any", "Callable") if what == "type" else ("Any",)
                fits = any(word in str(known[argument].annotation) for word in allowed)
                assert fits or what not in ("object", "type"), (argument, what)
                continue
            assert isinstance(error, (TypeError, ValueError, *OF_A_SYSTEM)), (argument, what, error)
            assert isinstance(error, OF_A_SYSTEM) or "expected" in str(error), (argument, what, str(error))
