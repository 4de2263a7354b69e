# %% [markdown]
# # 5. What units look for
#
# The deeper a layer, the larger the patch that a unit sees, and the more what it answers to resembles a thing. Two ways
# to find out: show the patches that a unit answers most to, and ask an answer where in the image its reasons lie.

# %%
import argparse
import pathlib

from minitorch_cnn import Tensor, data, explain, manual_seed, nn, ops, optim

parser = argparse.ArgumentParser(description="What units look for, and where the reasons for an answer lie.")
parser.add_argument("--out", default="pictures", metavar="DIR", help="folder of the pictures (default: pictures)")
out = pathlib.Path(parser.parse_known_args()[0].out)  # a notebook has arguments of its own
out.mkdir(parents=True, exist_ok=True)
manual_seed(0)

# %%
shapes = data.Shapes10(train=True, size=1500)
x, labels = explain.normalised(shapes.images, shapes).astype("float32"), shapes.labels
model = nn.Sequential(
    nn.Conv2d(3, 16, 5, padding=2),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(32, 32, 3, padding=1),
    nn.ReLU(),
    nn.GlobalAvgPool(),
    nn.Linear(32, 10),
)
optimizer = optim.Adam(model.parameters(), lr=3e-3)
for step in range(140):
    batch = slice(step * 64 % 1472, step * 64 % 1472 + 64)
    loss = ops.cross_entropy(model(Tensor(x[batch])), labels[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"loss {loss.item():.3f}")

# %% [markdown]
# ## The patches that units answer most to
#
# Each patch is the exact receptive field of the answer; what lies outside of the image is hatched.

# %%
test = data.Shapes10(train=False, size=400)
for layer, name in (("0", "first"), ("6", "last")):
    found = explain.patches(model, layer, test, k=8)
    print(found)
    found.save(out / f"05_patches_{name}.png")

# %% [markdown]
# ## Where the reasons lie
#
# *Saliency* asks how the answer changes with a pixel, *occlusion* hides a square and looks how far the answer falls,
# and *Grad-CAM* weighs the maps of a layer by what they mean for the class.

# %%
images = explain.normalised(test.images[:5], test).astype("float32")
for found, name in (
    (explain.saliency(model, images, classes=test.classes), "saliency"),
    (explain.occlusion(model, images, classes=test.classes), "occlusion"),
    (explain.grad_cam(model, images, "6", classes=test.classes), "grad_cam"),
):
    print(found)
    found.save(out / f"05_{name}.png")
