"""The error of a lecture's sources."""


class LectureError(ValueError):
    """A mistake in the text of a lecture; the message begins with file and line."""

    def __init__(self, place, problem):
        super().__init__(f"{place}: {problem}")
