# %% [markdown]
# # 7. Pooling
#
# Pooling takes one value from each window: the maximum or the mean. It has no weights. The pictures go to the
# folder `--out`, by default `pictures`.

# %%
import argparse
import pathlib

import numpy as np

from minitorch_cnn import Tensor, data, explain, ops
from minitorch_cnn.display import figures

parser = argparse.ArgumentParser(description="Pooling and its gradient, element by element.")
parser.add_argument("--out", default="pictures", metavar="DIR", help="folder of the pictures (default: pictures)")
out = pathlib.Path(parser.parse_known_args()[0].out)  # a notebook has arguments of its own
out.mkdir(parents=True, exist_ok=True)

# %% [markdown]
# ## In one dimension
#
# Windows may be adjacent or overlap. When they overlap and the signal shifts by one sample, few results change.

# %%
signal = np.array([1, 0, 2, 9, 8, 1, 0, 3])
story = explain.pool(signal, 3, stride=1)
print(story)
story.save(out / "07_pool_1d.png", step=2)
moved = explain.pool(np.roll(signal, 1), 3, stride=1)
same = (story.result.values == moved.result.values).mean()
print(
    f"moved by one sample, {same:.0%} of the maxima and {(signal == np.roll(signal, 1)).mean():.0%} of the input stay"
)
story

# %% [markdown]
# ## In two dimensions
#
# The green frame in the window marks the maximum, or the first of several equal ones.

# %%
x = np.array([[1, 3, 2, 0, 5], [4, 6, 1, 1, 2], [0, 2, 9, 7, 1], [5, 1, 3, 8, 4], [2, 2, 0, 6, 1]])
for kind in ("max", "avg"):
    story = explain.pool(x, 2, kind)
    print(story)
    story.save(out / f"07_pool_{kind}.png", step=1)
overlapping = explain.pool(x, 3, stride=2, padding=1)
overlapping.save(out / "07_pool_overlapping.gif")
overlapping

# %% [markdown]
# ## Where the gradient goes
#
# A maximum passes all of it to the element that won; a mean gives each element of the window an equal share. Where
# windows overlap, the gradients add up. The last row and column of 5 x 5 belong to no window and get zero.

# %%
for kind in ("max", "avg"):
    story = explain.pool_gradient(x, 2, kind)
    story.save(out / f"07_gradient_{kind}.png")
    assert (story.result.values[:, -1] == 0).all()
overlapping = explain.pool_gradient(x, 3, stride=1)
overlapping.save(out / "07_gradient_overlapping.html")
overlapping

# %% [markdown]
# ## On a picture
#
# A quarter of the pixels remains, twice: the shape is still visible.

# %%
picture = Tensor(data.Shapes10(train=False, size=8).images[2].mean(2)[None, None] / 255)
with figures.style():
    axes = (figure := figures.blank("A quarter of the pixels remains, twice")).subplots(2, 3)
    for row, (name, pool) in zip(axes, {"maximum": ops.max_pool2d, "mean": ops.avg_pool2d}.items(), strict=True):
        values = picture
        for part in row:
            height, width = values.shape[2:]
            part.imshow(values.data[0, 0], cmap="gray", vmin=0, vmax=1)
            part.set_title(f"{name}: {height} x {width}", fontsize=figures.HEADING)
            part.axis("off")
            values = pool(values, 2)
figures.save(figure, out / "07_picture.png")
figure
