"""The roofline of this machine, and each network on it: is its training step bound by arithmetic or by memory?

    python benchmarks/roofline.py --peer torch                   races the networks first, about 10 minutes
    python benchmarks/roofline.py --records benchmark-results    from the records that `zoo.py` left there

The model is that of Williams, Waterman and Patterson (2009): a computation that needs I floating-point operations for
each byte of memory traffic reaches at most min(peak, I x bandwidth). For a network,

    operations = 6 for each product of a convolution or a matrix product: forward and two gradients, 2 each
    bytes      = 3 x the bytes of inputs and outputs of every operation of the trace: forward and two gradients
    I          = operations / bytes

The first convolution has no gradient of its input, so it counts 4. The bytes are those of one operation after another,
each through memory; a step that keeps maps in the caches, or fuses operations, moves fewer. Operations count the
products of the definition, so Winograd's algorithm, which needs 36 products in place of 144, can reach 4 x peak.
The peak is what the micro-kernel does in the nearest cache, the bandwidth that of a ReLU on arrays beyond all caches.
"""

import argparse
import json
import pathlib
import subprocess
import sys

FOLDER = pathlib.Path(__file__).parent
NETWORKS = {  # of `zoo.py`: name, images of a batch, pixels of a side
    "lenet5_cifar": (128, 32),
    "cifar4": (128, 32),
    "vgg_a_cifar": (128, 32),
    "allcnn_c": (128, 32),
    "resnet18_cifar": (128, 32),
    "resnet20": (128, 32),
    "densenet40_k12": (128, 32),
    "resnet18": (8, 224),
    "vgg_d": (8, 224),
    "densenet121": (8, 224),
}


def main():
    """Take or make the records, print the table, draw the chart."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", choices=["torch"], help="also PyTorch, the best of its modes")
    parser.add_argument("--records", type=pathlib.Path, metavar="DIR", help="take zoo.py's records, measure no network")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="alternations of each race (default: 5)")
    parser.add_argument("--out", type=pathlib.Path, default="benchmark-results", metavar="DIR", help="where files go")
    options = parser.parse_args()
    if not options.records:
        race(options)
    rows = [row for name in NETWORKS if (row := point(options.records or options.out, name))]
    if not rows:
        sys.exit(f"Give a folder with records of zoo.py: there is none in {options.records}.")
    from minitorch_cnn.diagnose import measure

    peak, bandwidth = measure.peak_gflops(), measure.memory_gbytes()
    print(f"peak {peak:.0f} GFLOP/s, memory {bandwidth:.0f} GB/s; equal at {peak / bandwidth:.1f} operations a byte")
    print(f"{'network':16}{'FLOP/byte':>10}{'roof':>8}{'ours':>8}{'of roof':>9}{'PyTorch':>9}   GFLOP/s; bound by")
    for row in rows:
        row["roof"] = min(peak, row["intensity"] * bandwidth)
        row["bound"] = "arithmetic" if row["roof"] == peak else "memory"
        torch = f"{row['torch']:.0f}" if row["torch"] else "-"
        speeds = f"{row['roof']:8.0f}{row['ours']:8.0f}{row['ours'] / row['roof']:9.2f}{torch:>9}"
        print(f"{row['name']:16}{row['intensity']:10.1f}{speeds}   {row['bound']}")
    options.out.mkdir(parents=True, exist_ok=True)
    record = {"peak_gflops": peak, "memory_gbytes": bandwidth, "rows": rows}
    (options.out / "roofline.json").write_text(json.dumps(record, indent=1) + "\n")
    chart(options.out / "roofline.png", peak, bandwidth, rows)


def race(options):
    """Measure a training step of every network with `zoo.py`."""
    for size in sorted({pixels for _, pixels in NETWORKS.values()}):
        names = [name for name, (_, pixels) in NETWORKS.items() if pixels == size]
        command = [sys.executable, FOLDER / "zoo.py", "--size", size, "--mode", "training", "--rounds", options.rounds]
        command += ["--out", options.out, *(["--peer", options.peer] if options.peer else []), "--only", *names]
        subprocess.run([str(word) for word in command], check=True)


def point(folder, name):
    """Return one network: its intensity, and the speed of both sides in GFLOP/s; None where it was not measured."""
    batch, pixels = NETWORKS[name]
    path = folder / f"zoo_{name}_training_{pixels}.json"
    if not path.exists():
        return None
    medians = json.loads(path.read_text())["rows"][0]["medians"]
    peers = [seconds for side, seconds in medians.items() if side.startswith("torch") and seconds]
    operations, traffic = step_of(name, batch, pixels)
    return {
        "name": name if pixels < 200 else f"{name} 224",
        "intensity": operations / traffic,
        "ours": operations / medians["minitorch_cnn"] / 1e9,
        "torch": operations / min(peers) / 1e9 if peers else None,
    }


def step_of(name, batch, pixels):
    """Return the floating-point operations of a training step, and the bytes of its operations one after another."""
    from minitorch_cnn import Tensor, autograd, models
    from minitorch_cnn.explain.trace.semantics import macs_of

    x = Tensor.like_shape((batch, 3, pixels, pixels))
    with autograd.trace() as records:
        models.create(name, num_classes=10, image_size=pixels)(x)
    operations = traffic = 0
    for record in records:
        arrays = [v for v in (*record.inputs, record.output) if v is not None]
        traffic += 3 * sum(v.data.nbytes for v in arrays)
        operations += (4 if record.inputs[0] is x else 6) * (macs_of(record) or 0)
    return operations, traffic


def name_at(row, rows):
    """Return the speed at which a network's name stands, and whether below it: under a faster one of its intensity."""
    near = [other for other in rows if 0.95 < other["intensity"] / row["intensity"] < 1.05]
    if row["ours"] == max(other["ours"] for other in near):
        return row["ours"], False
    return min(speed for other in near for speed in (other["torch"], other["ours"]) if speed), True


def chart(path, peak, bandwidth, rows):
    """Draw both roofs, and an arrow from PyTorch's speed to ours for every network."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(10, 6), layout="constrained")
    left, right = 0.5 * min(row["intensity"] for row in rows), 2.5 * max(row["intensity"] for row in rows)
    for height, style, text in ((peak, "-", "peak"), (4 * peak, "--", "peak with Winograd's products, 1 in 4")):
        corner = max(left, height / bandwidth)
        axes.plot([left, corner, max(right, corner)], [left * bandwidth, height, height], "k" + style, lw=1.2)
        axes.annotate(f"{text}: {height:.0f} GFLOP/s", (right, height), (-6, 4), textcoords="offset points", ha="right")
    for k, row in enumerate(rows):
        speeds = [speed for speed in (row["torch"], row["ours"]) if speed]
        axes.plot([row["intensity"]] * len(speeds), speeds, "-o", color=f"C{k}", mfc="white")
        axes.plot(row["intensity"], row["ours"], "o", color=f"C{k}")
        height, below = name_at(row, rows)
        place = {"xytext": (0, -7 if below else 7), "textcoords": "offset points", "va": "top" if below else "bottom"}
        place |= {"rotation": 90, "ha": "center", "color": f"C{k}", "fontsize": 8}
        place["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # a roof may pass through the name
        axes.annotate(row["name"], (row["intensity"], height), **place)
    slowest = min(speed for row in rows for speed in (row["torch"], row["ours"]) if speed)
    axes.set(xscale="log", yscale="log", xlim=(left, right), ylim=(slowest / 2.5, None))
    axes.set_xlabel("floating-point operations for each byte of memory traffic")
    axes.set_ylabel("GFLOP/s, counted by the definition")
    axes.set_title(f"Training steps on this machine (slope: {bandwidth:.0f} GB/s); ring: PyTorch, disc: minitorch_cnn")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
