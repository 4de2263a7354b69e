"""PyTorch's weight files: read and written without PyTorch, and nothing that a file says is ever run."""

import argparse
import collections
import io
import os
import pathlib
import pickle
import re
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minitorch_cnn import models, weights
from minitorch_cnn.weights import pickle_program
from minitorch_cnn.weights.pickle_program import Storage, Tensor

STATE = {
    "conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "bn.num_batches_tracked": np.array(7, np.int64),
    "fc.bias": np.linspace(-1, 1, 5),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.pth"


def same(got, want):
    assert list(got) == list(want)
    for name, array in want.items():
        assert got[name].dtype == array.dtype and got[name].shape == array.shape and got[name].flags.c_contiguous
        np.testing.assert_array_equal(got[name], array)


# ------------------------------------------------------------------------------ there and back


def test_there_and_back(path):
    weights.save_pth(path, STATE)
    same(weights.load_pth(path), STATE)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_arrays_in_any_memory_order(tmp_path_factory, data):
    dtype = data.draw(st.sampled_from(["f2", "f4", "f8", "i8", "i4", "i2", "i1", "u1", "?", ">f4", ">i2", ">f8"]))
    array = data.draw(hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)))
    if array.ndim and data.draw(st.booleans()):
        array = array.T[::-1]
    path = tmp_path_factory.mktemp("any") / "weights.pth"
    weights.save_pth(path, {"ä.b": array})
    native = array.astype(array.dtype.newbyteorder("="))
    same(weights.load_pth(path), {"ä.b": np.ascontiguousarray(native).reshape(array.shape)})


def test_a_whole_network(path):
    state = models.create("resnet20").state_dict()
    weights.save_pth(path, state)
    other = models.create("resnet20")
    other.load_state_dict(weights.load_pth(path))
    same(other.state_dict(), state)


def test_entries_begin_at_multiples_of_64_bytes(path):
    weights.save_pth(path, STATE)
    with zipfile.ZipFile(path) as archive, open(path, "rb") as file:
        for info in archive.infolist():
            file.seek(info.header_offset + 26)
            name, extra = struct.unpack("<HH", file.read(4))
            assert (info.header_offset + 30 + name + extra) % 64 == 0


DTYPES = "bool, float16, float32, float64, int16, int32, int64, int8, uint8"


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ({3: np.zeros(2)}, TypeError, "state_dict - expected strings as names, got 3"),
        ({"\ud800": np.zeros(2)}, ValueError, "state_dict - expected names in UTF-8, got"),
        ([("a", np.zeros(2))], TypeError, "state_dict - expected a dict of arrays, got list"),
        ({"a": [1.0]}, TypeError, f"'a' - expected an ndarray of {DTYPES}, got list"),
        ({"a": np.zeros(2, np.complex64)}, TypeError, f"'a' - expected an ndarray of {DTYPES}, got complex64"),
        ({"a": np.zeros(2, np.uint16)}, TypeError, f"'a' - expected an ndarray of {DTYPES}, got uint16"),
        ({"a": np.array(["b"])}, TypeError, f"'a' - expected an ndarray of {DTYPES}, got <U1"),
        ({"__metadata__": np.zeros(2)}, ValueError, "state_dict - expected other names than '__metadata__', which saf"),
    ],
)
def test_what_cannot_be_written(path, state, error, message):
    with pytest.raises(error, match=f"save_pth: {message}"):
        weights.save_pth(path, state)
    assert not path.exists()


@pytest.mark.parametrize("path", [None, 0, b"w", ["w"]])
def test_what_is_no_path(path):
    with pytest.raises(TypeError, match="save_pth: path - expected a string or a Path, got"):
        weights.save_pth(path, {})
    with pytest.raises(TypeError, match="load_pth: path - expected a string or a Path, got"):
        weights.load_pth(path)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder to write x.pth into: .*none'$"):
        weights.save_pth(tmp_path / "none" / "x.pth", {"w": np.zeros(2)})


def test_names_of_old_densenets(path):
    old = "features.denseblock1.denselayer2."
    weights.save_pth(path, {f"{old}norm.1.weight": np.zeros(2), f"{old}conv.2.weight": np.zeros(2)})
    assert list(weights.load_pth(path)) == [f"{old}norm1.weight", f"{old}conv2.weight"]


# ------------------------------------------------------------------------------------ PyTorch


@pytest.mark.oracle
def test_pytorch_reads_what_we_write(path):
    torch = pytest.importorskip("torch")
    weights.save_pth(path, STATE)
    for mmap in (False, True):
        got = torch.load(path, weights_only=True, mmap=mmap)
        same({name: tensor.numpy() for name, tensor in got.items()}, STATE)


@pytest.mark.oracle
def test_we_read_what_pytorch_writes(path):
    torch = pytest.importorskip("torch")
    shared = torch.arange(12.0)
    model = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3))
    state = {
        **model.state_dict(),
        "transposed": shared.reshape(3, 4).T,
        "part": shared[5:9],
        "expanded": torch.ones(1).expand(4),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "half": torch.linspace(0, 1, 3).half(),
        "flag": torch.tensor(True),
        "empty": torch.zeros(0, 3),
        "double": torch.zeros(2, dtype=torch.float64),
    }
    torch.save(state, path)
    same(weights.load_pth(path), {name: tensor.detach().numpy() for name, tensor in state.items()})
    torch.save({"epoch": 3, "state_dict": model.state_dict()}, path)
    same(weights.load_pth(path), {name: tensor.numpy() for name, tensor in model.state_dict().items()})
    torch.save({"x": torch.tensor([1.5, -2.25]).bfloat16()}, path)
    same(weights.load_pth(path), {"x": np.array([1.5, -2.25], np.float32)})


@pytest.mark.oracle
def test_tensors_that_share_memory_in_pytorch(path):
    torch = pytest.importorskip("torch")
    one = torch.arange(90_000.0).reshape(300, 300)
    for count in (2, 3, 12):  # as the heads of a detector, or layers that share their weights
        torch.save({f"head.{i}": one for i in range(count)}, path)
        state = weights.load_pth(path)
        same(state, {f"head.{i}": one.numpy() for i in range(count)})
        assert len({id(array) for array in state.values()}) == 1
    views = {
        "whole": one,
        "turned": one.t(),
        "part": one[3:5, ::2],
        "row": one[7],
        "again": one.t(),
        "flat": one.reshape(-1),
    }
    torch.save({name: view for name, view in views.items() if name != "flat"}, path)
    same(weights.load_pth(path), {name: view.numpy().copy() for name, view in views.items() if name != "flat"})


@pytest.mark.oracle
def test_numbers_that_pytorch_repeats_without_storing_them(path):
    torch = pytest.importorskip("torch")
    state = {
        "row": torch.ones(1).expand(4096),
        "square": torch.arange(3.0).expand(500, 3),
        "none": torch.ones(1).expand(0),
    }
    torch.save(state, path)
    same(weights.load_pth(path), {name: tensor.numpy().copy() for name, tensor in state.items()})
    torch.save({"w": torch.ones(1, dtype=torch.int64).expand(1 << 22)}, path)
    with pytest.raises(weights.WeightFileError, match="expected tensors of at most 16777216 bytes in a file of"):
        weights.load_pth(path)


@pytest.mark.oracle
@pytest.mark.parametrize(
    "dtype",
    ["bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "float32", "float64"],
)
def test_every_dtype_that_both_have(path, dtype):
    torch = pytest.importorskip("torch")
    array = np.arange(6).reshape(2, 3).astype(dtype)
    torch.save({"w": torch.from_numpy(array)[:, 1:], "whole": torch.from_numpy(array)}, path)
    same(weights.load_pth(path), {"w": array[:, 1:].copy(), "whole": array})
    if dtype not in ("uint16", "uint32", "uint64"):
        weights.save_pth(path, {"w": array.astype(array.dtype.newbyteorder(">"))})
        np.testing.assert_array_equal(torch.load(path, weights_only=True)["w"].numpy(), array)


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("make", "needs"),
    [
        (lambda torch: torch.zeros(2, dtype=torch.complex64), "torch.ComplexFloatStorage"),
        (lambda torch: torch.zeros(2).to_sparse(), r"torch._utils._rebuild_sparse_tensor|torch.\w+\.?\w*"),
        (lambda torch: torch.zeros(2, device="meta"), "torch._utils._rebuild_meta_tensor_no_storage"),
        (lambda torch: torch.zeros(2, dtype=torch.float8_e4m3fn), "torch.float8_e4m3fn"),
    ],
)
def test_tensors_that_numpy_has_no_array_for(path, make, needs):
    """Each is called what it is: no number that might do anything."""
    torch = pytest.importorskip("torch")
    torch.save({"w": make(torch)}, path)
    with pytest.raises(weights.WeightFileError, match=f"expected dense tensors of bool, .* one that needs ({needs})$"):
        weights.load_pth(path)


@pytest.mark.oracle
def test_the_old_format_is_refused(path):
    torch = pytest.importorskip("torch")
    torch.save({"x": torch.zeros(2)}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(weights.WeightFileError, match="expected a zip file, which torch.save writes since version 1.6"):
        weights.load_pth(path)


# ------------------------------------------------------------------------------- hostile files


def written(path, entries, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(f"archive/{name}", data)
    return path


def program(**changes):
    """Return the pickle of one tensor of six float32, with some of its facts changed."""
    facts = {"kind": "FloatStorage", "key": "0", "count": 6, "offset": 0, "shape": (2, 3), "strides": (3, 1)} | changes
    storage = Storage(facts["kind"], facts["key"], facts["count"])
    return pickle_program.build({"x": Tensor(storage, facts["offset"], facts["shape"], facts["strides"])})


class Evil:
    def __init__(self, function, *arguments):
        self.what = function, arguments

    def __reduce__(self):
        return self.what


DATA = bytes(24)
ONE = b"\x80\x02}X\x01\x00\x00\x00x"  # a dict and a name, for a value to follow
PICKLES = {
    "runs a command": pickle.dumps({"x": Evil(os.system, "touch executed")}, 2),
    "evaluates": pickle.dumps({"x": Evil(eval, "open('executed', 'w')")}, 2),
    "evaluates, protocol 4": pickle.dumps({"x": Evil(eval, "open('executed', 'w')")}, 4),
    "opens a file": pickle.dumps(Evil(open, "executed", "w"), 2),
    "imports a module": b"\x80\x02cthis\ns\n.",
    "asks for an attribute of torch": b"\x80\x02ctorch\nload\n.",
    "asks for a dotted name": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2.__globals__\n.",
    "calls a storage type": b"\x80\x02ctorch\nFloatStorage\n)R.",
    "fills an OrderedDict by arguments": b"\x80\x02ccollections\nOrderedDict\n]]\x85\x85R.",
    "sets the state of a name": b"\x80\x02ctorch\nFloatStorage\n}b.",
    "makes an instance": b"(icollections\nOrderedDict\n.",
    "makes an object": b"\x80\x02ccollections\nOrderedDict\n)\x81.",
    "uses an extension code": b"\x80\x02\x82\x01.",
    "asks for too much memo": b"\x80\x02}r\xff\xff\xff\xff.",  # harmless here: a dict with one entry
    "gets from an empty memo": b"\x80\x02h\x05.",
    "pops from an empty stack": b"\x80\x02R.",
    "never ends": b"\x80\x02}",
    "ends with a mark": b"\x80\x02(.",
    "is empty": b"",
    "is not a pickle": b"\xff" * 50,
    "holds a string of four gigabytes": b"\x80\x02X\xff\xff\xff\xffabc.",
    "is a list": b"\x80\x02].",
    "is an empty dict": b"\x80\x02}.",
    "holds a number": ONE + b"K\x05s.",
    "names a tensor by a tuple": b"\x80\x02})K\x05s.",
    "puts items into a list": b"\x80\x02])K\x05s.",
    "has a storage that is not a storage": ONE + b"X\x01\x00\x00\x00yQs.",
    "has a storage of another kind": ONE
    + b"(X\x03\x00\x00\x00xxxctorch\nFloatStorage\nX\x01\x00\x00\x000K\x01K\x01tQs.",
    "has another storage type": program(kind="CharStorage"),
    "has negative sizes": program(shape=(-2, -3)),
    "has negative strides": program(strides=(-3, 1)),
    "has a stride too few": program(strides=(1,)),
    "has a negative offset": program(offset=-1),
    "begins after the end": program(offset=1),
    "reaches past the end": program(shape=(2, 4)),
    "makes a terabyte of one number": program(shape=(1 << 40,), strides=(0,)),
    "overflows": program(shape=(1 << 40, 1 << 40), strides=(0, 0)),
    "claims more numbers than there are": program(count=7),
    "claims fewer numbers than there are": program(count=5),
    "claims no numbers": program(count=-6),
    "names no entry": program(key="1"),
    "leaves the folder": program(key="../data.pkl"),
}


@pytest.mark.parametrize("what", PICKLES)
def test_a_hostile_pickle(path, monkeypatch, what):
    monkeypatch.chdir(path.parent)
    written(path, {"data.pkl": PICKLES[what], "data/0": DATA})
    size = path.stat().st_size
    tracemalloc.start()
    with pytest.raises(weights.WeightFileError, match=f"^{re.escape(str(path))}: "):
        weights.load_pth(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * size + 500_000  # tables of zipfile and pickletools among them
    assert not (path.parent / "executed").exists()


def test_a_sound_pickle_is_read(path):
    """The control: what the files above are made from is read, so they fail for what is wrong with them."""
    written(path, {"data.pkl": program(), "data/0": DATA})
    same(weights.load_pth(path), {"x": np.zeros((2, 3), np.float32)})
    written(path, {"data.pkl": program(), "data/0": np.arange(6, dtype=">f4").tobytes(), "byteorder": "big"})
    same(weights.load_pth(path), {"x": np.arange(6, dtype=np.float32).reshape(2, 3)})


@pytest.mark.parametrize(
    "entries, message",
    [
        ({"data/0": DATA}, "expected an entry data.pkl, got none"),
        ({"data.pkl": program()}, "expected an entry data/0, got none"),
        ({"data.pkl": program(), "data/0": DATA, "byteorder": "middle"}, "byteorder - expected little or big"),
        ({"data.pkl": bytes((1 << 20) + 1)}, "data.pkl - expected at most"),
    ],
)
def test_entries_that_are_missing_or_wrong(path, entries, message):
    with pytest.raises(weights.WeightFileError, match=message):
        weights.load_pth(written(path, entries))


def test_archives_that_no_torch_writes(path):
    entries = {"data.pkl": program(), "data/0": DATA}
    with pytest.raises(weights.WeightFileError, match="expected an entry that is stored as it is"):
        weights.load_pth(written(path, entries, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(path, "w") as archive:
        for folder in ("a", "b"):
            archive.writestr(f"{folder}/data.pkl", program())
    with pytest.raises(weights.WeightFileError, match="expected one entry of a name, got two"):
        weights.load_pth(path)
    memory = io.BytesIO(written(path, entries).read_bytes())
    with zipfile.ZipFile(memory, "a") as archive:
        (entry,) = [info for info in archive.infolist() if info.filename.endswith("data/0")]
        entry.file_size = entry.compress_size = 1 << 30  # the directory claims what the file cannot hold
        archive._didModify = True
    path.write_bytes(memory.getvalue())
    with pytest.raises(weights.WeightFileError, match="expected entries of at most"):
        weights.load_pth(path)


def test_files_that_are_something_else(path, tmp_path):
    for data in (b"", b"PK", b"PK\3\4", b"\x80\x02.", b"<html>404</html>", b"PK\3\4" + bytes(100)):
        path.write_bytes(data)
        with pytest.raises(weights.WeightFileError, match=f"^{re.escape(str(path))}: "):
            weights.load_pth(path)
    with pytest.raises(FileNotFoundError):
        weights.load_pth(tmp_path / "none.pth")


def test_a_table_of_contents_that_no_network_needs(path):
    line = b"PK\1\2" + bytes(4) + b"\x00\x08" + bytes(36)
    path.write_bytes(b"PK\3\4" + 30_000 * line + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 0, 0, 30_000 * 46, 4, 0))
    with pytest.raises(
        weights.WeightFileError, match="table of contents - expected at most 1048576 bytes, got 1380000"
    ):
        weights.load_pth(path)


def test_places_that_no_file_has(path):
    """An entry that begins before the file does."""
    data = bytearray(written(path, {"data.pkl": program(), "data/0": DATA}).read_bytes())
    end = data.rindex(b"PK\5\6")
    data[end + 16 : end + 20] = (end + 100).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(weights.WeightFileError, match="expected places within the file, got -"):
        weights.load_pth(path)


@pytest.mark.parametrize(("kind", "width"), [("FloatStorage", 4), ("BFloat16Storage", 2)])
def test_memory_of_a_large_file(path, kind, width):
    """Storages are read one at a time, and the largest arrays that a file may ask for take twice its size."""
    count = 4_000_000
    turned = Tensor(Storage(kind, "0", count), 0, (count // 1000, 1000), (1, count // 1000))
    tensors = {"x": turned, "y": turned} | ({"z": turned._replace(strides=(1000, 1))} if width == 4 else {})
    written(path, {"data.pkl": pickle_program.build(tensors), "data/0": bytes(width * count)})
    tracemalloc.start()
    state = weights.load_pth(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert list(state) == list(tensors) and peak < 3 * path.stat().st_size + 200_000
    state["x"] += 1  # it is the caller's own
    assert state["x"].flags.c_contiguous and state["y"] is state["x"] and not state.get("z", np.zeros(1)).any()


def test_views_that_overlap_would_take_more(path):
    count = 3_000_000
    views = [Tensor(Storage("FloatStorage", "0", count), i, (count - 2,), (1,)) for i in range(3)]
    written(path, {"data.pkl": pickle_program.build(dict(zip("xyz", views, strict=True))), "data/0": bytes(4 * count)})
    with pytest.raises(weights.WeightFileError, match="expected tensors of at most .* bytes in a file of"):
        weights.load_pth(path)


def test_old_and_new_names_of_one_densenet_side_by_side(path):
    names = ["features.denselayer2.norm.1.weight", "features.denselayer2.norm1.weight"]
    weights.save_pth(path, {name: np.zeros(2) for name in names})
    with pytest.raises(weights.WeightFileError, match="expected each name once, got an old name of a DenseNet beside"):
        weights.load_pth(path)


def test_every_cut_is_noticed(path):
    weights.save_pth(path, STATE)
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(weights.WeightFileError):
            weights.load_pth(path)


@pytest.mark.slow
def test_ten_thousand_flipped_bits(path):
    """Each is noticed, or lies where it does not matter."""
    weights.save_pth(path, STATE)
    sound, rng, noticed = path.read_bytes(), np.random.default_rng(0), 0
    for bit in rng.integers(0, 8 * len(sound), 10_000):
        data = bytearray(sound)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        try:
            got = weights.load_pth(path)
        except weights.WeightFileError:
            noticed += 1
        else:
            same(got, STATE)
    assert noticed > 3_000


# ------------------------------------------------------------------ checkpoints and prefixes


@pytest.mark.oracle
@pytest.mark.parametrize("key", ["model", "model_state_dict", "state_dict", "net", "ema"])
def test_the_only_state_dict_of_a_checkpoint_is_found(path, key):
    torch = pytest.importorskip("torch")
    model = torch.nn.Linear(2, 3)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    torch.save({"epoch": 3, key: model.state_dict(), "optimizer": optimizer.state_dict(), "loss": 0.5}, path)
    same(weights.load_pth(path), {name: tensor.numpy() for name, tensor in model.state_dict().items()})


RECORDS = {
    "options": argparse.Namespace(lr=0.1, out=pathlib.PurePosixPath("out")),
    "a numpy number": np.float64(3.5),
    "a numpy array": np.arange(3),
    "a set": {1, 2},
    "counts": collections.defaultdict(list, {"a": [1]}),
}


@pytest.mark.parametrize("record", RECORDS)
def test_what_a_training_script_keeps_next_to_the_weights_is_not_made(path, record):
    model = b"X\x05\x00\x00\x00model" + program()[2:-1]
    kept = b"X\x04\x00\x00\x00kept" + pickle.dumps(RECORDS[record], 2)[2:-1]
    for entries in (model + kept, kept + model):
        written(path, {"data.pkl": b"\x80\x02}(" + entries + b"u.", "data/0": DATA})
        same(weights.load_pth(path), {"x": np.zeros((2, 3), np.float32)})


@pytest.mark.oracle
def test_checkpoints_of_timm_and_lightning(path):
    torch = pytest.importorskip("torch")
    model = torch.nn.Linear(2, 3)
    expected = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    checkpoints = [
        {"epoch": 3, "arch": "resnet18", "state_dict": model.state_dict(), "version": 2, **RECORDS},
        {"state_dict": model.state_dict(), "callbacks": {"best": {"score": torch.tensor(1.0)}}, "loops": {}},
        {
            "model": model.state_dict(),
            "rng": torch.get_rng_state(),
            "device": torch.device("cpu"),
            "dtype": torch.float32,
        },
        {"model": model.state_dict(), "state": np.arange(3), "size": torch.Size([2])},
    ]
    for checkpoint in checkpoints:
        torch.save(checkpoint, path)
        same(weights.load_pth(path), expected)
    torch.save(model, path)
    with pytest.raises(
        weights.WeightFileError, match=r"got a whole model \(Linear\); save model.state_dict\(\) instead"
    ):
        weights.load_pth(path)


@pytest.mark.oracle
def test_of_several_state_dicts_one_must_be_named(path):
    torch = pytest.importorskip("torch")
    torch.save({"model": {"w": torch.ones(1)}, "ema": {"w": torch.zeros(1)}, "epoch": 1}, path)
    with pytest.raises(weights.WeightFileError, match="expected one state_dict, got 'model', 'ema'; name it: load_pth"):
        weights.load_pth(path)
    assert weights.load_pth(path, key="ema")["w"] == 0
    with pytest.raises(weights.WeightFileError, match="key - expected one of 'model', 'ema', got 'epoch'"):
        weights.load_pth(path, key="epoch")
    with pytest.raises(TypeError, match="load_pth: key - expected a string or None, got 1"):
        weights.load_pth(path, key=1)


def test_prefixes_of_all_names_are_left_out_and_a_warning_says_so(path):
    weights.save_pth(path, {"module._orig_mod.fc.weight": np.ones(2), "module._orig_mod.fc.bias": np.ones(1)})
    with pytest.warns(UserWarning, match="left out the prefix 'module._orig_mod.' of every name"):
        state = weights.load_pth(path)
    assert list(state) == ["fc.weight", "fc.bias"]
    weights.save_pth(path, {"module.weight": np.ones(2), "other": np.ones(1)})
    assert list(weights.load_pth(path)) == ["module.weight", "other"]
