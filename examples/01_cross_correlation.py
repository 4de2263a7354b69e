# %% [markdown]
# # 1. Cross-correlation, and what deep learning calls convolution
#
# A kernel K slides over an image I. At each position, the pixels of the window are multiplied by the elements of the
# kernel, and the products are added up:
#
#     S(i, j) = sum over m, n of I(i + m, j + n) K(m, n)
#
# That is *cross-correlation*. In mathematics, convolution is something else:
#
#     S(i, j) = sum over m, n of I(i - m, j - n) K(m, n)
#
# This chapter computes both, shows every product, and trains a network with each. It writes its pictures to
# the folder `--out`, by default `pictures`.

# %%
import argparse
import pathlib

import numpy as np

from minitorch_cnn import Tensor, data, explain, ops
from minitorch_cnn.display import figures

parser = argparse.ArgumentParser(description="Cross-correlation and convolution, product by product.")
parser.add_argument("--out", default="pictures", metavar="DIR", help="folder of the pictures (default: pictures)")
out = pathlib.Path(parser.parse_known_args()[0].out)  # a notebook has arguments of its own
out.mkdir(parents=True, exist_ok=True)

# %% [markdown]
# ## Every product of a small example
#
# Step through the page with the arrow keys, or click a result. The GIF steps by itself.

# %%
image = np.array([[0, 0, 0, 9, 9], [0, 0, 0, 9, 9], [0, 0, 9, 9, 9], [0, 9, 9, 9, 9], [0, 9, 9, 9, 9]])
edge = [[1, 0, -1], [2, 0, -2], [1, 0, -1]]  # large where it is brighter on the left
story = explain.conv(image, edge)
print(story)
story.save(out / "01_cross_correlation.png", step=3)
story.save(out / "01_cross_correlation.gif")
story.save(out / "01_cross_correlation.html")
story

# %% [markdown]
# ## In one dimension, and with several channels
#
# A signal is an image of one row. With C channels a kernel has C planes, and one sum runs over all of them.

# %%
signal = explain.conv([0, 0, 1, 4, 4, 4, 1, 0], [1, -1])
signal.save(out / "01_signal.png", step=2)
signal

# %%
rng = np.random.default_rng(0)
colours, kernels = rng.integers(0, 4, (3, 4, 4)), rng.integers(-1, 2, (2, 3, 3, 3))
channels = explain.conv(colours, kernels)
channels.save(out / "01_channels.png", step=5)
channels

# %% [markdown]
# ## The flip
#
# An impulse, a single 1 among zeros, tells the two apart: convolution returns the kernel itself, cross-correlation
# returns the kernel flipped upside down and left to right.

# %%
kernel = np.arange(1, 10).reshape(3, 3)
both = explain.side_by_side(kernel)
print(both)
both.save(out / "01_flip.png")
both

# %% [markdown]
# ## Learning makes the flip irrelevant
#
# Two layers get the same images and the same targets. One cross-correlates, the other convolves; each starts from
# different random weights. Both learn the task, and one kernel is the flip of the other.

# %%
learned = explain.learn_flip(kernel)
print(learned)
learned.save(out / "01_learned.png")
assert learned.difference < 1e-6
learned

# %% [markdown]
# ## On a picture
#
# The same kernel finds the vertical edges of a drawing; rotated by 90 degrees, it finds the horizontal ones.

# %%
picture = data.Shapes10(train=False, size=8).images[2].mean(2) / 255
with figures.style():
    axes = (figure := figures.blank("One kernel finds edges in one direction")).subplots(1, 3)
    filters = {"input": None, "vertical edges": np.array(edge), "horizontal edges": np.array(edge).T}
    for part, (name, weight) in zip(axes, filters.items(), strict=True):
        shown = picture if weight is None else ops.conv2d(Tensor(picture[None, None]), Tensor(weight[None, None] * 1.0))
        values = picture if weight is None else shown.data[0, 0]
        limit = np.abs(values).max()
        part.imshow(
            values,
            cmap="gray" if weight is None else figures.signed(),
            vmin=0 if weight is None else -limit,
            vmax=limit,
        )
        part.set_title(name, fontsize=figures.HEADING)
        part.axis("off")
figures.save(figure, out / "01_edges.png")
figure
