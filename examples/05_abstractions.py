# %% [markdown]
# # 5. What units respond to
#
# The deeper a layer, the larger the patch that a unit sees, and the more the patches it responds to resemble objects.
# There are two ways to look: show the patches that a unit responds to most, and show which pixels an answer depends on.

# %%
import argparse
import pathlib

from minitorch_cnn import Tensor, data, explain, manual_seed, nn, ops, optim

parser = argparse.ArgumentParser(description="What units respond to, and which pixels an answer depends on.")
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
# ## The patches that units respond to most
#
# Each patch is the exact receptive field of the unit; the part outside the image is hatched.

# %%
test = data.Shapes10(train=False, size=400)
for layer, name in (("0", "first"), ("6", "last")):
    found = explain.patches(model, layer, test, k=8)
    print(found)
    found.save(out / f"05_patches_{name}.png")

# %% [markdown]
# ## Which pixels an answer depends on
#
# *Saliency* shows how the answer changes with each pixel. *Occlusion* hides a square and measures how far the answer
# falls. *Grad-CAM* weights the feature maps of a layer by their effect on the class.

# %%
images = explain.normalised(test.images[:5], test).astype("float32")
for found, name in (
    (explain.saliency(model, images, classes=test.classes), "saliency"),
    (explain.occlusion(model, images, classes=test.classes), "occlusion"),
    (explain.grad_cam(model, images, "6", classes=test.classes), "grad_cam"),
):
    print(found)
    found.save(out / f"05_{name}.png")
