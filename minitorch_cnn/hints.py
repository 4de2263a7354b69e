"""What a misspelt name was probably meant to be; imports no NumPy, since the command line starts with it."""

import difflib


def hint(name, known, cutoff=0.5):
    """Return "; did you mean ...?" for the nearest of the known names, or nothing if none is near.

    Parameters
    ----------
    name : object
        What was given; there are no hints for what is not a string.
    known : iterable
        Those that are strings count.
    cutoff : float
        Share of characters, 0 to 1, that two names need to have in common.
    """
    names = [choice for choice in known if isinstance(choice, str)] if isinstance(name, str) else []
    near = difflib.get_close_matches(name, names, n=1, cutoff=cutoff) if names else []
    return f"; did you mean {near[0]!r}?" if near else ""
