"""Files that lie: every reader against thousands of mutations, in a process of its own that may not die.

A mutation flips bits, cuts, repeats or moves a piece, or writes a number that people forget to check.
The reader has to refuse the file with its own error, or return what the sound file holds; within three
times the file's memory, and without running anything.
"""

import os
import pathlib
import pickle
import struct
import sys
import tempfile
import tracemalloc

import harness
import numpy as np

sys.path += [str(harness.ROOT / "tests" / folder) for folder in ("data", "weights")]

import test_cifar10
import test_pth

from minitorch_cnn import data, train, weights
from minitorch_cnn.data import cifar10

NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, (1 << 63) - 1, (1 << 64) - 1]
FIXED = 600_000  # bytes: tables of parsers, which do not grow with the file
STEPS = 20_000_000  # bytes: what the most instructions of a pickle can make
STATE = {
    "conv.weight": np.arange(600, dtype=np.float32).reshape(10, 3, 4, 5),
    "norm.count": np.array(7, np.int64),
    "fc.bias": np.linspace(0, 1, 40),
}


def mutated(sound, rng):
    """Return the bytes with one to four changes."""
    content = bytearray(sound)
    for _ in range(rng.integers(1, 5)):
        place, length = int(rng.integers(0, len(content) + 1)), int(rng.geometric(0.05))
        # the heads of files are where their structure lies
        place = place if rng.random() < 0.5 else place % 512
        kind = rng.integers(0, 6)
        if kind <= 1 and place < len(content):
            content[place] ^= 1 << rng.integers(0, 8)
        elif kind == 2:
            del content[place : place + length]
        elif kind == 3:
            content[place:place] = content[place : place + length]
        elif kind == 4:
            number = NUMBERS[rng.integers(0, len(NUMBERS))]
            width = int(rng.choice([1, 2, 4, 8]))
            order = "<" if rng.random() < 0.8 else ">"
            piece = struct.pack(f"{order}Q", number)
            content[place : place + width] = piece[:width] if order == "<" else piece[-width:]
        else:
            other = int(rng.integers(0, len(content) + 1))
            content[place : place + length] = content[other : other + length]
    return bytes(content)


# --------------------------------------------------------------------------------------- readers


def same(a, b):
    return a.keys() == b.keys() and all(
        a[k].dtype == b[k].dtype and a[k].shape == b[k].shape and a[k].tobytes() == b[k].tobytes() for k in a
    )


class Pth:
    """PyTorch's files; no checksum guards the numbers, only their places."""

    error, fixed = weights.WeightFileError, STEPS
    hostile = {  # one archive for each crafted pickle
        name: (lambda folder, content=content: Pth.wrap(folder, content)) for name, content in test_pth.PICKLES.items()
    }

    @staticmethod
    def wrap(folder, content):
        return test_pth.written(folder / "hostile", {"data.pkl": content, "data/0": test_pth.DATA}).read_bytes()

    @staticmethod
    def write(path):
        weights.save_pth(path, STATE)

    @staticmethod
    def read(path):
        weights.load_pth(path)
        return True  # names and shapes may change, as no checksum covers them


def safetensors_with(header, content=bytes(16)):
    text = header if isinstance(header, bytes) else harness.json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content


def entry(**changes):
    return {"x": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]} | changes}


HEADERS = {
    "no header": b"",
    "seven bytes": bytes(7),
    "a length of 2^64 - 1": b"\xff" * 8,
    "a length of 2^62": struct.pack("<Q", 1 << 62) + b"{}",
    "a length of 100 MB": struct.pack("<Q", 100_000_000) + b"{}",
    "a length past the end": struct.pack("<Q", 3) + b"{}",
    "nothing else": struct.pack("<Q", 0),
    "a list": safetensors_with(b"[]"),
    "null": safetensors_with(b"null"),
    "deep json": safetensors_with(b"[" * 100_000),
    "deep dicts": safetensors_with(b'{"a":' * 50_000),
    "no utf-8": safetensors_with(b'{"\xff\xfe": 1}'),
    "a bare number": safetensors_with({"x": 5}),
    "no shape": safetensors_with({"x": {"dtype": "F32", "data_offsets": [0, 16]}}),
    "no offsets": safetensors_with({"x": {"dtype": "F32", "shape": [4]}}),
    "past the end": safetensors_with(entry(data_offsets=[0, 64])),
    "backwards": safetensors_with(entry(data_offsets=[16, 0])),
    "negative offsets": safetensors_with(entry(data_offsets=[-16, 0])),
    "a hole": safetensors_with(entry(data_offsets=[8, 24]), bytes(24)),
    "overlap": safetensors_with(entry() | {"y": entry(data_offsets=[8, 24])["x"]}, bytes(24)),
    "overflow": safetensors_with(entry(shape=[1 << 40, 1 << 40])),
    "overflow to zero": safetensors_with(entry(shape=[1 << 32, 1 << 32], data_offsets=[0, 0]), b""),
    "negative shape": safetensors_with(entry(shape=[-4])),
    "shape of fractions": safetensors_with(entry(shape=[4.5])),
    "too few numbers": safetensors_with(entry(shape=[5])),
    "objects": safetensors_with(entry(dtype="object")),
    "a dtype that numpy lacks": safetensors_with(entry(dtype="BF16", shape=[8])),
    "no checksum": safetensors_with(entry()),
    "metadata of numbers": safetensors_with(entry() | {"__metadata__": {"sha256": 5}}),
    "a wrong checksum": safetensors_with(
        entry() | {"__metadata__": {"sha256": "0" * 64, "metadata": "{}", "metadata_sha256": "0" * 64}}
    ),
    "a name twice": safetensors_with(b'{"x":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},' * 2 + b"}"),
    "a pickle": pickle.dumps(test_pth.Evil(os.system, "touch executed")),
}


class Weights:
    """Our own files: any change is noticed."""

    error, fixed = weights.WeightFileError, FIXED
    hostile = {name: (lambda folder, content=content: content) for name, content in HEADERS.items()}

    @staticmethod
    def write(path):
        weights.save(path, STATE, {"model": "cifar4", "classes": ["cat", "dog"]})

    @staticmethod
    def read(path):
        return same(weights.load(path)[0], STATE)


class Checkpoint(Weights):
    """The same bytes, found by `train.Checkpoints`."""

    error = train.CheckpointError

    @staticmethod
    def write(path):
        path.write_bytes(train.Checkpoints(path.parent).save(1, {"model": STATE, "step": 1}).read_bytes())

    @staticmethod
    def read(path):
        place = path.parent / "checkpoint-000000001.safetensors"
        place.write_bytes(path.read_bytes())
        return same(train.Checkpoints(path.parent).load()[0]["model"], STATE)


def records():
    """Return what a test file of 20 images holds, (20, 3073), and let it be the genuine one."""
    cifar10._PER_FILE = 20
    rows = np.random.default_rng(0).integers(0, 256, (20, 3073), np.uint8)
    rows[:, 0] = np.arange(20) % 10
    cifar10.DIGESTS[False] = cifar10.content_digest(rows)
    return rows


class Binary:
    """CIFAR-10's binary files."""

    error, fixed = data.DatasetError, FIXED
    folder, name = "cifar-10-batches-bin", "test_batch.bin"
    sizes = (0, 1, 3072, 3073, 20 * 3073 - 1, 20 * 3073 + 1, 40 * 3073)
    hostile = (
        {f"{size} bytes": (lambda folder, size=size: bytes(size)) for size in sizes}
        | {f"label {n}": (lambda folder, n=n: bytes([n]) + records().tobytes()[1:]) for n in (1, 9, 10, 128, 255)}
        | {f"all bytes {n}": (lambda folder, n=n: bytes([n]) * (20 * 3073)) for n in (0, 1, 9, 10, 255)}
        | {f"images swapped by {n}": (lambda folder, n=n: Binary.shifted(n)) for n in range(1, 10)}
    )

    @staticmethod
    def shifted(number):
        """Return the images with the labels of others."""
        rows = records()
        rows[:, 0] = (rows[:, 0] + number) % 10
        return rows.tobytes()

    @staticmethod
    def write(path):
        path.write_bytes(records().tobytes())

    @classmethod
    def read(cls, path):
        place = path.parent / cls.folder
        place.mkdir(exist_ok=True)
        (place / cls.name).write_bytes(path.read_bytes())
        dataset, rows = data.CIFAR10(place, train=False), records()
        images = rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        return bool((dataset.images == images).all() and (dataset.labels == rows[:, 0]).all())


def bomb(depth=40):
    """Return a pickle of lists in lists, each twice: a hundred bytes that stand for 2^40 numbers."""
    content = b"\x80\x02}(U\x04dataK\x01U\x06labels]q\x00(K\x01K\x01e"
    for level in range(1, depth):
        content += b"q\x01](h\x01h\x01e".replace(b"\x01", bytes([level]))
    return content + b"u."


def array_of(dtype, shape=b"J\x14\x00\x00\x00J\x00\x0c\x00\x00\x86", flags=b"J\xff\xff\xff\xff", content=bytes(64)):
    """Return a pickle whose array has a dtype, shape and flags of the attacker's choice."""
    kind = (
        b"cnumpy\ndtype\nU" + bytes([len(dtype)]) + dtype + b"K\x00K\x01\x87R(K\x03U\x01|NNN" + 2 * flags + b"K\x00tb"
    )
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    array = empty + b"(K\x01" + shape + kind + b"\x89T" + struct.pack("<i", len(content)) + content + b"tb"
    return b"\x80\x02}(U\x04data" + array + b"U\x06labels](" + b"K\x01" * 20 + b"eu."


PICKLES = {
    "lists in lists": bomb(),
    "a memo of 2^31 places": b"\x80\x02}r\xff\xff\xff\x7f.",
    "a memo of 2^32 places": b"\x80\x02}r\xff\xff\xff\xff.",
    "an array of a terabyte": b"\x80\x02cnumpy\nndarray\n\x8a\x05\x00\x00\x00\x00\x01\x85\x85R.",
    "an array of 2^60 numbers": b"\x80\x02cnumpy\nndarray\n\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x10\x85\x85R.",
    "an array of objects": array_of(b"O8", content=b"\x41" * 64, shape=b"K\x02K\x04\x86"),
    "objects that hide their flags": array_of(b"O8", content=b"\x41" * 64, shape=b"K\x02K\x04\x86", flags=b"K\x00"),
    "an array of negative size": array_of(b"u1", shape=b"J\xff\xff\xff\xffJ\xff\xff\xff\xff\x86"),
    "an array without numbers": array_of(b"u1", content=b""),
    "an array of strings": array_of(b"S8"),
    "a structured dtype": array_of(b"u1,u1"),
    "an array as its own shape": b"\x80\x02cnumpy\nndarray\n)R\x85R.",
    "a memory map": b"\x80\x02cnumpy\nmemmap\nU\x08executedU\x01wU\x02w+\x87R.",
    "numpy.load": b"\x80\x02cnumpy\nload\nU\x08executed\x85R.",
    "a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__init__\x93.",
    "a name of builtins": b"\x80\x02c__builtin__\neval\nU\x17open('executed','w')....\x85R.",
    "an extension": b"\x80\x02\x82\x01.",
    "a persistent id": b"\x80\x02K\x01Q.",
    "a class from a stack": b"(icollections\nOrderedDict\n.",
    "a changed class": b"\x80\x02cnumpy\nndarray\n}U\x05shapeK\x01sb.",
    "a changed function": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n}U\x08__name__K\x01sb.",
    "a dict as a key": b"\x80\x02}}K\x01s.",
    "a million marks": b"\x80\x02" + b"(" * 1_000_000 + b".",
    "a tuple in a tuple, 100,000 times": b"\x80\x02)" + b"\x85" * 100_000 + b".",
    "a string of four gigabytes": b"\x80\x02X\xff\xff\xff\xffabc.",
    "bytes of 2^63": b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
    "a frame of 2^63": b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f}.",
    "a command": pickle.dumps(test_pth.Evil(os.system, "touch executed"), 2),
    "a command, protocol 5": pickle.dumps({"data": test_pth.Evil(eval, "open('executed', 'w')")}, 5),
    "nothing": b"",
    "no end": b"\x80\x02}",
}


class Python(Binary):
    """CIFAR-10's pickles."""

    folder, name, fixed = "cifar-10-batches-py", "test_batch", STEPS
    hostile = {name: (lambda folder, content=content: content) for name, content in PICKLES.items()}

    @staticmethod
    def write(path):
        path.write_bytes(test_cifar10.pickle_of_python_2(records()))


# ------------------------------------------------------------------------------------- the trial


def trial(reader, contents, limit):
    """Read every content; return (read as if sound, wrongly accepted, foreign errors, worst memory / file)."""
    accepted, wrong, worst = 0, [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        path = pathlib.Path(folder) / "file"
        for number, (name, content) in enumerate(contents):
            path.write_bytes(content)
            if watched := not name.startswith("mutation") or number % 20 == 0:  # watching memory takes long
                tracemalloc.start()
            try:
                if reader.read(path):
                    accepted += 1
                else:
                    wrong.append(f"{name}: changed and accepted")
            except reader.error:
                pass
            except Exception as error:
                wrong.append(f"{name}: {type(error).__name__}: {error}"[:200])
            if watched:
                _, peak = tracemalloc.get_traced_memory()
                tracemalloc.stop()
                worst = max(worst, (peak - reader.fixed) / max(len(content), limit))
            if os.path.exists("executed"):
                wrong.append(f"{name}: ran code")
                os.unlink("executed")
        os.chdir("/")
    return accepted, wrong, worst


def attack(reader):
    """Return the check of one reader: crafted files, then mutations of a sound one."""

    def check(length):
        rng = np.random.default_rng(length.seed)
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            reader.write(folder / "sound")
            sound = (folder / "sound").read_bytes()
            crafted = [(name, make(folder)) for name, make in reader.hostile.items()]
        mutations = ((f"mutation {i}", mutated(sound, rng)) for i in range(length(300, 10_000)))
        accepted, problems, ends, worst = [], [], [], 0.0
        for contents in ([("the sound file", sound)], crafted, mutations):
            process = harness.Forked(trial, reader, contents, len(sound))
            end, result = process.wait()
            ends.append(end)
            if result:
                accepted.append(result[0])
                problems += result[1]
                worst = max(worst, result[2])
        for problem in problems[:8]:
            print("  ", problem)
        deaths = sum(end != "exit 0" for end in ends)
        most = f"{max(worst, 0):.1f} times the file + {reader.fixed / 1e6:.1f} MB"
        figure = (
            f"{len(crafted)} crafted files and {length(300, 10_000)} mutations: {deaths} crashes, {len(problems)} "
            f"accepted, executed or with another error, memory at most {most}"
        )
        return figure, not deaths and not problems and accepted[:2] == [1, 0] and worst <= 3

    return check


if __name__ == "__main__":
    readers = {
        "weights": Weights,
        ".pth": Pth,
        "checkpoints": Checkpoint,
        "CIFAR binary": Binary,
        "CIFAR pickle": Python,
    }
    harness.main(__doc__, {f"16 {name}": attack(reader) for name, reader in readers.items()})
