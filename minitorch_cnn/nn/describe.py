"""The text of a module: its tree, its constructor arguments, and its parameter counts."""

import inspect

import numpy as np

from minitorch_cnn.autograd import Variable


def tree(module):
    """Return the tree of a module, one line per module, with the number of parameters on the right.

    Parameters
    ----------
    module : Module

    Returns
    -------
    str
        Parameters shared by several modules are counted in each of them, and once in the total.
    """
    rows = _rows(module, "", 0)
    width = max(len(text) for text, _ in rows)
    digits = len(f"{rows[0][1]:,}")
    lines = [f"{text:<{width}}  {count:>{digits},}" if count else text for text, count in rows]
    return "\n".join([lines[0] + (" parameters" if rows[0][1] else ""), *lines[1:]])


def _rows(module, name, depth):
    """Return (text, number of parameters) of a module and of all modules inside it."""
    arguments = ", ".join(_arguments(module))
    label = "  " * depth + (f"{name}: " if name else "") + f"{type(module).__name__}({arguments})"
    count = sum(parameter.data.size for parameter in module.parameters())
    rows = [(label + (" [frozen]" if module.frozen else ""), count)]
    for child_name, child in module.named_children():
        rows += _rows(child, child_name, depth + 1)
    return rows


def _arguments(module):
    """Yield the constructor's arguments as they were typed, if they were kept as attributes.

    Defaults are left out; so are modules and arrays, which the tree shows.
    """
    kept = vars(module)
    for name, argument in inspect.signature(type(module)).parameters.items():
        if name not in kept:
            continue
        value = kept[name]
        if name == "bias":  # the argument says whether there is one, the attribute is the parameter
            value = value is not None or kept.get("weight", 0) is None  # without a weight, affine=False says it
        if isinstance(value, (Variable, np.ndarray)) or hasattr(value, "named_children") or value is argument.default:
            continue
        if argument.default is argument.empty:
            yield repr(value)
        elif value != argument.default:
            yield f"{name}={value!r}"
