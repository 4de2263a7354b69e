"""`mcnn predict` and `mcnn eval` give the model's own answers."""

import json
import os
import pathlib
import shutil

import pytest
from PIL import Image

from minitorch_cnn import data, models, train, weights


@pytest.fixture
def images():
    """Write 20 test images as PNG files."""
    test_set = data.Shapes10(train=False)
    paths = [f"{i}.png" for i in range(20)]
    for path, pixels in zip(paths, test_set.images, strict=False):
        Image.fromarray(pixels).save(path)
    return paths


def test_predictions_are_those_of_the_model(mcnn, trained, images):
    code, out, err = mcnn("predict", "--model", trained, *images)
    assert code == 0 and err == ""
    judged = train.Classifier.load(trained).evaluate(data.Shapes10(train=False))
    classes = data.Shapes10(train=False).classes
    expected = [
        f"{path}\t{classes[answer]}\t{row[answer]:.4f}"
        for path, answer, row in zip(images, judged.predictions, judged.probabilities, strict=False)
    ]
    assert out.splitlines() == expected


@pytest.mark.posix
def test_every_answer_is_one_row_of_three_cells(mcnn, trained, images, tmp_path):
    names = ["a\tb.png", "a\nb.png", "-x.png", "é\u2028.png", os.fsdecode(b"\xff.png")]
    for name in names:
        shutil.copy(images[0], tmp_path / name)
    code, out, err = mcnn("predict", "--model", trained, *(tmp_path / name for name in names))
    rows = [line.split("\t") for line in out.split("\n")[:-1]]
    assert code == 0 and len(rows) == 5 and {len(row) for row in rows} == {3}, err
    assert [row[0].rpartition("/")[2] for row in rows[:3]] == [r"a\tb.png", r"a\nb.png", "-x.png"]
    assert {tuple(row[1:]) for row in rows} == {tuple(rows[0][1:])}
    _, out, _ = mcnn("predict", "--model", trained, "--json", tmp_path / names[1])
    assert json.loads(out)[0]["file"].endswith("/a\nb.png")


def test_json(mcnn, trained, images):
    _, out, _ = mcnn("predict", "--model", f"{trained}/model.safetensors", "--json", *images[:2])
    answers = json.loads(out)
    assert [answer["file"] for answer in answers] == images[:2]
    for answer in answers:
        assert answer["class"] == answer["label"] == max(answer["probabilities"], key=answer["probabilities"].get)
    _, out, _ = mcnn("eval", "--model", trained, "--json")
    with open(f"{trained}/result.json") as file:
        result = json.load(file)
    assert json.loads(out) == {
        "test_accuracy": result["test_accuracy"],
        "test_loss": result["test_loss"],
        "views": 1,
        "plain_test_accuracy": result["test_accuracy"],
        "model": trained,
    }


def test_views_are_told_beside_the_plain_accuracy(mcnn, trained):
    _, out, _ = mcnn("eval", "--model", trained, "--views", "6")
    with open(f"{trained}/result.json") as file:
        plain = json.load(file)["test_accuracy"]
    assert f"(6 views; plain {plain:.2%}), loss" in out


def test_the_run_that_finished_last_is_taken(mcnn, images):
    short = ("--recipe", "mlp", "--data", "shapes10", "--epochs", "1", "--workers", "0")
    mcnn("train", *short)
    mcnn("train", *short)
    last = os.path.join("runs", "mlp-2", "model.safetensors")
    code, out, err = mcnn("eval")
    assert code == 0 and f"using {last}" in err
    assert out.startswith("test accuracy") and "on shapes10" in out
    code, out, err = mcnn("predict", images[0])
    assert code == 0 and f"using {last}" in err and out.startswith(images[0])


def test_the_code_that_does_the_same(mcnn, trained, images, capsys):
    for words in (("predict", "--model", trained, *images[:3]), ("eval", "--model", trained)):
        _, shown, _ = mcnn(*words, "--show-code")
        _, out, _ = mcnn(*words)
        exec(compile(shown, "shown", "exec"), {})
        assert capsys.readouterr().out == out != ""


def test_bad_files(mcnn, trained, images):
    with open("no.png", "w") as file:
        file.write("no image")
    code, out, err = mcnn("predict", "--model", trained, images[0], "no.png")
    assert code == 2 and out.startswith("0.png\t") and "no.png - expected an image that Pillow can read" in err
    code, out, err = mcnn("predict", "--model", trained, "absent.png")
    assert (code, out) == (2, "") and "absent.png - expected a file that can be read, got: No such file" in err
    code, _, err = mcnn("predict", "--model", images[0], images[0])
    assert code == 2 and "expected a safetensors file" in err
    weights.save("bare", models.create("mlp").state_dict())
    code, _, err = mcnn("eval", "--model", "bare")
    assert code == 2 and "mcnn eval: add --network NAME, the network of these weights: bare is a file of weights" in err
    weights.save_pth("net.pth", models.create("mlp").state_dict())
    for words in (("eval",), ("predict", images[0]), ("explain", "filters")):
        code, _, err = mcnn(*words, "--model", "net.pth")
        assert code == 2 and "add --network NAME, the network of these weights: net.pth is a file of torch.save" in err


@pytest.fixture
def holiday(images):
    """Return a folder of 20 pictures, some in folders inside, and of two files to leave out."""
    for i, path in enumerate(images):
        place = os.path.join("holiday", "day 2" if i % 3 else "", path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.rename(path, place)
    for name in ("notes.txt", ".hidden.png"):
        with open(os.path.join("holiday", name), "w") as file:
            file.write("no picture")
    return "holiday"


def test_a_folder_is_classified_in_batches_sorted_by_name(mcnn, trained, holiday, monkeypatch):
    found = sorted(pathlib.Path(holiday).rglob("[!.]*.png"))
    one_by_one = [mcnn("predict", "--model", trained, path)[1] for path in found]
    sizes, logits = [], train.Classifier.logits

    def count(self, images):
        sizes.append(len(images))
        return logits(self, images)

    monkeypatch.setattr(train.Classifier, "logits", count)
    monkeypatch.setattr("minitorch_cnn.train.metrics.classifier._BATCH", 8)
    code, out, err = mcnn("predict", "--model", trained, holiday)
    assert (code, err) == (0, "") and len(found) == 20 and sizes == [8, 8, 4]
    assert [line.split("\t")[0] for line in out.splitlines()] == [str(path) for path in found]
    assert out == "".join(one_by_one)
    _, out, _ = mcnn("predict", "--model", trained, "--json", holiday)
    assert [answer["file"] for answer in json.loads(out)] == [str(path) for path in found]


@pytest.mark.posix
def test_broken_pictures_of_a_folder_are_named_and_the_others_classified(mcnn, trained, holiday, own_folder):
    with open("holiday/10.png", "w") as file:
        file.write("no picture")
    (own_folder / "holiday" / "lost.jpg").symlink_to("nowhere.jpg")
    code, out, err = mcnn("predict", "--model", trained, holiday)
    assert code == 2 and len(out.splitlines()) == 20 and "10.png\t" in out  # there is another one inside
    first, second = err.splitlines()
    assert first.startswith(f"mcnn predict: {pathlib.Path('holiday/10.png')} - expected an image that Pillow can read")
    assert second.startswith(f"mcnn predict: {pathlib.Path('holiday/lost.jpg')} - expected a file that can be read")


def test_files_and_folders_keep_the_order_of_the_command_line(mcnn, trained, holiday):
    os.rename("holiday/day 2/1.png", "last.png")
    words = ("predict", "--model", trained, "last.png", holiday)
    code, out, _ = mcnn(*words)
    assert code == 0 and len(out.splitlines()) == 20 and out.startswith("last.png\t")
    _, shown, _ = mcnn(*words, "--show-code")
    assert "['last.png', *data.find_pictures('holiday')]" in shown


def test_folders_without_pictures(mcnn, trained):
    os.mkdir("texts")
    code, out, err = mcnn("predict", "--model", trained, "texts")
    assert (code, out) == (2, "") and "texts - expected a folder with at least one picture, found none: it is" in err
    with open("texts/a.txt", "w") as file:
        file.write("no picture")
    assert "Pillow reads no files here that end in .txt" in mcnn("predict", "--model", trained, "texts")[2]
    code, out, err = mcnn("predict", trained)
    assert (code, out) == (2, "") and f"give the run by --model {trained}: a picture is expected in its place" in err


def test_a_model_of_other_classes(mcnn, trained, monkeypatch):
    shapes = data.Shapes10(train=False)
    arrays, facts = weights.load(f"{trained}/model.safetensors")
    weights.save("other.safetensors", arrays, facts | {"classes": [f"class {i}" for i in range(10)]})
    code, _, err = mcnn("eval", "--model", "other.safetensors", "--data", "shapes10")
    assert code == 2 and "evaluate: dataset - expected the classes" in err and shapes.classes[0] in err


def test_a_run_may_be_named_without_an_option(mcnn, trained):
    assert mcnn("eval", trained) == mcnn("eval", "--model", trained)
    assert mcnn("export", trained, "--show-code") == mcnn("export", "--model", trained, "--show-code")
    code, _, err = mcnn("eval", trained, "--model", "other")
    assert code == 2 and "leave out other or run: one model at a time" in err
    code, _, err = mcnn("explain", "saliency", trained, "--model", trained)
    assert code == 2 and "give the run by --model " in err  # an old Pillow names its whole path
    assert f"{trained}: a picture is expected in its place" in err


def test_the_pictures_are_drawn_as_the_network_sees_them(mcnn, trained, images, tmp_path):
    plain = mcnn("predict", "--model", trained, *images[:2])
    code, out, err = mcnn("predict", "--model", trained, *images[:2], "-o", "seen.png")
    assert (code, out, err) == (0, plain[1], "wrote seen.png\n")
    with Image.open("seen.png") as picture:
        assert picture.size == (1280, 720)
    pathlib.Path("broken.png").write_text("no picture")
    code, out, err = mcnn("predict", "--model", trained, "broken.png", images[0], "-o", "one.svg")
    assert code == 2 and out.startswith("0.png\t") and err.endswith("wrote one.svg\n")
    code, _, err = mcnn("predict", "--model", trained, "broken.png", "-o", "none.png")
    assert code == 2 and "files - expected at least one picture, got none" in err
    assert not pathlib.Path("none.png").exists()
    code, _, err = mcnn("predict", "--model", trained, images[0], "-o", "seen.txt")
    assert code == 2 and "-o - expected a file name that ends in .png" in err
