# %% [markdown]
# # 3. Receptive fields
#
# One element of a feature map depends on a box of pixels, its receptive field. Each layer with a window of k elements
# enlarges the field by (k - 1) times the distance, in pixels, between the elements that it reads.

# %%
import argparse
import pathlib

from minitorch_cnn import explain, manual_seed, models, nn

parser = argparse.ArgumentParser(description="What one unit of a network sees.")
parser.add_argument("--out", default="pictures", metavar="DIR", help="folder of the pictures (default: pictures)")
out = pathlib.Path(parser.parse_known_args()[0].out)  # a notebook has arguments of its own
out.mkdir(parents=True, exist_ok=True)
manual_seed(0)

# %% [markdown]
# ## The exact receptive field of one unit, through shortcuts
#
# The heat map is the *effective* field: how much each pixel of the box matters, measured by gradients. The centre
# counts most, because most paths lead there.

# %%
resnet = models.create("resnet20")
middle = explain.receptive_field(resnet, "layer2.1", 7, 7, input_shape=(1, 3, 32, 32))
print(middle)
middle.save(out / "03_resnet20.png")
middle

# %% [markdown]
# At the border the box is cut off: part of the window lies in the padding.

# %%
corner = explain.receptive_field(resnet, "layer2.1", 0, 15, input_shape=(1, 3, 32, 32), images=2)
print(corner.box, "of a field of", corner.size)
corner.save(out / "03_corner.png")
corner

# %% [markdown]
# ## Three windows of 3 x 3 see as much as one of 7 x 7
#
# but apply three non-linearities instead of one, with 27 weights per channel instead of 49: the idea of VGG.

# %%
three = nn.Sequential(*[layer for _ in range(3) for layer in (nn.Conv2d(1, 1, 3), nn.ReLU())])
one = nn.Sequential(nn.Conv2d(1, 1, 7), nn.ReLU())
stacks = {"three windows of 3 x 3": (three, (1, 1, 16, 16)), "one window of 7 x 7": (one, (1, 1, 16, 16))}
print(explain.field_growth(stacks))

# %% [markdown]
# ## Whole networks
#
# Pooling and strides make the field grow faster than depth alone.

# %%
networks = {name: (models.create(name), (1, 3, 32, 32)) for name in ("lenet5_cifar", "cifar4", "allcnn_c", "resnet20")}
growth = explain.field_growth(networks)
print(growth)
growth.save(out / "03_growth.png")
growth
