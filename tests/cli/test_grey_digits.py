"""LeNet-5 on files of MNIST's format: fetched, trained, used, explained and exported."""

import gzip
import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from minitorch_cnn.data import idx, shapes10


@pytest.fixture
def digits(tmp_path, monkeypatch):
    """Return a folder of grey pictures in MNIST's form, and let them be the genuine ones."""
    folder, contents = tmp_path / "digits", {}
    folder.mkdir()
    for part, train, count in (("train", True, 256), ("t10k", False, 64)):
        made = shapes10.Shapes10(train=train, size=count)
        for kind, array in (
            ("images-idx3", made.images[:, 2:30, 2:30, 0]),
            ("labels-idx1", made.labels.astype(np.uint8)),
        ):
            head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
            content = head + np.ascontiguousarray(array).tobytes()
            contents[f"{part}-{kind}-ubyte"] = hashlib.md5(content).hexdigest()
            (folder / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(content, 1))
    monkeypatch.setattr(idx.MNIST_FILES, "contents", contents)
    return folder


def test_from_files_to_a_trained_network_that_is_used_everywhere(mcnn, digits, tmp_path):
    pytest.importorskip("onnx")
    code, _, err = mcnn("train", "--data", "mnist")
    assert code == 2 and "download MNIST with `mcnn data get mnist` first" in err
    code, out, err = mcnn("data", "get", "mnist", "--from", digits)
    assert code == 0 and out.strip().endswith("mnist"), err
    code, out, err = mcnn("data", "check", "mnist")
    assert code == 0 and "train: 256 genuine images" in out and "test: 64 genuine images" in out, err

    code, out, err = mcnn("train", "--data", "mnist", "--epochs", 1, "--workers", 0, "--run", "run")
    assert code == 0 and "mnist on mnist, 1 epoch" in out, err
    record = json.loads((tmp_path / "run" / "result.json").read_text(encoding="utf-8"))
    assert record["model"] == "lenet5" and record["settings"]["recipe"]["flip"] is False
    assert mcnn("eval", "--model", "run")[1].split(",")[0] == out.split(",")[0]
    assert mcnn("train", "--resume", "run")[0] == 0

    Image.fromarray(np.full((40, 40, 3), 200, np.uint8)).save("seven.png")  # in colour: becomes grey
    code, out, err = mcnn("predict", "seven.png", "--model", "run")
    assert code == 0 and out.split("\t")[1] in "0123456789", err
    for words in (
        ("explore", "--count", 2, "-o", "page.html"),
        ("export", "-o", "model.onnx"),
        ("explain", "gradcam", "seven.png", "-o", "cam.png"),
    ):
        code, _, err = mcnn(*words, "--model", "run")
        assert code == 0, (words, err)
        assert (tmp_path / words[words.index("-o") + 1]).stat().st_size > 0


def test_mirrored_digits_are_never_trained_on(mcnn, digits):
    code, out, err = mcnn("train", "--data", digits, "--model", "lenet5", "--show-code")
    assert code == 0 and "flip=False" in out and f"data.MNIST({str(digits)!r}, train=True)" in out, err


def test_files_of_unknown_contents_need_a_word(mcnn, digits, monkeypatch):
    monkeypatch.setattr(idx.MNIST_FILES, "contents", dict.fromkeys(idx.MNIST_FILES.contents, ""))
    words = ("train", "--data", digits, "--epochs", 1, "--workers", 0, "--run", "run")
    code, _, err = mcnn(*words)
    assert code == 2 and "these are not the genuine images" in err
    code, out, err = mcnn(*words, "--unverified")
    assert code == 0 and "on mnist (unverified images)" in out, err


def test_the_code_that_fetches(mcnn):
    for name in ("cifar100", "mnist", "fashion_mnist"):
        code, out, _ = mcnn("data", "get", name, "--show-code")
        assert code == 0 and f"data.fetch(None, None, dataset={name!r})" in out
    code, _, err = mcnn("data", "get", "svhn")
    assert code == 2 and "svhn" in err
