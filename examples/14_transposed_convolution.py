# %% [markdown]
# # 14. Transposed convolution
#
# A convolution makes maps smaller. Its backward pass must go the other way: from the gradient of the small output to
# the gradient of the large input. This chapter turns that backward pass into a layer, which makes maps larger.

# %%
import argparse
import pathlib

import numpy as np

from minitorch_cnn import Tensor, explain, nn, ops
from minitorch_cnn.display import figures

parser = argparse.ArgumentParser(description="The input gradient of a convolution as a layer.")
parser.add_argument("--out", default="pictures", metavar="DIR", help="folder of the pictures (default: pictures)")
out = pathlib.Path(parser.parse_known_args()[0].out)  # a notebook has arguments of its own
out.mkdir(parents=True, exist_ok=True)
rng = np.random.default_rng(0)

# %% [markdown]
# ## The same numbers
#
# A convolution with stride 2 maps 8 x 8 pixels to 4 x 4. Its input gradient maps 4 x 4 numbers to 8 x 8: each number
# is multiplied by the kernel, and the products are added into the window that the number came from. That is all a
# transposed convolution does, with the same weight.

# %%
image, weight = Tensor(rng.standard_normal((1, 1, 8, 8)), requires_grad=True), Tensor(rng.standard_normal((1, 1, 4, 4)))
small = ops.conv2d(image, weight, stride=2, padding=1)
gradient = rng.standard_normal(small.shape)
small.backward(gradient)
large = ops.conv_transpose2d(Tensor(gradient), weight, stride=2, padding=1)
print("convolution:", image.shape, "->", small.shape)
print("transposed: ", gradient.shape, "->", large.shape)
print("largest difference from the input gradient:", np.abs(large.data - image.grad).max())

# %% [markdown]
# ## Why it is called transposed
#
# A convolution is a matrix product: `small = M @ image`, with the kernel in every row of M. The input gradient is
# `M.T @ gradient`. The matrix itself is never built.

# %%
columns = [
    ops.conv2d(Tensor(pixel.reshape(1, 1, 8, 8)), weight, stride=2, padding=1).data.ravel() for pixel in np.eye(64)
]
matrix = np.stack(columns, 1)  # (16, 64)
print("M:", matrix.shape, " largest difference:", np.abs(matrix.T @ gradient.ravel() - large.data.ravel()).max())

# %% [markdown]
# ## Which way the gradients go
#
# What is forward in one operation is backward in the other. So the gradient of a transposed convolution is a
# convolution, and no new code is needed.

# %%
x = Tensor(gradient, requires_grad=True)
ops.conv_transpose2d(x, weight, stride=2, padding=1).backward(image.data)
print("gradient = convolution:", np.allclose(x.grad, small.data))

# %% [markdown]
# ## What one output pixel reads
#
# With a kernel of 4 and stride 2, two inputs reach every pixel of the output along each axis. With a kernel of 3, one
# or two do, in turn. The receptive fields say so.

# %%
for side in (3, 4):
    counts = ops.conv_transpose2d(
        Tensor(np.ones((1, 1, 4, 4))), Tensor(np.ones((1, 1, side, side))), stride=2, padding=1
    )
    print(f"kernel {side}: number of inputs of each pixel in a row:", counts.data[0, 0, 3].astype(int))
print(explain.summary(nn.Sequential(nn.Conv2d(1, 4, 4, 2, 1), nn.ConvTranspose2d(4, 1, 4, 2, 1)), (1, 1, 8, 8)))

# %% [markdown]
# ## The checkerboard
#
# Where the counts differ, so does the brightness, even if all weights and inputs are equal. A kernel whose side is a
# multiple of the stride avoids this; so does resizing first and then an ordinary convolution.

# %%
flat = Tensor(np.ones((1, 1, 8, 8)))
pictures = {
    "kernel 3, stride 2": ops.conv_transpose2d(flat, Tensor(np.full((1, 1, 3, 3), 4 / 9)), stride=2, padding=1),
    "kernel 4, stride 2": ops.conv_transpose2d(flat, Tensor(np.full((1, 1, 4, 4), 4 / 16)), stride=2, padding=1),
    "resize, then kernel 3": ops.conv2d(
        ops.resize(flat, 16, mode="nearest"), Tensor(np.full((1, 1, 3, 3), 1 / 9)), padding=1, padding_mode="reflect"
    ),
}
with figures.style():
    figure = figures.blank()
    for axes, (name, result) in zip(figure.subplots(1, 3), pictures.items(), strict=True):
        axes.imshow(result.data[0, 0], cmap="gray", vmin=0, vmax=2)
        axes.set_title(name, fontsize=figures.HEADING)
        axes.set_xticks([])
        axes.set_yticks([])
figures.save(figure, out / "14_checkerboard.png")
figure

# %% [markdown]
# ## Try it
#
# Give `output_padding=1` to the layer with kernel 3. Which pixels of the output are new, and how many inputs reach
# them? Which sizes of images does a convolution with stride 2 and kernel 3 map to 4 x 4?
