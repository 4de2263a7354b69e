"""Where a command gets its images: a dataset that can be downloaded, shapes10, or pictures of the user."""

import dataclasses
import os
import pathlib
import sys

from minitorch_cnn.cli.errors import UsageError
from minitorch_cnn.hints import hint
from minitorch_cnn.io.streams import bar_width

DOWNLOADS = ("cifar10", "cifar100", "mnist", "fashion_mnist")  # what `mcnn data get` gets
_OWN = {"folder": "ImageFolder", "table": "ImageTable"}  # datasets of the user's pictures, and what reads them


@dataclasses.dataclass(frozen=True)
class Source:
    """A dataset by name and folder; it is opened only when its images are needed."""

    name: str  # one of DOWNLOADS, "shapes10", "folder" or "table"
    root: str | None = None  # None is where `mcnn data get` puts a dataset
    verify: bool = True
    size: tuple[int, int] | None = None  # of the user's pictures, height and width; None: the usual one
    skip_broken: bool = False

    @property
    def is_own(self):
        """Whether these are pictures of the user."""
        return self.name in _OWN

    @property
    def changes(self):
        """What a recipe has to change for these images."""
        from minitorch_cnn.data.downloads import OFFICIAL

        mirrored = self.name not in OFFICIAL or OFFICIAL[self.name].may_mirror
        return {} if mirrored else {"flip": False}

    def open(self, train):
        """Return the training images or the test images."""
        from minitorch_cnn import data

        if self.name == "shapes10":
            return data.Shapes10(train=train)
        read = getattr(data, self._function)
        if self.is_own:
            progress = progress_of("reading pictures")
            return read(self.root, train, self.size, skip_broken=self.skip_broken, progress=progress)
        return read(self.root, train=train, verify=self.verify)

    def listing(self):
        """Return the `Listing` of the user's pictures."""
        from minitorch_cnn.data import image_folder, image_table, listing

        read = {"folder": image_folder.list_folder, "table": image_table.list_table}[self.name]
        return read(pathlib.Path(self.root), listing.Options(self.size, skip_broken=self.skip_broken))

    @property
    def _function(self):
        """What reads a dataset of `mcnn data get`, or the user's pictures."""
        from minitorch_cnn.data.downloads import OFFICIAL

        return _OWN[self.name] if self.is_own else OFFICIAL[self.name].function

    def code(self, train):
        """Return the Python that opens them."""
        if self.name == "shapes10":
            return f"data.Shapes10(train={train})"
        if self.is_own:
            size = "" if self.size is None else f", image_size={self.size}"
            skip = ", skip_broken=True" if self.skip_broken else ""
            return f"data.{self._function}({self.root!r}, train={train}{size}{skip})"
        unverified = "" if self.verify else ", verify=False"
        return f"data.{self._function}({self.root!r}, train={train}{unverified})"


def add_source_options(parser, default="cifar10"):
    """Add --data, --skip-broken and --unverified to a command; ``default`` says which images it takes without them."""
    parser.add_argument(
        "--data",
        metavar="DATA",
        help="a folder with one folder of pictures for each class; a CSV file with the columns path and label; "
        f"shapes10, which the program draws; {', '.join(DOWNLOADS)}, which `mcnn data get` has downloaded, or the "
        f"folder of one (default: {default})",
    )
    parser.add_argument("--skip-broken", action="store_true", help="leave out pictures that cannot be read")
    parser.add_argument(
        "--unverified",
        action="store_true",
        help="accept images that are not the genuine ones; the result says so. For `mcnn eval`: or pictures of your "
        "own that have changed since the training",
    )


def source(text, unverified, size=None, skip_broken=False):
    """Return the `Source` of a --data option, or None if there was none and CIFAR-10 has not been downloaded either.

    ``size`` is a side or None, and counts for the user's pictures alone.
    """
    from minitorch_cnn.data import downloads, official

    if text == "shapes10":
        return Source("shapes10")
    if text is not None and text not in DOWNLOADS:
        return _of_path(text, unverified, size, skip_broken)
    files, folder = downloads.OFFICIAL[text or "cifar10"], official.default_folder()
    if files.is_in(folder):
        return Source(files.name, None, not unverified)
    if text is None:
        return None
    here = f"; the folder {text} here is --data ./{text}" if os.path.isdir(text) else ""
    raise UsageError(f"mcnn: download {files.title} with `{files.command}` first: it is not in {folder}{here}")


def _of_path(text, unverified, size, skip_broken):
    """Return the `Source` of a file or folder."""
    from minitorch_cnn.data import downloads, image_folder, image_table

    if not os.path.exists(text):
        near = hint(text, ("shapes10", *DOWNLOADS))
        expected = f"expected shapes10, {', '.join(DOWNLOADS)}, a folder or a CSV file"
        raise UsageError(f"mcnn: --data - {expected}, got {text!r}, which does not exist{near}")
    is_table = os.path.isfile(text) and text.lower().endswith(image_table.ENDS)
    if is_table or image_folder.has_classes(text):
        sides = None if size is None else (size, size)
        return Source("table" if is_table else "folder", os.path.abspath(text), True, sides, skip_broken)
    if found := downloads.recognised(text):
        return Source(found.name, os.path.abspath(text), not unverified)
    raise UsageError(
        "mcnn: --data - expected a folder with one folder of pictures for each class, a CSV file, or CIFAR-10, "
        f"CIFAR-100, MNIST or Fashion-MNIST, got {text}, which is something else{image_folder.what_else(text)}"
    )


def recorded_source(metadata, unverified=False):
    """Return the `Source` of the images that a record of a run names; None if it names images of another program."""
    name, root = metadata.get("dataset"), metadata.get("source")
    kind = str(name).partition(" ")[0]  # of "folder pets"
    if kind in _OWN and isinstance(root, str):  # the record's digest tells whether these are the same pictures
        return Source(kind, root, True, tuple(metadata["input_size"]), skip_broken=True)
    if name not in (*DOWNLOADS, "shapes10") or not isinstance(root, (str, type(None))):
        return None
    return Source(name, root, bool(metadata.get("verified")) and not unverified)


def progress_of(text):
    """Return a function that shows how many of all pictures are done, as a bar on a terminal."""
    import tqdm

    bar = None

    def show(done, count):
        nonlocal bar
        options = {"unit": "pictures", "leave": False, "disable": None, **bar_width(sys.stderr)}
        bar = bar or tqdm.tqdm(total=count, desc=text, **options)
        bar.update(done - bar.n)
        if done == count:
            bar.close()

    return show
