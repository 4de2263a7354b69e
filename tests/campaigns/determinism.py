"""Same seed, same machine: the same bits in every run, and for any number of threads."""

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


if __name__ == "__main__":
    harness.main(__doc__, {"8 same seed, same bits": runs, "9 one thread and two": threads})
