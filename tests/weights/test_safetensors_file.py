"""Safetensors files of other programs: dtypes, prefixes, damage."""

import json

import numpy as np
import pytest
import safetensors.numpy

from minitorch_cnn import weights


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def write(path, header, numbers=b""):
    text = json.dumps(header).encode() if isinstance(header, dict) else header
    path.write_bytes(len(text).to_bytes(8, "little") + text + numbers)


def test_arrays_of_every_dtype(path):
    dtypes = [*(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)), "bool"]
    dtypes += ["float16", "float32", "float64"]
    arrays = {name: np.arange(6).reshape(2, 3).astype(name) for name in dtypes}
    arrays |= {"empty": np.zeros((0, 2)), "scalar": np.array(3.0, np.float32)}
    safetensors.numpy.save_file(arrays, path, {"format": "pt"})
    state = weights.load_safetensors(path)
    assert set(state) == set(arrays)
    for name, array in arrays.items():
        assert state[name].dtype == array.dtype and state[name].shape == array.shape
        np.testing.assert_array_equal(state[name], array)


def test_bfloat16_becomes_float32(path):
    values = np.array([1.5, -2.25, np.inf], np.float32)
    half = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    write(path, {"x": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}}, half)
    np.testing.assert_array_equal(weights.load_safetensors(path)["x"], values)


@pytest.mark.oracle
def test_what_pytorch_writes(path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    state = {"a": torch.linspace(0, 1, 5).bfloat16(), "b": torch.linspace(0, 1, 4).half().reshape(2, 2)}
    save_file(state, path)
    for name, array in weights.load_safetensors(path).items():
        np.testing.assert_array_equal(array, state[name].float().numpy())


def test_prefixes_are_left_out(path):
    safetensors.numpy.save_file({"module.fc.bias": np.ones(2)}, path)
    with pytest.warns(UserWarning, match="left out the prefix 'module.'"):
        assert list(weights.load_safetensors(path)) == ["fc.bias"]


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"{", "expected a header of JSON"),
        ({"x": {**ENTRY, "data_offsets": [0, 4]}}, "'x' - expected 2 elements of 4 bytes inside the file"),
        ({"x": {**ENTRY, "data_offsets": [4, 12]}}, "'x' - expected 2 elements of 4 bytes inside the file"),
        ({"x": {**ENTRY, "shape": [-2]}}, "'x' - expected lengths and places of at least 0"),
        ({"x": {**ENTRY, "dtype": "F8_E4M3"}}, "'x' - expected one of F64, .*, got 'F8_E4M3'"),
        ({"x": {"dtype": "F32"}}, "expected dtype, shape and data_offsets"),
        ({"x": 3}, "expected dtype, shape and data_offsets"),
        (b"[1]", "expected dtype, shape and data_offsets"),
    ],
)
def test_damage_is_named(path, header, message):
    write(path, header, bytes(8))
    with pytest.raises(weights.WeightFileError, match=message):
        weights.load_safetensors(path)


def test_a_file_that_was_cut_short_and_a_folder(path, tmp_path):
    path.write_bytes((1000).to_bytes(8, "little") + b"{}")
    with pytest.raises(weights.WeightFileError, match="expected a header inside the file, got 1000 bytes"):
        weights.load_safetensors(path)
    with pytest.raises(weights.WeightFileError, match="expected a file, got a folder"):
        weights.load_safetensors(tmp_path)
    with pytest.raises(TypeError, match="load_safetensors: path - expected a string or a Path, got 3"):
        weights.load_safetensors(3)
