# %% [markdown]
# # 8. Famous networks, and the pattern that they share
#
# From LeNet-5 to DenseNet, the same few parts return: convolutions with a ReLU, something that halves the feature maps,
# and a few fully connected layers or global average pooling at the end. Everything here is read from the *trace* of
# each network. A trace runs on shapes only and computes nothing, so a VGG with 138 million weights takes a moment.

# %%
import argparse
import pathlib

from minitorch_cnn import explain, models, nn
from minitorch_cnn.display import figures
from minitorch_cnn.tensor import Tensor

parser = argparse.ArgumentParser(description="Famous networks side by side.")
parser.add_argument("--out", default="pictures", metavar="DIR", help="folder of the pictures (default: pictures)")
out = pathlib.Path(parser.parse_known_args()[0].out)  # a notebook has arguments of its own
out.mkdir(parents=True, exist_ok=True)

# %% [markdown]
# ## Six networks, one pattern
#
# Each bar is a layer; its height is the square root of the side of its feature maps, so that small maps can be seen.
# The maps get smaller and the channels more numerous.

# %%
poster = explain.poster()
figures.save(poster, out / "08_poster.png")
poster

# %% [markdown]
# ## The pattern, in words
#
# The lecture draws it as some convolutions and a pooling, repeated several times, and then fully connected layers.

# %%
patterns: list[explain.Pattern] = []
for name in ("lenet5", "allcnn_c", "vgg_a_cifar", "resnet20", "densenet40_k12"):
    channels, side = models.native_input(name)
    topology = explain.topology(models.create(name), (1, channels, side, side), name)
    patterns.append(explain.pattern(topology))
    print(f"{name:12} {patterns[-1]}")
for sentence, count in explain.shared(patterns):
    print(f"{count} of {len(patterns)}: {sentence}")

# %% [markdown]
# ## One network as a drawing and as a table
#
# (`mcnn topology --efficiency -o FILE.png` compares the cost of one answer of the large networks.)
#
# The arcs of a ResNet are its shortcuts. In the table, `sees` is the receptive field: the side, in pixels,
# of the box that a unit of that layer depends on.

# %%
model = models.create("resnet20")
topology = explain.topology(model, (1, 3, 32, 32), "ResNet-20 for CIFAR-10")
figures.save(topology.figure(), out / "08_resnet20.png")
topology

# %%
print(explain.summary(models.create("lenet5"), (1, 1, 32, 32)))

# %% [markdown]
# ## When the sizes do not fit
#
# Sooner or later a fully connected layer gets the wrong number of inputs. The message does the arithmetic.

# %%
wrong = nn.Sequential(
    nn.Conv2d(3, 6, 5),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(6, 16, 5),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(256, 10),
)
try:
    wrong(Tensor.like_shape((1, 3, 32, 32)))
except ValueError as error:
    print(str(error).partition("\nshapes so far:")[0])
