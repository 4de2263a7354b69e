"""What takes long or asks the network is left out, so that commands can be tried by the ten thousand."""

import contextlib
import dataclasses
import functools
import io
import itertools
import sys

from PIL import Image

from minitorch_cnn import data, explain, train
from minitorch_cnn.cli import doctor, ladder, race
from minitorch_cnn.diagnose import measure
from minitorch_cnn.display import figures
from minitorch_cnn.explain.lecture import chapters
from minitorch_cnn.testing import mutants
from minitorch_cnn.train import setup
from tests.campaigns import bad_inputs


@contextlib.contextmanager
def tiny_work():
    """Leave out what takes long or asks the network; the command line up to there stays what it is."""

    def no_measurement(*arguments, **options):
        raise ValueError("leave it out: no measurements in this campaign")

    def no_download(*arguments, **options):
        raise OSError("repeat with a network: there is none in this campaign")

    def no_results(notebook, source, folder):
        pass  # a process of Jupyter for each try would take hours

    @functools.cache
    def shapes(train=True, size=None, draw=data.Shapes10):
        return draw(train=train, size=16)

    def without_workers(recipe, images, ranks, workers, seed, batches=setup.batches):
        batches(recipe, images, ranks, workers, seed)  # refuses what cannot be
        return batches(recipe, images, ranks, 0, seed)

    drawings, buffer = itertools.count(), io.BytesIO()
    Image.new("RGB", (300, 300)).save(buffer, "PNG")

    def seldom_drawn(figure, kind, encoded=figures.encoded):
        return encoded(figure, kind) if next(drawings) % 20 == 0 else buffer.getvalue()

    replaced = [
        (train.Trainer, "step", bad_inputs.stop_after_two_steps(train.Trainer.step)),
        (setup, "batches", without_workers),
        (sys.modules["minitorch_cnn.io.files"], "download", no_download),
        (doctor, "_report", lambda: None),
        (mutants, "select", lambda family=None: []),
        (mutants, "trial", lambda family=None: []),
        (explain, "gradient_norms", no_measurement),
        (explain, "shift_sensitivity", no_measurement),
        (chapters, "_run", no_results),
        (ladder, "run", lambda arguments: print("{}")),
        (measure, "peak_gflops", lambda: 100.0),
        (
            sys.modules["minitorch_cnn.cli.main"],
            "all_commands",
            functools.cache(sys.modules["minitorch_cnn.cli.main"].all_commands),
        ),
        (figures, "encoded", seldom_drawn),
        (race, "_SECONDS", 0),
        (race, "_LOOP_PRODUCTS", 3000),
        (race, "_SIZES", {"batch": 2, "channels": 3, "filters": 4, "size": 6, "kernel": 3, "stride": 1}),
        (data, "Shapes10", shapes),
    ]
    kept = [(owner, name, getattr(owner, name)) for owner, name, _ in replaced]
    recipes = dict(train.RECIPES)
    for owner, name, value in replaced:
        setattr(owner, name, value)
    for name, recipe in recipes.items():
        train.RECIPES[name] = dataclasses.replace(recipe, batch_size=8)
    try:
        yield
    finally:
        train.RECIPES.update(recipes)
        for owner, name, value in kept:
            setattr(owner, name, value)
