"""Worker processes that fail, die or hang: one clear error in time, and nothing left behind."""

import contextlib
import os
import pickle
import re
import signal
import subprocess
import sys
import time
import types

import numpy as np
import pytest

from minitorch_cnn import data
from minitorch_cnn.data import loader as loader_module
from minitorch_cnn.data import messages, pool, shared, worker

FAULTS = """
import os, signal, time


class Fault:
    def __init__(self, kind, sample=None):
        self.kind, self.sample = kind, sample

    def __call__(self, images, draws):
        if self.sample is not None and self.sample in draws.indices.tolist():
            if self.kind == "raise":
                raise RuntimeError("cannot do this one")
            if self.kind == "hang":
                time.sleep(60)
                print("woke up", flush=True)
            if self.kind == "exit":
                os._exit(3)
            if self.kind == "slow":
                begin = time.process_time()
                while time.process_time() < begin + 0.3:  # of its own work: being stopped does not count
                    pass
                return images
            os.kill(os.getpid(), signal.SIGKILL if self.kind == "kill" else signal.SIGSEGV)
        return images
"""


KILLED = "(was killed by SIGKILL|ended with exit code 1)"  # by Popen.kill, on POSIX and on Windows


@pytest.fixture
def fault(tmp_path, monkeypatch):
    """Return the class of a transform that a worker can import."""
    (tmp_path / "faults_of_a_user.py").write_text(FAULTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    import faults_of_a_user

    yield faults_of_a_user.Fault
    del sys.modules["faults_of_a_user"]


def open_pipes():
    """Return the pipes that this process holds, where the system tells."""
    if sys.platform == "win32" or not os.path.isdir("/proc/self/fd"):
        return set()
    links = (os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd"))
    return {target for link in links if os.path.islink(link) and (target := os.readlink(link)).startswith("pipe:")}


@pytest.fixture
def started(monkeypatch):
    """Return the list of all processes that were started; at the end none may be alive, and no pipe open."""
    processes, popen = [], pool.subprocess.Popen
    before = open_pipes()

    def start(*args, **kwargs):
        processes.append(popen(*args, **kwargs))
        return processes[-1]

    monkeypatch.setattr(pool.subprocess, "Popen", start)
    yield processes
    assert processes and all(process.poll() is not None for process in processes)
    assert open_pipes() <= before


def make_loader(*transforms, **options):
    images = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 3), np.uint8)
    dataset = data.ArrayDataset(images, np.zeros(40, int), ("a",), (0.5,) * 3, (0.5,) * 3)
    return data.DataLoader(dataset, 8, transforms=transforms, **({"num_workers": 2} | options))


def test_an_exception_comes_with_worker_sample_and_traceback(fault, started):
    loader = make_loader(fault("raise", 19))
    with pytest.raises(data.WorkerError, match=r"worker 0 \(pid \d+\) failed on sample 19 of epoch 4") as caught:
        loader.set_epoch(4)
        list(loader)
    assert "RuntimeError: cannot do this one" in str(caught.value)


@pytest.mark.posix
@pytest.mark.parametrize(("kind", "name"), [("kill", "SIGKILL"), ("segv", "SIGSEGV")])
def test_a_worker_that_is_killed_is_named_with_the_signal(fault, started, kind, name):
    message = rf"worker 1 \(pid \d+\) was killed by {name} on sample 30 of epoch 0"
    with pytest.raises(data.WorkerError, match=message):
        list(make_loader(fault(kind, 30)))


def test_a_worker_that_ends_is_named_with_its_exit_code(fault, started):
    with pytest.raises(data.WorkerError, match=r"worker 1 \(pid \d+\) ended with exit code 3 on sample 30 of epoch 0"):
        list(make_loader(fault("exit", 30)))


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        pytest.param(-9, "was killed by SIGKILL", marks=pytest.mark.posix),
        (3, "ended with exit code 3"),
        (0xC0000005, "ended with exit code 0xc0000005"),  # an access violation
    ],
)
def test_how_the_end_of_a_worker_is_told(code, cause):
    """Windows has exit codes in place of signals."""
    assert re.fullmatch(cause, pool.ending(code))


def test_a_worker_that_is_killed_while_it_copies_a_batch(started):
    """Crops and flips are done for all samples of a batch together, and are not told apart."""
    with make_loader() as loader:
        list(loader)
        task = messages.Task(0, 3, np.arange(8, 16))
        loader._idle._progress[1] = messages.TOGETHER
        started[1].kill()
        with pytest.raises(data.WorkerError, match=f"{KILLED} on samples 8 ... 15 of epoch 3 together"):
            loader._idle.wait(1, task)


@pytest.mark.parametrize(
    ("kind", "message"),
    [("exit", "ended with exit code 3 on"), ("raise", "failed on")],
)
def test_the_first_sample_is_tried_by_a_worker_and_not_by_the_parent(fault, started, kind, message):
    with pytest.raises(data.WorkerError, match=f"{message} sample 0 of epoch 0, which it tries first"):
        list(make_loader(fault(kind, 0)))


def test_a_worker_may_start_slowly(fault, started):
    """Imports on a busy machine do not count as a hang, however short the timeout of a batch is."""
    slow = "import time\ntime.sleep(1.5)\n"
    module = sys.modules["faults_of_a_user"].__file__
    with open(module, "w") as file:
        file.write(slow + FAULTS)
    with make_loader(fault("none"), timeout=1.0) as loader:
        assert len(list(loader)) == 5


@pytest.mark.posix
def test_stopping_all_processes_for_a_while_is_no_hang(tmp_path, fault):
    code = f"""
import sys
sys.path[:0] = {[str(tmp_path), os.path.dirname(__file__)]!r}
import faults_of_a_user, test_pool
with test_pool.make_loader(faults_of_a_user.Fault("slow", 9), prefetch=1, timeout=2.0) as loader:
    batches = iter(loader)
    next(batches)
    print("begun", flush=True)
    list(batches)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, start_new_session=True) as process:
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGSTOP)
        time.sleep(2.5)
        os.killpg(process.pid, signal.SIGCONT)
    assert process.returncode == 0


def test_a_busy_worker_does_not_outlive_its_parent(tmp_path, fault):
    code = f"""
import sys
sys.path[:0] = {[str(tmp_path), os.path.dirname(__file__)]!r}
import faults_of_a_user, test_pool
loader = test_pool.make_loader(faults_of_a_user.Fault("hang", 9), prefetch=1)
batches = iter(loader)
next(batches)
print("begun", flush=True)
next(batches)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout.readline().strip() == b"begun"
        process.kill()
        assert process.stdout.read() == b""  # its end: no worker holds it any more


def test_a_worker_that_hangs_is_given_up_after_the_timeout(fault, started, monkeypatch):
    monkeypatch.setattr(pool, "_GRACE", 0.1)
    loader = make_loader(fault("hang", 2), timeout=2.0)
    with pytest.raises(data.WorkerError, match=r"worker 0 \(pid \d+\) hangs: no answer for 2 s on sample 2 of epoch 0"):
        list(loader)


def test_the_sample_is_named_on_which_a_worker_died_not_one_that_it_was_asked_next(fault, started):
    loader = make_loader(fault("exit", 18), prefetch=1)  # worker 0: batches 0, 2, 4
    batches = iter(loader)
    next(batches)  # asks for batch 2
    started[0].wait()
    (workers,) = loader._pools
    workers.ask(0, messages.Task(0, 0, np.arange(32, 40)))
    with pytest.raises(data.WorkerError, match=r"worker 0 .* on sample 18 of epoch 0"):
        list(batches)


def test_a_worker_killed_from_outside_between_batches(started):
    with make_loader(prefetch=1) as loader:
        batches = iter(loader)
        next(batches)
        (workers,) = loader._pools
        assert all(pool._readable(reply, 60) for reply in workers.replies)  # both have done what they were asked
        for process in started:
            process.kill()
            process.wait()
        message = rf"{KILLED} between samples, before samples \d+ ... \d+ of epoch 0"
        with pytest.raises(data.WorkerError, match=message):
            list(batches)
        assert len(list(loader)) == 5  # the next iteration starts new ones


def test_a_worker_that_does_not_start(started, monkeypatch):
    monkeypatch.setenv("PYTHONMALLOC", "unknown")  # with which Python ends at once
    with pytest.raises(data.WorkerError, match="ended with exit code 1 while it starts"):
        list(make_loader())


def test_files_in_the_current_folder_do_not_stop_workers(started, tmp_path, monkeypatch):
    for name in ("random", "queue", "signal", "pickle"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('code of the current folder ran')")
    monkeypatch.chdir(tmp_path)
    with make_loader() as loader:
        assert len(list(loader)) == 5


@pytest.mark.posix
@pytest.mark.parametrize("closed", [(0,), (0, 1, 2)])
def test_workers_start_where_standard_streams_are_closed(tmp_path, closed):
    """The descriptors of new pipes and files are then those of the streams, which a child gets anew."""
    code = f"""
import os, sys
[os.close(descriptor) for descriptor in {closed}]
sys.path[:0] = {[os.path.dirname(__file__)]!r}
import test_pool
with test_pool.make_loader() as loader:
    count = len(list(loader))
with open({str(tmp_path / "count")!r}, "w") as file:
    file.write(str(count))
os._exit(0)  # Python itself complains at its end about streams that cannot be flushed
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert (tmp_path / "count").read_text() == "5"


def test_without_processes_the_same_batches_come_from_this_one(monkeypatch):
    expected = [images.data.tobytes() for images, _ in make_loader(data.Flip(), num_workers=0)]
    monkeypatch.setattr(loader_module, "possible_workers", lambda count: 0)  # as in a browser
    with pytest.warns(RuntimeWarning, match="num_workers - expected 0 on this system, .* got 2; this process prepares"):
        loader = make_loader(data.Flip(), num_workers=2)
    assert loader.num_workers == 0 and [images.data.tobytes() for images, _ in loader] == expected


def test_which_systems_have_workers(monkeypatch):
    assert data.possible_workers(3) == 3
    monkeypatch.setattr(pool, "sys", types.SimpleNamespace(platform="emscripten"))
    assert data.possible_workers(3) == 0


def test_closing_stops_the_workers_and_may_be_repeated(started):
    loader = make_loader()
    list(loader)
    loader.close()
    assert all(process.poll() is not None for process in started)
    loader.close()


def test_workers_stop_when_their_loader_is_forgotten(started):
    loader = make_loader()
    list(loader)
    del loader
    deadline = time.monotonic() + 20
    while any(process.poll() is None for process in started) and time.monotonic() < deadline:
        time.sleep(0.01)


# --------------------------------------------------------------- transforms that cannot travel


def test_transforms_that_cannot_be_pickled_or_imported(fault):
    with pytest.raises(
        TypeError, match="transforms - expected ones that can be pickled, got <function .*num_workers=0"
    ):
        list(make_loader(lambda images, draws: images))
    with pytest.raises(TypeError, match="expected ones that can be pickled"):
        list(make_loader(fault(lambda: 0)))


def test_transforms_of_the_main_program(fault, monkeypatch):
    monkeypatch.setattr(fault, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "Fault", fault, raising=False)
    with pytest.raises(TypeError, match="expected ones that a worker process can import, got .* of the main program"):
        list(make_loader(fault("none")))


def test_transforms_that_only_this_process_can_import(fault, started, tmp_path):
    (tmp_path / "faults_of_a_user.py").write_text("raise ImportError('not here')")
    with pytest.raises(TypeError, match="(?s)expected ones that a worker process can import, got .*not here"):
        list(make_loader(fault("none")))


# ------------------------------------------------------------------------------- the other side


@pytest.mark.parametrize(("last", "end"), [([1, 2], contextlib.nullcontext()), ([1, 4], pytest.raises(EOFError))])
def test_a_worker_serves_tasks_until_one_fails_or_its_pipe_ends(fault, last, end):
    (request_end, request), (reply, reply_end) = shared.pipe(), shared.pipe()
    memories = [shared.new_memory() for _ in range(3)]
    shapes = (5, 4, 4, 3), (2, 4, 4, 4, 3), messages.progress_shape(3)
    images, slots, progress = (shared.create_array(m, shape) for m, shape in zip(memories, shapes, strict=True))
    steps = [data.Flip(1.0), fault("raise", 2)]
    images[...] = np.arange(images.size).reshape(images.shape) % 251
    request.send(messages.Setup(1, *memories, images.shape, 3, pickle.dumps(steps), 0))
    request.send(slots.shape)
    request.send(messages.Task(1, 0, np.array([3, 0])))
    request.send(messages.Task(0, 0, np.array(last)))
    request.close()
    with end:
        worker.main(request_end, reply_end)
    assert reply.recv() == (4, 4, 3)  # it has started
    assert reply.recv() is None
    np.testing.assert_array_equal(slots[1, :2], images[[3, 0], :, ::-1])
    answer, at = reply.recv(), messages.progress_of(progress).tolist()
    if last == [1, 2]:
        assert answer.kind == "sample" and "cannot do this one" in answer.traceback and at == [0, 2, 0]
    else:
        assert answer is None and at == [0, messages.IDLE, 0]
    for memory in memories:
        shared.release(memory)
