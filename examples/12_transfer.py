# %% [markdown]
# # 12. Transfer learning
#
# What a network has learned from some classes helps with others. A small network learns six of the ten drawn shapes
# from many images. Then it gets a new last layer and learns the other four shapes from a few images each, while all
# other layers stay frozen. For comparison, the same network is trained from scratch on these few images.
#
# `examples/transfer_resnet18.py` and `mcnn transfer` do the same with a ResNet-18 that was trained on ImageNet.

# %%
import argparse
import dataclasses
import pathlib

import numpy as np

import minitorch_cnn as mt
from minitorch_cnn import Tensor, data, nn, ops, optim, train
from minitorch_cnn.display import figures

parser = argparse.ArgumentParser(description="Transfer learning on drawn shapes.")
parser.add_argument("--out", default="pictures", metavar="DIR", help="folder of the pictures (default: pictures)")
out = pathlib.Path(parser.parse_known_args()[0].out)  # a notebook has arguments of its own
out.mkdir(parents=True, exist_ok=True)

# %% [markdown]
# ## Old classes and new classes

# %%
OLD, NEW = range(6), range(6, 10)


def only(dataset, classes, count):
    """Return the first ``count`` images of some classes, with labels from 0 on."""
    chosen = np.flatnonzero(np.isin(dataset.labels, classes))[:count]
    labels, names = dataset.labels[chosen] - classes[0], tuple(dataset.classes[k] for k in classes)
    small = np.ascontiguousarray(
        dataset.images[chosen, ::2, ::2]
    )  # 16 pixels per side are enough, and four times as fast
    return dataclasses.replace(dataset, images=small, labels=labels, classes=names)


shapes, tests = data.Shapes10(train=True, size=2000), data.Shapes10(train=False, size=500)
many_old, few_new, test_new = only(shapes, OLD, 1000), only(shapes, NEW, 80), only(tests, NEW, 200)
print("old:", ", ".join(many_old.classes), "   new:", ", ".join(few_new.classes))

# %% [markdown]
# ## A small network, and a loop that trains it

# %%


def small_network(classes):
    """Return three convolutions with batch norm, ReLU and pooling, and one fully connected layer."""
    layers, channels = [], 3
    for filters in (16, 32, 64):
        layers += [nn.Conv2d(channels, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters), nn.ReLU()]
        layers, channels = [*layers, nn.MaxPool2d(2)], filters
    return nn.fuse(nn.Sequential(*layers, nn.GlobalAvgPool(), nn.Linear(channels, classes)))


def batch(dataset, chosen):
    """Return normalised images and labels."""
    images = (dataset.images[chosen] / 255 - dataset.mean) / np.array(dataset.std)
    return Tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32)), dataset.labels[chosen]


def accuracy(model, dataset):
    """Return the share of images that are classified correctly."""
    model.eval()
    with mt.no_grad():
        images, labels = batch(dataset, slice(None))
        return float((model(images).data.argmax(axis=1) == labels).mean())


def fit(model, dataset, test_set, epochs, rate, size=40):
    """Train, and return the accuracy on the test images after each epoch."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer, order, history = optim.Adam(parameters, lr=rate), np.random.default_rng(0), []
    for _ in range(epochs):
        model.train()
        chosen = order.permutation(len(dataset.labels))
        for start in range(0, len(chosen) - size + 1, size):
            images, labels = batch(dataset, chosen[start : start + size])
            optimizer.zero_grad()
            ops.cross_entropy(model(images), labels).backward()
            optimizer.step()
        history.append(accuracy(model, test_set))
    return history


# %% [markdown]
# ## Learn the old classes

# %%
mt.set_num_threads(1)  # with maps this small, distributing the work takes longer than doing it
mt.manual_seed(0)
pretrained = small_network(len(OLD))
old = fit(pretrained, many_old, only(tests, OLD, 200), epochs=15, rate=5e-3)
print(f"old classes: {old[-1]:.1%}")

# %% [markdown]
# ## Learn the new classes from 80 images
#
# `freeze` stops all layers from learning; `replace_head` adds a new last layer, the only one that learns.

# %%
EPOCHS = 20
pretrained.freeze()
transferred = train.replace_head(pretrained, len(NEW))
histories = {
    "transfer: body frozen, new last layer": fit(transferred, few_new, test_new, EPOCHS, rate=2e-2),
    "from scratch": fit(small_network(len(NEW)), few_new, test_new, EPOCHS, rate=5e-3),
}
for name, history in histories.items():
    print(f"{name:40} {history[-1]:.1%}")

# %%
with figures.style():
    figure = figures.blank(f"{len(NEW)} new classes from {len(few_new.labels)} images")
    axes = figure.subplots()
    for (name, history), colour, line in zip(
        histories.items(), (figures.BLUE, figures.ORANGE), ("o-", "s--"), strict=True
    ):
        axes.plot(range(1, EPOCHS + 1), [100 * value for value in history], line, color=colour, label=name)
    axes.axhline(100 / len(NEW), color=figures.GREY, ls=":", label="chance")
    axes.set_xlabel("epoch")
    axes.set_ylabel("test images right, %")
    axes.set_ylim(0, 100)
    axes.set_xticks(range(0, EPOCHS + 1, 5))
    axes.grid()
    axes.legend(loc="lower right")
figures.save(figure, out / "12_transfer.png")
figure
