"""The readers of files from strangers, each with a sound file, crafted ones, large ones and mutations.

Of each reader: ``error``, its own; ``floor``, the memory in bytes that it may take however small a file is;
``crafted`` and ``large()``, names and contents; ``sound()``, a content; ``read(path)``, whether the file was read
as the sound one; ``inside(content, rng)``, a mutation that keeps the checksums and the packing intact.
"""

import gzip
import io
import json
import struct
import sys
import tarfile
import zipfile

import crafted
import harness
import numpy as np
import safetensors.numpy

sys.path += [str(harness.ROOT / "tests" / folder) for folder in ("data", "weights")]

import test_cifar10
import test_pth

from minitorch_cnn import data, train, weights
from minitorch_cnn.data import cifar10
from minitorch_cnn.weights import file as weight_file
from minitorch_cnn.weights import pickle_program
from minitorch_cnn.weights.pickle_program import Storage, Tensor

NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, (1 << 63) - 1, (1 << 64) - 1]
STATE = {
    "conv.weight": np.arange(600, dtype=np.float32).reshape(10, 3, 4, 5),
    "norm.count": np.array(7, np.int64),
    "fc.bias": np.linspace(0, 1, 40),
}
LARGE = 40_000_000  # bytes of the numbers in a large file


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
        """Return a zip file whose entries, of so many bytes, are nothing but lines of the table of contents."""
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
        "sha256": weight_file._digest(arrays),
        "metadata": text,
        "metadata_sha256": weight_file._text_digest(text),
    }
    return safetensors.numpy.save(arrays, header)


class Weights:
    """Our own files: any change is noticed, but for one that comes with its own checksums."""

    error, floor = weights.WeightFileError, 25_000_000
    crafted = crafted.HEADERS | {
        "metadata that are no JSON": sealed(STATE, "{"),
        "metadata that are no dict": sealed(STATE, "[1]"),
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
        state, _ = train.Checkpoints(path.parent).load()
        return all(np.array_equal(state.get(name), array) for name, array in STATE.items())


def records(count=20):
    """Return what a test file of so many images holds, (N, 3073), and let it be the genuine one."""
    cifar10._PER_FILE = count
    rows = np.random.default_rng(0).integers(0, 256, (count, 3073), np.uint8)
    rows[:, 0] = np.arange(count) % 10
    cifar10.DIGESTS[False] = cifar10.content_digest(rows)
    return rows


class Binary:
    """CIFAR-10's binary files."""

    error, floor = data.DatasetError, 600_000
    place = "cifar-10-batches-bin/test_batch.bin"
    inside = None

    @staticmethod
    def sound(count=20):
        return records(count).tobytes()

    @classmethod
    def large(cls):
        sound = cls.sound(10_000)
        yield "the sound file", sound
        yield "twice as long", 2 * sound
        yield "a changed pixel", sound[:-1] + b"\x00"

    @classmethod
    def read(cls, path):
        place = path.parent / cls.place
        place.parent.mkdir(exist_ok=True)
        path.rename(place)
        data.CIFAR10(place.parent, train=False)  # which compares with the digest of the genuine images
        return True

    @staticmethod
    def shifted(number):
        """Return the images with the labels of others."""
        rows = records()
        rows[:, 0] = (rows[:, 0] + number) % 10
        return rows.tobytes()


SIZES = (0, 1, 3072, 3073, 20 * 3073 - 1, 20 * 3073 + 1, 40 * 3073)
Binary.crafted = (
    {f"{size} bytes": bytes(size) for size in SIZES}
    | {f"label {n}": bytes([n]) + records().tobytes()[1:] for n in (1, 9, 10, 128, 255)}
    | {f"all bytes {n}": bytes([n]) * (20 * 3073) for n in (0, 1, 9, 10, 255)}
    | {f"images swapped by {n}": Binary.shifted(n) for n in range(1, 10)}
)


class Python(Binary):
    """CIFAR-10's pickles."""

    place, floor, crafted = "cifar-10-batches-py/test_batch", 25_000_000, crafted.PICKLES

    @staticmethod
    def sound(count=20):
        return test_cifar10.pickle_of_python_2(records(count))

    @classmethod
    def large(cls):
        text = "\U0001f600".ljust(LARGE).encode()
        short = b"X" + struct.pack("<I", 1000) + text[:1000]
        yield "the sound file", cls.sound(10_000)
        yield "a text of 40 MB", b"\x80\x02X" + struct.pack("<I", len(text)) + text + b"."
        yield "many texts", b"\x80\x02" + short * (LARGE // 1005) + b"."
        yield "many strings", b"\x80\x02" + (b"U\xff" + text[-255:]) * (LARGE // 257) + b"."
        yield "many numbers", b"\x80\x02" + (b"\x8a\xff" + text[-255:]) * (LARGE // 257) + b"."
        yield "a name of 40 MB", b"\x80\x02c" + bytes(LARGE) + b"\n\n."


class Archive(Binary):
    """CIFAR-10's archive; small ones may hold as much as the large."""

    place, floor = "cifar-10-binary.tar.gz", 3 * 10_000 * 3073

    @classmethod
    def packed(cls, content):
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as archive:
            member = tarfile.TarInfo(Binary.place)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        return gzip.compress(tar.getvalue(), 1, mtime=0)

    @classmethod
    def sound(cls, count=20):
        return cls.packed(Binary.sound(count))

    @classmethod
    def inside(cls, content, rng):
        return gzip.compress(mutated(gzip.decompress(cls.sound()), rng), 1)

    @classmethod
    def large(cls):
        sound = cls.sound(10_000)
        header = {"L": b"", "x": b""}
        for kind in header:
            member = tarfile.TarInfo("long")
            member.type, member.size = kind.encode(), 300_000_000
            header[kind] = gzip.compress(member.tobuf(tarfile.USTAR_FORMAT) + b"a" * member.size, 1)
        yield "the sound file", sound
        yield "a member of 300 MB", cls.packed(bytes(300_000_000))
        yield "a name of 300 MB", header["L"]
        yield "attributes of 300 MB", header["x"]
        yield "a million empty members", gzip.compress(tarfile.TarInfo("a").tobuf() * 1_000_000, 1)
        yield "no tar file, 300 MB", gzip.compress(bytes(300_000_000), 1)


ALL = {
    "weights": Weights,
    ".pth": Pth,
    "checkpoints": Checkpoint,
    "CIFAR binary": Binary,
    "CIFAR pickle": Python,
    "CIFAR archive": Archive,
}


def made_archives():
    """Return archives that hold something else, by what."""
    sound = gzip.decompress(Archive.sound())
    made = {"no gzip": sound, "empty": b"", "gzip of nothing": gzip.compress(b""), "half": Archive.sound()[:20_000]}
    for name, kind in {"a link": tarfile.SYMTYPE, "a device": tarfile.CHRTYPE, "a folder": tarfile.DIRTYPE}.items():
        member = tarfile.TarInfo(Binary.place)
        member.type, member.linkname = kind, "/etc/passwd"
        made[name] = gzip.compress(member.tobuf() + bytes(1024))
    for name in ("../../test_batch", "/test_batch", "data_batch_1.bin"):
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as archive:
            archive.addfile(tarfile.TarInfo(name))
        made[f"an empty {name}"] = gzip.compress(tar.getvalue())
    for size in (-1, 1 << 40, 20 * 3073 - 1, 20 * 3073 + 1):
        member = tarfile.TarInfo(Binary.place)
        member.size = size
        made[f"a member of {size} bytes"] = gzip.compress(member.tobuf(tarfile.GNU_FORMAT) + sound[512:])
    damaged = bytearray(Archive.sound())
    damaged[len(damaged) // 2] ^= 0xFF
    return made | {"damaged in its middle": bytes(damaged)}


Archive.crafted = made_archives()
