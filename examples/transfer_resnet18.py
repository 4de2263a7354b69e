"""Transfer learning: what a pretrained ResNet-18 is worth on CIFAR-10, at the same number of epochs.

    python examples/transfer_resnet18.py --weights resnet18.pth --image-size 64 --data ~/data/cifar-10-batches-bin
    python examples/transfer_resnet18.py --data shapes10 --epochs 1 --only head

scratch   the same network with random weights: all it knows, it learns here
head      the pretrained layers stay as they are, and run once over all images; the new last layer learns
fine      the new last layer learns, and all others continue to learn, more slowly

Each run has a folder under --run, so that a stopped one continues from there. Without --weights
torchvision's file for ImageNet is fetched, and images of 224 pixels are what it wants. Each looks at the
test images once. Progress goes to standard error, the table to standard output.
"""

import argparse
import os
import pathlib
import sys

from minitorch_cnn import data, models, train

RUNS = ("scratch", "head", "fine")


def start(kind, options, train_set, folder):
    """Return the trainer of one of the three runs."""
    recipe = train.recipe("transfer", epochs=options.epochs, image_size=options.image_size)
    source = models.load_pretrained("resnet18", options.weights)
    if kind == "scratch":
        size = options.image_size or source.image_size
        recipe = train.recipe("transfer", epochs=options.epochs, image_size=size, backbone_lr_scale=1.0)
        return train.Trainer(recipe, train_set, folder, seed=options.seed)
    if kind == "head":
        frozen = {"freeze_until": "layer4", "cache_features": True, "crop_padding": 0, "flip": False}
        recipe = train.recipe("transfer", epochs=options.epochs, image_size=options.image_size, **frozen)
    return train.transfer(recipe, source, train_set, folder, seed=options.seed)


def result(kind, options, train_set, test_set):
    """Run to the end, or continue a stopped run, or read a finished one; return ``result.json``."""
    folder = pathlib.Path(options.run) / kind
    if (done := train.RunFolder(folder).read_result()) is not None:
        return done
    trainer = train.Trainer.resume(folder, train_set) if folder.exists() else start(kind, options, train_set, folder)
    if not trainer.fit():
        sys.exit(130)  # Ctrl-C
    return trainer.final_eval(test_set)


def main():
    """Run what --only leaves, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="shapes10|DIR", help="shapes10, or the folder of CIFAR-10")
    parser.add_argument("--weights", metavar="FILE", help="of torch.save (default: torchvision's, fetched once)")
    parser.add_argument("--image-size", type=int, metavar="S", help="pixels (default: what it was pretrained at)")
    parser.add_argument("--epochs", type=int, default=8, metavar="N")
    parser.add_argument("--only", choices=RUNS, help="one of the three runs")
    parser.add_argument("--run", default=os.path.join("runs", "transfer_resnet18"), metavar="DIR")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    options = parser.parse_args()
    if options.data == "shapes10":
        sets = data.Shapes10(train=True), data.Shapes10(train=False)
    elif not os.path.exists(options.data):
        parser.error(f"--data - expected shapes10 or a folder, got {options.data!r}, which does not exist")
    else:
        sets = data.CIFAR10(options.data, train=True), data.CIFAR10(options.data, train=False)
    print("run       epochs   minutes   test accuracy")
    for kind in RUNS if options.only is None else (options.only,):
        row = result(kind, options, *sets)
        print(f"{kind:<8} {row['epochs']:>7} {row['seconds'] / 60:>9.1f} {row['test_accuracy']:>15.2%}", flush=True)


if __name__ == "__main__":
    main()
