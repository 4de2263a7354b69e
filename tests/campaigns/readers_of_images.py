"""The readers of CIFAR-10 in its three forms; see `readers.py`."""

import gzip
import io
import lzma
import struct
import sys
import tarfile

import crafted
import harness
import numpy as np

sys.path.append(str(harness.ROOT / "tests" / "data"))

import test_cifar10
from mutation import LARGE, mutated

from minitorch_cnn import data
from minitorch_cnn.data import cifar10


def records(count=20):
    """Return the contents of a test file of ``count`` images, (N, 3073), and let it be the genuine one."""
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


def made_archives():
    """Return archives that hold something else, by what."""
    sound = gzip.decompress(Archive.sound())
    made = {"no gzip": sound, "empty": b"", "gzip of nothing": gzip.compress(b""), "half": Archive.sound()[:20_000]}
    kinds = {"a link": tarfile.SYMTYPE, "a hard link": tarfile.LNKTYPE, "a device": tarfile.CHRTYPE}
    kinds |= {"a folder": tarfile.DIRTYPE, "a pipe": tarfile.FIFOTYPE, "of no known kind": b"Z"}
    for name, kind in kinds.items():
        member = tarfile.TarInfo(Binary.place)
        member.type, member.linkname = kind, "/etc/passwd"
        made[name] = gzip.compress(member.tobuf() + bytes(1024))
    for name in ("../../test_batch", "/test_batch", "data_batch_1.bin", "test_batch.bin/x", "", "\U0001f600" * 60):
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as archive:
            archive.addfile(tarfile.TarInfo(name))
        made[f"an empty {name}"] = gzip.compress(tar.getvalue())
    for size in (-1, 1 << 40, 20 * 3073 - 1, 20 * 3073 + 1):
        member = tarfile.TarInfo(Binary.place)
        member.size = size
        made[f"a member of {size} bytes"] = gzip.compress(member.tobuf(tarfile.GNU_FORMAT) + sound[512:])
    made["twenty members too many"] = gzip.compress(tarfile.TarInfo("a").tobuf() * 40 + sound)
    made["a member after the end"] = gzip.compress(bytes(1024) + sound)
    made["a wrong checksum of the header"] = gzip.compress(b"x" + sound[1:])
    made["xz in gzip"] = gzip.compress(lzma.compress(sound))
    made["gzip in gzip"] = gzip.compress(Archive.sound())
    damaged = bytearray(Archive.sound())
    damaged[len(damaged) // 2] ^= 0xFF
    return made | {"damaged in its middle": bytes(damaged)}


Archive.crafted = made_archives()
