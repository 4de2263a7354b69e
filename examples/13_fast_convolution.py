# %% [markdown]
# # 13. A fast convolution
#
# Chapter 1 computed a convolution with loops. The kernels that train networks are about 100,000 times as fast, on the
# same processor. Where does that factor come from? From nine steps with one idea each. Every step is a file of at most
# 60 lines in `kernels/minitorch_kernels/ladder`, and all of them have the same function `conv2d`. Read them beside
# this chapter. `mcnn race ladder` prints the same figures as a table.

# %%
import argparse
import importlib
import inspect
import pathlib

import numpy as np

from minitorch_cnn.diagnose import ladder, measure
from minitorch_cnn.display import figures
from minitorch_kernels.ladder import step1_loops, step5_registers

parser = argparse.ArgumentParser(description="From the textbook's loops to a fast convolution, in nine steps.")
parser.add_argument("--out", default="pictures", metavar="DIR", help="folder of the pictures (default: pictures)")
out = pathlib.Path(parser.parse_known_args()[0].out)  # a notebook has arguments of its own
out.mkdir(parents=True, exist_ok=True)

# %% [markdown]
# ## Step 1: what is to be computed
#
# These loops define the result. All other steps must give the same, up to rounding.

# %%
print(inspect.getsource(step1_loops.correlate))

rng = np.random.default_rng(0)
x = rng.standard_normal((2, 5, 6, 7))  # (N, C, H, W)
weight = rng.standard_normal((4, 5, 3, 3))  # (O, C, KH, KW)
want = step1_loops.conv2d(x, weight, stride=1, padding=1)
for name in ladder.available_steps():
    conv2d = importlib.import_module(f"minitorch_kernels.ladder.{name}").conv2d
    error = np.abs(conv2d(x, weight, stride=1, padding=1) - want).max()
    print(f"{name:20} differs by at most {error:.0e}")
    assert error < 1e-10

# %% [markdown]
# ## Steps 2 to 4: let the processor work on vectors
#
# A compiler removes the interpreter (step 2). But a vector register takes 16 neighbours at a time, and the channels of
# a pixel are not neighbours: in the layout N, C, H, W, two channels of a pixel are a whole image apart.
# "Channels last" makes them neighbours (step 3), and im2col makes one long sum of the nine short ones (step 4).

# %%
image = np.zeros((1, 128, 32, 32), np.float32)
channels_last = np.ascontiguousarray(image.transpose(0, 2, 3, 1))
print("from channel to channel:", image.strides[1], "bytes, channels last:", channels_last.strides[3], "bytes")

# %% [markdown]
# ## Steps 5 and 6: load less
#
# Now the loads are in the way. A core can start two loads and two multiply-adds per clock, and a sum of products
# needs two loads for each multiply-add. A tile of MR x NR sums needs fewer, since every loaded vector is used several
# times (step 5). The tile cannot be as large as we like: all its sums have to stay in registers, of which AVX2 has 16.

# %%
for rows, columns in ((1, 1), (2, 2), (step5_registers.MR, step5_registers.NR), (4, 4)):
    loads, products = rows + columns, rows * columns
    registers = products + min(rows, columns) + 1
    print(f"{rows} x {columns}: {loads / products:.2f} loads for each multiply-add, {registers} registers")

# %% [markdown]
# The vectors still come from far away. Step 6 cuts the matrices into blocks that fit the three caches, and packs each
# block so that the micro-kernel reads straight ahead. This is the structure of all fast matrix products since Goto and
# van de Geijn (2008): five loops around a micro-kernel. im2col's matrix is no longer needed as a whole.
#
# ## Steps 7 to 9: all cores, no copies, fewer products
#
# Threads divide the rows of the result among them (step 7). The shipped kernel does not copy the windows: it reads
# the image through a table of offsets, as in Dukhan's indirect convolution (step 8). Winograd's algorithm needs 36
# multiplications where the definition has 144 (step 9). Let us measure. The layer is one of the middle of a network:
# 128 channels to 128 channels, 32 x 32 pixels. The loops in Python run on a small part of it.

# %%
steps = []
for step in ladder.measure_steps():
    factor = f"{step.gflops / steps[-1].gflops:6.1f} times step {len(steps)}" if steps else ""
    print(f"{step.name:20}{step.gflops:12.4f} GFLOP/s {factor}")
    steps.append(step)
peak, pytorch = measure.peak_gflops(), ladder.pytorch_gflops()
print(f"in registers, this processor multiplies and adds {peak:.0f} GFLOP/s")

# %% [markdown]
# The axis is logarithmic: from one line of the grid to the next is a factor of ten.

# %%
with figures.style():
    axes = (figure := figures.blank()).subplots()
    names = [step.name.removeprefix("step").replace("_", "  ", 1).replace("_", " ") for step in steps]
    speeds = [step.gflops for step in steps]
    colours = [figures.BLUE if step.threads == 1 else figures.GREEN for step in steps]
    axes.barh(names, speeds, color=colours)
    for i, (speed, step) in enumerate(zip(speeds, steps, strict=True)):
        label = f"{speed:.0f}" if speed >= 10 else f"{speed:.2g}"
        label += f"  ({step.threads} threads)" if step.threads > 1 else ""
        axes.text(speed * 1.15, i, label, va="center", backgroundcolor="white", zorder=3)
    axes.axvline(peak, color=figures.ORANGE, ls="--", label=f"this processor at most: {peak:.0f}")
    if pytorch:
        axes.axvline(pytorch, color=figures.GREY, ls=":", label=f"PyTorch: {pytorch:.0f}")
    axes.set_xscale("log")
    axes.set_xlim(min(speeds) / 3, max(*speeds, peak) * 40)
    axes.set_xlabel("GFLOP/s")
    axes.grid(axis="x", alpha=0.3)
    axes.invert_yaxis()
    axes.legend(loc="upper right")
figures.save(figure, out / "13_ladder.png")
figure

# %% [markdown]
# Step 9 may pass the orange line: GFLOP/s count the multiplications of the definition, and Winograd avoids three
# quarters of them. No step before it can do so.
