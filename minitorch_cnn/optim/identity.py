"""What a saved state says about the object whose it is: its class, and the numbers that this was made with."""

from typing import Any

import numpy as np

from minitorch_cnn import arguments as _check


def identity(kind: str, owner: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the entries "kind" and, of an object with such numbers, "chosen" of a state.

    Parameters
    ----------
    kind : str
        Of the object, such as its class.
    owner : object
    names : tuple of str
        Its attributes that say how it was made; lists and numbers, which JSON can hold.
    """
    chosen = {name: _plain(getattr(owner, name)) for name in names}
    return {"kind": kind, "chosen": chosen} if names else {"kind": kind}


def refuse_other(caller: str, saved: dict[str, Any], own: dict[str, Any]) -> None:
    """Raise ValueError if a state is that of another class, or of an object that was made with other numbers.

    Parameters
    ----------
    caller : str
        What the message names.
    saved : dict
        The state. What it lacks, as those of older versions do, is not compared.
    own : dict
        What `identity` returns for the object that is to continue from it.
    """
    if (kind := saved.get("kind", own["kind"])) != own["kind"]:
        expected = f"expected the state of {own['kind']}, got that of {kind}"
        raise ValueError(f"{caller}: saved - {expected}, which has options of its own")
    chosen = saved.get("chosen", {})
    _check.instance(f"{caller}: saved", dict, chosen=chosen)
    for name, value in own.get("chosen", {}).items():
        if (got := _plain(chosen.get(name, value))) != value:
            raise ValueError(
                f"{caller}: saved - expected the state of one with {name}={value!r:.80}, got that of one with "
                f"{got!r:.80}; make it with the numbers that it was saved with"
            )


def _plain(value):
    """Return a value with lists in place of tuples, and Python's numbers in place of NumPy's."""
    if isinstance(value, (list, tuple)):
        return list(map(_plain, value))
    return value.item() if isinstance(value, np.generic) else value
