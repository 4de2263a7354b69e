"""How the training step of cifar4 grows: with the batch, with the threads, with the size of the images.

    python benchmarks/scaling.py --peer torch

Where all is well, time per image stays the same for larger batches, falls with threads, and grows with
the area of the images. PyTorch's side is channels-last.
"""

import os
import time

import _peers
import _race
import numpy as np

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
BATCHES, SIDES = (16, 32, 64, 128, 256), (32, 48, 64)
THREADS = sorted({1, CORES // 2 or 1, CORES})
CASES = {f"batch {n}, 32x32, {CORES} threads": (n, 32, CORES) for n in BATCHES}
CASES |= {f"batch 32, {side}x{side}, {CORES} threads": (32, side, CORES) for side in SIDES[1:]}
CASES |= {f"batch 128, 32x32, {threads} threads": (128, 32, threads) for threads in THREADS[:-1]}


def ours(options):
    """Prepare our steps."""
    import minitorch_cnn as mt
    from minitorch_cnn import Tensor, models, nn, ops, optim

    model = nn.fuse(models.create("cifar4"))
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def step(images, labels):
        optimizer.zero_grad()
        ops.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return measuring(step, lambda images: Tensor(images.transpose(0, 3, 1, 2)), np.asarray, mt.set_num_threads)


def torch_side(options):
    """Prepare PyTorch's steps."""
    torch = _peers.torch_with(0)
    model = _peers.torch_cifar4(torch).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(images, labels):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    images = lambda array: torch.from_numpy(array).permute(0, 3, 1, 2)  # noqa: E731
    return measuring(step, images, torch.from_numpy, torch.set_num_threads)


def measuring(step, images_of, labels_of, set_threads):
    """Return a function that times every case, three steps each after one that is not counted.

    Where only the number of threads differs, the cases take turns step by step: a shared machine changes its speed.
    """
    rng = np.random.default_rng(0)
    batches = {}
    for count, side, _ in CASES.values():
        pixels, labels = rng.standard_normal((count, side, side, 3), np.float32), rng.integers(0, 10, count)
        batches[count, side] = images_of(pixels), labels_of(labels)

    def measure():
        times = dict.fromkeys(CASES, 0.0)
        for shape, batch in batches.items():
            cases = [case for case in CASES if CASES[case][:2] == shape]
            for turn in range(4):
                for case in cases:
                    set_threads(CASES[case][2])
                    start = time.perf_counter()
                    step(*batch)
                    times[case] += (time.perf_counter() - start) / 3 if turn else 0
        return times

    return measure


def remark(medians):
    """Say what more threads bring, and what an image costs in small and large batches."""
    one, all_cores = (medians[f"batch 128, 32x32, {threads} threads"] for threads in (THREADS[0], THREADS[-1]))
    small, large = (medians[f"batch {n}, 32x32, {CORES} threads"] / n * 1e3 for n in (BATCHES[1], BATCHES[-1]))
    return (
        f"{THREADS[0]} -> {THREADS[-1]} threads: {one / all_cores:.2f} times as fast\n"
        f"an image in a batch of {BATCHES[1]}: {small:.3f} ms, of {BATCHES[-1]}: {large:.3f} ms"
    )


def main():
    """Race and report."""
    options = _race.parser(__doc__, rounds=5).parse_args()
    _race.run("scaling", options, {_race.OURS: ours, "torch channels_last": torch_side}, warm_up=1, remark=remark)


if __name__ == "__main__":
    main()
