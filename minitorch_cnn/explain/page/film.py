"""A training as a film for a page: the weights of several epochs, rounded so that they fit."""

import copy
import json
import pathlib

import numpy as np

from minitorch_cnn.autograd import no_grad
from minitorch_cnn.explain.features.epochs import load_state, saved_states
from minitorch_cnn.explain.page.description import describe
from minitorch_cnn.explain.page.packing import encoded, packed, rounded_bits
from minitorch_cnn.nn.tracing import evaluating
from minitorch_cnn.tensor import Tensor

MOST_FRAMES = 24
LARGE = 100_000  # elements of an array beyond which each gets 4 bits instead of 8


def film_content(folder, model, x, room):
    """Describe a training for a page.

    Parameters
    ----------
    folder : str or Path
        Of the run that trained the model.
    model : Module
        Its network; left as it is.
    x : float32 ndarray, shape (N, C, H, W)
        The examples of the page, of which it gets what the kernels compute in each frame.
    room : int
        Bytes that the frames may have together.

    Returns
    -------
    dict
        "bits" of each constant of the page, and "frames", oldest first, each with "title", "accuracy" or None,
        "outputs" and "weights". Where not all fit, frames are left out at equal distances.

    Raises
    ------
    ValueError
        If the folder has no weights of the network from before its end, or one frame does not fit.
    """
    folder, model = pathlib.Path(folder), copy.deepcopy(model)
    states = [state for state in saved_states(folder) if state[0] != "finished"]
    if not states:
        expected = "the folder of a run with weights of several epochs (train with --save-epochs)"
        raise ValueError(f"explore: run - expected {expected}, got {str(folder)!r}")
    accuracies, shape = _accuracies(folder), (1, *x.shape[1:])
    constants = describe(model, shape).constants
    bits = [bits_of(array) for array in constants]
    size = len(encoded(packed(constants, bits)))
    count = min(len(states), MOST_FRAMES, room // size)
    if count < 1:
        raise ValueError(f"explore: run - expected weights of at most {room:,} bytes for a frame, got {size:,}")
    frames = []
    for index in np.linspace(0, len(states) - 1, count).round().astype(int) if count > 1 else [0]:
        title, path, prefix = states[index]
        model.load_state_dict(load_state(path, prefix))
        weights = encoded(packed(describe(model, shape).constants, bits))
        with evaluating(model), no_grad():
            outputs = model(Tensor(x)).data.tolist()
        frame = {"title": title, "accuracy": accuracies.get(title), "outputs": outputs}
        frames.append(frame | {"weights": weights})
    return {"bits": bits, "frames": frames}


def _accuracies(folder):
    """Return from "epoch 3" to a sentence about it, for every epoch that the run has recorded."""
    found, path = {}, folder / "run.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        record = json.loads(line)
        held_out = "holdout_accuracy" in record
        value, of = (record["holdout_accuracy"], "held-out") if held_out else (record["train_accuracy"], "training")
        found[f"epoch {record['epoch']}"] = f"{value:.1%} of the {of} images right"
    return found


def bits_of(array):
    """Return how many bits an element of an array gets in a film."""
    return rounded_bits(array, 8 if array.size <= LARGE else 4)
