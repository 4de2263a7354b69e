# %% [markdown]
# # 6. Padding, stride and dilation
#
# How large is the output of a convolution? Take an axis of H pixels, P pixels of padding on each side, a kernel of
# K taps that lie D pixels apart, and steps of S pixels:
#
#     floor((H + 2 P - D (K - 1) - 1) / S) + 1
#
# `explain.conv` prints this formula with its values, and hatches what the floor drops. The pictures go to the
# folder `--out`, by default `pictures`.

# %%
import argparse
import pathlib

import numpy as np

from minitorch_cnn import explain
from minitorch_cnn.display import figures
from minitorch_cnn.shapes import conv_output_size

parser = argparse.ArgumentParser(description="Padding, stride and dilation, product by product.")
parser.add_argument("--out", default="pictures", metavar="DIR", help="folder of the pictures (default: pictures)")
out = pathlib.Path(parser.parse_known_args()[0].out)  # a notebook has arguments of its own
out.mkdir(parents=True, exist_ok=True)

x = np.arange(1, 26).reshape(5, 5) % 10
ones = np.ones((3, 3), int)

# %% [markdown]
# ## Padding
#
# Without padding, 5 x 5 pixels shrink to 3 x 3. With one pixel of zeros on each side, a kernel
# of 3 keeps the size: "same".

# %%
for padding in (0, 1):
    story = explain.conv(x, ones, padding=padding)
    print(story.sizes[0])
    story.save(out / f"06_padding_{padding}.png", step=0)
assert explain.conv(x, ones, padding="same").result.shape == (5, 5)
story

# %% [markdown]
# Why this matters: after ten layers without padding, 32 pixels have become 12, and the border is lost.

# %%
with figures.style():
    axes = (figure := figures.blank("Without padding, each layer takes a border away")).subplots()
    for padding, style in ((0, {"color": figures.ORANGE, "ls": "--"}), (1, {"color": figures.BLUE})):
        sides = [32]
        for _ in range(10):
            sides.append(conv_output_size(sides[-1], 3, 1, padding, padding))
        axes.plot(sides, "o", label=f"padding {padding}", **{"ls": "-", **style})
    axes.set_xlabel("layers of 3 x 3")
    axes.set_ylabel("pixels per side")
    axes.set_ylim(0, 34)
    axes.grid()
    axes.legend()
figures.save(figure, out / "06_shrinking.png")
figure

# %% [markdown]
# ## Stride, and what the floor drops
#
# A stride of 2 takes every second window. Of 6 pixels, a kernel of 3 then reads 5: the last row and the last column,
# hatched, are never read. No gradient comes back to them either.

# %%
wide = np.arange(36).reshape(6, 6) % 10
story = explain.conv(wide, ones, stride=2)
print(story.sizes[0])
story.save(out / "06_stride.png", step=3)
story.save(out / "06_stride.gif")
story

# %%
back = explain.conv_gradient(wide, ones, stride=2)
assert (back.result.values[:, -1] == 0).all() and (back.result.values[:, :, -1] == 0).all()
back.save(out / "06_stride_gradient.png", step=14)
print(explain.conv(np.ones((32, 32)), np.ones((5, 5)), stride=2).sizes[0])
back

# %% [markdown]
# ## Dilation
#
# Taps that lie two pixels apart see 5 x 5 pixels with 9 weights.

# %%
story = explain.conv(wide, ones, dilation=2)
print(story.sizes[0])
story.save(out / "06_dilation.png", step=3)
story

# %% [markdown]
# ## The backward pass
#
# Each product of the forward pass sends the gradient of the output back to both of its factors: to the pixel, times
# the weight, and to the weight, times the pixel.

# %%
weight = [[1, 0, -1], [2, 0, -2], [1, 0, -1]]
for wrt in ("input", "weight"):
    story = explain.conv_gradient(x, weight, wrt, stride=2)
    story.save(out / f"06_gradient_{wrt}.png", step=len(story.steps) // 2)
    story.save(out / f"06_gradient_{wrt}.html")
    print(story.steps[len(story.steps) // 2].equation)
story
