"""From a folder of pictures to a trained, used, explained network."""

import json
import warnings

import numpy as np
import pytest
from PIL import Image

from minitorch_cnn import train
from minitorch_cnn.cli.train import _CHOSEN_ONCE
from minitorch_cnn.data import shapes10


@pytest.fixture
def pets(tmp_path):
    """Return a folder of ten classes with pictures of several sizes."""
    made = shapes10.Shapes10(size=80)
    rng = np.random.default_rng(0)
    for i, (image, label) in enumerate(zip(made.images, made.labels, strict=True)):
        folder = tmp_path / "pets" / made.classes[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).resize(tuple(rng.integers(28, 60, 2).tolist())).save(folder / f"{i}.png")
    return tmp_path / "pets"


TRAIN = ("train", "--recipe", "mlp", "--workers", 0)


def test_train_resume_eval_predict_and_explain(mcnn, pets, tmp_path):
    code, out, err = mcnn(*TRAIN, "--data", pets, "--epochs", 2, "--run", "run")
    assert code == 0, err
    assert "mlp on folder pets, 2 epochs" in out and "unverified" not in out
    record = json.loads((tmp_path / "run" / "result.json").read_text(encoding="utf-8"))
    assert record["dataset"] == "folder pets"
    code, again, err = mcnn("eval", "--model", "run")
    assert code == 0 and again.split(",")[0] == out.split(",")[0], err
    picture = next((pets / "disk").iterdir())
    code, answer, err = mcnn("predict", picture, "--model", "run")
    assert code == 0 and answer.split("\t")[1] in {folder.name for folder in pets.iterdir()}, err
    code, _, err = mcnn("explore", "--model", "run", "--count", 2)
    assert code == 0, err
    code, _, err = mcnn("train", "--resume", "run")
    assert code == 0, err


def test_resume_auto_takes_every_option_of_the_first_command_again(mcnn, pets):
    """So that the same command may be started again and again, as `mcnn launch` and a cluster do."""
    words = "--epochs 1 --image-size 24 --batch-size 8 --lr 0.01 --seed 3 --holdout 10 --accumulate 2 --save-epochs "
    words += "--weight-decay 0.1 --label-smoothing 0.1 --dropout 0.2 --schedule plateau --mixup 0.2 --cutmix 0.3 "
    words += "--color-jitter 0.1 --hue 0.1 --rotate 5 --erase 0.2 --resized-crop 0.5 --precision float32 --sync-bn "
    words += "--class-weights 1,2.5,1,1,1,1,1,1,1,1 --early-stop 3 --keep-best"
    first = *TRAIN, "--data", pets, *words.split(), "--run", "run"
    options = {word[2:].replace("-", "_") for word in first if str(word).startswith("--")} - {"run", "data", "workers"}
    assert options >= set(_CHOSEN_ONCE) - {"run_folder", "model", "rand_augment"}  # which exclude others here
    assert mcnn(*first)[0] == 0
    code, _, err = mcnn(*first, "--resume", "auto")
    assert code == 0 and "this run is complete" in err


def test_without_epochs_the_command_chooses_and_says_so(mcnn, pets):
    code, out, err = mcnn("train", "--data", pets, "--show-code")
    assert code == 0 and "epochs=60" in out and f"data.ImageFolder({str(pets)!r}, train=True)" in out
    assert f"80 pictures of 10 classes in {pets}: cifar4, 60 epochs in batches of 4" in err
    assert "batch_size=4, peak_lr=0.00088" in out  # 5e-3 * sqrt(4 / 128)
    code, out, _ = mcnn("train", "--data", pets, "--image-size", 48, "--epochs", 3, "--lr", 0.01, "--show-code")
    assert "image_size=(48, 48)" in out and "train.recipe('cifar4', epochs=3, batch_size=4, peak_lr=0.01)" in out
    code, out, _ = mcnn("transfer", "--data", pets, "--weights", "w.pth", "--show-code")
    assert "image_size=(224, 224)" in out


def test_broken_pictures(mcnn, pets):
    (pets / "disk" / "broken.png").write_bytes(b"no picture")
    code, _, err = mcnn(*TRAIN, "--data", pets, "--run", "run")
    assert code == 2 and "mend or remove them, or leave them out by skip_broken=True (--skip-broken)" in err
    code, _, err = mcnn(*TRAIN, "--data", pets, "--run", "run", "--skip-broken", "--epochs", 1)
    assert code == 0, err
    assert mcnn("eval", "--model", "run")[0] == 0


def test_eval_refuses_pictures_that_are_divided_otherwise_than_for_the_training(mcnn, pets):
    """One more picture in a class draws other test pictures: some of those that the network has learned from."""
    code, _, err = mcnn(*TRAIN, "--data", pets, "--epochs", 1, "--run", "run")
    assert code == 0, err
    Image.new("RGB", (40, 40)).save(pets / "disk" / "new.png")
    for words in (("eval", "run"), ("eval", "run", "--data", pets)):
        code, out, err = mcnn(*words)
        assert (code, out) == (2, "") and "mcnn eval: train again, or add --unverified: the training pictures in" in err
    assert mcnn("eval", "run", "--unverified", "--show-code")[0] == 0
    moved = pets.rename(pets.with_name("moved"))
    assert mcnn("eval", "run", "--data", moved, "--show-code")[0] == 0  # others than those of the training
    moved.rename(pets)
    (pets / "disk" / "new.png").unlink()
    assert mcnn("eval", "run", "--data", pets, "--show-code")[0] == 0


def test_pictures_that_come_while_it_trains_do_not_choose_the_test_pictures(mcnn, pets, monkeypatch):
    from minitorch_cnn import data, train

    expected, judged_by = data.ImageFolder(pets, train=False).digest, []

    def meanwhile(trainer):
        for folder in list(pets.iterdir()):
            Image.new("RGB", (40, 40)).save(folder / "new.png")
        return True

    def judge(trainer, test_set):
        judged_by.append(test_set.digest)
        raise KeyboardInterrupt

    monkeypatch.setattr(train.Trainer, "fit", meanwhile)
    monkeypatch.setattr(train.Trainer, "final_eval", judge)
    assert mcnn(*TRAIN, "--data", pets, "--epochs", 1, "--run", "run")[0] == 130
    assert judged_by == [expected] != [data.ImageFolder(pets, train=False).digest]


def test_resume_refuses_a_folder_that_has_changed(mcnn, pets):
    from minitorch_cnn import train

    code, _, err = mcnn(*TRAIN, "--data", pets, "--epochs", 1, "--run", "run")
    assert code == 0, err
    (train.RunFolder("run").path / "result.json").unlink()
    Image.new("RGB", (40, 40)).save(pets / "disk" / "new.png")
    code, _, err = mcnn("train", "--resume", "run")
    assert code == 2 and "expected" in err and "Traceback" not in err


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (("a.png", "b.png"), "sort its 2 pictures into a folder for each class, or list them in a CSV file"),
        (("cat/a.heic", "dog/b.HEIC"), "Pillow reads no files here that end in .HEIC, .heic"),
        (("animals/cat/a.png", "animals/dog/b.png"), "found animals; there are several in "),
        (("cat/a.png",), "expected a folder for each of at least two classes, found cat"),
        (
            ("cat/a.png", "dog/notes.txt"),
            "dog - expected at least one picture of this class, found none: Pillow reads no",
        ),
        (
            ("train/cat/a.png", "train/dog/a.png", "val/cat/b.png", "val/Dog/b.png"),
            "got train/dog, val/Dog in one of them",
        ),
    ],
)
def test_folders_of_another_form_get_one_line_that_says_what_to_do(mcnn, own_folder, made, told):
    for name in made:
        path = own_folder / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40)).save(path, "png")
    for words in (("train", "--data"), ("data", "show")):
        code, out, err = mcnn(*words, "data")
        assert (code, out) == (2, "") and told in err and err.count("\n") == 1, err


def test_a_folder_of_neither_kind_is_refused(mcnn, tmp_path):
    (tmp_path / "empty" / "a").mkdir(parents=True)
    code, _, err = mcnn("train", "--data", tmp_path / "empty")
    expected = "expected a folder with one folder of pictures for each class, a CSV file, or CIFAR-10, CIFAR-100"
    assert code == 2 and expected in err


def test_a_table_of_pictures(mcnn, pets, tmp_path):
    rows = [f"{path.relative_to(pets).as_posix()},{path.parent.name}" for path in sorted(pets.rglob("*.png"))]
    table = pets / "labels.csv"
    table.write_text("\n".join(["path,label", *rows]), encoding="utf-8")
    code, out, err = mcnn("train", "--data", table, "--show-code")
    assert code == 0 and f"data.ImageTable({str(table)!r}, train=True)" in out, err
    assert f"80 pictures of 10 classes in {table}: cifar4, 60 epochs in batches of 4" in err
    code, out, err = mcnn(*TRAIN, "--data", table, "--epochs", 1, "--run", "run")
    assert code == 0 and "mlp on table labels.csv, 1 epoch" in out, err
    code, again, err = mcnn("eval", "--model", "run")
    assert code == 0 and again.split(",")[0] == out.split(",")[0], err
    table.write_text(table.read_text(encoding="utf-8") + "\nlost.png,disk\n", encoding="utf-8")
    code, _, err = mcnn("train", "--data", table)
    assert code == 2 and "1 of 81 files are not in" in err and "line 82: lost.png" in err


def test_mistakes_are_told_by_their_options(mcnn, pets, own_folder):
    (own_folder / "mnist").mkdir()
    for words, told in (
        (("--data", "mnist"), "; the folder mnist here is --data ./mnist"),
        (("--data", pets, "--model", "net.py"), "name the class or function in the file, too: --model net.py:NAME"),
        (("--data", pets, "--holdout", 5000), "mcnn train: --holdout - expected 0 to "),
        (("--data", pets, "--batch-size", 500), "mcnn train: lower --batch-size, or give more images: expected "),
        (("--data", pets, "--accumulate", 500), "mcnn train: --accumulate - expected 1 to "),
        (("--data", pets, "--class-weights", "1,2,3,4,5,6,7,8,9"), "--class-weights - expected "),
    ):
        code, out, err = mcnn(*TRAIN, *words, "--epochs", 1)
        assert code == 2 and not out and told in err, err


@pytest.mark.filterwarnings("default")
def test_warnings_are_lines_and_those_of_pillow_are_not_shown(mcnn, pets, monkeypatch):
    Image.new("RGB", (50, 50)).save(pets / "disk" / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)  # Pillow warns of up to twice as many
    with pytest.warns(Image.DecompressionBombWarning):
        Image.open(pets / "disk" / "large.png").close()
    code, _, err = mcnn(*TRAIN, "--data", pets, "--epochs", 1, "--run", "run")
    assert code == 0 and "Warning" not in err, err
    fit = train.Trainer.fit

    def warned(self):
        warnings.warn("look at the classes", stacklevel=2)
        return fit(self)

    monkeypatch.setattr(train.Trainer, "fit", warned)
    code, _, err = mcnn(*TRAIN, "--data", pets, "--epochs", 1, "--run", "again")
    assert code == 0 and "mcnn: look at the classes\n" in err and "Warning" not in err, err
