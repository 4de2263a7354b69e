"""Threads: how many there are, the same bits for any number, and what happens when something goes wrong."""

import os
import re
import threading

import numpy as np
import pytest

from minitorch_kernels.layers import elementwise
from minitorch_kernels.runtime import parallel, threads
from minitorch_kernels.runtime.parallel import parallel_task
from minitorch_kernels.runtime.threads import parallel_kernel, team_kernel
from tests.kernels.runtime.processes import STEP, run

MOST = threads.available_threads()
needs_two = pytest.mark.skipif(MOST < 2, reason="this process may use one thread alone")


@pytest.fixture(autouse=True)
def thread_settings(monkeypatch):
    """Use threads for small calls as well, and restore the number of threads after the test."""
    monkeypatch.setattr(threads, "_SMALL_BYTES", -1)
    monkeypatch.setattr(threads, "_limit", threads._limit)


@parallel_kernel(tasks=lambda out: len(out))
def count_visits(first_task, end_task, out, refused):
    for task in range(first_task, end_task):
        out[task] += 1
        if task == refused:
            raise IndexError("refused")


@parallel_task
def add_one(first_task, end_task, out):
    for task in range(first_task, end_task):
        out[task] += 1


@parallel_task
def double(first_task, end_task, out):
    for task in range(first_task, end_task):
        out[task] *= 2


@team_kernel
def add_and_double(team, out, times):
    for _ in range(times):
        add_one(team, len(out), (out,))
        double(team, len(out), (out,))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 17, 100_000])
def test_every_task_is_done_once(count):
    for limit in (1, MOST):
        threads.set_num_threads(limit)
        for _ in range(50):
            out = np.zeros(count, np.int64)
            count_visits(out, -1)
            assert (out == 1).all()


def test_one_job_ends_before_the_next_begins():
    out = np.zeros(10_000)
    for _ in range(20):
        out[:] = 0
        add_and_double(out, 5)
        assert (out == 62).all()


@needs_two
def test_a_helper_stays_awake_while_others_work_on_a_job():
    """A kernel may have another job after it, and cannot wake a helper that sleeps."""
    board = np.zeros(parallel.BOARD_SIZE, np.int64)
    board[parallel.THREADS], board[parallel.EPOCH] = 2, 1  # a job of which no piece is left
    helper = threading.Thread(target=parallel.serve, args=(board.ctypes.data, 0))
    helper.start()
    helper.join(0.3)  # hundreds of times as long as it would wait for a job
    assert helper.is_alive()
    board[parallel.EPOCH] = 2
    helper.join()


@pytest.mark.parametrize("refused", [0, 500, 999])
def test_an_exception_of_one_task_reaches_the_caller_and_all_else_goes_on(refused):
    for _ in range(20):
        with pytest.raises(IndexError, match="refused"):
            count_visits(np.zeros(1000, np.int64), refused)
        out = np.zeros(1000, np.int64)
        count_visits(out, -1)
        assert (out == 1).all()


# --------------------------------------------------------------------------- several callers, forks


@pytest.mark.slow
def test_eight_python_threads_may_call_kernels_at_once():
    alone = run(STEP + "results = [step()]\n")[1]
    crowd = """
results, start = [], threading.Barrier(8)
def work():
    start.wait()
    results.extend(step() for _ in range(25))
crowd = [threading.Thread(target=work) for _ in range(8)]
[thread.start() for thread in crowd]
[thread.join() for thread in crowd]
"""
    assert run(STEP + crowd, NUMBA_NUM_THREADS="2") == ([], alone * 200)


FORK = """
import os
from minitorch_kernels.runtime import threads
threads._SMALL_BYTES = -1
results, (reading, writing) = [step()], os.pipe()
for _ in range(10):
    child = os.fork()
    if child == 0:
        os.write(writing, step().encode())
        os._exit(0)
    results += [os.waitpid(child, 0)[1], os.read(reading, 1000).decode()]
results.append(step())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_computes_with_helpers_of_its_own():
    results = run(STEP + FORK, NUMBA_NUM_THREADS="2")[1]
    assert set(results) == {0, results[0]} and len(results) == 22


INTERRUPTED = """
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background may have it ignored
expected, interrupted = step(), 0
generator = np.random.default_rng(0)
def interrupt(delay):
    time.sleep(delay)
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
results = []
for _ in range(30):
    thread = threading.Thread(target=interrupt, args=(generator.random() * 0.004,))
    try:
        thread.start()
        for _ in range(20):
            step()
        thread.join()
    except KeyboardInterrupt:
        interrupted += 1
    thread.join()
    results.append(step() == expected)
results.append(interrupted)
"""


@pytest.mark.posix  # Windows cannot send a signal to one thread
def test_after_ctrl_c_at_any_moment_the_next_call_is_right():
    *right, interrupted = run(STEP + INTERRUPTED, NUMBA_NUM_THREADS="2")[1]
    assert all(right) and interrupted > 15


@needs_two
def test_helpers_are_named_and_do_not_keep_the_process_alive():
    threads.set_num_threads(2)
    count_visits(np.zeros(10, np.int64), -1)
    (helper,) = [thread for thread in threading.enumerate() if thread.name == "minitorch-kernels-1"]
    assert helper.daemon


# ------------------------------------------------------------------------------- how many threads


@needs_two
def test_the_number_of_threads_holds_in_every_python_thread(monkeypatch):
    seen, team = [], threads.team
    monkeypatch.setattr(threads, "team", lambda count: seen.append(count) or team(count))
    for count in (1, 2):
        threads.set_num_threads(count)
        assert threads.get_num_threads() == count
        thread = threading.Thread(target=count_visits, args=(np.zeros(10, np.int64), -1))
        thread.start()
        thread.join()
    assert seen == [1, 2]


@needs_two
def test_another_number_for_a_part_of_the_program_holds_there_alone():
    threads.set_num_threads(2)
    seen = []
    with threads.num_threads(1):
        thread = threading.Thread(target=lambda: seen.append(threads.get_num_threads()))
        thread.start()
        thread.join()
        seen.append(threads.get_num_threads())
    assert seen == [2, 1] and threads.get_num_threads() == 2


@needs_two
def test_a_call_on_little_data_stays_in_one_thread(monkeypatch):
    seen, team = [], threads.team
    monkeypatch.setattr(threads, "team", lambda count: seen.append(count) or team(count))
    monkeypatch.setattr(threads, "_SMALL_BYTES", 800)
    threads.set_num_threads(2)
    elementwise.relu_forward(np.ones(1000, np.float32))
    elementwise.relu_forward(np.ones(100, np.float32))  # 400 bytes in, 400 out
    assert seen == [2, 1]


@pytest.mark.parametrize("function", [threads.set_num_threads, lambda count: threads.num_threads(count).__enter__()])
@pytest.mark.parametrize("count", [0, -1, MOST + 1, True, 1.0, "1", None])
def test_a_number_of_threads_out_of_range_is_refused(count, function):
    before = threads.get_num_threads()
    with pytest.raises(ValueError, match=re.escape(f"num_threads: count - expected 1 to {MOST}, got {count!r}")):
        function(count)
    assert threads.get_num_threads() == before


def test_a_number_of_numpy_is_a_number():
    threads.set_num_threads(np.int64(1))
    assert threads.get_num_threads() == 1


@pytest.mark.parametrize(
    ("variables", "count"),
    [
        ({"NUMBA_NUM_THREADS": "3", "OMP_NUM_THREADS": "5"}, 3),
        ({"OMP_NUM_THREADS": "5"}, 5),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"OMP_NUM_THREADS": "many"}, 7),
        ({"OMP_NUM_THREADS": "0"}, 7),
        ({}, 7),
    ],
)
def test_variables_of_the_environment_decide_first(monkeypatch, variables, count):
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda process: set(range(7)), raising=False)
    monkeypatch.setattr(threads, "_container_quota", lambda: float("inf"))
    assert threads.available_threads.__wrapped__() == count


@pytest.mark.parametrize(("quota", "count"), [(0.5, 1), (1.0, 1), (2.5, 3), (8.0, 4), (float("inf"), 4)])
def test_a_container_may_grant_less_than_the_machine_has(monkeypatch, quota, count):
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda process: set(range(4)), raising=False)
    monkeypatch.setattr(threads, "_container_quota", lambda: quota)
    assert threads.available_threads.__wrapped__() == count


def test_the_quota_of_a_control_group_and_of_those_above_it(tmp_path):
    membership, root = tmp_path / "cgroup", tmp_path / "fs"
    quota = lambda: threads._container_quota(membership, root)  # noqa: E731
    assert quota() == float("inf")  # no such file: not Linux
    (root / "user" / "job").mkdir(parents=True)
    membership.write_text("0::/user/job\n")
    assert quota() == float("inf")
    (root / "user" / "job" / "cpu.max").write_text("max 100000\n")
    assert quota() == float("inf")
    (root / "user" / "cpu.max").write_text("150000 100000\n")
    assert quota() == 1.5
    (root / "user" / "job" / "cpu.max").write_text("50000 100000\n")
    assert quota() == 0.5
    (root / "user" / "job" / "cpu.max").write_text("what is this?\n")
    assert quota() == 1.5


def test_the_quota_of_a_control_group_of_version_1(tmp_path):
    membership, root = tmp_path / "cgroup", tmp_path / "fs"
    (root / "cpu" / "docker").mkdir(parents=True)
    membership.write_text("4:memory:/docker\n3:cpu,cpuacct:/docker\n")
    (root / "cpu" / "docker" / "cpu.cfs_period_us").write_text("100000\n")
    for text, processors in (("-1\n", float("inf")), ("250000\n", 2.5)):
        (root / "cpu" / "docker" / "cpu.cfs_quota_us").write_text(text)
        assert threads._container_quota(membership, root) == processors


@needs_two
def test_a_helper_that_has_no_room_for_its_code_leaves_the_work_to_others(monkeypatch):
    """An error in its thread would be a traceback on standard error."""

    def no_room(board, index):
        raise MemoryError

    no_room.entry = parallel.serve.entry
    monkeypatch.setattr(threads.parallel, "serve", no_room)
    helpers = threads._Helpers()
    monkeypatch.setattr(threads, "_helpers", helpers)
    told = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    out = np.zeros(100)
    with threads.num_threads(2):
        count_visits(out, -1)
    for helper in threading.enumerate():
        if helper.name == "minitorch-kernels-1" and helper is not threading.main_thread():
            helper.join(0.1)
    assert helpers.started == 1 and (out == 1).all() and told == []


HELPER_STARTS = """
from minitorch_kernels.runtime import parallel, threads

class Thread(threading.Thread):
    def start(self):
        results.append(len(parallel.serve.entry.overloads))
        super().start()

results, threading.Thread = [], Thread
kernels.layers.elementwise.relu_forward(np.ones(1 << 16, np.float32))
"""


@needs_two
def test_a_helper_compiles_nothing(tmp_path):
    """Numba replaces the warning filters of the whole process while it compiles."""
    assert run(HELPER_STARTS, home=tmp_path)[1] == [1] * (MOST - 1)


@needs_two
def test_a_thread_that_cannot_start_is_told(monkeypatch):
    class Refused:
        def __init__(self, **options):
            pass

        def start(self):
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "_helpers", threads._Helpers())
    monkeypatch.setattr(threads.threading, "Thread", Refused)
    with threads.num_threads(2), pytest.raises(MemoryError, match="a thread for the kernels cannot start"):
        count_visits(np.zeros(100), -1)
