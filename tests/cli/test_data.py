"""`mcnn data`, and unverified images by name."""

import io
import json
import os

import numpy as np
import pytest
from PIL import Image

from minitorch_cnn.cli.download_bar import DownloadBar


@pytest.fixture
def fake_cifar10(own_folder):
    """Write a folder that has the form of CIFAR-10 but not its images."""
    folder = own_folder / "fake" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i, name in enumerate([*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"]):
        rows = np.zeros((10_000, 3073), np.uint8)
        rows[:, 0] = np.arange(10_000) % 10
        rows[:, 1:] = rng.integers(0, 256, 3072, dtype=np.uint8) ^ np.uint8(i)
        (folder / name).write_bytes(rows.tobytes())
    (folder / "batches.meta.txt").write_text("airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n")
    return folder


def test_check_refuses_what_is_not_genuine(mcnn, fake_cifar10):
    for place in (fake_cifar10, fake_cifar10.parent):
        code, out, err = mcnn("data", "check", place)
        assert (code, out) == (2, "") and "mcnn data check: " in err and "Traceback" not in err


@pytest.mark.slow
def test_training_on_unverified_images_needs_a_word_and_is_on_record(mcnn, fake_cifar10):
    words = ("train", "--recipe", "mlp", "--epochs", "1", "--workers", "0", "--data", fake_cifar10, "--run", "run")
    words += ("--holdout", "49000")  # trains on the other thousand
    code, _, err = mcnn(*words)
    assert code == 2 and not os.path.exists("run")
    code, out, _ = mcnn(*words, "--unverified")
    assert code == 0 and "(unverified images)" in out
    with open("run/result.json") as file:
        result = json.load(file)
    assert result["verified"] is False and result["dataset"] == "cifar10"
    code, out, _ = mcnn("eval", "--model", "run")
    assert code == 0 and out.startswith("test accuracy")


def test_nothing_fetched_yet(mcnn):
    code, _, err = mcnn("data", "check")
    assert code == 2 and "mcnn data get" in err


def test_a_file_to_import_that_is_not_there(mcnn):
    code, out, err = mcnn("data", "get", "--from", "absent.tar.gz")
    assert (code, out) == (2, "") and "absent.tar.gz" in err


def test_the_code_that_does_the_same(mcnn, fake_cifar10):
    _, out, _ = mcnn("data", "get", "--from", "a.tar.gz", "--show-code")
    assert "data.fetch('a.tar.gz', None)" in out
    compile(out, "shown", "exec")
    _, out, _ = mcnn("data", "check", fake_cifar10, "--show-code")
    with pytest.raises(ValueError, match="content digest - expected"):
        exec(compile(out, "shown", "exec"), {})


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_transfer_shows_its_speed():
    stream = Terminal()
    with DownloadBar("CIFAR-10", stream) as bar:
        bar.show(50_000_000, 170_000_000, 2_500_000)
        bar.show(60_000_000, None, 2_500_000)
    assert "CIFAR-10: 50 of 170 MB, 2.5 MB/s" in stream.getvalue()
    assert "CIFAR-10: 60 MB, 2.5 MB/s" in stream.getvalue() and stream.getvalue().endswith("\n")


def test_a_transfer_in_a_pipe_writes_a_line_now_and_then(monkeypatch):
    now, stream = [0.0], io.StringIO()
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with DownloadBar("CIFAR-10", stream) as bar:
        for second in range(1, 31):
            now[0] = float(second)
            bar.show(second * 1_000_000, 170_000_000, 1_000_000)
    assert stream.getvalue().splitlines() == [f"CIFAR-10: {s} of 170 MB, 1.0 MB/s" for s in (10, 20, 30)]


# ----------------------------------------------------------------------------------------- show


@pytest.fixture
def pets(own_folder):
    """Return a folder of two classes with a picture that is there twice and one that is broken."""
    for i in range(8):
        folder = own_folder / "pets" / ("cat", "dog")[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((30, 40 + i), 30 * i, np.uint8)).save(folder / f"{i}.png")
    (own_folder / "pets" / "dog" / "1.png").write_bytes((own_folder / "pets" / "cat" / "2.png").read_bytes())
    (own_folder / "pets" / "dog" / "9.png").write_bytes(b"")
    return own_folder / "pets"


def test_show_tells_what_a_folder_holds(mcnn, pets, own_folder):
    code, out, err = mcnn("data", "show", pets, "-o", "pets.png")
    assert code == 0 and "wrote pets.png" in err, err
    assert out.startswith("folder pets: 6 training and 2 test images of 2 classes, 32 x 32 pixels in colour\n")
    assert "dog/1.png" in out and "smallest  30 x 40  cat/0.png" in out
    assert "broken    1" in out and "9.png - expected an image that Pillow can read, got an empty file" in out
    assert (own_folder / "pets.png").read_bytes().startswith(b"\x89PNG")


def test_show_takes_all_kinds_of_data(mcnn, pets, own_folder):
    (pets / "labels.csv").write_text("path,label\n" + "".join(f"cat/{i}.png,{'ab'[i // 4]}\n" for i in (0, 2, 4, 6)))
    code, out, err = mcnn("data", "show", pets / "labels.csv", "--image-size", 16)
    assert code == 0 and "table labels.csv: 2 training and 2 test images of 2 classes, 16 x 16 pixels" in out, err
    code, out, err = mcnn("data", "show")
    assert code == 0 and out.startswith("shapes10: 256 training and 64 test images of 10 classes"), err
    code, out, _ = mcnn("data", "show", pets, "--augmented", "-o", "seen.svg")
    assert code == 0 and (own_folder / "seen.svg").exists()


def test_show_draws_the_augmentation_of_the_recipe(mcnn, pets):
    code, out, _ = mcnn("data", "show", pets, "--augmented", "--recipe", "resnet20", "--show-code")
    assert code == 0 and "recipe = train.recipe('resnet20')" in out and "transforms=train.augmentation(recipe)" in out
    code, _, err = mcnn("data", "show", pets, "--augmented", "--recipe", "cifa4")
    assert code == 2 and "no recipe is called 'cifa4'; did you mean 'cifar4'?" in err
    code, _, err = mcnn("data", "show", pets, "--recipe", "cifar4")
    assert code == 2 and "add --augmented to --recipe" in err


@pytest.mark.parametrize("words", [("nowhere",), ("pets/cat",), ("pets", "-o", "pets.bmp")])
def test_show_refuses_in_one_line(mcnn, pets, words):
    code, out, err = mcnn("data", "show", *words)
    assert (code, out) == (2, "") and err.startswith("mcnn") and err.count("\n") == 1, err
