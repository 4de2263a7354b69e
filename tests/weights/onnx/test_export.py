"""ONNX files give in ONNX Runtime what the model gives here."""

import copy
import itertools
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from minitorch_cnn import Tensor, models, nn, no_grad, ops, train, weights
from minitorch_cnn.autograd import TraceError
from minitorch_cnn.weights.onnx.registry import TRANSLATIONS
from tests.explain.page.engine import Call
from tests.explain.random_networks import CHANNELS, networks
from tests.ops.table import TABLE
from tests.ops.test_table import caller

oracle = pytest.mark.oracle
# Not for inference, or of values that only training has. `where` and `topk` choose by values, which a trace lacks.
ABSENT = {"dense_block", "topk", "dropout", "nll_loss", "sync_batch_norm", "where"}
ABSENT |= {name for name in TABLE if "entropy" in name or name in ("huber_loss", "smooth_l1_loss")}
REFUSED = {
    "index": "expected an index of slices",
    "gather": "expected an index of slices",
    "var": "expected a corrected variance",
}


@pytest.fixture(scope="module")
def runtime():
    pytest.importorskip("onnx")
    found = pytest.importorskip("onnxruntime")
    found.set_default_logger_severity(4)
    return found


def run(runtime, path, x):
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]).run(None, {"images": x})[0]


def requires_equal(runtime, path, model, x):
    """Export a model; require that its outputs are ours to 1e-4 of the largest, for other batches too."""
    any_batch = weights.save_onnx(path, model, x.shape)
    for images in [x] if not any_batch else [x, np.concatenate([x, x * 0.5, x[:1]])]:
        with no_grad():
            expected = model(Tensor(images)).data
        found = run(runtime, path, images)
        assert found.shape == expected.shape
        atol = 1e-4 * np.abs(expected).max(initial=0) + 1e-8
        np.testing.assert_allclose(found, expected, rtol=0, atol=atol)
    return any_batch


def small(name):
    return models.native_input(name)[1] <= 64


@oracle
@pytest.mark.parametrize("name", [name for name in models.list() if small(name)])
def test_networks_of_the_zoo(runtime, name, tmp_path):
    channels, side = models.native_input(name)
    x = np.random.default_rng(0).standard_normal((2, channels, side, side)).astype(np.float32)
    assert requires_equal(runtime, tmp_path / "m.onnx", models.create(name).eval(), x)


@oracle
@pytest.mark.parametrize("name", sorted(set(TABLE) - ABSENT))
def test_every_operation_alone(runtime, name, tmp_path):
    done = 0
    for arrays, at, hyper in TABLE[name].samples:
        if not arrays or not np.size(arrays[0]) or hyper.get("training"):
            continue
        model, x = Call(caller(name, at, hyper), *arrays[1:]), np.asarray(arrays[0], np.float32)
        try:
            requires_equal(runtime, tmp_path / "m.onnx", model, x)
        except weights.WeightFileError as error:
            assert REFUSED.get(name, "nothing") in str(error)
            continue
        done += 1
    assert done >= 3 or name in REFUSED


@oracle
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(networks())
def test_random_networks(runtime, tmp_path_factory, network):
    x = np.random.default_rng(0).standard_normal((2, CHANNELS, 24, 20)).astype(np.float32)
    path = tmp_path_factory.mktemp("onnx") / "m.onnx"
    try:
        with no_grad():
            network.eval()(Tensor(x))
    except ValueError:
        return  # the maps became smaller than a window
    try:
        requires_equal(runtime, path, network, x)
    except weights.WeightFileError as error:
        assert "Blur" in str(error)  # the operation of a user's own


@oracle
def test_a_condition_that_is_fixed(runtime, tmp_path):
    chosen = np.array([True, False, True])
    model = Call(lambda x: ops.where(chosen, x, x * 2))
    requires_equal(runtime, tmp_path / "m.onnx", model, np.float32(np.arange(6).reshape(2, 3)))


@oracle
@pytest.mark.parametrize(
    "function",
    [
        lambda x: ops.reshape(x, (2, 12)),
        lambda x: x * (1 / len(x)),
        lambda x: x * Tensor(np.arange(2, dtype=np.float32)[:, None, None, None]),
        lambda x: x if len(x) == 2 else ops.relu(x),
        lambda x: [ops.relu(x), ops.exp(x)][len(x) == 2] * 2,
        lambda x: [ops.relu(x), ops.exp(x)][len(x) == 2],
    ],
    ids=["reshape", "length", "constant", "other operations", "other inputs", "another output"],
)
def test_a_model_that_suits_one_batch_is_written_for_that_batch(runtime, function, tmp_path):
    x = np.random.default_rng(0).standard_normal((2, 3, 2, 2)).astype(np.float32)
    assert requires_equal(runtime, tmp_path / "m.onnx", Call(function), x) is False


def classifier(model=None):
    metadata = {
        "architecture": {"name": "resnet20", "num_classes": 4, "image_size": 32},
        "classes": ["cat", "dog", "h\u00fchnchen", "emu"],
        "mean": [0.4, 0.5, 0.6],
        "std": [0.2, 0.3, 0.25],
    }
    return train.Classifier(model or models.create("resnet20", num_classes=4), metadata)


@oracle
def test_a_classifier_goes_out_and_comes_back(runtime, tmp_path):
    onnx = pytest.importorskip("onnx")
    before = classifier()
    before.model.bn1.running_var[...] = np.random.default_rng(0).uniform(0.5, 2, 16)
    assert before.export(tmp_path / "m.onnx") is True
    properties = {p.key: p.value for p in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert '"mean": [0.4, 0.5, 0.6]' in properties["minitorch_cnn"]
    after = train.Classifier.load(tmp_path / "m.onnx")
    assert after.metadata == before.metadata
    pictures = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    np.testing.assert_array_equal(after.logits(pictures), before.logits(pictures))


class Shared(nn.Module):
    """Two layers with one weight."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(self.first(x))


@oracle
def test_a_shared_parameter_is_stored_once_and_restored_under_both_names(runtime, tmp_path):
    before, after = Shared(), Shared()
    requires_equal(runtime, tmp_path / "m.onnx", before, np.ones((2, 3), np.float32))
    arrays, metadata = weights.load_onnx(tmp_path / "m.onnx")
    assert metadata == {} and "second.weight" not in arrays
    weights.onnx.restore(after, arrays)
    np.testing.assert_array_equal(after.second.weight.data, before.first.weight.data)
    with pytest.raises(nn.StateDictError, match="missing"):
        weights.onnx.restore(after, {})


@oracle
def test_what_onnx_lacks_is_refused_by_name_and_nothing_is_written(runtime, tmp_path):
    norm = nn.BatchNorm2d(3)
    batch = Call(
        lambda x: ops.batch_norm(x, norm.weight, norm.bias, running_mean=None, running_var=None, training=True)
    )
    cases = [
        (batch, "expected batch norm in evaluation, got one that uses the statistics of its batch: BatchNorm"),
        (Call(lambda x: ops.cross_entropy(ops.flatten(x, 1), [0])), "expected operations that have a translation"),
        (Call(lambda x: x[[0], :, [1]]), "expected an index of slices, integers and at most one array of one axis"),
    ]
    for model, message in cases:
        with pytest.raises(weights.WeightFileError, match=f"save_onnx: model - {message}"):
            weights.save_onnx(tmp_path / "m.onnx", model, (1, 3, 4, 4))
    assert list(tmp_path.iterdir()) == []


@oracle
@pytest.mark.parametrize("read", [lambda x: x * float(x.data.max()), lambda x: x - Tensor(x.data.mean(0))])
def test_a_model_that_reads_values_is_refused(runtime, tmp_path, read):
    with pytest.raises(TraceError, match=r"asks for a value at .*test_export\.py.*use the functions of ops"):
        weights.save_onnx(tmp_path / "own.onnx", Call(read), (1, 3, 4, 4))
    assert not (tmp_path / "own.onnx").exists()


@oracle
@pytest.mark.parametrize(
    "function",
    [
        lambda x: (ops.relu(x), ops.exp(x).sum())[0],
        lambda x: (x, ops.exp(x))[0],
        lambda x: (ops.relu(x), ops.topk(ops.exp(x.detach().reshape(-1)), 1) if not x.traced else ops.exp(x))[0],
        lambda x: ops.relu(x.detach()) + x,
        lambda x: copy.deepcopy(x) * 2,
    ],
    ids=["more after it", "the images", "what ONNX lacks after it", "detached", "copied"],
)
def test_the_file_gives_what_the_model_returns(runtime, function, tmp_path):
    requires_equal(runtime, tmp_path / "m.onnx", Call(function), np.float32([[1, -2, 3], [-4, 5, -6]]))


@oracle
@pytest.mark.parametrize(
    "function, got",
    [
        (lambda x: (ops.relu(x), ops.exp(x)), "tuple"),
        (lambda x: {"logits": ops.relu(x)}, "dict"),
        (lambda x: None, "NoneType"),
        (lambda x: ops.relu(Tensor([1.0])), "one that it made without the images"),
    ],
)
def test_a_model_that_returns_anything_but_one_tensor_is_refused(runtime, function, got, tmp_path):
    with pytest.raises(weights.WeightFileError, match=f"expected one that returns one Tensor .*, got {got}"):
        weights.save_onnx(tmp_path / "m.onnx", Call(function), (2, 3))


@oracle
@pytest.mark.parametrize("other", [lambda n, x: x * n, lambda n, x: [ops.relu, ops.exp][n % 2](x)])
def test_a_model_that_does_not_do_the_same_each_time_is_refused(runtime, other, tmp_path):
    calls = itertools.count(1)
    with pytest.raises(weights.WeightFileError, match="expected one that does the same each time, got other oper"):
        weights.save_onnx(tmp_path / "m.onnx", Call(lambda x: other(next(calls), x)), (2, 3))


@oracle
@pytest.mark.parametrize(
    "shape, error, message",
    [
        ("23", TypeError, "input_shape - expected a tuple of integers, got '23'"),
        (7, TypeError, "input_shape - expected a tuple of integers, got 7"),
        ((2, 3.0), TypeError, r"input_shape\[1\] - expected an integer, got 3.0"),
        ((-1, 3), ValueError, r"input_shape\[0\] - expected at least 0, got -1"),
    ],
)
def test_a_wrong_shape_is_named(runtime, shape, error, message, tmp_path):
    with pytest.raises(error, match=f"trace: {message}"):
        weights.save_onnx(tmp_path / "m.onnx", Call(ops.relu), shape)


@oracle
def test_a_damaged_file_is_read_right_or_refused(runtime, tmp_path):
    path, draw = tmp_path / "m.onnx", np.random.default_rng(0)
    weights.save_onnx(path, nn.Conv2d(3, 2, 3), (1, 3, 8, 8), {"classes": ["a", "b"]})
    whole, (arrays, metadata) = path.read_bytes(), weights.load_onnx(path)
    for _ in range(300):
        damaged = bytearray(whole)
        for place in draw.integers(0, len(whole), 3):
            damaged[place] ^= 1 << draw.integers(8)
        path.write_bytes(damaged)
        try:
            got, told = weights.load_onnx(path)
        except weights.WeightFileError:
            continue
        assert told == metadata and all((got[name] == array).all() for name, array in arrays.items())


@oracle
def test_a_tensor_of_an_earlier_trace_is_refused(runtime, tmp_path):
    earlier = Tensor.like_shape((2, 3))
    with pytest.raises(weights.WeightFileError, match="operations on the images and on constants, got Add of an ear"):
        weights.save_onnx(tmp_path / "m.onnx", Call(lambda x: x + earlier), (2, 3))


@oracle
def test_a_diverged_model_is_written_as_it_is(runtime, tmp_path):
    model = nn.Sequential(nn.Conv2d(1, 2, 1))
    model[0].weight.data[0] = np.nan
    weights.save_onnx(tmp_path / "nan.onnx", model, (1, 1, 2, 2))
    assert np.isnan(weights.load_onnx(tmp_path / "nan.onnx")[0]["0.weight"][0]).all()


@oracle
def test_wrong_metadata_and_wrong_files_are_named(runtime, tmp_path):
    onnx = pytest.importorskip("onnx")
    model, path = nn.ReLU(), tmp_path / "m.onnx"
    with pytest.raises(TypeError, match="save_onnx: metadata - expected a dict, got list"):
        weights.save_onnx(path, model, (1, 3), [])
    with pytest.raises(TypeError, match="save_onnx: metadata - expected what JSON can hold, got"):
        weights.save_onnx(path, model, (1, 3), {"a": object()})
    with pytest.raises(ValueError, match="save_onnx: metadata - expected finite numbers, as other programs cannot"):
        weights.save_onnx(path, model, (1, 3), {"a": [1, float("nan")]})
    path.write_bytes(b"no such file")
    with pytest.raises(weights.WeightFileError, match="expected an ONNX file, got one that cannot be read"):
        weights.load_onnx(path)
    other = onnx.helper.make_model(onnx.helper.make_graph([], "g", [], []), producer_name="else")
    path.write_bytes(other.SerializeToString())
    with pytest.raises(weights.WeightFileError, match="with the metadata that save_onnx writes, got one of else"):
        weights.load_onnx(path)


def test_without_the_package_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    for call in (
        lambda: weights.save_onnx(tmp_path / "m", nn.ReLU(), (1, 3)),
        lambda: weights.load_onnx(tmp_path / "m"),
    ):
        with pytest.raises(ImportError, match="onnx needs the package onnx: pip install"):
            call()


def test_every_operation_is_translated_or_absent_on_purpose():
    used = {function.__name__ for function in TRANSLATIONS}
    assert {"Conv2d", "Linear", "MatMul", "BatchNorm", "Resize", "Index"} <= used
