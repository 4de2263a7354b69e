"""The weights of a run at several times of its training, oldest first, for films."""

from minitorch_cnn import weights


def saved_states(folder):
    """Find the files of a run that hold weights.

    Parameters
    ----------
    folder : pathlib.Path
        Of a run.

    Returns
    -------
    list of (str, pathlib.Path, str)
        A title, the file, and the prefix of the names in it: of each epoch if the run kept them
        (``Trainer(save_epochs=True)``), else of each checkpoint and of the finished model.
    """
    if epochs := sorted(folder.glob("epoch-*.safetensors")):
        return [(f"epoch {int(path.stem.partition('-')[2])}", path, "") for path in epochs]
    steps = sorted(folder.glob("checkpoint-*.safetensors"))
    found = [(f"step {int(path.stem.partition('-')[2])}", path, "model/") for path in steps]
    finished = folder / "model.safetensors"
    return [*found, ("finished", finished, "")] if finished.exists() else found


def load_state(path, prefix):
    """Return the arrays of a model by name."""
    arrays = weights.load(path)[0]
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
