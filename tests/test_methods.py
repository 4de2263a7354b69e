"""Methods of public classes refuse what an argument cannot be by what is expected, not by an error of Python.

A line names the method and gives the object and the arguments of a call that succeeds; then one wrong value after the
other takes the place of each argument, as in `test_arguments`.
"""

import inspect

import numpy as np
import pytest

from minitorch_cnn import Tensor, data, optim, train
from tests.test_arguments import RECIPE, WRONG, classifier, images, network, sgd

X = np.zeros((2, 8, 8, 3), np.uint8)
SCHEDULES = {
    "CosineLR": lambda: optim.CosineLR(sgd(), 9),
    "CosineRestartsLR": lambda: optim.CosineRestartsLR(sgd(), 3),
    "ExponentialLR": lambda: optim.ExponentialLR(sgd(), 0.9),
    "LambdaLR": lambda: optim.LambdaLR(sgd(), float),
    "MultiStepLR": lambda: optim.MultiStepLR(sgd(), [1, 2]),
    "OneCycleLR": lambda: optim.OneCycleLR(sgd(), 1.0, 9),
    "PiecewiseLinearLR": lambda: optim.PiecewiseLinearLR(sgd(), [(0, 0.1), (5, 1.0)]),
    "ReduceLROnPlateau": lambda: optim.ReduceLROnPlateau(sgd()),
    "StepLR": lambda: optim.StepLR(sgd(), 3),
    "WarmupLR": lambda: optim.WarmupLR(optim.StepLR(sgd(), 3), 3),
}
CALLS = {  # method: the object, and arguments that it accepts
    **{f"{name}.lr": (make, lambda: {"step": 1}) for name, make in SCHEDULES.items()},
    **{f"{n}.load_state_dict": (new, lambda new=new: {"saved": new().state_dict()}) for n, new in SCHEDULES.items()},
    "ReduceLROnPlateau.step": (SCHEDULES["ReduceLROnPlateau"], lambda: {"measurement": 1.0}),
    "Lookahead.keep": (lambda: optim.Lookahead(network(), 9), lambda: {"step": 1}),
    "Mixing.weights": (
        lambda: data.Mixing(mixup=1.0),
        lambda: {"count": 2, "height": 4, "width": 4, "generator": np.random.default_rng(0)},
    ),
    "ArrayDataset.select": (images, lambda: {"indices": [0, 1]}),
    "DataLoader.iterate": (lambda: data.DataLoader(images(), 2), lambda: {"start_batch": 0}),
    "DataLoader.set_epoch": (lambda: data.DataLoader(images(), 2), lambda: {"epoch": 0}),
    "Module.apply": (network, lambda: {"function": lambda module: None}),
    "Module.freeze": (network, lambda: {"until": "0"}),
    "Module.load_state_dict": (network, lambda: {"arrays": network().state_dict()}),
    "Module.register_buffer": (network, lambda: {"name": "mean", "array": np.ones(2)}),
    "Module.register_forward_hook": (network, lambda: {"hook": lambda module, inputs, output: None}),
    "Module.to_dtype": (network, lambda: {"dtype": np.float64}),
    "Optimizer.load_state_dict": (sgd, lambda: {"saved": sgd().state_dict()}),
    "Tensor.add_": (lambda: Tensor([1.0]), lambda: {"other": 1.0}),
    "Tensor.copy_": (lambda: Tensor([1.0]), lambda: {"source": Tensor([2.0])}),
    "Tensor.fill_": (lambda: Tensor([1.0]), lambda: {"value": 2.0}),
    "Tensor.like_shape": (lambda: Tensor, lambda: {"shape": (2, 3), "dtype": np.float32}),
    "Tensor.mul_": (lambda: Tensor([1.0]), lambda: {"other": 2.0}),
    "Classifier.answers": (classifier, lambda: {"images": X}),
    "Classifier.classify": (classifier, lambda: {"paths": [], "on_error": print}),
    "Classifier.evaluate": (classifier, lambda: {"dataset": images(), "ranks": train.SingleProcess(), "views": 1}),
    "Classifier.labels": (classifier, lambda: {"dataset": images()}),
    "Classifier.logits": (classifier, lambda: {"images": X}),
}


def error_of(name, changed):
    make, given = CALLS[name]
    try:
        getattr(make(), name.split(".")[1])(**given() | changed)
    except Exception as error:
        return error
    return None


@pytest.mark.parametrize("name", CALLS)
def test_what_an_argument_of_a_method_cannot_be_is_refused_by_what_is_expected(name):
    assert error_of(name, {}) is None
    make, given = CALLS[name]
    known = inspect.signature(getattr(make(), name.split(".")[1])).parameters
    for argument in given():
        for what, value in WRONG.items():
            error = error_of(name, {argument: value})
            if error is None:  # not an error: None is the default, a class can be called, and an empty text is a name
                allowed = ("Any", "Callable", "str") if what in ("type", "text") else ("Any",)
                fits = any(word in str(known[argument].annotation) for word in allowed)
                assert fits or what not in ("object", "type", "text"), (argument, what)
                continue
            assert isinstance(error, (TypeError, ValueError, IndexError)), (argument, what, error)
            assert "expected" in str(error), (argument, what, str(error))


@pytest.mark.parametrize("ranks", ["x", "", 0, [], train.SingleProcess])
def test_a_trainer_takes_ranks_alone(ranks, tmp_path):
    with pytest.raises(TypeError, match="Trainer: ranks - expected an object of SingleProcess, got"):
        train.Trainer(RECIPE, images(), tmp_path / "run", ranks=ranks)
