"""Same seed, same machine: the same bits in every run, for any number of threads and workers, and after a resume."""

import itertools
import tempfile

import harness

TRAIN = """
    import hashlib, sys
    import numpy as np
    import minitorch_cnn as mt
    from minitorch_cnn import Tensor, nn, ops, optim

    threads, algorithm, steps = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    mt.set_num_threads(threads)
    mt.manual_seed(0)
    rng, options = np.random.default_rng(0), {"padding": 1, "bias": False, "algorithm": algorithm}
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, **options), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, **options), nn.BatchNorm2d(32), nn.ReLU(), nn.Dropout(0.1),
        nn.Conv2d(32, 32, 3, stride=2, **options), nn.BatchNorm2d(32), nn.ReLU(),
        nn.GlobalAvgPool(), nn.Linear(32, 10),
    )
    if algorithm == "auto":
        nn.fuse(model)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    for step in range(steps):
        images = Tensor(rng.standard_normal((16, 3, 32, 32), np.float32))
        loss = ops.cross_entropy(model(images), rng.integers(0, 10, 16))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    digest = hashlib.sha256(b"".join(array.tobytes() for array in model.state_dict().values()))
    print(digest.hexdigest(), loss.item())
"""

AIR = """
    import hashlib, io, sys
    import numpy as np
    import minitorch_cnn as mt
    from minitorch_cnn import data, train

    optimizer, folder, threads, workers, stop = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
    mt.set_num_threads(threads)
    changes = {
        "sgd": {"lookahead": 3},
        "muon": {"optimizer": "muon", "lookahead": 0, "ema": 0.8, "sgd_lr_scale": 0.5},
    }[optimizer]
    recipe = train.recipe("air80", epochs=1.5, batch_size=40, peak_lr=0.1, whiten_bias_epochs=1, **changes)
    pixels = np.random.default_rng(0).integers(0, 256, (400, 32, 32, 3), dtype=np.uint8)
    images = data.ArrayDataset(pixels, np.arange(400) % 10, tuple("abcdefghij"), (0.5,) * 3, (0.25,) * 3)
    options = {"workers": workers, "reporter": train.Reporter(io.StringIO())}
    if stop < 0:
        trainer = train.Trainer.resume(folder, images, **options)
    else:
        trainer = train.Trainer(recipe, images, folder, save_every=0.0, **options)
    count = trainer.progress.count
    def counted(*results):
        count(*results)
        if trainer.progress.step == stop:
            raise KeyboardInterrupt
    trainer.progress.count = counted
    try:
        trainer.fit()
    except KeyboardInterrupt:
        pass
    digest = hashlib.sha256(b"".join(array.tobytes() for array in trainer.model.state_dict().values()))
    print(digest.hexdigest(), trainer.progress.step)
"""


def train(threads, algorithm, steps):
    """Return (sha256 of all parameters and buffers, the last loss) of a training in a process of its own."""
    code, out, errors = harness.finish(harness.start(TRAIN, threads, algorithm, steps))
    if code != 0:
        raise RuntimeError(f"exit code {code}: {errors[-2000:]}")
    digest, loss = out.split()
    return digest, float(loss)


def runs(length):
    """Bar 8: twenty processes."""
    count, steps = length(3, 20), length(10, 50)
    digests = {train(2, "auto", steps)[0] for _ in range(count)}
    return f"{count} runs of {steps} steps: {len(digests)} distinct sha256", len(digests) == 1


def threads(length):
    """Bar 9: one thread and two, by our kernels and through BLAS."""
    steps = length(10, 50)
    fast = {train(count, "auto", steps)[0] for count in (1, 2)}
    (_, one), (_, two) = (train(count, "im2col", steps) for count in (1, 2))
    difference = abs(one - two) / abs(one)
    figure = f"{steps} steps: {len(fast)} distinct sha256 for 1 and 2 threads; through BLAS the loss differs by "
    return f"{figure}{difference:.1e}", len(fast) == 1 and difference <= 1e-4


def air(optimizer, folder, threads, workers, stop=0):
    """Return (sha256 of all parameters and buffers, steps) of a short training with all pieces of the fast recipes.

    ``stop`` interrupts it after that step; -1 resumes the one in the folder.
    """
    code, out, errors = harness.finish(harness.start(AIR, optimizer, folder, threads, workers, stop))
    if code != 0:
        raise RuntimeError(f"exit code {code}: {errors[-2000:]}")
    return out.split()


def pieces(length):
    """Bar 9: whitening, alternating flips, Lookahead, EMA, Muon; threads, workers and resumes."""
    equal = total = 0
    with tempfile.TemporaryDirectory() as root:
        for optimizer in length(("muon",), ("sgd", "muon")):
            whole, sides = air(optimizer, f"{root}/{optimizer}", 1, 0), list(itertools.product((1, 2), (0, 4)))
            others = [air(optimizer, f"{root}/{optimizer}{side}", *side) for side in sides[1:]]
            for stop, side in ((4, sides[0]), (12, sides[-1])):  # within the first epoch, and within the second
                folder = f"{root}/{optimizer}{stop}"
                air(optimizer, folder, *sides[-1], stop)
                others.append(air(optimizer, folder, *side, -1))
            equal, total = equal + others.count(whole), total + len(others)
    figure = f"SGD with Lookahead, and Muon with EMA, {whole[1]} steps: {equal} of {total} runs with the same bits"
    return f"{figure} for 1 and 2 threads, 0 and 4 workers, and after a resume", equal == total


if __name__ == "__main__":
    checks = {"8 same seed, same bits": runs, "9 one thread and two": threads}
    harness.main(__doc__, checks | {"9 pieces of the fast recipes": pieces})
