"""The ladder of the lecture: compare pixels, learn templates, learn local patterns.

    python examples/baselines.py --data shapes10
    python examples/baselines.py --data ~/data/cifar-10-batches-bin --json

knn   the commonest label among the 7 training images nearest in pixels; nothing is learnt
mlp   a multi-layer perceptron: learns weights, but does not know that neighbouring pixels belong together
cnn   four convolutional layers: the same small patterns are looked for everywhere

Each looks at the test images once. Progress goes to standard error, the accuracies to standard output.
"""

import argparse
import json
import os
import sys
import tempfile
import time

import numpy as np

from minitorch_cnn import data, train

NEIGHBOURS = 7
CNN_RECIPE = {"shapes10": "shapes10", "cifar10": "cifar4_fast"}


def nearest_neighbours(train_set, test_set, k=NEIGHBOURS, batch=500):
    """Classify by a vote of the k nearest training images.

    The squared distance |a - b|^2 = |a|^2 - 2 a.b + |b|^2 of all pairs is mostly one matrix product;
    |a|^2 is the same for all neighbours of a and left out.

    Parameters
    ----------
    train_set, test_set : dataset
        With ``images``, uint8 (N, H, W, C), and ``labels``, int64 (N,).
    k : int, 1 .. training images
    batch : int
        Test images at a time; bounds the memory of the distances.

    Returns
    -------
    float
        Accuracy, 0 to 1. Of equally common labels the smallest wins.
    """
    known = train_set.images.reshape(len(train_set.labels), -1).astype(np.float32) / 255
    squares = np.einsum("ij,ij->i", known, known)
    right = 0
    for start in range(0, len(test_set.labels), batch):
        asked = test_set.images[start : start + batch].reshape(-1, known.shape[1]).astype(np.float32) / 255
        distances = squares - 2 * (asked @ known.T)
        nearest = np.argpartition(distances, k - 1, axis=1)[:, :k]
        votes = np.apply_along_axis(np.bincount, 1, train_set.labels[nearest], minlength=len(train_set.classes))
        right += int(np.count_nonzero(votes.argmax(axis=1) == test_set.labels[start : start + batch]))
    return right / len(test_set.labels)


def trained(recipe, train_set, test_set, seed):
    """Train a network by a recipe and return its accuracy on the test images, 0 to 1."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = train.Trainer(train.recipe(recipe), train_set, folder, seed=seed, workers=0)
        if not trainer.fit():
            sys.exit(130)  # Ctrl-C
        return trainer.final_eval(test_set)["test_accuracy"]


def main():
    """Run the three and print their accuracies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="shapes10|DIR", help="shapes10, or the folder of CIFAR-10")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and augmentation")
    parser.add_argument("--unverified", action="store_true", help="take images that are not those of CIFAR-10")
    options = parser.parse_args()
    if options.data == "shapes10":
        train_set, test_set = data.Shapes10(train=True), data.Shapes10(train=False)
    elif not os.path.exists(options.data):
        parser.error(f"--data - expected shapes10 or a folder, got {options.data!r}, which does not exist")
    else:
        try:
            sets = [data.CIFAR10(options.data, train=part, verify=not options.unverified) for part in (True, False)]
        except data.DatasetError as error:
            parser.error(f"--data - {error}")
        train_set, test_set = sets

    methods = {
        "knn": lambda: nearest_neighbours(train_set, test_set),
        "mlp": lambda: trained("mlp", train_set, test_set, options.seed),
        "cnn": lambda: trained(CNN_RECIPE[train_set.name], train_set, test_set, options.seed),
    }
    accuracies = {}
    for name, method in methods.items():
        start = time.perf_counter()
        accuracies[name] = method()
        if not options.json:
            print(f"{name}  {accuracies[name]:6.2%}  {time.perf_counter() - start:5.0f} s", flush=True)
    if options.json:
        print(json.dumps({"dataset": train_set.name, "seed": options.seed, **accuracies}))


if __name__ == "__main__":
    main()
