"""Files of weights: everything comes back, and every change of a file is noticed."""

import json
import struct

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_cnn import models, weights
from minitorch_cnn.weights import WeightFileError, file

DTYPES = [
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
]


def small_state():
    rng = np.random.default_rng(0)
    return {
        "conv.weight": rng.standard_normal((4, 3, 2, 2)).astype(np.float32),
        "bn.num_batches_tracked": np.array(7, np.int64),
        "empty": np.zeros((0, 3), np.float32),
    }


def assert_equal(a, b):
    assert a.keys() == b.keys()
    for key in a:
        assert (a[key].shape, a[key].dtype) == (b[key].shape, b[key].dtype), key
        np.testing.assert_array_equal(a[key], b[key])


def test_a_model_comes_back(tmp_path):
    model, path = models.create("mlp", hidden=(3,), image_size=4), tmp_path / "mlp.safetensors"
    metadata = {"model": "mlp", "classes": ["cat", "dog"], "mean": [0.5, 0.25], "nested": {"epoch": 3, "best": None}}
    weights.save(path, model.state_dict(), metadata)
    state, read = weights.load(path)
    assert_equal(model.state_dict(), state)
    assert read == metadata
    models.create("mlp", hidden=(3,), image_size=4).load_state_dict(state)


def test_without_metadata_an_empty_dict_comes_back(tmp_path):
    weights.save(tmp_path / "w", {})
    assert weights.load(tmp_path / "w") == ({}, {})


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_of_numbers_comes_back(tmp_path, dtype):
    state = {"x": np.arange(6).reshape(2, 3).astype(dtype)}
    weights.save(tmp_path / "w", state)
    assert_equal(state, weights.load(tmp_path / "w")[0])


def test_big_endian_arrays_keep_their_values(tmp_path):
    weights.save(tmp_path / "w", {"x": np.arange(5, dtype=">f4")})
    read = weights.load(tmp_path / "w")[0]["x"]
    np.testing.assert_array_equal(read, np.arange(5))
    assert read.dtype == np.float32


@st.composite
def arrays_in_any_memory_order(draw):
    """Draw a view: axes permuted, reversed or strided, of an array with distinct values."""
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    base = np.arange(np.prod(shape, dtype=int) * 2 ** len(shape), dtype=np.float32).reshape([2 * n for n in shape])
    steps = [draw(st.sampled_from([slice(None, None, 2), slice(None, None, -2), slice(n)])) for n in shape]
    view = np.asarray(base[tuple(steps)]).transpose(draw(st.permutations(range(len(shape)))))
    return np.asfortranarray(view) if draw(st.booleans()) and view.ndim else view


@settings(max_examples=60, deadline=None)
@given(array=arrays_in_any_memory_order())
def test_any_memory_order_comes_back(tmp_path_factory, array):
    path = tmp_path_factory.mktemp("w") / "w"
    digest = weights.save(path, {"x": array})
    assert_equal({"x": array}, weights.load(path)[0])
    assert digest == weights.save(path, {"x": np.array(array, order="C")})


def test_the_digest_depends_on_names_dtypes_shapes_and_values_alone(tmp_path):
    x = np.arange(6, dtype=np.float32)
    variants = [{"x": x}, {"y": x}, {"x": x.reshape(2, 3)}, {"x": x.view(np.int32)}, {"x": x + 1}, {"x": x, "y": x}]
    digests = [weights.save(tmp_path / "w", state, {"n": n}) for n, state in enumerate(variants)]
    assert len(set(digests)) == len(variants)
    assert digests[-1] == weights.save(tmp_path / "w", {"y": x, "x": x}, {"other": "metadata"})


# --------------------------------------------------------------------------------- refusals


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "w"
    weights.save(path, small_state(), {"model": "small", "lr": 0.1})
    return path.read_bytes()


def test_a_file_cut_anywhere_is_refused(tmp_path, good):
    path = tmp_path / "w"
    for length in range(0, len(good), max(1, len(good) // 100)):
        path.write_bytes(good[:length])
        with pytest.raises(WeightFileError, match="weights.load"):
            weights.load(path)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_anywhere_is_noticed(tmp_path_factory, good, data):
    changed = bytearray(good)
    changed[data.draw(st.integers(0, len(good) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path_factory.mktemp("flip") / "w"
    path.write_bytes(changed)
    with pytest.raises(WeightFileError):
        weights.load(path)


def test_bytes_after_the_end_are_refused(tmp_path, good):
    (tmp_path / "w").write_bytes(good + b"\0")
    with pytest.raises(WeightFileError):
        weights.load(tmp_path / "w")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 a zip file",
        b"\x80\x02}q\x00.",
        (2**62).to_bytes(8, "little") + b"{}",
        (4).to_bytes(8, "little") + b"null",
        (2).to_bytes(8, "little") + b"{}",
        (1000).to_bytes(8, "little") + b"[" * 1000,
    ],
    ids=["empty", "zip", "pickle", "huge header", "null header", "no metadata", "deep json"],
)
def test_foreign_files_are_refused(tmp_path, content):
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(WeightFileError, match="weights.load: .*w - expected a"):
        weights.load(tmp_path / "w")


def header_of(tensors):
    header = json.dumps(tensors).encode()
    return len(header).to_bytes(8, "little") + header


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [4], "data_offsets": [0, 64]},
        {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [4], "data_offsets": [16, 0]},
        {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]},
        {"dtype": "object", "shape": [4], "data_offsets": [0, 16]},
        {"dtype": "BF16", "shape": [8], "data_offsets": [0, 16]},
    ],
    ids=["past the end", "overflow", "backwards", "negative", "unknown dtype", "dtype numpy lacks"],
)
def test_hostile_headers_are_refused(tmp_path, entry):
    (tmp_path / "w").write_bytes(header_of({"x": entry}) + bytes(16))
    with pytest.raises(WeightFileError, match="expected a"):
        weights.load(tmp_path / "w")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected metadata of JSON, got Expecting"),
        ("[" * 100_000, "expected metadata of JSON, got (maximum recursion|Stack overflow)"),
        ('{"x": ' + "1" * 10_000 + "}", "expected metadata of JSON, got Exceeds the limit"),
        ("[1]", "expected a dict as metadata, got list"),
    ],
)
def test_metadata_with_the_right_checksum_and_the_wrong_form(tmp_path, text, message):
    arrays = small_state()
    header = {"sha256": file.digest_of(arrays), "metadata": text, "metadata_sha256": file._text_digest(text)}
    (tmp_path / "w").write_bytes(safetensors.numpy.save(arrays, header))
    with pytest.raises(WeightFileError, match=f"weights.load: .*w - {message}"):
        weights.load(tmp_path / "w")


def test_a_header_that_no_network_needs_is_not_even_parsed(tmp_path):
    entries = ",".join(f'"{i}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}' for i in range(80_000))
    header = f"{{{entries}}}".encode()
    (tmp_path / "w").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(WeightFileError, match="w - expected a safetensors file, its header of at most 4194304 bytes"):
        weights.load(tmp_path / "w")


LOOP = {}
LOOP["a"] = [LOOP]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("__metadata__", "expected other names than '__metadata__', which safetensors uses"),
        ("\ud800", r"expected names in UTF-8, got '\\ud800'"),
    ],
)
def test_names_that_the_format_cannot_hold(tmp_path, name, message):
    """Refused when they are saved, and not when they are read."""
    with pytest.raises(ValueError, match=f"weights.save: state_dict - {message}"):
        weights.save(tmp_path / "w", {name: np.zeros(2)})
    assert not list(tmp_path.iterdir())


def test_numbers_of_numpy_and_paths_in_the_metadata(tmp_path):
    """Such as a seed or a count that came out of a computation."""
    given = {
        "seed": np.int64(3),
        "rate": np.float32(0.5),
        "on": np.bool_(True),
        "where": tmp_path,
        "pair": (np.uint8(1),),
    }
    weights.save(tmp_path / "w", {}, given)
    _, back = weights.load(tmp_path / "w")
    assert back == {"seed": 3, "rate": 0.5, "on": True, "where": str(tmp_path), "pair": [1]}
    assert type(back["seed"]) is int and type(back["rate"]) is float and back["on"] is True


@pytest.mark.parametrize("path", [None, 0, b"w", ["w"]])
def test_what_is_no_path(path):
    for call in (weights.save, weights.load):
        with pytest.raises(TypeError, match=rf"weights.{call.__name__}: path - expected a string or a Path, got"):
            call(*([path, {}] if call is weights.save else [path]))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder to write w into: .*none'$"):
        weights.save(tmp_path / "none" / "w", {})


@pytest.mark.posix
def test_a_link_to_a_file_of_weights_stays_one(tmp_path):
    weights.save(tmp_path / "real", {"w": np.zeros(2)})
    (tmp_path / "link").symlink_to("real")
    weights.save(tmp_path / "link", {"w": np.ones(2)})
    assert weights.load(tmp_path / "real")[0]["w"].tolist() == [1, 1] and (tmp_path / "link").is_symlink()


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(WeightFileError, match="weights.load: .* - expected a file, got a folder"):
        weights.load(tmp_path)


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        weights.load(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("state", "metadata", "message"),
    [
        ({"x": [1.0]}, None, "weights.save: x - expected an ndarray of numbers, got list"),
        ({"x": np.array(["a"])}, None, "weights.save: x - expected an ndarray of numbers, got <U1"),
        ({"x": np.array([None])}, None, "weights.save: x - expected an ndarray of numbers, got object"),
        ({"x": np.zeros(2, np.complex64)}, None, "weights.save: x - expected an ndarray of numbers, got complex64"),
        ({3: np.zeros(2)}, None, "weights.save: state_dict - expected strings as names, got 3"),
        (
            {},
            {"x": np.zeros(2)},
            r"weights.save: metadata - expected what JSON can hold, got ndarray as metadata\['x'\]",
        ),
        ({}, {"a": [1, {"b": {2}}]}, r"expected what JSON can hold, got set as metadata\['a'\]\[1\]\['b'\]"),
        ({}, {"a": b"x"}, r"expected what JSON can hold, got bytes as metadata\['a'\]"),
        (
            {},
            {"a": np.longdouble(1) if np.dtype(np.longdouble).itemsize > 8 else 1j},
            r"expected what JSON can hold, got .* as metadata",
        ),
        ({}, {"a": {1: 2}}, r"weights.save: metadata - expected strings as keys, got 1 in metadata\['a'\]"),
        ({}, {None: 2}, "weights.save: metadata - expected strings as keys, got None in metadata$"),
        ({}, LOOP, "weights.save: metadata - expected what JSON can hold, got a dict that holds itself"),
        ([np.zeros(2)], None, "weights.save: state_dict - expected a dict of arrays, got list"),
        ("w.pth", None, "weights.save: state_dict - expected a dict of arrays, got str"),
        ({}, [1], "weights.save: metadata - expected a dict, got list"),
    ],
)
def test_what_cannot_be_stored_is_refused_and_the_old_file_stays(tmp_path, state, metadata, message):
    path = tmp_path / "w"
    weights.save(path, small_state())
    before = path.read_bytes()
    with pytest.raises(TypeError, match=message):
        weights.save(path, state, metadata)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["w"]


def test_float64_is_stored_where_it_is_the_longest_float(tmp_path, monkeypatch):
    """On Windows and on Apple silicon a long double has the 64 bits of a double."""
    monkeypatch.setattr(np, "longdouble", np.float64)
    arrays = {"w": np.array([1.0, np.pi]), "n": np.arange(3)}
    weights.save(tmp_path / "file", arrays)
    back, _ = weights.load(tmp_path / "file")
    assert all(back[name].dtype == array.dtype and (back[name] == array).all() for name, array in arrays.items())


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="a long double is a double here")
def test_longer_floats_are_refused(tmp_path):
    with pytest.raises(TypeError, match="w - expected an ndarray of numbers, got"):
        weights.save(tmp_path / "file", {"w": np.zeros(2, np.longdouble)})
