# %% [markdown]
# # 4. Weights are filters, and feature maps show what they find
#
# A filter of the first layer is a small picture: it responds most to what it looks like. This chapter trains a small
# network on shapes that are drawn on the spot, and watches its filters.

# %%
import argparse
import pathlib

from minitorch_cnn import Tensor, data, explain, manual_seed, nn, ops, optim

parser = argparse.ArgumentParser(description="Filters while they learn, and the feature maps that they produce.")
parser.add_argument("--out", default="pictures", metavar="DIR", help="folder of the pictures (default: pictures)")
out = pathlib.Path(parser.parse_known_args()[0].out)  # a notebook has arguments of its own
out.mkdir(parents=True, exist_ok=True)
manual_seed(0)

# %%
shapes = data.Shapes10(train=True, size=3000)
x, labels = explain.normalised(shapes.images, shapes).astype("float32"), shapes.labels
model = nn.Sequential(
    nn.Conv2d(3, 32, 7, stride=2, padding=3),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(32, 32, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(32, 64, 3, padding=1),
    nn.ReLU(),
    nn.GlobalAvgPool(),
    nn.Linear(64, 10),
)
model[0].weight.data *= 0.1  # start near zero, so that what is visible later was learned and not drawn at random

# %% [markdown]
# ## Training, with one frame of the film every thirty steps

# %%
optimizer = optim.Adam(model.parameters(), lr=3e-3)
frames = [("step 0", model[0].weight.data.copy())]
for step in range(1, 301):
    batch = slice(step * 64 % 2944, step * 64 % 2944 + 64)
    loss = ops.cross_entropy(model(Tensor(x[batch])), labels[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        frames.append((f"step {step}", model[0].weight.data.copy()))
        print(f"step {step}: loss {loss.item():.3f}")

# %%
film = explain.filter_film("0", frames=frames)
print(film)
film.save(out / "04_training.gif")
film

# %% [markdown]
# ## The filters, and those of the second layer, which read feature maps instead of colours
#
# Blue is negative, orange positive.

# %%
filters = explain.filters(model)
print(filters)
filters.save(out / "04_filters.png")
filters

# %%
second = explain.filters(model, "3")
second.save(out / "04_second_layer.png")
second

# %% [markdown]
# ## The feature maps of one image

# %%
maps = explain.feature_maps(model, x[3])
print(maps)
maps.save(out / "04_maps.png")
maps
