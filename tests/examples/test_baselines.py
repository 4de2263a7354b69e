"""The lecture's ladder as a program: nearest neighbours by hand, and its answers on tiny sets."""

import importlib.util
import json
import pathlib
import subprocess
import sys
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

PROGRAM = pathlib.Path(__file__).parents[2] / "examples" / "baselines.py"


@pytest.fixture(scope="module")
def baselines():
    """Return the program as a module."""
    spec = importlib.util.spec_from_file_location("baselines", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def images(seed, count, classes=3):
    """Return a set of random images of 2x2 pixels."""
    rng = np.random.default_rng(seed)
    return types.SimpleNamespace(
        images=rng.integers(0, 256, (count, 2, 2, 3), np.uint8),
        labels=rng.integers(0, classes, count),
        classes=tuple("abcdef"[:classes]),
    )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), k=st.integers(1, 9), batch=st.integers(1, 20))
def test_nearest_neighbours_are_those_of_the_definition(baselines, seed, k, batch):
    known, asked = images(seed, 20), images(seed + 1000, 13)
    right = 0
    for image, label in zip(asked.images, asked.labels, strict=True):
        distance = ((known.images / 255 - image / 255) ** 2).sum((1, 2, 3))
        nearest = np.argsort(distance, kind="stable")[:k]
        right += np.bincount(known.labels[nearest]).argmax() == label
    assert baselines.nearest_neighbours(known, asked, k=k, batch=batch) == right / 13


def test_every_image_is_its_own_nearest(baselines):
    known = images(0, 30)
    assert baselines.nearest_neighbours(known, known, k=1) == 1


@pytest.mark.parametrize("folder", ["no-such-folder", "empty"])
def test_a_folder_without_the_images_is_an_error_of_one_line(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    command = [sys.executable, PROGRAM, "--data", tmp_path / folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert "--data - " in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr


def test_the_ladder_ends_in_one_json_object(baselines, monkeypatch, capsys):
    """The two trainings stand in as numbers: they have tests of their own, and take minutes."""
    monkeypatch.setattr(
        baselines.data, "Shapes10", lambda train: types.SimpleNamespace(**vars(images(int(train), 12)), name="shapes10")
    )
    asked = []
    monkeypatch.setattr(baselines, "trained", lambda recipe, *sets, **_: asked.append((recipe, sets[-1])) or 0.5)
    monkeypatch.setattr(sys, "argv", ["baselines.py", "--data", "shapes10", "--json", "--seed", "3"])
    baselines.main()
    result = json.loads(capsys.readouterr().out)
    assert result["dataset"] == "shapes10" and result["seed"] == 3 and asked == [("mlp", 3), ("shapes10", 3)]
    assert 0 <= result["knn"] <= 1 and result["mlp"] == result["cnn"] == 0.5
