"""Which layers of a network do not learn: a user may freeze some before a training or during it, so files record it."""


def record(model):
    """Return the paths of what does not learn.

    Parameters
    ----------
    model : Module

    Returns
    -------
    dict
        "parameters": those that require no gradient; "modules": those whose batch norm keeps its running statistics.
    """
    return {
        "parameters": [path for path, parameter in model.named_parameters() if not parameter.requires_grad],
        "modules": [path for path, module in model.named_modules() if module.frozen],
    }


def restore(model, recorded, caller):
    """Let exactly the recorded parts of a model not learn.

    Parameters
    ----------
    model : Module
    recorded : dict or None
        As `record` returned it; None, of older files, changes nothing.
    caller : str
        What the message names.

    Raises
    ------
    ValueError
        If the model has no part of a recorded path. Nothing has changed then.
    """
    if recorded is None:
        return
    parts = {"parameters": dict(model.named_parameters()), "modules": dict(model.named_modules())}
    for kind, known in parts.items():
        paths = recorded.get(kind) if isinstance(recorded, dict) else None
        if not isinstance(paths, list) or not all(isinstance(path, str) and path in known for path in paths):
            raise ValueError(f"{caller}: frozen - expected a list of {kind} of the model, got {paths!r:.200}")
    for path, parameter in parts["parameters"].items():
        parameter.requires_grad = path not in recorded["parameters"]
    for path, module in parts["modules"].items():
        module.frozen = path in recorded["modules"]
