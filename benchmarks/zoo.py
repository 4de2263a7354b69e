"""The famous networks: training steps and inference, each network and mode raced in processes of its own.

    python benchmarks/zoo.py --peer torch                       networks for CIFAR, training
    python benchmarks/zoo.py --peer torch --size 224            ResNet-18, VGG-D, AlexNet, DenseNet-121, batch 8
    python benchmarks/zoo.py --peer torch --only resnet20 --mode inference
    python benchmarks/zoo.py --peer torch --only resnet50 --size 224 --precision bf16
    python benchmarks/zoo.py --peer torch --earlier ../before --only vgg_d --size 224 --mode training

PyTorch runs the same operations with the same weights, made from the trace of our model. With ``--precision bf16`` it
runs forward under its own autocast to bfloat16, and we run ours with `set_precision`.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

import _peers
import _race
import _twin
import numpy as np

from minitorch_cnn import models, train

CIFAR = (
    *("cifar4", "lenet5_cifar", "vgg_a_lrn_cifar", *(f"vgg_{x}{bn}_cifar" for x in "abcde" for bn in ("", "_bn"))),
    *(f"allcnn_{base}{x}" for base in ("base_", "") for x in "abc"),
    *("strided_cnn_c", "convpool_cnn_c", "resnet9", "resnet18_cifar"),
    *(f"resnet{depth}{shortcut}" for depth in (20, 32, 44, 56, 110) for shortcut in ("", "_b")),
    *("densenet40_k12", "densenet_bc_100_k12", "densenet100_k12"),
)
IMAGENET = ("resnet18", "vgg_d", "alexnet", "densenet121")
LARGE = ("densenet100_k12",)  # above 10^9 multiplications an image: batches of 32


def batch(options):
    """Return images (N, H, W, C) and labels."""
    rng = np.random.default_rng(0)
    channels, _ = models.native_input(options.one)
    shape = (options.batch, options.size, options.size, channels)
    return rng.standard_normal(shape, np.float32), rng.integers(0, 10, options.batch)


def model_of(options):
    """Return the model in its mode, without dropout."""
    from minitorch_cnn import manual_seed

    manual_seed(0)
    sizes = {"num_classes": 10, "image_size": options.size}
    return _twin.without_dropout(models.create(options.one, **sizes)).train(options.mode == "training")


def ours(options):
    """Prepare our side."""
    import minitorch_cnn as mt
    from minitorch_cnn import Tensor, nn, ops, optim

    if options.threads:
        mt.set_num_threads(options.threads)
    if options.precision != "float32":  # an earlier checkout may have no other
        mt.set_precision(options.precision)
    pixels, labels = batch(options)
    options.before()
    x, model = Tensor(pixels.transpose(0, 3, 1, 2)), model_of(options)
    if options.mode == "inference":
        model = nn.fuse(nn.fold_batch_norm(model, x.shape))

        def run():
            with mt.no_grad():
                model(x)

        return measuring(run, options)
    model = nn.fuse(model)
    optimizer = optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)

    def step():
        optimizer.zero_grad()
        ops.cross_entropy(model(x), labels).backward()
        optimizer.step()

    return measuring(step, options)


def torch_side(mode):
    """Return the function that prepares PyTorch's side in a mode."""

    def prepare(options):
        torch = _peers.torch_with(options.threads)
        pixels, labels = batch(options)
        x, labels = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))), torch.from_numpy(labels)
        twin = _twin.twin(torch, model_of(options), tuple(x.shape))
        options.before()
        model, x = _peers.in_mode(torch, mode, twin, x)
        rounded = torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.precision == "bf16")
        if options.mode == "inference":

            def run():
                with torch.inference_mode(), rounded:
                    model(x)

            return measuring(run, options)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)

        def step():
            optimizer.zero_grad()
            with rounded:
                loss = torch.nn.functional.cross_entropy(model(x), labels)
            loss.backward()
            optimizer.step()

        return measuring(step, options)

    return prepare


def measuring(run, options):
    """Return a function that times a few runs."""

    def measure():
        count, start = 0, time.perf_counter()
        while count == 0 or time.perf_counter() - start < options.seconds:
            run()
            count += 1
        return {f"{options.one} {options.mode} {options.precision}": (time.perf_counter() - start) / count}

    return measure


def main():
    """Race one network, or start a race for each and gather the results."""
    parser = _race.parser(__doc__, rounds=5)
    parser.add_argument("--only", nargs="+", choices=models.list(), metavar="NAME", help="(default: those above)")
    parser.add_argument("--mode", choices=["training", "inference"], help="(default: training; at 224 both)")
    parser.add_argument("--size", type=int, default=32, metavar="N", help="pixels per side (default: 32)")
    parser.add_argument("--batch", type=int, metavar="N", help="images (default: 128, 32 above 1 GMAC, 8 at 224)")
    parser.add_argument("--precision", choices=["float32", "bf16"], default="float32", help="(default: float32)")
    parser.add_argument("--seconds", type=float, default=0.5, metavar="S", help="at least, of a measurement")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.before = lambda: None  # called when all is imported: for measurements of memory
    if options.one:
        sides = {_race.OURS: ours} | {mode: torch_side(mode) for mode in _peers.TORCH_MODES}
        _race.run(record_name(options, options.one, options.mode), options, sides, warm_up=1)
        return
    imagenet = options.size >= 200
    print(f"products in {options.precision} on {train.environment()['cpu']}", flush=True)
    ratios = {}
    for name in options.only or (IMAGENET if imagenet else CIFAR):
        for mode in [options.mode] if options.mode else ["training", "inference"] if imagenet else ["training"]:
            count = options.batch or (8 if imagenet else 32 if name in LARGE else 128)
            ratios[f"{name} {mode}"] = race(options, name, mode, count)
    for case, ratio in ratios.items():
        print(f"{case:36}{'failed' if ratio is None else f'{ratio:.2f}' if ratio else ''}")
    known = [ratio for ratio in ratios.values() if ratio]
    if None in ratios.values() or (options.peer and not known):
        sys.exit(1)
    if known:
        print(f"the smallest of the ratios, best peer / ours:\nratio {min(known):.2f}")


def record_name(options, name, mode):
    """Return the name of a race's files."""
    return f"{'bf16_' * (options.precision == 'bf16')}zoo_{name}_{mode}_{options.size}"


def race(options, name, mode, count):
    """Race one network in a process of its own; return its ratio, 0 without a peer, None where it failed."""
    command = [sys.executable, __file__, "--one", name, "--mode", mode, "--size", options.size, "--batch", count]
    command += ["--rounds", options.rounds, "--threads", options.threads, "--out", options.out]
    command += ["--precision", options.precision]
    command += ["--seconds", options.seconds, *(["--peer", options.peer] if options.peer else [])]
    command += ["--earlier", options.earlier] if options.earlier else []
    if subprocess.run([str(word) for word in command], check=False).returncode:
        return None
    (row,) = json.loads((pathlib.Path(options.out) / f"{record_name(options, name, mode)}.json").read_text())["rows"]
    return row["ratio"] or 0


if __name__ == "__main__":
    main()
