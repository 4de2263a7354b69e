"""Several ranks: they compute what one process computes, agree to the bit, and fail together with one word.

The programs in here run under ``mpiexec -n 2`` and are the tests; what they print is compared.
"""

import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from minitorch_cnn import nn, rng, train

MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]]))
needs_mpi = pytest.mark.skipif(
    MPIEXEC is None or importlib.util.find_spec("mpi4py") is None,
    reason="needs mpi4py and mpiexec: pip install 'minitorch-cnn[mpi]'",
)

HEAD = f"""
import dataclasses, io, json, os, signal, sys, time
sys.path.insert(0, {str(pathlib.Path(__file__).parents[1])!r})
import numpy as np
from conftest import RECIPE, Small, colours, plain_model, small_model
import minitorch_cnn as mt
from minitorch_cnn import nn, rng, train
mt.set_num_threads(1)
folder = sys.argv[1]
def trainer(ranks, model=None, recipe=RECIPE, images=None, **options):
    options = dict(model=model or plain_model(), ranks=ranks, reporter=train.Reporter(io.StringIO())) | options
    return train.Trainer(recipe, images or colours(), folder, **options)
def digest(t):
    return train.state.digest(t.parameters)
"""


def launch(ranks, body, *arguments):
    """Run a program on a number of ranks; return the completed process."""
    code = HEAD + textwrap.dedent(body)
    command = [sys.executable, "-c", code, *map(str, arguments)]
    if ranks > 1:
        command = [MPIEXEC, "-n", str(ranks), *command]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = process.communicate(timeout=240)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def lines(done):
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


# ------------------------------------------------------------------------------ without MPI


def test_one_process_is_the_only_rank(monkeypatch):
    for name in ("PMI_SIZE", "PMIX_RANK", "OMPI_COMM_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for mode in ("auto", "off"):
        ranks = train.connect(mode)
        assert (ranks.rank, ranks.size, ranks.exchange("x"), ranks.share(7)) == (0, 1, ["x"], (0, 7))


def test_the_mode_is_checked():
    with pytest.raises(ValueError, match="connect: mode - expected one of auto, mpi, off, got 'yes'"):
        train.connect("yes")


def test_without_mpi4py_a_launched_process_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.setenv("PMI_SIZE", "2")
    with pytest.raises(train.RanksError, match=r"connect: mpi4py - expected it .*minitorch-cnn\[mpi\]"):
        train.connect()


def test_the_timeout_is_checked():
    with pytest.raises(ValueError, match="MpiProcesses: timeout - expected a positive number of seconds, got 0"):
        train.MpiProcesses(timeout=0)


class Others(train.SingleProcess):
    """Rank 0, and what the others would answer."""

    def __init__(self, *facts):
        self.size, self._facts = 1 + len(facts), facts

    def exchange(self, fact):
        return [fact, *self._facts]


def test_what_differs_is_named_with_both_values():
    Others({"numpy": "2.1"}).agree({"numpy": "2.1"})
    expected = "numpy - expected the same on all ranks, but rank 0 has '2.1', rank 2 has '2.2'"
    with pytest.raises(train.RanksError, match=expected):
        Others({"numpy": "2.1"}, {"numpy": "2.2"}).agree({"numpy": "2.1"})


def test_shares_cover_everything_once():
    for size in (1, 2, 3, 5):
        ranks = Others(*[None] * (size - 1))
        covered = [i for rank in range(size) for i in range(*ranks.share(13, rank))]
        assert covered == list(range(13))


def test_the_parts_of_an_accumulated_batch_add_up(start):
    parameters = []
    for parts in (1, 3):
        rng.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.GlobalAvgPool(), nn.Linear(4, 2))
        trainer = start(f"parts-{parts}", model=model, accumulate=parts)
        trainer.fit()
        parameters.append(np.concatenate([p.data.ravel() for p in trainer.parameters]))
        assert trainer.progress.history[0]["step"] == 7
    np.testing.assert_allclose(*parameters, rtol=1e-3, atol=1e-4)


def test_a_batch_cannot_have_more_parts_than_images(start):
    with pytest.raises(ValueError, match="Trainer: accumulate - expected 1 to 8, the images of a rank, got 9"):
        start(accumulate=9)


class WithATriple(train.SingleProcess):
    """One of two ranks; the other has three times its numbers."""

    size = 2

    def sum(self, array):
        return 4 * np.asarray(array)


def test_running_statistics_are_averaged_over_the_ranks():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    net[1].running_mean[...] = 2.0
    WithATriple().average_statistics(net)
    np.testing.assert_array_equal(net[1].running_mean, np.full(4, 4.0))
    WithATriple().average_statistics(net[0])  # which has none


# ---------------------------------------------------------------------------- under mpiexec

AGREES = """
    with train.connect(timeout=30) as ranks:
        recipe = dataclasses.replace(RECIPE, **json.loads(sys.argv[2]))
        t = trainer(ranks, recipe=recipe, sync_bn=bool(int(sys.argv[3])), holdout=12)
        t.fit()
        result = t.final_eval()
        facts = {"digest": digest(t), "statistics": t.model.state_dict()["1.running_var"].tolist()}
        keys = "train_loss", "holdout_loss", "holdout_accuracy"
        history = [[line[key] for key in keys] for line in t.progress.history]
        print(json.dumps({"facts": ranks.exchange(facts), "history": history, "images": result["holdout_images"]}))
"""


@needs_mpi
@pytest.mark.parametrize("change", [{}, {"optimizer": "muon"}], ids=["adam", "muon"])
def test_two_ranks_with_sync_bn_compute_what_one_process_does(tmp_path, change):
    (one,), (two,) = (lines(launch(n, AGREES, tmp_path / str(n), json.dumps(change), 1)) for n in (1, 2))
    assert two["facts"] == one["facts"] * 2  # to the last bit, after 21 steps
    np.testing.assert_allclose(two["history"], one["history"], rtol=1e-6)  # losses are added up in another order
    assert one["images"] == two["images"] == 12
    names = {path.name for path in (tmp_path / "2").iterdir()}
    assert names == {path.name for path in (tmp_path / "1").iterdir()}


@needs_mpi
@pytest.mark.parametrize("change", [{"lookahead": 2}, {"ema": 0.9}], ids=str)
def test_two_ranks_with_statistics_of_their_own_end_with_one_average(tmp_path, change):
    ((one, other),) = (done["facts"] for done in lines(launch(2, AGREES, tmp_path / "run", json.dumps(change), 0)))
    assert one == other


INTERRUPTED = """
    with train.connect(timeout=30) as ranks:
        t = trainer(ranks, **{options})
        step = t.step
        def stopping(*batch):
            step(*batch)
            if t.progress.step == 10 and ranks.rank == 1:
                os.kill(os.getpid(), signal.SIGINT)
        t.step = stopping
        finished = t.fit()
        statistics = t.model.state_dict()["1.running_mean"].tolist()
        print(json.dumps([finished, t.progress.step, ranks.exchange([digest(t), statistics])]))
"""


@needs_mpi
def test_ctrl_c_stops_all_behind_the_same_step_and_another_number_of_ranks_goes_on(tmp_path, go_on):
    program = INTERRUPTED.format(options="dict(model=small_model(), save_every=0.0)")
    ((finished, step, ranks),) = lines(launch(2, program, tmp_path / "run"))
    assert (finished, step) == (False, 10)
    assert ranks[0] == ranks[1]
    resumed = go_on()
    assert resumed.progress.step == 10
    np.testing.assert_array_equal(resumed.model.state_dict()["1.running_mean"], np.float32(ranks[0][1]))
    assert resumed.fit() and resumed.progress.step == 21


CALLED = """
    changes = {
        "parameters": lambda t, record: t.parameters[0].data.__imul__(2.0),
        "frozen layers": lambda t, record: t.model[0].freeze(),
        "attributes of layers": lambda t, record: setattr(t.model[3], "p", 0.5),
        "nothing": lambda t, record: None,
    }
    with train.connect(timeout=10, explain=lambda error: (2, str(error))) as ranks:
        told = changes[sys.argv[2]] if ranks.rank == 0 else None  # the others need none
        trainer(ranks, model=small_model(), on_epoch=told).fit()
"""


@needs_mpi
@pytest.mark.parametrize("change", ["parameters", "frozen layers", "attributes of layers"])
def test_a_function_that_changes_the_network_of_rank_0_alone_is_refused(tmp_path, change):
    done = launch(2, CALLED, tmp_path / "run", change)
    assert done.returncode == 2 and f"because rank 0 alone calls it, got other {change}" in done.stderr


@needs_mpi
def test_a_function_that_changes_nothing_may_be_called_on_rank_0_alone(tmp_path):
    assert launch(2, CALLED, tmp_path / "run", "nothing").returncode == 0


TO_THE_END = """
    with train.connect(timeout=30) as ranks:
        if os.path.exists(folder):
            quiet = train.Reporter(io.StringIO())
            t = train.Trainer.resume(folder, colours(), model=small_model(), ranks=ranks, reporter=quiet)
        else:
            t = trainer(ranks, model=small_model(), save_every=float(sys.argv[2]))
        t.fit()
        statistics = [t.model.state_dict()[f"1.running_{name}"].tolist() for name in ("mean", "var")]
        print(json.dumps(ranks.exchange([digest(t), statistics])))
"""


@needs_mpi
def test_neither_a_checkpoint_nor_a_resume_changes_the_statistics_of_two_ranks(tmp_path):
    launch(2, INTERRUPTED.format(options="dict(model=small_model(), save_every=1e9)"), tmp_path / "resumed")
    runs = ("rare", 1e9), ("often", 0.0), ("resumed", 0.0)
    ((rare, other),), ((often, _),), ((resumed, _),) = (lines(launch(2, TO_THE_END, tmp_path / n, s)) for n, s in runs)
    assert rare == other == often == resumed


@needs_mpi
def test_a_run_of_two_ranks_with_sync_bn_goes_on_in_one_process_to_the_same_bits(
    tmp_path, start, go_on, make_plain_model
):
    ((_, step, _),) = lines(launch(2, INTERRUPTED.format(options="dict(sync_bn=True)"), tmp_path / "run"))
    resumed, whole = go_on(model=make_plain_model()), start("whole", model=make_plain_model(), sync_bn=True)
    assert resumed.progress.step == step == 10
    assert resumed.fit() and whole.fit()
    assert train.state.digest(resumed.parameters) == train.state.digest(whole.parameters)


FAULTS = {
    "dies": ("os.kill(os.getpid(), signal.SIGKILL)", r"signal 9"),
    "hangs": ("os.kill(os.getpid(), signal.SIGSTOP)", "rank 0 of 2: another rank did not answer for 3 s"),
    "diverges": ("t.trainable[0].weight.data[...] = np.nan", "TrainingDivergedError: epoch 1, batch 6"),
    "fails": ("1 / 0", "rank 1 of 2: .*ZeroDivisionError"),
}
FAULTY = """
    with train.connect(timeout=3) as ranks:
        t = trainer(ranks, model=small_model(), save_every=0.0)
        step = t.step
        def faulty(*batch):
            if t.progress.step == 5:
                ranks.exchange("here")  # rank 0 comes when its checkpoint is written, not killed before
                if ranks.rank == 1:
                    {fault}
            step(*batch)
        t.step = faulty
        t.fit()
"""


@needs_mpi
@pytest.mark.parametrize("fault", FAULTS)
def test_a_rank_that_fails_stops_all_and_the_last_checkpoint_is_whole(tmp_path, go_on, fault):
    statement, message = FAULTS[fault]
    done = launch(2, FAULTY.format(fault=statement), tmp_path / "run")
    assert done.returncode != 0
    assert re.search(message, done.stderr + done.stdout, re.DOTALL), done.stderr + done.stdout
    resumed = go_on()
    assert resumed.progress.step == 5
    assert resumed.fit() and resumed.progress.step == 21


@needs_mpi
def test_ranks_with_other_images_are_refused_at_the_start(tmp_path):
    body = """
        with train.connect(timeout=10, explain=lambda error: (2, str(error))) as ranks:
            trainer(ranks, images=colours(seed=ranks.rank)).fit()
    """
    done = launch(2, body, tmp_path / "run")
    assert done.returncode == 2
    assert "dataset_digest - expected the same on all ranks, but rank 0 has 'colours-60-0', rank 1" in done.stderr
