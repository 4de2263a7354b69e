"""`mcnn sweep`: combinations of settings, each a run of its own."""

import json
import os

import pytest

from minitorch_cnn import train
from minitorch_cnn.cli import sweep

FOLDER = os.path.join("runs", "sweep-1")
REST = ("--", "--recipe", "mlp", "--data", "shapes10", "--epochs", 1, "--workers", 0)


@pytest.mark.slow
def test_a_sweep_is_continued_after_an_interruption_and_tells_the_best(mcnn, monkeypatch):
    fit, events = train.Trainer.fit, {"lr=0.002": lambda trainer: False}

    def fit_or(trainer):
        return events.get(trainer.folder.path.name, fit)(trainer)

    def diverge(trainer):
        raise train.TrainingDivergedError("the loss is nan")

    monkeypatch.setattr(train.Trainer, "fit", fit_or)
    code, out, err = mcnn("sweep", "--lr", "0.001,0.002,0.003", *REST)
    assert code == 130 and out == "" and f"continue with: mcnn sweep --resume {FOLDER}\n" in err
    first = os.stat("runs/sweep-1/lr=0.001/result.json").st_mtime_ns
    events.clear()
    events["lr=0.003"] = diverge
    code, out, err = mcnn("sweep", "--resume", "runs/sweep-1")
    assert code == 0 and os.stat("runs/sweep-1/lr=0.001/result.json").st_mtime_ns == first
    assert "run 2 of 3: lr=0.002" in err and "lr=0.003 diverged: the loss is nan" in err
    runs = [train.RunFolder(f"runs/sweep-1/lr={rate}").read_result() for rate in ("0.001", "0.002")]
    assert [run["test_reads"] for run in runs] == [0, 0] and runs[1]["settings"]["recipe"]["peak_lr"] == 0.002
    assert runs[0]["settings"]["holdout"] == 25  # a tenth of 256
    lines = out.splitlines()
    accuracies = [line.split()[4] for line in lines[1:3]]
    assert len(lines) == 3 and sorted(accuracies, key=lambda text: -float(text[:-1])) == accuracies
    assert f"--data shapes10 --epochs 1 --workers 0 --{lines[1].split()[0]}" in err
    assert os.path.exists("runs/sweep-1/runs.png")
    assert "lr=0.002" in mcnn("runs")[1]
    code, again, _ = mcnn("sweep", "--resume", "runs/sweep-1")
    assert code == 0 and again == out


def points(mcnn, *words):
    """Return the combinations that a sweep would train, by the folders of its shown code."""
    code, out, err = mcnn("sweep", *words, "--show-code", *REST)
    assert code == 0, err
    compile(out, "shown", "exec")
    return [os.path.basename(line.split("'")[-2]) for line in out.splitlines() if "train.Trainer(" in line]


def test_a_grid_has_all_combinations(mcnn):
    found = points(mcnn, "--lr", "0.1, 0.2", "--seed", "0,1", "--schedule", "plateau")
    assert found == [f"lr={rate},schedule=plateau,seed={seed}" for rate in (0.1, 0.2) for seed in (0, 1)]


def test_random_combinations_are_the_same_each_time_and_continue(mcnn):
    three = points(mcnn, "--lr", "1e-4..1e-1", "--weight-decay", "0,1e-4", "--random", 3)
    five = points(mcnn, "--lr", "1e-4..1e-1", "--weight-decay", "0,1e-4", "--random", 5)
    assert five[:3] == three and len(set(five)) == 5
    rates = [float(name.split(",")[0].removeprefix("lr=")) for name in five]
    assert all(1e-4 <= rate <= 1e-1 for rate in rates) and max(rates) > 10 * min(rates)
    assert points(mcnn, "--seed", "1,2", "--random", 50) in (["seed=1", "seed=2"], ["seed=2", "seed=1"])


def test_what_is_drawn_for_an_option_does_not_depend_on_the_others(mcnn):
    def drawn(*words):
        return [name.split(",")[0] for name in points(mcnn, "--lr", "1e-6..1", *words, "--random", 6)]

    alone = drawn()
    assert alone == drawn("--dropout", "0,0.5") == drawn("--seed", "0,1", "--weight-decay", "1e-5..1e-2")
    rates = [float(name.removeprefix("lr=")) for name in alone]
    others = points(mcnn, "--weight-decay", "1e-6..1", "--random", 6)
    decays = [float(name.removeprefix("weight-decay=")) for name in others]
    assert not set(rates) & set(decays)  # options with the same range have draws of their own


def test_whole_numbers_are_drawn_between_whole_numbers_and_nothing_leaves_its_range(mcnn):
    sizes = {name.removeprefix("batch-size=") for name in points(mcnn, "--batch-size", "3..9", "--random", 30)}
    assert sizes == set("3456789")
    rates = points(mcnn, "--lr", "0.123..0.124", "--random", 3)
    assert all(0.123 <= float(name.removeprefix("lr=")) <= 0.124 for name in rates)
    assert points(mcnn, "--lr", "1e-300..1e300", "--random", 2)  # the ratio of the ends is not finite


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model", "a/b.py:N,a_b.py:N"), "rename one of --model=a/b.py:N and --model=a_b.py:N: both"),
        ((), "give the values of an option, such as --lr"),
        (("--lr", "0.1,"), "--lr - expected different values with commas between them, got '0.1,'"),
        (("--lr", "1,1"), "--lr - expected different values"),
        (("--lr", "1..0.1", "--random", 2), "--lr - expected LOW..HIGH of two positive numbers, got '1..0.1'"),
        (("--lr", "a..b", "--random", 2), "--lr - expected LOW..HIGH"),
        (("--lr", "0.1..1"), "add --random N to --lr 0.1..1"),
        (("--lr", "0.1,high"), "argument --lr: expected a positive number, got 'high'"),
        (("--epochs", "1,2"), "leave out --epochs after --: the sweep gives its values"),
        (("--resume", "a", "--lr", "1"), "leave out everything but --resume"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_trained(mcnn, words, message):
    code, _, err = mcnn("sweep", *words, *REST)
    assert code == 2 and message in err and not os.path.exists("runs")


def test_a_value_that_only_a_later_run_has_is_checked_before_the_first_one(mcnn):
    code, _, err = mcnn("sweep", "--recipe", "mlp,nosuch", "--", "--data", "shapes10")
    assert code == 2 and "--recipe: name - expected one of" in err and not os.path.exists("runs")


def test_a_network_that_only_a_later_run_has_is_made_before_the_first_one(mcnn):
    code, _, err = mcnn("sweep", "--image-size", "32,2", "--", "--data", "shapes10")
    assert (code, err) == (
        2,
        "mcnn sweep: --image-size=2: Cifar4: image_size - expected at least 16 for four poolings by 2, got 2\n",
    )
    code, _, err = mcnn("sweep", "--batch-size", "8,999999", "--", "--data", "shapes10")
    assert code == 2 and err.startswith("mcnn sweep: --batch-size=999999: ") and not os.path.exists("runs")


@pytest.mark.parametrize("text", [None, "{", '{"words": [1]}', '{"words": [], "holdout": [], "points": [3]}'])
def test_a_folder_that_holds_no_sweep(mcnn, text):
    os.mkdir("other")
    if text is not None:
        with open("other/sweep.json", "w") as file:
            file.write(text)
    code, _, err = mcnn("sweep", "--resume", "other")
    assert code == 2 and f"--resume - expected the folder of a sweep, got {os.path.join('other', 'sweep.json')}" in err


def test_options_of_train_that_a_sweep_sets_itself(mcnn):
    for option in ("--run", "--resume", "--more", "--find-lr"):
        code, _, err = mcnn("sweep", "--lr", "1", "--", f"{option}=a")
        assert code == 2 and f"leave out {option} after --: each run of a sweep is a new one" in err
    assert "unknown option --epoch; did you mean '--epochs'?" in mcnn("sweep", "--lr", "1", "--", "--epoch", 1)[2]


def test_a_sweep_in_which_all_diverge(mcnn, monkeypatch):
    def diverge(trainer):
        raise train.TrainingDivergedError("the loss is nan")

    monkeypatch.setattr(train.Trainer, "fit", diverge)
    code, out, err = mcnn("sweep", "--lr", "1", "--run", "here", *REST, "--holdout", 50)
    assert code == 3 and "lr=1 diverged: the loss is nan" in err and os.path.exists("here/runs.png")
    with open("here/sweep.json") as file:
        record = json.load(file)
    assert record["holdout"] == [] and list(record["diverged"]) == ["lr=1"]


def test_names_are_fit_for_any_file_system():
    assert sweep._name({"--model": "my nets/a.py:Net", "--lr": "1e-4"}) == "model=my_nets_a.py_Net,lr=1e-4"
