"""Files made by hand to fool a reader, by what is wrong with them."""

import json
import os
import pickle
import struct
import sys

import harness

sys.path += [str(harness.ROOT / "tests" / folder) for folder in ("data", "weights")]

import test_pth

# ----------------------------------------------------------------------------------- safetensors


def safetensors_with(header, content=bytes(16)):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
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


# ----------------------------------------------------------------------------- CIFAR-10's pickles


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
