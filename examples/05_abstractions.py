# %% [markdown]
# # 5. What units respond to
#
# The deeper a layer, the larger the patch that a unit sees, and the more the patches it responds to resemble objects.
# There are two ways to look: show the patches that a unit responds to most, and show which pixels an answer depends on.

# %%
import argparse
import pathlib

from minitorch_cnn import Tensor, data, explain, manual_seed, nn, no_grad, ops, optim

parser = argparse.ArgumentParser(description="What units respond to, and which pixels an answer depends on.")
parser.add_argument("--out", default="pictures", metavar="DIR", help="folder of the pictures (default: pictures)")
out = pathlib.Path(parser.parse_known_args()[0].out)  # a notebook has arguments of its own
out.mkdir(parents=True, exist_ok=True)
manual_seed(0)

# %%
shapes = data.Shapes10(train=True, size=3000)
x, labels = explain.normalised(shapes.images, shapes).astype("float32"), shapes.labels


def layer(in_channels, out_channels):
    convolution = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(out_channels), nn.ReLU()


model = nn.Sequential(
    *layer(3, 16),
    nn.MaxPool2d(2),
    *layer(16, 32),
    nn.MaxPool2d(2),
    *layer(32, 64),
    nn.MaxPool2d(8),  # the largest element of each map
    nn.Flatten(),
    nn.Linear(64, 10),
)
steps, rate = 480, 3e-3
optimizer = optim.Adam(model.parameters(), lr=rate)
for step in range(steps):
    batch = slice(step * 64 % 2944, step * 64 % 2944 + 64)
    loss = ops.cross_entropy(model(Tensor(x[batch])), labels[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.lr = rate * (1 - step / steps)
    optimizer.step()

# %% [markdown]
# An explanation is worth only as much as the network that it explains. So look at its accuracy first.

# %%
test = data.Shapes10(train=False, size=400)
model.eval()
with no_grad():
    predictions = model(Tensor(explain.normalised(test.images, test).astype("float32"))).data.argmax(1)
print(f"{(predictions == test.labels).mean():.1%} of {len(test)} test images are classified correctly")

# %% [markdown]
# ## The patches that units respond to most
#
# Each patch is the exact receptive field of the unit; the part outside the image is hatched. In the first layer the
# patches are edges and colours, in the last one parts of shapes.

# %%
first = explain.patches(model, "0", test, k=8)
first.save(out / "05_patches_first.png")
print(first)
first

# %%
last = explain.patches(model, "8", test, k=8)
last.save(out / "05_patches_last.png")
print(last)
last

# %% [markdown]
# ## Which pixels an answer depends on
#
# *Saliency* shows how the answer changes with each pixel. *Occlusion* hides a square and measures how far the answer
# falls. *Grad-CAM* weights the feature maps of a layer by their effect on the class. Titles give the truth, the
# prediction and its probability; those of wrong predictions are red. The last image is one that the network gets wrong.

# %%
chosen = [0, 1, 2, 3, int((predictions != test.labels).argmax())]
images = explain.normalised(test.images[chosen], test).astype("float32")
known = {"labels": test.labels[chosen], "classes": test.classes}

# %%
saliency = explain.saliency(model, images, **known)
saliency.save(out / "05_saliency.png")
print(saliency)
saliency

# %%
occlusion = explain.occlusion(model, images, **known)
occlusion.save(out / "05_occlusion.png")
print(occlusion)
occlusion

# %%
grad_cam = explain.grad_cam(model, images, "8", **known)
grad_cam.save(out / "05_grad_cam.png")
print(grad_cam)
grad_cam
