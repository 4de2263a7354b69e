"""What a loader costs per pixel: images of a file on the disk against images in memory, both warm.

    python benchmarks/loader_pixels.py
    python benchmarks/loader_pixels.py --images 20000 --repeats 9

Both sides serve the same drawn images of 32 by 32 pixels, crop and flip included, in this process. They alternate, an
epoch each at a time. The processor time of an epoch is counted, not the time on the clock, and the fastest epoch of
each side is compared.
"""

import argparse
import dataclasses
import tempfile
import time

import numpy as np

from minitorch_cnn import data


def nanoseconds_per_pixel(dataset):
    """Serve an epoch and return its processor time for each pixel."""
    loader = data.DataLoader(dataset, 128, shuffle=True, transforms=[data.PadCrop(4), data.Flip()])
    begun = time.process_time()
    for _ in loader:
        pass
    return 1e9 * (time.process_time() - begun) / dataset.images[..., 0].size


def main():
    """Alternate the two sides and print the ratio last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000, metavar="N", help="of an epoch (default: 10000)")
    parser.add_argument("--repeats", type=int, default=7, metavar="N", help="epochs of each side (default: 7)")
    options = parser.parse_args()
    in_memory = data.Shapes10(size=options.images)
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file, in_memory.images)
        file.flush()
        mapped = dataclasses.replace(in_memory, images=np.load(file.name, mmap_mode="r"))
        sides = {"in memory": in_memory, "in a file": mapped}
        times = {name: [] for name in sides}
        for _ in range(1 + options.repeats):  # the first compiles, and brings the file into the cache
            for name, dataset in sides.items():
                times[name].append(nanoseconds_per_pixel(dataset))
        best = {name: min(values[1:]) for name, values in times.items()}
        print(", ".join(f"{name}: {value:.2f} ns a pixel" for name, value in best.items()))
        print(f"ratio {best['in a file'] / best['in memory']:.3f}")
        del mapped, dataset, sides


if __name__ == "__main__":
    main()
