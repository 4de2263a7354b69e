"""The error of a lecture's sources."""

import difflib


class LectureError(ValueError):
    """A mistake in the text of a lecture; the message begins with file and line."""

    def __init__(self, place, problem):
        super().__init__(f"{place}: {problem}")


def hint(name, known):
    """Return "; did you mean ...?" for the nearest of the known names, or nothing if none is near."""
    near = difflib.get_close_matches(name, known, n=1) if isinstance(name, str) else []
    return f"; did you mean {near[0]!r}?" if near else ""
