"""Kernels from many Python threads, and in processes that begin after a kernel has run."""

import pathlib
import tempfile

import harness

LAYERS = ("workqueue", "omp")
WORK = """
    import hashlib, multiprocessing, sys, threading
    import numpy as np
    import minitorch_kernels as kernels

    x = np.linspace(-1, 1, 2 * 8 * 8 * 4, dtype=np.float32).reshape(2, 8, 8, 4)
    weight = np.linspace(-1, 1, 8 * 4 * 9, dtype=np.float32).reshape(8, 4, 3, 3)
    hyper = {"stride": (1, 1), "padding": (1, 1, 1, 1), "dilation": (1, 1), "groups": 1}
    square = np.linspace(-1, 1, 200 * 200, dtype=np.float32).reshape(200, 200)
    product = square.astype(np.float64) @ square.astype(np.float64)

    def work(_=None):
        out = kernels.conv.indirect.conv2d_forward_indirect(x, weight, **hyper)
        out = kernels.layers.elementwise.relu_forward(out.reshape(-1))
        # A BLAS gives other bits for another number of threads, and a worker has one: right to rounding, then.
        assert np.allclose(square @ square, product, atol=1e-3)
        return hashlib.sha256(out.tobytes()).hexdigest()
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
    print(len(results | {work()}))
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
    print(good)
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
        try:
            queue.put(work())
        except RuntimeError as error:
            queue.put(f"refused: {error}")
    first, context, good = work(), multiprocessing.get_context("fork"), 0
    for _ in range(int(sys.argv[1])):
        queue = context.SimpleQueue()
        process = context.Process(target=child, args=(queue,))
        process.start()
        process.join(60)
        good += process.exitcode == 0 and queue.get() == first if sys.argv[2] == "workqueue" else (
            process.exitcode == 0 and queue.get().startswith("refused: ")
        )
    print(good)
"""
)


def run(code, *arguments, layer, path=None, seconds=500):
    """Return what a process prints on a threading layer; an abort or a hang is an error."""
    settings = {"NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": 2}
    if path:
        harness.sys.path.append(path)
    code, out, errors = harness.finish(harness.start(code, *arguments, **settings), seconds)
    if code != 0:
        raise RuntimeError(f"{layer}: {'it hangs' if code is None else f'exit code {code}'}: {errors[-1500:]}")
    return int(out)


def crowd(length):
    """Bar 14: eight threads call kernels at once."""
    calls = length(50, 1000)
    distinct = [run(CROWD, calls, layer=layer) for layer in LAYERS]
    return f"8 threads, {calls} calls each, on {' and '.join(LAYERS)}: no abort, {max(distinct)} distinct result", (
        distinct == [1, 1]
    )


def workers(length):
    """Bar 13: the parent has run a kernel and a product; then four workers do both."""
    count = length(1, 100)
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "threaded_by_a_user.py").write_text(TRANSFORM)
        good = [run(CHILDREN, count, layer=layer, path=folder, seconds=500 + 30 * count) for layer in LAYERS]
    return f"{sum(good)}/{2 * count} loaders of 4 workers, on {' and '.join(LAYERS)}", good == [count, count]


def forks(length):
    """Bar 13: a user's own fork, after a kernel: it computes, or is refused by a RuntimeError."""
    count = length(3, 100)
    good = [run(FORKED, count, layer, layer=layer) for layer in LAYERS]
    return f"{good[0]}/{count} compute on workqueue, {good[1]}/{count} are refused on omp, 0 aborts and hangs", (
        good == [count, count]
    )


if __name__ == "__main__":
    checks = {"13 workers after a kernel": workers, "13 own forks after a kernel": forks}
    harness.main(__doc__, checks | {"14 eight threads": crowd})
