"""`mcnn transfer`: from a file of weights to the folder of a run."""

import dataclasses
import json
import shutil

import pytest

from minitorch_cnn import data, models, rng, train, weights


@pytest.fixture
def resnet20(own_folder):
    rng.manual_seed(1)
    weights.save_pth("r20.pth", models.create("resnet20", num_classes=4).state_dict())
    return "--model", "resnet20", "--weights", "r20.pth", "--image-size", 12, "--workers", 0


def result_of(folder):
    with open(f"{folder}/result.json") as file:
        return json.load(file)


def test_a_run_like_any_other(mcnn, resnet20):
    code, out, err = mcnn("transfer", *resnet20, "--data", "shapes10", "--epochs", 1, "--lr", 0.02, "--seed", 2)
    assert code == 0, err
    result = result_of("runs/transfer-1")
    assert out.startswith(f"test accuracy {result['test_accuracy']:.2%}, loss ")
    recipe = result["settings"]["recipe"]
    expected = {"model": "resnet20", "image_size": 12, "epochs": 1, "peak_lr": 0.02, "freeze_until": None}
    assert {key: recipe[key] for key in expected} == expected
    assert result["seed"] == 2 and result["settings"]["mean"] == list(models.IMAGENET_MEAN)
    assert mcnn("eval", "--model", "runs/transfer-1", "--data", "shapes10")[0] == 0


def test_the_cache_of_features(mcnn, resnet20):
    words = ("--freeze-until", "layer3", "--cache-features", "--epochs", 1, "--holdout", 64)
    code, out, err = mcnn("transfer", *resnet20, *words)
    assert code == 0, err
    assert out.startswith("holdout accuracy") and "running the frozen layers once over 192 images" in err
    assert "on shapes10 instead, which needs no download" in err


@pytest.mark.slow
def test_the_last_layer_alone_takes_smaller_steps(mcnn, resnet20):
    for words, rate, name in (
        (("--freeze-until", "layer3"), 0.03, "transfer_head"),
        (("--cache-features",), 0.03, "transfer_head"),
        (("--cache-features", "--lr", 0.5), 0.5, "transfer_head"),
        (("--freeze-until", "layer2"), 0.3, "transfer"),
    ):
        code, out, err = mcnn("transfer", *resnet20, "--data", "shapes10", *words, "--epochs", 1, "--run", rate)
        recipe = result_of(rate)["settings"]["recipe"]
        assert code == 0 and (recipe["peak_lr"], recipe["name"]) == (rate, name), err
        shutil.rmtree(str(rate))


OWN = """
from minitorch_cnn import nn

class Net(nn.Sequential):
    def __init__(self, num_classes=10):
        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.GlobalAvgPool(), nn.Linear(4, num_classes))
"""


@pytest.mark.slow
def test_a_run_goes_on_with_other_classes(mcnn, trained, own_folder, monkeypatch):
    (own_folder / "own.py").write_text(OWN)
    words = ("--data", "shapes10", "--epochs", 1, "--workers", 0)
    assert mcnn("train", "--recipe", "mlp", "--model", "own.py:Net", *words, "--run", "own")[0] == 0
    draw = data.Shapes10

    def three(train=True, size=None):
        images = draw(train, size=600)
        kept = images.select(images.labels < 3)
        return dataclasses.replace(kept, classes=images.classes[:3], digest="")

    monkeypatch.setattr(data, "Shapes10", three)
    for source in (trained, "own", "own/model.safetensors"):
        code, out, err = mcnn("transfer", "--weights", source, *words, "--lr", 0.01, "--run", "new")
        assert code == 0 and out.startswith("test accuracy"), err
        facts = train.Classifier.load("new").metadata
        assert len(facts["classes"]) == 3 and facts["mean"] == train.Classifier.load(source).metadata["mean"]
        assert mcnn("eval", "--model", "new")[0] == 0
        shutil.rmtree("new")


def test_bad_input_leaves_no_folder(mcnn, resnet20, own_folder):
    for words, message in (
        (("--weights", "none.pth"), "mcnn transfer: check the name (none.pth: No such file"),
        (("--model", "resnet32"), "expected the weights of resnet32"),
        (("--model", "resnet1"), "got 'resnet1'; did you mean"),
        (("--freeze-until", "layer9"), "freeze: until - expected one of conv1"),
        (("--cache-features", "--freeze-until", "layer2"), "only_trainable: model - expected all but fc frozen"),
        (("--model", "own.py:Net"), "give the run of your network by --weights"),
    ):
        code, out, err = mcnn("transfer", *resnet20, "--data", "shapes10", *words)
        assert code == 2 and not out and message in err and "Traceback" not in err
        assert not (own_folder / "runs").exists()


@pytest.mark.slow
def test_the_code_does_what_the_command_does(mcnn, resnet20, capsys):
    words = (*resnet20, "--data", "shapes10", "--epochs", 1, "--threads", 2)
    code, text, _ = mcnn("transfer", *words, "--run", "by-code", "--show-code")
    assert code == 0
    exec(text, {})
    assert capsys.readouterr().out.startswith("test accuracy 0.")
    assert mcnn("transfer", *words, "--run", "by-command")[0] == 0
    assert result_of("by-code")["weights_sha256"] == result_of("by-command")["weights_sha256"]


@pytest.mark.slow
def test_it_goes_on_by_mcnn_train(mcnn, resnet20, monkeypatch):
    steps = train.Trainer.step
    monkeypatch.setattr(
        train.Trainer, "step", lambda self, *batch: 1 / 0 if self.progress.step else steps(self, *batch)
    )
    with pytest.raises(ZeroDivisionError):
        mcnn("transfer", *resnet20, "--data", "shapes10", "--epochs", 1, "--run", "run")
    monkeypatch.setattr(train.Trainer, "step", steps)
    code, out, err = mcnn("train", "--resume", "run")
    assert code == 0, err
    assert out.startswith("test accuracy")
