# %% [markdown]
# # 10. Why pooling, and why shortcuts
#
# Measurements answer two questions. *Pooling*: how much do feature maps change when the image shifts by a few pixels?
# *Shortcuts*: how does the gradient change through 20, 56 and 110 layers, with and without them?

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
# The same convolution, edges in four directions, is followed by nothing, by a stride, or by a pooling. The result of
# max pooling stays the same as long as the maximum stays inside the window. So max pooling changes least, and a larger
# window less than a smaller one. A stride drops pixels, but the pixels that it keeps still shift.

# %%
shift = explain.shift_sensitivity()
print(shift)
shift.save(out / "10_pooling.png")
shift

# %% [markdown]
# ## Shortcuts
#
# Three networks are made of the same blocks: plain, with shortcuts that add (ResNet), and with shortcuts that
# concatenate (DenseNet). The picture shows the norm of each convolution's weight gradient before the first training
# step. In the plain network it grows from layer to layer during the backward pass, so no learning rate suits both the
# first and the last layers. A shortcut passes the gradient on unchanged.

# %%
norms = explain.gradient_norms()
print(norms)
norms.save(out / "10_shortcuts.png")
for depth in (20, 56, 110):
    spread = {kind: norms.spread(kind, depth) for kind in ("plain", "residual", "dense")}
    print(depth, "layers, largest norm over smallest:", {kind: f"{value:.3g}" for kind, value in spread.items()})
norms
