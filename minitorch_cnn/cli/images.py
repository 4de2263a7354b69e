"""Where a command gets its images: CIFAR-10, shapes10, or a folder of pictures."""

import dataclasses
import os

from minitorch_cnn.cli.errors import UsageError
from minitorch_cnn.cli.parser import hint


@dataclasses.dataclass(frozen=True)
class Source:
    """A dataset by name and folder; it is opened only when its images are needed."""

    name: str  # "cifar10", "shapes10" or "folder"
    root: str | None = None  # None is where `mcnn data get` puts CIFAR-10
    verify: bool = True
    size: tuple[int, int] | None = None  # of the pictures of a folder, height and width; None: the usual one
    skip_broken: bool = False

    def open(self, train):
        """Return the training images or the test images."""
        from minitorch_cnn import data

        if self.name == "shapes10":
            return data.Shapes10(train=train)
        if self.name == "folder":
            return data.ImageFolder(
                self.root, train, self.size, skip_broken=self.skip_broken, progress=progress_of("reading pictures")
            )
        return data.CIFAR10(self.root, train=train, verify=self.verify)

    def code(self, train):
        """Return the Python that opens them."""
        if self.name == "shapes10":
            return f"data.Shapes10(train={train})"
        if self.name == "folder":
            size = "" if self.size is None else f", image_size={self.size}"
            skip = ", skip_broken=True" if self.skip_broken else ""
            return f"data.ImageFolder({self.root!r}, train={train}{size}{skip})"
        unverified = "" if self.verify else ", verify=False"
        return f"data.CIFAR10({self.root!r}, train={train}{unverified})"


def add_source_options(parser, default="cifar10"):
    """Add --data, --skip-broken and --unverified to a command; ``default`` says which images it takes without them."""
    parser.add_argument(
        "--data",
        metavar="DATA",
        help="a folder with one folder of pictures for each class; shapes10, which the program draws; cifar10, which "
        f"`mcnn data get` has downloaded, or its folder (default: {default})",
    )
    parser.add_argument("--skip-broken", action="store_true", help="leave out pictures that cannot be read")
    parser.add_argument(
        "--unverified", action="store_true", help="accept images that are not the genuine CIFAR-10; the result says so"
    )


def source(text, unverified, size=None, skip_broken=False):
    """Return the `Source` of a --data option, or None if there was none and CIFAR-10 has not been downloaded either.

    ``size`` is a side or None, and counts for a folder of pictures alone.
    """
    from minitorch_cnn.data import DatasetError, cifar10, image_folder

    if text == "shapes10":
        return Source("shapes10")
    if text not in (None, "cifar10"):
        if not os.path.exists(text):
            near = hint(text, ("shapes10", "cifar10"))
            expected = "expected shapes10, cifar10 or a folder"
            raise UsageError(f"mcnn: --data - {expected}, got {text!r}, which does not exist{near}")
        if image_folder.has_classes(text):
            sides = None if size is None else (size, size)
            return Source("folder", os.path.abspath(text), True, sides, skip_broken)
        try:
            cifar10.find(text)
        except DatasetError as error:
            raise UsageError(
                "mcnn: --data - expected a folder with one folder of pictures for each class, or CIFAR-10, got "
                f"{text}, which is neither"
            ) from error
        return Source("cifar10", os.path.abspath(text), not unverified)
    folder = cifar10.default_folder()
    fetched = [*folder.glob("cifar-10-batches-*"), *folder.glob("cifar-10-*.tar.gz")]
    if text == "cifar10" and not fetched:
        raise UsageError(f"mcnn: download CIFAR-10 with `mcnn data get` first: it is not in {folder}")
    return Source("cifar10", None, not unverified) if fetched else None


def recorded_source(metadata, unverified=False):
    """Return the `Source` of the images that a record of a run names; None if it names images of another program."""
    name, root = metadata.get("dataset"), metadata.get("source")
    if name == "folder" and isinstance(root, str):  # the record's digest tells whether these are the same pictures
        return Source(name, root, True, tuple(metadata["input_size"]), skip_broken=True)
    if name not in ("cifar10", "shapes10") or not isinstance(root, (str, type(None))):
        return None
    return Source(name, root, bool(metadata.get("verified")) and not unverified)


def progress_of(text):
    """Return a function that shows how many of all pictures are done, as a bar on a terminal."""
    import tqdm

    bar = None

    def show(done, count):
        nonlocal bar
        bar = bar or tqdm.tqdm(total=count, desc=text, unit="pictures", leave=False, disable=None)
        bar.update(done - bar.n)
        if done == count:
            bar.close()

    return show
