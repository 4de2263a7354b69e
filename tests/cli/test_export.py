"""`mcnn export` and `mcnn explore` from a run to a file."""

import sys

import pytest

from minitorch_cnn import data


def test_a_run_becomes_a_page(mcnn, trained):
    code, out, err = mcnn("explore", "--model", trained, "--data", "shapes10", "--count", 3, "-o", "page.html")
    assert code == 0, err
    assert out.startswith("page.html - open it in a browser, ")
    with open("page.html", encoding="utf-8") as file:
        text = file.read()
    assert text.count('"pixels":') == 3 and data.Shapes10(train=False).classes[0] in text


def test_own_pictures_are_the_examples(mcnn, trained, tmp_path):
    from PIL import Image

    Image.fromarray(data.Shapes10(train=False).images[0]).resize((50, 40)).save("own.png")
    code, _, err = mcnn("explore", "own.png", "--model", trained)
    assert code == 0, err
    assert (tmp_path / "explorer.html").read_text(encoding="utf-8").count('"pixels":') == 1
    code, out, _ = mcnn("explore", "own.png", "--model", trained, "--show-code")
    assert code == 0 and "explain.explore(classifier, classifier.read(['own.png']))" in out


@pytest.mark.parametrize("command", ["explore", "export"])
def test_what_is_wrong_is_said_before_any_work(mcnn, command):
    code, _, err = mcnn(command, "--model", "nowhere", "-o", "made.txt")
    assert code == 2 and "-o - expected a file name that ends in" in err
    code, _, err = mcnn(command)
    assert code == 2 and "`mcnn train` makes one" in err


def test_pictures_and_a_dataset_together_are_refused(mcnn):
    code, _, err = mcnn("explore", "a.png", "--data", "shapes10")
    assert code == 2 and "give images or --data, not both" in err


def test_export_needs_the_package(mcnn, trained, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    code, _, err = mcnn("export", "--model", trained)
    assert code == 2 and err.startswith("mcnn export: install the package onnx first: pip install onnx")


@pytest.mark.oracle
def test_a_run_becomes_an_onnx_file_and_predicts_like_it(mcnn, trained):
    pytest.importorskip("onnx")
    from PIL import Image

    code, out, err = mcnn("export", "--model", trained, "-o", "m.onnx")
    assert code == 0, err
    assert out.startswith("m.onnx - ") and "takes any number of images at a time" in out
    Image.fromarray(data.Shapes10(train=False).images[0]).save("own.png")
    answers = [mcnn("predict", "own.png", "--model", model) for model in (trained, "m.onnx")]
    assert answers[0][:2] == answers[1][:2]
