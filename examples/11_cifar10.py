# %% [markdown]
# # 11. The CIFAR-10 challenge
#
# Four convolutions, each with batch norm, ReLU and max pooling, then global average pooling and one fully connected
# layer: that is enough for more than 80 % of the test images of CIFAR-10. Without `--data`, this chapter needs no
# download and trains the same network briefly on drawn shapes. For CIFAR-10:
#
#     mcnn data get
#     python examples/11_cifar10.py --data ~/.cache/minitorch_cnn/cifar-10-batches-bin --epochs 8

# %%
import argparse
import dataclasses
import pathlib
import shutil
import tempfile

from minitorch_cnn import data, explain, models, train

parser = argparse.ArgumentParser(description="Train four convolutions.")
parser.add_argument("--out", default="pictures", metavar="DIR", help="folder of the pictures (default: pictures)")
parser.add_argument("--data", metavar="DIR", help="folder of CIFAR-10 (default: a few drawn shapes)")
parser.add_argument("--epochs", type=int, default=3, metavar="N")
options = parser.parse_known_args()[0]  # a notebook has arguments of its own
out = pathlib.Path(options.out)
out.mkdir(parents=True, exist_ok=True)

# %% [markdown]
# ## The network

# %%
print(explain.summary(models.create("cifar4"), (1, 3, 32, 32)))

# %% [markdown]
# ## The images

# %%
if options.data:
    train_set, test_set = data.CIFAR10(options.data, train=True), data.CIFAR10(options.data, train=False)
    recipe = train.recipe("cifar4", epochs=options.epochs)
else:
    train_set, test_set = data.Shapes10(train=True, size=2000), data.Shapes10(train=False, size=200)
    recipe = train.recipe("shapes10", epochs=options.epochs, batch_size=50)

# %% [markdown]
# ## The training
#
# The test images are used once, at the end. A run writes curves, a confusion matrix and the worst mistakes.

# %%
with tempfile.TemporaryDirectory() as folder:
    trainer = train.Trainer(recipe, train_set, pathlib.Path(folder) / "run", workers=0)
    trainer.fit()
    result = trainer.final_eval(test_set)
    for picture in ("curves", "confusion", "mistakes"):
        shutil.copyfile(getattr(trainer.folder, picture), out / f"11_{picture}.png")
print(
    f"{recipe.epochs} epochs on {len(train_set.labels)} images: {result['test_accuracy']:.1%} of the test images right"
)
print(dataclasses.asdict(recipe))
