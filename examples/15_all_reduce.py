# %% [markdown]
# # 15. All-reduce by hand
#
# Several processes train one network: each takes a share of the batch, and after the backward pass all need the sum of
# all gradients. The operation is called *all-reduce*. Here four ranks are four arrays in one program, and a list counts
# what would travel between them.

# %%
import argparse
import pathlib

import numpy as np

import minitorch_cnn as mt
from minitorch_cnn import Tensor, nn, ops
from minitorch_cnn.display import figures

parser = argparse.ArgumentParser(description="All-reduce by hand.")
parser.add_argument("--out", default="pictures", metavar="DIR", help="folder of the pictures (default: pictures)")
out = pathlib.Path(parser.parse_known_args()[0].out)  # a notebook has arguments of its own
out.mkdir(parents=True, exist_ok=True)

# %% [markdown]
# ## Why a sum is enough
#
# The loss of a batch is a mean over its images, so its gradient is the mean of the gradients of equal shares. Each rank
# divides its loss by the size of the whole batch. Then the sum over the ranks is the gradient of the whole batch.

# %%
RANKS, BATCH = 4, 16


def gradient(images, labels):
    """Return the gradient of a small network, all weights in one array, for one share of the batch."""
    mt.manual_seed(0)  # every rank has the same weights
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.GlobalAvgPool(), nn.Linear(8, 10))
    loss = ops.cross_entropy(model(Tensor(images)), labels)
    (loss * (len(labels) / BATCH)).backward()
    return np.concatenate([parameter.grad.ravel() for parameter in model.parameters()])


rng = np.random.default_rng(0)
images = rng.standard_normal((BATCH, 3, 8, 8), dtype=np.float32)
labels = rng.integers(0, 10, BATCH)
whole = gradient(images, labels)
shares = [gradient(images[r::RANKS], labels[r::RANKS]) for r in range(RANKS)]
gap = np.abs(sum(shares) - whole).max()
print(f"{len(whole)} elements; the sum of {RANKS} shares and the whole differ by {gap:.1e}")

# %% [markdown]
# ## The naive way: one rank adds
#
# All send their array of N elements to rank 0, which adds them and sends the sum back. Rank 0 receives and sends P - 1
# arrays while the others wait: its link carries 2 (P - 1) N elements, so the time grows with the number of ranks.


# %%
def through_one(arrays):
    """Return what every rank has at the end, and how many elements each rank sent."""
    sent = [len(arrays[0])] * len(arrays)
    sent[0] = len(arrays[0]) * (len(arrays) - 1)
    total = np.sum(arrays, axis=0, dtype=arrays[0].dtype)
    return [total.copy() for _ in arrays], sent


# %% [markdown]
# ## The ring
#
# Each rank cuts its array into P chunks and talks to its right neighbour only.
#
# *Reduce-scatter*: in P - 1 steps, a chunk travels around the ring and each rank adds its own part. Rank r sends chunk
# r - step and receives chunk r - step - 1. After that, rank r holds the complete sum of chunk r + 1.
#
# *All-gather*: in P - 1 more steps the complete chunks travel around the ring and replace the parts.
#
# Every rank sends 2 N (P - 1) / P elements, less than 2 N for any number of ranks, and all links work all the time.


# %%
def ring(arrays):
    """Return what every rank has at the end, and how many elements each rank sent."""
    ranks = len(arrays)
    chunks = [np.array_split(array.copy(), ranks) for array in arrays]
    sent = [0] * ranks
    for phase in ("reduce-scatter", "all-gather"):
        first = 0 if phase == "reduce-scatter" else 1  # the chunk that rank r sends first is r + first
        for step in range(ranks - 1):
            messages = [chunks[r][(r + first - step) % ranks].copy() for r in range(ranks)]  # all send at once
            for r, message in enumerate(messages):
                sent[r] += len(message)
                target = chunks[(r + 1) % ranks]
                index = (r + first - step) % ranks
                target[index] = target[index] + message if phase == "reduce-scatter" else message
    return [np.concatenate(parts) for parts in chunks], sent


for algorithm in (through_one, ring):
    results, sent = algorithm(shares)
    same = all(result.tobytes() == results[0].tobytes() for result in results)
    error = np.abs(results[0] - whole).max()
    print(f"{algorithm.__name__:12} sent {sent}, all ranks the same bits: {same}, off by {error:.1e}")

# %% [markdown]
# ## The order of a sum
#
# All ranks of one run hold the same bits, because each chunk is added up once and then copied. But the two algorithms,
# and rings of different length, add in different orders, and floating-point sums depend on the order. So the last bits
# differ between runs on 2 and on 4 ranks. `mcnn train --sync-bn` adds in an order that depends on the batch alone.

# %%
one, _ = through_one(shares)
two, _ = ring(shares)
different, largest = np.count_nonzero(one[0] != two[0]), np.abs(one[0] - two[0]).max()
print(f"{different} of {len(whole)} elements differ between the two, by at most {largest:.1e}")

# %% [markdown]
# ## How long it takes
#
# A message of n elements takes a + b n seconds: a is the latency of the network, b the time of one element. Through one
# rank it is 2 (P - 1) (a + b N), around the ring 2 (P - 1) (a + b N / P). For large N the ring takes less than 2 b N on
# any number of ranks. For small N latency dominates, so gradients travel in large buckets and not layer by layer.

# %%
LATENCY, PER_ELEMENT = 50e-6, 4 * 8 / 10e9  # 50 microseconds; 4 bytes at 10 Gbit/s
ELEMENTS = 1_557_066  # weights of cifar4
ranks = np.arange(2, 65)
rounds = 2 * (ranks - 1)
with figures.style():
    figure = figures.blank("All-reduce over links of 10 Gbit/s and 50 microseconds")
    axes = figure.subplots()
    naive, around = (1000 * rounds * (LATENCY + PER_ELEMENT * n) for n in (ELEMENTS, ELEMENTS / ranks))
    axes.plot(ranks, naive, color=figures.ORANGE, label="through one rank")
    axes.plot(ranks, around, color=figures.BLUE, label="ring")
    axes.set_yscale("log")
    axes.set_xlabel("ranks")
    axes.set_ylabel("milliseconds for the gradients of cifar4")
    axes.legend()
    axes.grid()
figures.save(figure, out / "15_all_reduce.png")
figure
