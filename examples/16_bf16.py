# %% [markdown]
# # 16. Eight bits of significand
#
# A float32 has 24 bits of significand. A *bf16* has the same exponent and 8 bits. Processors that multiply bf16 do
# twice as many products in the same time, and networks still learn. This chapter shows what 8 bits do to a number, to
# a sum and to a weight, and why the sum and the weight stay in float32.

# %%
import argparse
import pathlib

import numpy as np

import minitorch_cnn as mt
from minitorch_cnn import Tensor, ops
from minitorch_cnn.display import figures
from minitorch_kernels.gemm.bf16 import round_to_bf16

parser = argparse.ArgumentParser(description="What 8 bits of significand do to numbers, sums and weights.")
parser.add_argument("--out", default="pictures", metavar="DIR", help="folder of the pictures (default: pictures)")
out = pathlib.Path(parser.parse_known_args()[0].out)  # a notebook has arguments of its own
out.mkdir(parents=True, exist_ok=True)
rng = np.random.default_rng(0)

# %% [markdown]
# ## A number
#
# Between 1 and 2 there are 128 bf16, 1/128 apart; between 256 and 512 there are 128 too, 2 apart. Rounding takes the
# nearest one, and of two equally near ones the one whose last bit is 0. The relative error is at most 1/256. Large and
# small numbers lose nothing else, because the exponent has 8 bits as in float32: no loss has to be scaled.

# %%
for x in (np.pi, 255.5, 257.0, 1e-30, 1e30):
    rounded = round_to_bf16(np.float32(x))
    print(f"{x:<8.6g} -> {rounded:<12.6g} relative error {abs(rounded - x) / x:.4f}")

# %% [markdown]
# ## A sum
#
# Add 1 again and again, and round each sum to bf16. The sum stops at 256: 257 lies half way between 256 and 258, and
# rounds to the even one. So a sum of thousands of products, as in a convolution, must not be kept in bf16. The
# processor therefore multiplies bf16 but adds the products in float32, where a sum of ones goes on to 16,777,216.

# %%
COUNT = 600
in_bf16, in_float32 = [np.float32(0)], [np.float32(0)]
for _ in range(COUNT):
    in_bf16.append(round_to_bf16(in_bf16[-1] + np.float32(1)))
    in_float32.append(in_float32[-1] + np.float32(1))
print(f"{COUNT} ones: {in_bf16[-1]:.0f} in bf16, {in_float32[-1]:.0f} in float32")

# %% [markdown]
# ## A product
#
# What do rounded factors do to a whole product? Their errors have both signs, and many of them cancel. The error of a
# sum of K products, relative to its own size, is about the same for any K. With a bf16 sum it grows.


# %%
def errors(terms):
    """Return the relative errors of 40 random sums of products: rounded factors, and rounded factors and sums."""
    exact, factors, both = [], [], []
    for _ in range(40):
        a, b = rng.standard_normal((2, terms)).astype(np.float32)
        products = [round_to_bf16(x) * round_to_bf16(y) for x, y in zip(a, b, strict=True)]
        total = np.float32(0)
        for product in products:
            total = round_to_bf16(total + product)
        exact.append(a.astype(float) @ b)
        factors.append(np.sum(products))
        both.append(total)
    scale = np.linalg.norm(exact)
    return np.linalg.norm(np.subtract(factors, exact)) / scale, np.linalg.norm(np.subtract(both, exact)) / scale


TERMS = (16, 64, 256, 1024)
measured = np.array([errors(terms) for terms in TERMS])
for terms, (factors, both) in zip(TERMS, measured, strict=True):
    print(f"{terms:5} terms: rounded factors {factors:.2%}, rounded factors and sums {both:.2%}")

# %% [markdown]
# ## A weight
#
# Training adds many small steps to a weight. Near 1 two bf16 are 1/128 apart, so a step of less than 1/256 rounds away:
# the weight never moves, however many steps there are. So weights stay in float32, and are rounded only when they are
# multiplied. They are called *master weights*.

# %%
STEP, STEPS = np.float32(1e-3), 300
rounded_weight, master = [np.float32(1)], [np.float32(1)]
for _ in range(STEPS):
    rounded_weight.append(round_to_bf16(rounded_weight[-1] - STEP))
    master.append(master[-1] - STEP)
print(f"after {STEPS} steps of {STEP:g}: {rounded_weight[-1]:.3f} in bf16, {master[-1]:.3f} in float32")

# %%
with figures.style():
    figure = figures.blank()
    sums, products, weights = figure.subplots(1, 3)
    sums.plot(in_float32, label="float32")
    sums.plot(in_bf16, label="bf16")
    sums.set(xlabel="ones added", ylabel="sum")
    sums.set_title("a sum stalls at 256", fontsize=figures.HEADING)
    products.plot(TERMS, 100 * measured[:, 0], marker="o", label="sums in float32")
    products.plot(TERMS, 100 * measured[:, 1], marker="o", label="sums in bf16")
    products.set(xlabel="products in a sum", ylabel="error in per cent", xscale="log", yscale="log", ylim=(0.05, 8))
    products.set_xticks(TERMS, [str(terms) for terms in TERMS])
    products.set_yticks([0.1, 0.2, 0.5, 1, 2, 5], ["0.1", "0.2", "0.5", "1", "2", "5"])
    products.minorticks_off()
    products.set_title("factors in bf16", fontsize=figures.HEADING)
    weights.plot(master, label="float32")
    weights.plot(rounded_weight, label="bf16")
    weights.set(xlabel="steps of 0.001", ylabel="weight")
    weights.set_title("a weight stands still", fontsize=figures.HEADING)
    for axes in (sums, products, weights):
        axes.legend()
figures.save(figure, out / "16_bf16.png")
figure

# %% [markdown]
# ## In a network
#
# `mt.precision("bf16")` rounds the factors of large products: 1 x 1 and strided convolutions, fully connected layers
# and their gradients. Everything else is float32. A processor without the instruction raises an error.

# %%
x, weight = rng.standard_normal((8, 64, 16, 16), np.float32), rng.standard_normal((128, 64, 1, 1), np.float32)
exact = ops.conv2d(Tensor(x), Tensor(weight)).data
try:
    with mt.precision("bf16"):
        close = ops.conv2d(Tensor(x), Tensor(weight)).data
    print(f"a 1 x 1 convolution in bf16: relative error {np.linalg.norm(close - exact) / np.linalg.norm(exact):.2%}")
except ValueError as error:
    print(error)

# %% [markdown]
# ## Try it
#
# Where does the sum stall if you add 3 again and again? How large must a gradient be, at a learning rate of 0.1, to
# move a bf16 weight of 0.05? float16 has 11 bits of significand and 5 of exponent: which of the three pictures gets
# better with it, and which numbers of the first table are lost?
