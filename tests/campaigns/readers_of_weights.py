"""The readers of weights and checkpoints; see `readers.py`."""

import io
import json
import struct
import sys
import zipfile

import crafted
import harness
import numpy as np
import safetensors.numpy

sys.path.append(str(harness.ROOT / "tests" / "weights"))

import test_pth
from mutation import LARGE, mutated

from minitorch_cnn import train, weights
from minitorch_cnn.weights import file as weight_file
from minitorch_cnn.weights import pickle_program
from minitorch_cnn.weights.pickle_program import Storage, Tensor

STATE = {
    "conv.weight": np.arange(600, dtype=np.float32).reshape(10, 3, 4, 5),
    "norm.count": np.array(7, np.int64),
    "fc.bias": np.linspace(0, 1, 40),
}


class Pth:
    """PyTorch's files; names and shapes may change unnoticed."""

    error, floor = weights.WeightFileError, 25_000_000
    program = pickle_program.build({"x": Tensor(Storage("FloatStorage", "0", 6), 0, (2, 3), (3, 1))})

    @staticmethod
    def packed(entries, compression=zipfile.ZIP_STORED):
        memory = io.BytesIO()
        with zipfile.ZipFile(memory, "w", compression) as archive:
            for name, content in entries.items():
                archive.writestr(f"archive/{name}", content)
        return memory.getvalue()

    @classmethod
    def sound(cls):
        return cls.packed({"data.pkl": cls.program, "data/0": test_pth.DATA})

    @classmethod
    def inside(cls, content, rng):
        return cls.packed({"data.pkl": mutated(cls.program, rng), "data/0": test_pth.DATA})

    @classmethod
    def large(cls):
        numbers = bytes(LARGE)

        def file(*tensors, **entries):
            program = pickle_program.build({f"x{i}": tensor for i, tensor in enumerate(tensors)})
            return cls.packed({"data.pkl": program, "data/0": numbers} | entries)

        floats, halves = Storage("FloatStorage", "0", LARGE // 4), Storage("BFloat16Storage", "0", LARGE // 2)
        whole, wide = Tensor(floats, 0, (LARGE // 4,), (1,)), Tensor(halves, 0, (LARGE // 2,), (1,))
        yield "one tensor", file(whole)
        yield "two tensors of one storage", file(whole, whole)
        yield "one number in all places", file(Tensor(floats, 0, (LARGE // 2,), (0,)))
        yield "a matrix across", file(Tensor(floats, 0, (1000, LARGE // 4000), (1, 1000)))
        yield "bfloat16", file(wide)
        yield "bfloat16 twice", file(wide, wide)
        yield "big-endian", file(whole, byteorder=b"big")
        yield "a program of 40 MB", file(whole, **{"data.pkl": b"\x80\x02" + b"]" * LARGE})
        yield (
            "a compressed entry",
            cls.packed({"data.pkl": cls.program, "data/0": bytes(9 * LARGE)}, zipfile.ZIP_DEFLATED),
        )
        yield "a table of contents of 40 MB", cls.table(46, b"")
        yield "names of 40 MB", cls.table(60_000, "\U0001f600".encode())

    @staticmethod
    def table(length, name):
        """Return a zip file whose entries, each of a given size, are nothing but lines of the table of contents."""
        name = name.ljust(length - 46, b"a")
        line = b"PK\1\2" + bytes(4) + b"\x00\x08" + bytes(18) + struct.pack("<H", len(name)) + bytes(16) + name
        lines = line * (LARGE // len(line))
        return b"PK\3\4" + lines + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 0, 0, len(lines), 4, 0)

    @staticmethod
    def read(path):
        weights.load_pth(path)
        return True


Pth.crafted = {
    name: Pth.packed({"data.pkl": content, "data/0": test_pth.DATA}) for name, content in test_pth.PICKLES.items()
}


def sealed(arrays, text):
    """Return a safetensors file with the checksums of its arrays and of its metadata."""
    header = {
        "sha256": weight_file.digest_of(arrays),
        "metadata": text,
        "metadata_sha256": weight_file._text_digest(text),
    }
    return safetensors.numpy.save(arrays, header)


class Weights:
    """Our own files: any change is noticed, but for one that comes with its own checksums."""

    error, floor = weights.WeightFileError, 25_000_000
    crafted = crafted.HEADERS | {
        "metadata that are not JSON": sealed(STATE, "{"),
        "metadata that are not a dict": sealed(STATE, "[1]"),
        "metadata in metadata, 100,000 times": sealed(STATE, "[" * 100_000),
        "an integer of 10,000 digits": sealed(STATE, '{"x": ' + "1" * 10_000 + "}"),
    }
    text = json.dumps({"model": "cifar4", "classes": ["cat", "dog"], "size": 3.5, "last": None})

    @classmethod
    def sound(cls):
        return sealed(STATE, cls.text)

    @classmethod
    def inside(cls, content, rng):
        names = [mutated(name.encode(), rng).decode(errors="replace") for name in STATE]
        text = mutated(cls.text.encode(), rng).decode(errors="replace")
        return sealed(dict(zip(names, STATE.values(), strict=True)), text)

    @staticmethod
    def large():
        def file(arrays, text="{}"):
            return sealed({str(i): array for i, array in enumerate(arrays)}, text)

        numbers = np.zeros(LARGE // 4, np.float32)
        entries = ",".join(f'"{i}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}' for i in range(600_000))
        yield "one array", file([numbers])
        yield "ten thousand arrays", file(np.split(numbers, 10_000))
        yield "600,000 empty arrays", crafted.safetensors_with(f"{{{entries}}}".encode(), b"")
        yield "40,000 empty arrays", file([numbers, *np.zeros((40_000, 0), np.float32)])
        yield "metadata of 40 MB", file([numbers[:100]], f'{{"x": "{"a" * LARGE}"}}')
        yield "metadata of 3 MB", file([numbers], '{"x": ["\U0001f600"' + ',""' * 1_000_000 + "]}")

    @staticmethod
    def read(path):
        arrays, metadata = weights.load(path)
        return arrays.keys() == STATE.keys() and all(
            (arrays[k].dtype, arrays[k].shape, arrays[k].tobytes()) == (a.dtype, a.shape, a.tobytes())
            for k, a in STATE.items()
        )


class Checkpoint(Weights):
    """The same files, found by `train.Checkpoints`, and put together from nested names."""

    error = train.CheckpointError
    crafted = Weights.crafted | {
        "a branch that is a number": sealed({"step/x": np.zeros(2)}, '{"step": 1}'),
        "a branch that is a list": sealed({"step/x": np.zeros(2)}, '{"step": [1]}'),
        "a branch that is not there": sealed({"a/b/c": np.zeros(2)}, "{}"),
    }

    @staticmethod
    def read(path):
        place = path.parent / "checkpoint-000000001.safetensors"
        place.write_bytes(path.read_bytes())
        state, _ = train.Checkpoints(path.parent).load({})
        return all(np.array_equal(state.get(name), array) for name, array in STATE.items())
