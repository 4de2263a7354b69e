"""Worker processes that are killed, crash, fail or hang: one clear error in time, and nothing left behind."""

import ctypes
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time

import harness
import numpy as np

from minitorch_cnn import data
from minitorch_cnn.data import pool

LATE = 5.0  # seconds from the fault to the error
TIMEOUT = 2.0  # seconds without an answer that count as a hang
TRANSFORM = '''
import ctypes, os, signal, time

class Fault:
    """Does its worst when it meets the sample, and writes down when."""

    def __init__(self, kind, sample, note):
        self.kind, self.sample, self.note = kind, sample, note

    def __call__(self, images, draws):
        if self.sample in draws.indices.tolist():
            with open(self.note, "a") as file:
                print(time.monotonic(), os.getpid(), file=file)
            if self.kind == "exception":
                raise RuntimeError("cannot do this one")
            if self.kind == "hang":
                time.sleep(600)
            if self.kind == "segv":
                ctypes.string_at(0)
            if self.kind == "exit":
                os._exit(3)
            os.kill(os.getpid(), signal.SIGKILL)
        return images
'''
CAUSES = {
    "kill": "was killed by SIGKILL",
    "segv": "was killed by SIGSEGV",
    "exit": "ended with exit code 3",
    "exception": "failed on",
    "hang": f"hangs: no answer for {TIMEOUT:g} s",
    "from outside": "was killed by SIGKILL",
}


def make_loader(*transforms, **options):
    images = np.random.default_rng(0).integers(0, 256, (64, 4, 4, 3), np.uint8)
    dataset = data.ArrayDataset(images, np.zeros(64, int), ("a",), (0.5,) * 3, (0.5,) * 3)
    return data.DataLoader(dataset, 8, transforms=transforms, **({"num_workers": 2, "timeout": TIMEOUT} | options))


def shared_memory():
    return set(os.listdir("/dev/shm"))


def own_shared_memory():
    """Give this process and its children a /dev/shm of their own, if it may: other programs use the common one."""
    if ctypes.CDLL(None).unshare(0x00020000) == 0:  # CLONE_NEWNS
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", "/dev/shm"], check=True)


def is_alive(pid):
    """Return whether a process runs; one that has ended and waits to be collected does not."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def one_fault(kind, rng, folder, faults):
    """Inject one fault; return (seconds until the error, what was wrong, the workers' processes)."""
    sample, note = int(rng.integers(1 if kind == "hang" else 0, 64)), folder / "note"
    # sample 0 is tried when a worker starts; a hang there is given 60 s
    transform = faults.Fault(kind, sample if kind != "from outside" else -1, str(note))
    loader = make_loader(transform, prefetch=int(rng.integers(1, 4)))
    note.unlink(missing_ok=True)
    workers, killed = [], []
    try:
        batches = iter(loader)
        next_batch = 0
        while True:
            workers = workers or [process for pool in loader._pools for process in pool.processes]
            if kind == "from outside" and next_batch == sample // 8 + 1:
                victim = workers[sample % 2]
                time.sleep(rng.uniform(0, 0.01))
                victim.send_signal(signal.SIGKILL)
                victim.wait()
                killed.append((time.monotonic(), victim.pid))
            next(batches)
            next_batch += 1
    except StopIteration:
        # a worker that dies when all its batches are delivered harms nobody: the next epoch has to say so
        try:
            list(loader)
            return 0.0, "no error", workers
        except data.WorkerError as error:
            caught = error
    except data.WorkerError as error:
        caught = error
    now = time.monotonic()
    if not killed and not note.exists():
        return 0.0, f"{kind}: expected a fault before the error, got {caught}", workers
    met = killed or [line.split() for line in note.read_text().splitlines()]  # both workers try sample 0
    begin, pids = float(met[0][0]), {int(pid) for _, pid in met}
    wrong = []
    match = re.match(r"worker (\d+) \(pid (\d+)\) ", str(caught))
    if not match or int(match[2]) not in pids:
        wrong.append(f"{kind}: expected the pid {pids}")
    if CAUSES[kind] not in str(caught):
        wrong.append(f"{kind}: expected its cause")
    at = r"on sample \d+ of|on samples \d+ \.\.\. \d+ of epoch 0 together|between samples, before samples \d+ "
    at = at if kind == "from outside" else f"on sample {sample} of epoch 0" + (", which it tries first" * (not sample))
    if not re.search(at, str(caught)):
        wrong.append(f"{kind}: expected the sample, {sample}")
    return now - begin, "; ".join(f"{text}, got {caught}" for text in wrong), workers


def faults(length):
    """Bar 12: faults of every kind."""
    rng, before = length.rng, shared_memory()
    # many deaths, fewer hangs: each of these costs its timeout
    kinds = length(list(CAUSES), 36 * [kind for kind in CAUSES if kind != "hang"] + 20 * ["hang"])
    pool._GRACE = 0.5
    slowest, slowest_hang, wrong, orphans = 0.0, 0.0, [], 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "faults_of_a_user.py").write_text(TRANSFORM)
        harness.sys.path.append(str(folder))
        import faults_of_a_user

        for kind in rng.permutation(kinds):
            seconds, problem, workers = one_fault(str(kind), rng, folder, faults_of_a_user)
            if problem:
                wrong.append(problem)
            orphans += len(workers) < 2 and kind == "from outside"
            orphans += sum(is_alive(process.pid) for process in workers)
            if kind == "hang":
                slowest_hang = max(slowest_hang, seconds)
            else:
                slowest = max(slowest, seconds)
    leaks = len(shared_memory() - before)
    figure = (
        f"{len(kinds)} faults, slowest error {slowest:.1f} s, of a hang {slowest_hang:.1f} s with timeout={TIMEOUT:g}, "
        f"{len(wrong)} without worker, pid, signal or sample, {orphans} orphans, {leaks} leaked segments"
    )
    for problem in wrong[:5]:
        print("  ", problem)
    return figure, slowest <= LATE and slowest_hang <= LATE + TIMEOUT and not wrong and not orphans and not leaks


PARENT = """
    import sys
    sys.path[:0] = sys.argv[1:3]
    import time
    import faults_of_a_user, workers
    sample = 9 if sys.argv[3] == "busy" else -1  # a sample of the second batch
    loader = workers.make_loader(faults_of_a_user.Fault("hang", sample, sys.argv[4]), timeout=600, prefetch=1)
    batches = iter(loader)
    next(batches)
    (pool,) = loader._pools
    print(*[process.pid for process in pool.processes], flush=True)
    next(batches)
    time.sleep(600)
"""


def dead_parents(length):
    """Bar 12: the parent is killed, while its workers wait or are busy."""
    slowest, count, before = 0.0, length(2, 20), shared_memory()
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "faults_of_a_user.py").write_text(TRANSFORM)
        for attempt in range(count):
            kind, note = ("busy", "waiting")[attempt % 2], pathlib.Path(folder) / f"note {attempt}"
            process = harness.start(PARENT, folder, pathlib.Path(__file__).parent, kind, note)
            pids = [int(pid) for pid in process.stdout.readline().split()]
            if len(pids) != 2:
                return f"expected two workers, got {pids}: {harness.finish(process, 1)}", False
            while kind == "busy" and not note.exists():
                time.sleep(0.01)
            process.kill()
            begin = time.monotonic()
            while any(map(is_alive, pids)) and time.monotonic() - begin < 30:
                time.sleep(0.02)
            slowest = max(slowest, time.monotonic() - begin)
            harness.finish(process)
    leaks = len(shared_memory() - before)
    return f"{count} killed parents, workers gone after at most {slowest:.1f} s, {leaks} leaked segments", (
        slowest <= LATE and not leaks
    )


if __name__ == "__main__":
    own_shared_memory()
    harness.main(__doc__, {"12 faults of workers": faults, "12 killed parents": dead_parents})
