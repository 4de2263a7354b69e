"""Everything public survives `pickle` and `copy.deepcopy`: names are found, and objects keep all their values."""

import contextlib
import copy
import inspect
import io
import pickle

import numpy as np
import pytest

import minitorch_cnn as mt
from minitorch_cnn import autograd, data, explain, models, nn, ops, optim, rng, shapes, testing, train, weights

MODULES = (mt, autograd, data, explain, models, nn, nn.init, ops, optim, rng, shapes, testing, train, weights)
HOW = {"pickle": lambda value: pickle.loads(pickle.dumps(value)), "deepcopy": copy.deepcopy}

# Classes whose objects belong to one process or block, that only subclasses make, that are copied with their graph, or
# that are Modules of 60 million weights.
WITHOUT_OBJECTS = {autograd.Function, optim.Optimizer, optim.Schedule, train.MpiProcesses}
WITHOUT_OBJECTS |= {train.TensorBoard}  # of a package that may be missing
WITHOUT_OBJECTS |= {data.Dataset}  # what other classes are like
WITHOUT_OBJECTS |= {autograd.setting, autograd.trace, autograd.Node}
WITHOUT_OBJECTS |= {models.AlexNet, models.AlexNet2012, models.VGG}


def public(module):
    names = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
    return {name: getattr(module, name) for name in names}


CALLABLES = {
    f"{module.__name__}.{name}": value
    for module in MODULES
    for name, value in public(module).items()
    if inspect.isclass(value) or inspect.isfunction(value)
}
CLASSES = {
    value
    for value in CALLABLES.values()
    if inspect.isclass(value) and value.__module__.startswith("minitorch") and value not in WITHOUT_OBJECTS
}
ERRORS = sorted((cls for cls in CLASSES if issubclass(cls, BaseException)), key=lambda cls: cls.__name__)


@pytest.mark.parametrize("how", HOW)
def test_classes_and_functions_are_found_again_by_their_names(how):
    other = {name: value for name, value in CALLABLES.items() if HOW[how](value) is not value}
    assert len(CALLABLES) > 200 and not other


# ------------------------------------------------------------------------------------- objects


def images(count=16):
    pixels = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)
    return data.ArrayDataset(pixels, np.arange(count) % 2, ("red", "blue"), (0.4,) * 3, (0.3,) * 3)


def tensor(*shape):
    return mt.Tensor(np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape))


def small():
    convolution = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()
    return nn.Sequential(*convolution, nn.GlobalAvgPool(), nn.Linear(4, 2))


def trained(optimizer):
    """Return an optimizer after a step, so that it has a state."""
    (parameter,) = [p for group in optimizer.param_groups for p in group["params"]]
    parameter.grad = np.ones_like(parameter.data)
    optimizer.step()
    return optimizer


def sgd():
    return trained(optim.SGD([nn.Parameter(np.ones(3, np.float32))], lr=0.1, momentum=0.9))


def layers():
    """Return an object of each layer, made with the first arguments that it takes."""
    inner = nn.Conv2d(2, 2, 3, padding=1)
    tried = ((), (2,), (3, 2), (2, 4), (2, 3, 3), (inner,), ([inner],), ((2, 2),), (inner, nn.Tanh()))
    made = [first_object(cls, tried) for cls in public(nn).values() if is_layer(cls)]
    return [*made, small(), nn.Parameter(np.ones(2))]


def is_layer(value):
    return inspect.isclass(value) and issubclass(value, nn.Module)


def first_object(cls, tried):
    for arguments in tried:
        with contextlib.suppress(TypeError, ValueError):
            return cls(*arguments)
    raise AssertionError(f"{cls.__name__} takes none of {tried}")


def zoo():
    with rng.undrawn_weights():
        names = ["mlp", "lenet5", "air80", "cifar4"]
        names += ["resnet9", "resnet20", "allcnn_c", "allcnn_imagenet", "densenet40_k12"]
        return [models.create(name) for name in names]


def training(folder):
    recipe = train.Recipe("small", model="cifar4", epochs=1, batch_size=8, crop_padding=0, workers=0)
    trainer = train.Trainer(recipe, images(), folder / "run", model=small(), reporter=train.Reporter(io.StringIO()))
    trainer.fit()
    judged = trainer.classifier.evaluate(images())
    predicted = train.Prediction("a.png", "red", 0.75, {"red": 0.75, "blue": 0.25})
    parts = trainer.state, trainer.progress, trainer.classifier, trainer.checkpoints, trainer.folder
    found = train.FoundRate(0.1, "said", [0.1], [1.0], [1.0], "small")
    seen = train.runs(folder)
    return [
        trainer,
        recipe,
        judged,
        predicted,
        found,
        seen,
        seen.runs[0],
        *parts,
        train.Reporter(io.StringIO()),
        train.SingleProcess(),
    ]


def explained(folder):
    x, kernel = np.arange(25.0).reshape(5, 5), np.arange(9.0).reshape(3, 3)
    model, shape = small().eval(), (1, 3, 8, 8)
    summary, topology = explain.summary(model, shape), explain.topology(model, shape)
    pattern, graph = explain.pattern(topology), explain.graph(loss())
    film = explain.filter_film("0", frames=[(0, model[0].weight.data), (1, model[0].weight.data)])
    return [
        *(explain.conv(x, kernel), explain.side_by_side(kernel), explain.learn_flip(kernel, steps=2)),
        *(explain.as_matrix(model[0], (1, 3, 4, 4)), summary, summary.layers[0], topology, topology.nodes[0]),
        *(graph, graph.operations[0], pattern, pattern.stages[0], film, explain.filters(model)),
        *(explain.field_growth({"small": (model, shape)}), explain.feature_maps(model, tensor(*shape[1:]))),
        *(explain.saliency(model, tensor(*shape)), explain.patches(model, "0", images(), k=1)),
        explain.receptive_field(model, "0", 4, 4, input_shape=shape),
        *(
            explain.Lecture("page", []),
            explain.BackwardTrace([]),
            explain.Explorer({"title": "page", "bits": []}),
            explain.dataset(images()),
            explain.seen(["a.png"], [{"red": 1.0}], 8),
        ),
        *(explain.shift_sensitivity(shifts=(1,)), explain.gradient_norms(depths=(8,), kinds=("plain",))),
    ]


def loss():
    x = mt.Tensor([1.0, 2.0], requires_grad=True)
    return (x * x).sum()


def others(folder):
    report = testing.gradcheck(ops.exp, mt.Tensor(np.ones(2)))
    schedules = [cls(sgd(), argument) for cls, argument in SCHEDULES]
    return [
        sgd(),
        *(trained(cls([nn.Parameter(np.ones(2))])) for cls in (optim.Adam, optim.AdamW, optim.RMSprop)),
        trained(optim.Muon([nn.Parameter(np.ones((2, 2)))], 0.1)),
        *(*schedules, optim.WarmupLR(schedules[0], 2), optim.OneCycleLR(sgd(), max_lr=0.1, total_steps=5)),
        *(images(), data.DataLoader(images(), batch_size=8), data.Cutout(2), data.Flip(), data.PadCrop(1)),
        *(data.AlternatingFlip(), data.ColorJitter(0.1), data.RandAugment(), data.RandomErasing(), data.Rotate(5)),
        data.Mixing(0.2),
        *(data.RandomResizedCrop(0.5), optim.EMA(small()), optim.Lookahead(small(), 5), optim.WeightAverage(small())),
        *(optim.PiecewiseLinearLR(sgd(), [(0, 0.2), (5, 1.0)]), train.LiveChart()),
        *(data.Resize(4), data.Translate(1), mt.Tensor([1.0, 2.0]), autograd.Context((True,))),
        *(
            optim.ReduceLROnPlateau(sgd()),
            data.Survey(images(), images(), ["a"], ["b"], ("a", (1, 2)), ("b", (3, 4)), []),
        ),
        *(autograd.Variable(np.ones(2)), report, report.tensors[0], models.Pretrained(small(), 2, 8, (0.5,), (0.2,))),
        *(loss().backward(trace=True)[0], autograd.ModuleCall({1: "body"}), autograd.Record(ops.exp, (), None, {}, "")),
        *(explain.Field(None, None, 4), ops.DenseNetStage(None, None, tensor(1, 1, 1, 1), None, None, {"groups": 1})),
    ]


def halved(step):
    return 0.5**step


SCHEDULES = [
    *((optim.StepLR, 2), (optim.MultiStepLR, [2]), (optim.CosineLR, 5), (optim.CosineRestartsLR, 5)),
    *((optim.ExponentialLR, 0.9), (optim.LambdaLR, halved)),
]
GROUPS = {"layers": lambda folder: layers(), "models": lambda folder: zoo()}
GROUPS |= {"training": training, "explain": explained, "others": others}


def state(value):
    """Return what an object holds, in a form that `==` compares."""
    if isinstance(value, np.ndarray):
        return ("array", value.dtype.str, value.shape, value.tobytes())
    if isinstance(value, dict):
        return [(state(key), state(inner)) for key, inner in value.items()]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(state, value)]
    if isinstance(value, io.StringIO):
        return value.getvalue()
    if inspect.isclass(value) or inspect.isroutine(value):
        return value.__qualname__
    held = getattr(value, "__dict__", None)
    if held is None:
        return value if type(value).__eq__ is not object.__eq__ else type(value)
    return [type(value), state(dict(sorted(held.items())))]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("group", GROUPS)
def test_objects_come_back_equal(group, how, tmp_path):
    for value in GROUPS[group](tmp_path):
        assert state(HOW[how](value)) == state(value), type(value)


def test_every_public_class_has_been_copied(tmp_path):
    copied = {type(value) for name, make in GROUPS.items() for value in make(tmp_path / name)}
    missing = CLASSES - copied - set(ERRORS)
    assert not missing, missing


# -------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("cls", ERRORS, ids=lambda cls: cls.__name__)
def test_errors_keep_their_message(cls, how):
    count = len([p for p in inspect.signature(cls.__init__).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD])
    error = cls(*["said"] * max(1, count - 1))
    again = HOW[how](error)
    assert (type(again), str(again), vars(again)) == (cls, str(error), vars(error))


def test_a_graph_that_was_pickled_with_its_model_goes_back_to_the_new_parameters():
    model = small()
    loss = nn.CrossEntropyLoss()(model(tensor(2, 3, 8, 8)), np.array([0, 1]))
    again, copied = HOW["pickle"]((loss, model))
    loss.backward()
    again.backward()
    for parameter, other in zip(model.parameters(), copied.parameters(), strict=True):
        np.testing.assert_array_equal(other.grad, parameter.grad)


def test_the_result_of_an_operation_is_not_deep_copied():
    """Its gradients would go to copies of the parameters, which nobody sees."""
    with pytest.raises(autograd.GraphError, match="deepcopy: expected a leaf of the graph, got a result"):
        copy.deepcopy(loss())
    assert copy.deepcopy(loss().detach()) == loss()
