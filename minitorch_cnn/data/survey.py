"""What a folder or a table of pictures holds: sizes, broken files, and which file each image comes from."""

import math
import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from minitorch_cnn import arguments
from minitorch_cnn.data import image_folder, image_table, listing
from minitorch_cnn.data.dataset import ArrayDataset
from minitorch_cnn.types import Path, Shape, Size


@dataclass(frozen=True)
class Survey:
    """Your own pictures, as `survey` has found them; ``print`` shows sizes and broken files.

    Attributes
    ----------
    train, test : ArrayDataset
        Without broken files.
    train_files, test_files : list of str
        Where each image comes from.
    smallest, largest : (str, (int, int))
        File, height and width in pixels of the pictures with the fewest and the most pixels.
    broken : list of str
        A sentence for each file that cannot be read.
    """

    train: ArrayDataset
    test: ArrayDataset
    train_files: list[str]
    test_files: list[str]
    smallest: tuple[str, Shape]
    largest: tuple[str, Shape]
    broken: list[str]

    def __str__(self) -> str:
        """Sizes and broken files as text."""
        lines = [
            f"{name}  {height} x {width}  {file}"
            for name, (file, (height, width)) in (("smallest", self.smallest), ("largest ", self.largest))
        ]
        return "\n".join([*lines, f"broken    {len(self.broken)}", *(f"          {told}" for told in self.broken)])


def survey(source: Path, image_size: Size | None = None, progress: Callable[[int, int], Any] | None = None) -> Survey:
    """Look through a folder of pictures or a table of them.

    Parameters
    ----------
    source : str or Path
        As `ImageFolder` takes it, or as `ImageTable` if it is a file.
    image_size, progress
        As for `ImageFolder`.

    Returns
    -------
    Survey

    Raises
    ------
    TypeError, ValueError, DatasetError
        As `ImageFolder` and `ImageTable`, except for broken files.
    """
    arguments.path("survey", source=source)
    place, options = pathlib.Path(source), listing.Options(image_size, skip_broken=True)
    listing.check("survey", {"source": source}, True, options, progress)
    kind, read = ("table", image_table.list_table) if place.is_file() else ("folder", image_folder.list_folder)
    found = read(place, options)
    pictures = listing.read(found, options, progress)
    (train, train_files), (test, test_files) = (listing.part(found, pictures, kind, part) for part in (True, False))
    sizes = listing.sizes(found)
    smallest, largest = (choose(sizes.items(), key=lambda item: math.prod(item[1])) for choose in (min, max))
    broken = [*found.left_out, *listing.reasons_of(found, pictures.broken)]
    return Survey(train, test, train_files, test_files, smallest, largest, broken)
