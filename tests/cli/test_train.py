"""`mcnn train`: from one line to a folder with a model, and on again after a break."""

import json
import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest

from minitorch_cnn import nn, train, weights
from minitorch_cnn.cli import training
from minitorch_kernels.runtime import simd

SHORT = ("--recipe", "mlp", "--data", "shapes10", "--epochs", "1", "--workers", "0")


def result_of(folder):
    with open(os.path.join(folder, "result.json")) as file:
        return json.load(file)


def test_the_result_alone_goes_to_standard_output(mcnn):
    code, out, err = mcnn("train", *SHORT, "--seed", 3)
    assert code == 0
    result = result_of("runs/mlp-1")
    assert out.startswith(f"test accuracy {result['test_accuracy']:.2%}, loss ") and out.count("\n") == 1
    assert os.path.join("runs", "mlp-1", "result.json") in out
    assert "epoch 1/1 done: loss" in err
    expected = {"epochs": 1, "seed": 3, "recipe": "mlp", "dataset": "shapes10", "test_reads": 1, "verified": True}
    assert {key: result[key] for key in expected} == expected
    assert 0 <= result["test_accuracy"] <= 1 and result["test_loss"] > 0 and result["seconds"] > 0
    assert len(result["dataset_digest"]) == 64
    files = {"run.jsonl", "result.json", "model.safetensors", "curves.png", "confusion.png", "mistakes.png"}
    assert files <= set(os.listdir("runs/mlp-1"))


def test_each_run_gets_a_folder_of_its_own(mcnn):
    for number in (1, 2):
        assert mcnn("train", *SHORT)[0] == 0
        assert os.path.exists(f"runs/mlp-{number}/result.json")
    code, _, err = mcnn("train", *SHORT, "--run", "runs/mlp-1")
    assert code == 2 and "expected a new or empty folder, got one with files" in err


def test_without_cifar10_the_same_network_learns_shapes(mcnn, own_folder, monkeypatch):
    recipes = []
    monkeypatch.setattr(train, "Trainer", lambda recipe, *rest, **options: recipes.append(recipe) or 1 / 0)
    for words, name in ((("train",), "shapes10"), (("train", "--recipe", "cifar4"), "cifar4")):
        with pytest.raises(ZeroDivisionError):
            mcnn(*words)
        assert (recipes[-1].name, recipes[-1].model) == (name, "cifar4")  # a recipe that was named stays


def test_a_network_by_the_recipe_of_its_family(mcnn):
    words = ("--model", "resnet20_b", "--data", "shapes10", "--epochs", 1, "--workers", 0, "--run", "run")
    assert mcnn("train", *words, "--image-size", 12)[0] == 0
    result = result_of("run")
    recipe = result["settings"]["recipe"]
    assert (result["model"], recipe["peak_lr"], recipe["image_size"]) == ("resnet20_b", 0.2, 12)
    code, _, err = mcnn("train", "--model", "resnet21")
    assert code == 2 and "--model: name - expected one of" in err and "got 'resnet21'; did you mean" in err
    code, _, err = mcnn("train", "--model", "alexnet", "--data", "shapes10", "--run", "other")
    assert code == 2 and "AlexNet: image_size - expected at least" in err


def test_the_message_without_cifar10(mcnn, own_folder):
    code, _, err = mcnn("train", "--recipe", "mlp", "--epochs", 1, "--workers", 0)
    assert code == 0
    assert f"no CIFAR-10 in {own_folder / 'home'}" in err and "`mcnn data get` downloads it" in err
    assert "Training mlp on shapes10 instead, which needs no download." in err
    assert result_of("runs/mlp-1")["dataset"] == "shapes10"


def test_a_holdout_leaves_the_test_set_alone(mcnn):
    code, out, _ = mcnn("train", *SHORT, "--holdout", 64, "--lr", "0.002")
    assert code == 0 and out.startswith("holdout accuracy")
    result = result_of("runs/mlp-1")
    assert result["test_accuracy"] is None and result["test_reads"] == 0
    assert result["settings"]["recipe"]["peak_lr"] == 0.002


def test_a_finished_run_gives_its_result_again(mcnn, trained):
    code, out, err = mcnn("train", "--resume", trained)
    assert code == 0 and "this run is complete" in err
    assert f"test accuracy {result_of(trained)['test_accuracy']:.2%}" in out
    assert result_of(trained)["test_reads"] == 1


def stop_after(monkeypatch, steps):
    """Press Ctrl-C in the middle of a training."""
    count = train.Progress.count

    def pressed(self, *arguments):
        if self.step == steps:
            signal.raise_signal(signal.SIGINT)
        count(self, *arguments)

    monkeypatch.setattr(train.Progress, "count", pressed)


def test_ctrl_c_and_resume(mcnn, monkeypatch):
    words = ("train", "--recipe", "mlp", "--data", "shapes10", "--epochs", "3", "--workers", "0")
    assert mcnn(*words, "--run", "whole")[0] == 0
    with monkeypatch.context() as pressed:
        stop_after(pressed, 2)
        code, out, err = mcnn(*words, "--run", "broken")
    assert (code, out) == (130, "")
    assert "stopped after batch 3 and saved; continue with: mcnn train --resume broken" in err
    assert mcnn("train", "--resume", "broken")[0] == 0
    assert result_of("broken")["weights_sha256"] == result_of("whole")["weights_sha256"]


def test_resume_auto_begins_a_run_and_goes_on_with_it(mcnn, monkeypatch):
    words = ("train", "--recipe", "mlp", "--data", "shapes10", "--epochs", 2, "--workers", 0)
    assert mcnn(*words, "--run", "whole")[0] == 0
    again = (*words, "--run", "run", "--resume", "auto")
    for steps in (0, 2):
        with monkeypatch.context() as pressed:
            stop_after(pressed, steps)
            assert mcnn(*again)[0] == 130
    assert mcnn(*again)[0] == 0
    assert result_of("run")["weights_sha256"] == result_of("whole")["weights_sha256"]
    code, out, err = mcnn(*again)
    assert code == 0 and "this run is complete" in err and out.startswith("test accuracy")


def test_resume_auto_refuses_other_choices(mcnn, trained):
    auto = ("train", "--data", "shapes10", "--resume", "auto")
    code, _, err = mcnn(*auto)
    assert code == 2 and "add --run DIR: --resume auto continues the run in it, or begins it" in err
    for option, value, began in (("--epochs", 7, 1), ("--seed", 3, 0), ("--recipe", "cifar4", "mlp")):
        code, _, err = mcnn(*auto, "--run", trained, option, value)
        assert code == 2 and f"leave out {option}: the run in {trained} began with {began}" in err
    assert mcnn(*auto, "--run", trained, "--epochs", 1, "--seed", 0, "--recipe", "mlp")[0] == 0


def test_two_runs_that_begin_at_once_get_two_folders(mcnn, monkeypatch):
    free, taken = training.free_folder, []

    def race(name):  # another process is faster, once
        folder = free(name)
        if not taken:
            taken.append(folder)
            os.makedirs(folder)
        return folder

    monkeypatch.setattr(training, "free_folder", race)
    assert mcnn("train", *SHORT)[0] == 0
    assert (
        taken == [os.path.join("runs", "mlp-1")]
        and os.listdir("runs/mlp-1") == []
        and os.path.exists("runs/mlp-2/result.json")
    )


def test_a_run_that_does_not_begin_leaves_no_folder(mcnn):
    assert mcnn("train", *SHORT, "--model", "own.py:Net")[0] == 2
    assert not os.path.exists("runs")


def test_resume_finds_its_images_elsewhere_only_if_they_are_the_same(mcnn, monkeypatch, tmp_path):
    with monkeypatch.context() as pressed:
        stop_after(pressed, 0)
        mcnn("train", *SHORT, "--run", "run")
    (tmp_path / "other").mkdir()
    code, _, err = mcnn("train", "--resume", "run", "--data", "other")
    assert code == 2 and "other" in err


def test_divergence_has_an_exit_code_of_its_own(mcnn, monkeypatch):
    forward = nn.Linear.forward
    monkeypatch.setattr(nn.Linear, "forward", lambda self, x: forward(self, x) * np.inf)
    code, out, err = mcnn("train", *SHORT)
    assert (code, out) == (3, "")
    assert "epoch 1, batch 1: the loss is nan" in err and "Stopped before the optimiser's step" in err


@pytest.mark.slow
def test_threads_do_not_change_the_bits(mcnn):
    script = [sys.executable, "-m", "minitorch_cnn", "train", *SHORT, "--seed", "1"]
    for threads in ("1", "2"):
        command = [*script, "--threads", threads, "--run", f"threads-{threads}"]
        done = subprocess.run(command, capture_output=True, text=True)
        if "expected 1 to 1" in done.stderr:
            pytest.skip("this machine has one core")
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("\n") == 1
    assert result_of("threads-1")["weights_sha256"] == result_of("threads-2")["weights_sha256"]


def test_the_code_that_does_the_same(mcnn, trained):
    code, out, err = mcnn("train", *SHORT, "--run", "again", "--show-code")
    assert code == 0 and err == "" and not os.path.exists("again")
    exec(compile(out, "shown", "exec"), {})
    assert result_of("again")["weights_sha256"] == result_of(trained)["weights_sha256"]


def test_the_code_of_a_resume(mcnn, monkeypatch, trained):
    with monkeypatch.context() as pressed:
        stop_after(pressed, 0)
        mcnn("train", *SHORT, "--run", "broken")
    _, out, _ = mcnn("train", "--resume", "broken", "--threads", "1", "--show-code")
    exec(compile(out, "shown", "exec"), {})
    assert result_of("broken")["weights_sha256"] == result_of(trained)["weights_sha256"]


def test_a_full_disk_is_no_traceback(mcnn, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(weights, "save", full)
    code, _, err = mcnn("train", *SHORT)
    assert code == 1 and "No space left on device" in err and "Traceback" not in err


def test_what_ranks_are_told_reaches_the_run(mcnn):
    words = (
        "train",
        *SHORT,
        "--distributed",
        "off",
        "--sync-bn",
        "--accumulate",
        2,
        "--rank-timeout",
        5,
        "--save-epochs",
    )
    assert mcnn(*words)[0] == 0
    result = result_of("runs/mlp-1")
    assert (result["ranks"], result["settings"]["sync_bn"], result["settings"]["accumulate"]) == (1, True, 2)
    assert result["settings"]["save_epochs"] and pathlib.Path("runs/mlp-1/epoch-001.safetensors").exists()
    code, _, err = mcnn("train", "--resume", "runs/mlp-1", "--sync-bn")
    assert code == 2 and "leave out --sync-bn: a run that is resumed" in err
    code, _, err = mcnn("train", *SHORT, "--distributed", "gloo")
    assert code == 2 and "gloo" in err


def test_the_code_of_a_distributed_training(mcnn):
    code, out, _ = mcnn("train", *SHORT, "--distributed", "mpi", "--sync-bn", "--show-code")
    assert code == 0
    assert "ranks = train.connect('mpi')\n" in out and "sync_bn=True, workers=0, ranks=ranks)" in out


def test_a_finished_run_is_trained_further(mcnn, trained):
    code, out, err = mcnn("train", "--more", trained, "--epochs", 1, "--workers", 0)
    assert code == 0 and "2 epochs" in out and "epoch 2/2 done" in err
    assert result_of("runs/mlp-1")["test_reads"] == 2
    code, out, err = mcnn("train", "--more", trained, "--epochs", 1.5, "--workers", 0, "--run", "half")
    assert code == 0 and "3 epochs" in out and "epoch 3/3 done" in err
    assert [result_of(run)["steps"] for run in (trained, "half")] == [2, 5]  # 2 batches of 128 in an epoch
    assert (
        f"train.more('run', data.Shapes10(train=True), {os.path.join('runs', 'mlp-2')!r}, epochs=1)"
        in mcnn("train", "--more", trained, "--epochs", 1, "--show-code")[1]
    )


@pytest.mark.parametrize(
    "words, says",
    [
        (("--more", "run"), "add --epochs N to --more: how many epochs more"),
        (("--more", "run", "--epochs", "1", "--seed", "3"), "leave out --seed: --more keeps that of the run"),
        (("--more", "run", "--epochs", "1", "--resume", "run"), "leave out --resume or --more"),
        (("--more", "none", "--epochs", "1"), "expected the folder of an earlier run, got no folder"),
        (("--early-stop", "2"), "add --holdout N to --early-stop"),
        (("--keep-best",), "add --holdout N to --keep-best"),
        (("--class-weights", "1,x"), "expected balanced, or one number per class with commas between them, got '1,x'"),
        (("--class-weights", "1,2", *SHORT), "--class-weights - expected 10 numbers, one per class, got 2"),
    ],
)
def test_options_that_do_not_fit_are_refused(mcnn, trained, words, says):
    code, out, err = mcnn("train", *words)
    assert code == 2 and says in err and out == ""


def test_the_best_epoch_on_held_out_images_is_kept_and_named(mcnn):
    words = ("--holdout", 32, "--early-stop", 3, "--schedule", "plateau", "--class-weights", "balanced", "--run", "run")
    code, out, _ = mcnn("train", *SHORT, *words)
    assert code == 0 and out.startswith("holdout accuracy") and os.path.exists("run/best.safetensors")


def test_event_files_for_tensorboard(mcnn, monkeypatch):
    assert "on_epoch=train.TensorBoard())" in mcnn("train", *SHORT, "--tensorboard", "--show-code")[1]
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    code, _, err = mcnn("train", *SHORT, "--tensorboard")
    assert code == 2 and "leave out --tensorboard, or install what it needs" in err


def test_options_change_the_recipe(mcnn):
    options = {"epochs": 1.5, "batch-size": 64, "weight-decay": 1e-4, "label-smoothing": 0.1, "dropout": 0.0}
    options |= {"mixup": 0.2, "cutmix": 1.0, "color-jitter": 0.4, "hue": 0.1, "rotate": 15.0, "resized-crop": 0.5}
    options |= {"erase": 0.5, "rand-augment": 5.0}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    code, out, _ = mcnn("train", "--recipe", "mlp", "--data", "shapes10", *words, "--show-code")
    assert code == 0
    for name, value in options.items():
        assert f"{name.replace('-', '_')}={value!r}" in out
    assert "epochs=2)" in mcnn("train", "--recipe", "mlp", "--data", "shapes10", "--epochs", "2.0", "--show-code")[1]
    code, _, err = mcnn("train", "--data", "shapes10", "--label-smoothing", 1)
    assert code == 2 and "--label-smoothing: expected a number from 0 to below 1, got '1'" in err


@pytest.mark.skipif(not simd.supports(simd.PAIR), reason="no AVX512_BF16, or nothing is compiled")
def test_a_training_in_bf16_is_recorded_and_continued(mcnn, monkeypatch):
    words = ("train", "--recipe", "mlp", "--data", "shapes10", "--epochs", "3", "--workers", "0", "--run", "run")
    with monkeypatch.context() as pressed:
        stop_after(pressed, 2)
        assert mcnn(*words, "--precision", "bf16")[0] == 130
    code, _, err = mcnn(*words, "--resume", "auto", "--precision", "float32")
    assert code == 2 and "leave out --precision: the run in run began with bf16, not float32" in err
    assert mcnn("train", "--resume", "run")[0] == 0
    assert result_of("run")["settings"]["recipe"]["precision"] == "bf16"


def test_a_processor_without_bf16_trains_in_float32_alone(mcnn, monkeypatch):
    monkeypatch.setattr(simd, "BF16", False)
    code, out, err = mcnn("train", *SHORT, "--precision", "bf16")
    assert code == 2 and out == "" and "mcnn train: leave out --precision bf16 on this machine: " in err
    assert mcnn("train", *SHORT, "--precision", "float32")[0] == 0
