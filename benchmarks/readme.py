"""The figures of README.md, measured on this machine and printed as the lines that the README shows.

    python benchmarks/readme.py             about half an hour on two cores; needs PyTorch
    python benchmarks/readme.py --all       also every other network of `zoo.py`, for the range of the first sentence

Use a quiet machine. The lines are for copying: nothing is written but the records in ``--out``.
"""

import argparse
import json
import pathlib
import subprocess
import sys

FOLDER = pathlib.Path(__file__).parent
NETWORKS = {  # of the table of ratios: the name in `zoo.py`, and in the README
    "cifar4": "cifar4",
    "vgg_a_cifar": "VGG-A",
    "resnet18_cifar": "ResNet-18",
    "resnet20": "ResNet-20",
    "densenet40_k12": "DenseNet-40",
}


def main():
    """Measure all of it and print the lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="race every network, at 32 and at 224 pixels")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="alternations (default: 5)")
    parser.add_argument("--out", default="benchmark-results", metavar="DIR", help="where the records go")
    options = parser.parse_args()
    step = steps(options)
    rows = ratios(options)
    everything = sorted(rows.values())
    print("\nREADME.md, first sentence:")
    print(f"training {everything[0]:.1f} to {everything[-1]:.1f} times as fast as PyTorch")
    print("\nthird bullet:")
    print(f"A training step of `cifar4` takes {step[0]:.0f} ms, in PyTorch {step[1]:.0f} ms")
    print("\nthe table of training steps:")
    print(f"| times as fast as PyTorch | {' | '.join(f'{rows[name]:.1f}' for name in NETWORKS)} |")
    print("\nthe ladder:")
    print("\n".join(ladder()))


def run(script, options, *words):
    """Run a benchmark against PyTorch, with its output shown."""
    command = [sys.executable, FOLDER / script, "--peer", "torch", "--rounds", options.rounds, "--out", options.out]
    subprocess.run([str(word) for word in (*command, *words)], check=True)


def steps(options):
    """Return the milliseconds of a training step of cifar4 with Adam: ours, and PyTorch's best mode."""
    run("train_step.py", options)
    (row,) = json.loads((pathlib.Path(options.out) / "train_step.json").read_text())["rows"]
    ours, *peers = [seconds for seconds in row["medians"].values() if seconds]
    return 1e3 * ours, 1e3 * min(peers)


def ratios(options):
    """Return the ratio of a training step of each network."""
    only = [] if options.all else ["--only", *NETWORKS]
    run("zoo.py", options, *only)
    if options.all:
        run("zoo.py", options, "--size", 224, "--mode", "training")
    found = {}
    for path in pathlib.Path(options.out).glob("zoo_*_training_*.json"):
        name, _, _ = path.stem.removeprefix("zoo_").rpartition("_training_")
        if options.all or name in NETWORKS:
            (row,) = json.loads(path.read_text())["rows"]
            found[name if name not in found else path.stem] = row["ratio"]
    return {name: ratio for name, ratio in found.items() if ratio}


def ladder():
    """Return the rows of the ladder's table in README.md, with the figures that `mcnn race ladder` measures."""
    command = [sys.executable, "-m", "minitorch_cnn", "race", "ladder", "--json"]
    record = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    shown = (FOLDER.parent / "README.md").read_text().partition("<!-- ladder -->")[2].partition("<!-- end")[0]
    reasons = {line.split(" | ")[0].strip("| "): line.split(" | ")[-1] for line in shown.splitlines()}
    rows = []
    for step in record["steps"]:
        number, speed = int(step["name"].removeprefix("step").split("_")[0]), step["gflops"]
        (title,) = [title for title in reasons if title.startswith(f"{number} ")]
        share = f"{100 * speed / record['pytorch_gflops']:.{1 if number == 2 else 0}f} %"
        rows.append(f"| {title} | {speed:.{0 if speed >= 1 else 3}f} | {share} | {reasons[title]}")
    return [*rows, f"(a peak of {record['peak_gflops']:.0f} GFLOP/s)"]


if __name__ == "__main__":
    main()
