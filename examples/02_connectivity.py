# %% [markdown]
# # 2. Full, sparse and shared connections
#
# A fully connected layer connects every output with every input. A convolution keeps only the connections of a window,
# and all windows share the same weights. Written out as a matrix, it is mostly zeros, and the same few weights repeat.

# %%
import argparse
import pathlib

import numpy as np

from minitorch_cnn import Tensor, explain, manual_seed, nn

parser = argparse.ArgumentParser(description="Convolutions as matrices, and how many weights connections need.")
parser.add_argument("--out", default="pictures", metavar="DIR", help="folder of the pictures (default: pictures)")
out = pathlib.Path(parser.parse_known_args()[0].out)  # a notebook has arguments of its own
out.mkdir(parents=True, exist_ok=True)
manual_seed(1)

# %% [markdown]
# ## A signal: a band
#
# Each row is one output; the window moves by one column from row to row. `0`, `1`, `2` say which weight it is.

# %%
signal = nn.Conv1d(1, 1, 3, padding=1, bias=False)
band = explain.as_matrix(signal, (1, 1, 8))
print(band)
band.save(out / "02_signal.png")
band

# %% [markdown]
# ## An image: bands of bands
#
# Every weight has one colour. The gaps are the ends of the image's rows, where the window reaches into the padding.

# %%
layer = nn.Conv2d(1, 1, 3, padding=1, bias=False)
matrix = explain.as_matrix(layer, (1, 1, 6, 6))
print(matrix)
matrix.save(out / "02_image.png")
matrix

# %%
strided = explain.as_matrix(nn.Conv2d(1, 1, 3, stride=2, padding=1, bias=False), (1, 1, 8, 8))
strided.save(out / "02_stride.png")
strided

# %% [markdown]
# ## The matrix computes the layer, and its transpose the gradient

# %%
x = Tensor(np.random.default_rng(0).standard_normal((1, 1, 6, 6)).astype(np.float32), requires_grad=True)
y = layer(x)
dy = np.random.default_rng(1).standard_normal(y.shape).astype(np.float32)
y.backward(dy)
forward = np.abs(matrix @ x.data.ravel() - y.data.ravel()).max()
backward = np.abs(matrix.T @ dy.ravel() - x.grad.ravel()).max()
print(f"M @ x and conv(x) differ by at most {forward:.1e}, M.T @ dy and the gradient by {backward:.1e}")
matrix.T.save(out / "02_transposed.png")
matrix.T

# %% [markdown]
# ## What it saves
#
# From an image of 32 x 32 x 3 to 96 feature maps of the same size, with windows of 5 x 5:

# %%
print(explain.as_matrix(nn.Conv2d(3, 96, 5, padding=2), (1, 3, 32, 32)))
