"""What every result of this room can do with its drawing."""

from minitorch_cnn.display import figures


class Picture:
    """A result that has a ``figure()``: it can be saved, and a notebook shows it."""

    def figure(self):
        """Return the drawing as a matplotlib Figure; every subclass writes its own."""
        raise NotImplementedError(f"{type(self).__name__}: figure - expected a method, got none; write one")

    def save(self, path):
        """Write the drawing to a .png or .svg file; ValueError if the name ends otherwise."""
        figures.save(self.figure(), path)

    def _repr_png_(self):
        return figures.encoded(self.figure(), "png")
