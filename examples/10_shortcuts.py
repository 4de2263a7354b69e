# %% [markdown]
# # 10. Why pooling, and why shortcuts
#
# Two questions that a measurement answers. *Pooling*: how much do feature maps change when the image moves by a few
# pixels? *Shortcuts*: what becomes of the gradient on its way through 20, 56 and 110 layers, with and without them?

# %%
import argparse
import pathlib

from minitorch_cnn import explain

parser = argparse.ArgumentParser(description="Why pooling, and why shortcuts.")
parser.add_argument("--out", default="pictures", metavar="DIR", help="folder of the pictures (default: pictures)")
out = pathlib.Path(parser.parse_known_args()[0].out)  # a notebook has arguments of its own
out.mkdir(parents=True, exist_ok=True)

# %% [markdown]
# ## Pooling
#
# The same convolution, edges in four directions, and behind it nothing, a stride, or a pooling. A window with a
# maximum in it does not notice that the maximum moved, as long as it stays inside: max pooling changes least, and
# the larger window less than the smaller. A stride throws pixels away, but what it keeps moves as before.

# %%
shift = explain.shift_sensitivity()
print(shift)
shift.save(out / "10_pooling.png")

# %% [markdown]
# ## Shortcuts
#
# Three networks from the same blocks: plain, with shortcuts that add (ResNet), with shortcuts that concatenate
# (DenseNet). The norm of the gradient of each convolution's weights, before the first step of training. In the plain
# network it grows layer by layer on its way back, and no learning rate fits the first and the last layers at once;
# a shortcut hands it on unchanged.

# %%
norms = explain.gradient_norms()
print(norms)
norms.save(out / "10_shortcuts.png")
for depth in (20, 56, 110):
    spread = {kind: norms.spread(kind, depth) for kind in ("plain", "residual", "dense")}
    print(depth, "layers, largest norm over smallest:", {kind: f"{value:.3g}" for kind, value in spread.items()})
