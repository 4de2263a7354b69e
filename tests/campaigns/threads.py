"""Kernels from many Python threads, in processes that begin after a kernel has run, and when Ctrl-C is pressed."""

import pathlib
import sys
import tempfile

import harness

THREADS = 4  # more than most laptops have free: helpers then stop at moments that nobody chose
WORK = """
    import hashlib, multiprocessing, os, signal, sys, threading, time
    import numpy as np
    import minitorch_kernels as kernels

    # Large enough that kernels share out the work over the helper threads.
    x = np.linspace(-1, 1, 8 * 16 * 16 * 16, dtype=np.float32).reshape(8, 16, 16, 16)
    weight = np.linspace(-1, 1, 16 * 16 * 9, dtype=np.float32).reshape(16, 16, 3, 3)
    hyper = {"stride": (1, 1), "padding": (1, 1, 1, 1), "dilation": (1, 1), "groups": 1}
    square = np.linspace(-1, 1, 200 * 200, dtype=np.float32).reshape(200, 200)
    product = square.astype(np.float64) @ square.astype(np.float64)

    def work(_=None):
        out = kernels.conv.indirect.conv2d_forward_indirect(x, weight, **hyper)
        out = kernels.layers.elementwise.relu_forward(out.reshape(-1))
        # A BLAS gives other bits for another number of threads, and a worker has one: right to rounding, then.
        assert np.allclose(square @ square, product, atol=1e-3)
        return hashlib.sha256(out.tobytes()).hexdigest()

    def helpers():
        return sum(thread.name.startswith("minitorch-kernels") for thread in threading.enumerate())
"""
CROWD = (
    WORK
    + """
    results, begin, calls = set(), threading.Barrier(8), int(sys.argv[1])
    def many():
        begin.wait()
        for _ in range(calls):
            results.add(work())
    crowd = [threading.Thread(target=many) for _ in range(8)]
    [thread.start() for thread in crowd]
    [thread.join() for thread in crowd]
    print(len(results | {work()}), helpers())
"""
)
CHILDREN = (
    WORK
    + """
    import minitorch_cnn as mt, threaded_by_a_user
    first, repeats = work(), int(sys.argv[1])
    images = np.arange(64 * 48).astype(np.uint8).reshape(64, 4, 4, 3)
    dataset = mt.data.ArrayDataset(images, np.zeros(64, int), ("a",), (0.5,) * 3, (0.5,) * 3)
    good = 0
    for _ in range(repeats):
        with mt.data.DataLoader(dataset, 8, num_workers=4, transforms=[threaded_by_a_user.Work(first)]) as loader:
            good += len(list(loader)) == 8 and work() == first
    print(good, helpers())
"""
)
TRANSFORM = (
    WORK.replace("\n    ", "\n")
    + """
class Work:
    def __init__(self, expected):
        self.expected = expected

    def __call__(self, images, draws):
        assert work() == self.expected
        return images
"""
)
FORKED = (
    WORK
    + """
    def child(queue):
        queue.put((work(), helpers()))
    first, context, good = work(), multiprocessing.get_context("fork"), 0
    for _ in range(int(sys.argv[1])):
        queue = context.SimpleQueue()
        process = context.Process(target=child, args=(queue,))
        process.start()
        process.join(60)
        good += process.exitcode == 0 and queue.get() == (first, helpers()) and work() == first
    print(good, helpers())
"""
)
INTERRUPTED = (
    WORK
    + """
    import minitorch_cnn as mt

    images = np.linspace(-1, 1, 16 * 3 * 32 * 32, dtype=np.float32).reshape(16, 3, 32, 32)
    labels = np.arange(16) % 10

    def step():
        mt.manual_seed(0)
        model = mt.models.Cifar4()
        optimizer = mt.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        loss = mt.ops.cross_entropy(model(mt.Tensor(images)), labels)
        loss.backward()
        optimizer.step()
        learned = b"".join(parameter.data.tobytes() for parameter in model.parameters())
        return hashlib.sha256(learned).hexdigest()

    def interrupt(*_):
        arrived.append(True)
        raise KeyboardInterrupt

    step()  # compiles
    begin = time.monotonic()
    first, arrived, stopped, good, rng = step(), [], 0, 0, np.random.default_rng(int(sys.argv[2]))
    seconds = time.monotonic() - begin
    signal.signal(signal.SIGINT, interrupt)
    for count in range(int(sys.argv[1])):
        try:
            threading.Timer(rng.uniform(0, seconds), os.kill, (os.getpid(), signal.SIGINT)).start()
            while len(arrived) == count:
                step()
        except KeyboardInterrupt:
            stopped += 1
        good += step() == first
    sleeping, end = kernels.runtime.threads._helpers.sleeping, time.monotonic() + 30
    while len(sleeping) < helpers() and time.monotonic() < end:
        time.sleep(0.01)  # helpers without work fall asleep; one that is lost never does
    print(good, stopped, len(sleeping), helpers())
"""
)


def run(code, *arguments, path=None, seconds=500):
    """Return the integers that a process prints; an abort or a hang is an error."""
    if path:
        sys.path.append(path)
    code, out, errors = harness.finish(harness.start(code, *arguments, NUMBA_NUM_THREADS=THREADS), seconds)
    if code != 0:
        raise RuntimeError(f"{'it hangs' if code is None else f'exit code {code}'}: {errors[-1500:]}")
    return [int(number) for number in out.split()]


def crowd(length):
    """Bar 14: eight threads call kernels at once."""
    calls = length(50, 1000)
    distinct, helpers = run(CROWD, calls)
    return f"8 threads, {calls} calls each, with {helpers} helper threads: no abort, {distinct} distinct result", (
        distinct == 1 and helpers == THREADS - 1
    )


def interrupts(length):
    """Bar 14: Ctrl-C at random moments of a training step; the next step has the bits of an undisturbed one."""
    count = length(3, 100)
    good, stopped, asleep, helpers = run(INTERRUPTED, count, length.seed, seconds=900)
    figure = f"{count} Ctrl-C at random moments of a step: {stopped} stop it, {good} next steps with the same bits"
    return f"{figure}, {asleep} of {helpers} helper threads ready afterwards, 0 aborts and hangs", (
        good == stopped == count and asleep == helpers == THREADS - 1
    )


def workers(length):
    """Bar 13: the parent has run a kernel and a product; then four workers do both."""
    count = length(1, 25)
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "threaded_by_a_user.py").write_text(TRANSFORM)
        good, helpers = run(CHILDREN, count, path=folder, seconds=500 + 30 * count)
    return f"{4 * good}/{4 * count} workers, 4 in each loader", good == count and helpers == THREADS - 1


def forks(length):
    """Bar 13: a user's own fork, after a kernel, computes with helper threads of its own."""
    count = length(3, 200)
    good, helpers = run(FORKED, count)
    return f"{good}/{count} children compute the same bits with {helpers} helper threads of their own", (
        good == count and helpers == THREADS - 1
    )


if __name__ == "__main__":
    checks = {"13 own forks after a kernel": forks, "13 workers after a kernel": workers}
    harness.main(__doc__, checks | {"14 eight threads": crowd, "14 interrupts": interrupts})
