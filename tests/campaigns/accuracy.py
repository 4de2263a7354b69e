"""The recipe cifar4 on both sides: our trainer, and PyTorch's layers, loss, optimiser and schedule on the same batches.

    CIFAR10=DIR python tests/campaigns/accuracy.py --full     # an hour on four cores; interrupted, it continues

Each run has its own process and begins from its side's own random weights. What was reached stays in
``accuracy.json`` here, one line for each side and seed; remove it to begin anew. The test images are looked at
once, after the last step. The short form trains four steps on drawn images: it
shows that both sides run, and no more.
"""

import io
import json
import os
import pathlib
import statistics
import tempfile

import harness

from minitorch_cnn import data, train

BELOW = 0.8  # points


def image_sets(full):
    """Return the images to learn from and those to be judged by."""
    if full:
        return [data.CIFAR10(os.environ["CIFAR10"], train=part, verify=False) for part in (True, False)]
    return data.Shapes10(train=True, size=64), data.Shapes10(train=False, size=64)


def ours(recipe, seed, images, judged):
    """Train with `train.Trainer`; return the share of the test images that is right."""
    with tempfile.TemporaryDirectory() as folder:
        options = {"seed": seed, "holdout": 0, "reporter": train.Reporter(io.StringIO())}
        trainer = train.Trainer(recipe, images, f"{folder}/run", save_every=1e9, **options)
        trainer.fit()
        return trainer.classifier.evaluate(judged).accuracy


def theirs(recipe, seed, images, judged):
    """Train with PyTorch alone, on the batches of our loader; return the same."""
    import torch

    from benchmarks._peers import torch_cifar4
    from minitorch_cnn.train import setup

    torch.manual_seed(seed)
    options = {"batch_size": recipe.batch_size, "num_workers": recipe.workers, "seed": seed}
    changes = {"shuffle": True, "drop_last": True, "transforms": setup.augmentation(recipe)}
    model = torch_cifar4(torch).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.peak_lr, weight_decay=recipe.weight_decay)
    with data.DataLoader(images, **options, **changes) as loader:
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            *(optimizer, recipe.peak_lr, recipe.epochs * len(loader)),
            pct_start=recipe.warmup_fraction,
            cycle_momentum=False,
        )
        for epoch in range(recipe.epochs):
            loader.set_epoch(epoch)
            for batch, labels in loader:
                logits, labels = model(torch.from_numpy(batch.data)), torch.from_numpy(labels)
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing).backward()
                optimizer.step()
                schedule.step()
    model.eval()
    with torch.no_grad(), data.DataLoader(judged, 500) as loader:
        right = sum((model(torch.from_numpy(x.data)).argmax(1).numpy() == labels).sum() for x, labels in loader)
    return int(right) / len(judged.labels)


def run(side, seed, full):
    """Train one side with one seed."""
    recipe = train.recipe("cifar4", **({} if full else {"epochs": 1, "workers": 0, "batch_size": 16}))
    return side(recipe, seed, *image_sets(full))


def compare(length):
    """Bar 27: the means of the seeds."""
    if length.full and "CIFAR10" not in os.environ:
        return "expected the folder of CIFAR-10 in CIFAR10", False
    seeds, name = range(length(1, 3)), "accuracy.json"
    with tempfile.TemporaryDirectory() as scratch:
        path = pathlib.Path(name if length.full else f"{scratch}/{name}")
        reached = json.loads(path.read_text()) if path.exists() else {}
        for seed in seeds:
            for side in (ours, theirs):
                key = f"{side.__name__} {seed}"
                if key not in reached:
                    how, reached[key] = harness.Forked(run, side, seed, length.full).wait()
                    if how != "exit 0":
                        return f"{key}: {how}", False
                    path.write_text(json.dumps(reached, indent=1) + "\n")
    told = {side: [100 * reached[f"{side} {seed}"] for seed in seeds] for side in ("ours", "theirs")}
    means = {side: statistics.mean(values) for side, values in told.items()}
    figure = "; ".join(
        f"{side}: {', '.join(f'{value:.2f}' for value in values)}, mean {means[side]:.2f} %"
        for side, values in told.items()
    )
    return figure, not length.full or means["ours"] >= means["theirs"] - BELOW


if __name__ == "__main__":
    harness.main(__doc__, {"27 accuracy": compare})
