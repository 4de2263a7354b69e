"""`mcnn data`, and where the other commands find their images."""

import dataclasses
import os.path
import sys

from minitorch_cnn.cli.parser import Parser, UsageError, set_command


@dataclasses.dataclass(frozen=True)
class Source:
    """A dataset by name and place; opened only when its images are needed."""

    name: str  # "cifar10" or "shapes10"
    root: str | None = None  # of CIFAR-10; None is where `mcnn data get` puts it
    verify: bool = True

    def open(self, train):
        """Return the training images or the test images."""
        from minitorch_cnn import data

        if self.name == "shapes10":
            return data.Shapes10(train=train)
        return data.CIFAR10(self.root, train=train, verify=self.verify)

    def code(self, train):
        """Return the Python that opens them."""
        if self.name == "shapes10":
            return f"data.Shapes10(train={train})"
        unverified = "" if self.verify else ", verify=False"
        return f"data.CIFAR10({self.root!r}, train={train}{unverified})"


def add_source_options(parser):
    """Add --data and --unverified to a command."""
    parser.add_argument(
        "--data",
        metavar="shapes10|DIR",
        help="shapes10, which is drawn on the spot, or the folder of CIFAR-10: cifar-10-batches-bin, or the one "
        "around it (default: what `mcnn data get` fetched)",
    )
    parser.add_argument(
        "--unverified", action="store_true", help="take images that are not those of CIFAR-10; the record says so"
    )


def source(text, unverified):
    """Return the `Source` of a --data option, or None if there was none and CIFAR-10 was not fetched either."""
    from minitorch_cnn.data import cifar10

    if text == "shapes10":
        return Source("shapes10")
    if text is not None:
        if not os.path.exists(text):
            raise UsageError(f"mcnn: --data - expected shapes10 or a folder, got {text!r}, which does not exist")
        return Source("cifar10", os.path.abspath(text), not unverified)
    folder = cifar10.default_folder()
    fetched = [*folder.glob("cifar-10-batches-*"), *folder.glob("cifar-10-*.tar.gz")]
    return Source("cifar10", None, not unverified) if fetched else None


# ------------------------------------------------------------------------------------ mcnn data


def add_commands(commands):
    """Add ``mcnn data get`` and ``mcnn data check``."""
    examples = ("mcnn data get --help", "mcnn data check --help")
    about = "Fetch CIFAR-10, or check a copy of it."
    family = commands.add_parser("data", help="fetch or check CIFAR-10", description=about, examples=examples)
    actions = family.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=Parser)

    get = actions.add_parser(
        "get",
        help="fetch CIFAR-10 (170 MB)",
        description="Fetch CIFAR-10 from its official address, or import a copy, and check every image.",
        examples=("mcnn data get", "mcnn data get --from ~/Downloads/cifar-10-binary.tar.gz"),
    )
    get.add_argument("--from", dest="source", metavar="FILE", help="an archive or folder that is here already")
    get.add_argument("--to", metavar="DIR", help="where to put it (default: in MCNN_HOME)")
    set_command(get, _get, _get_code)

    check = actions.add_parser(
        "check",
        help="check a copy of CIFAR-10",
        description="Check files, labels, class counts and the digest of all images.",
        examples=("mcnn data check", "mcnn data check ~/data/cifar-10-batches-bin"),
    )
    check.add_argument("folder", nargs="?", metavar="DIR", help="default: what `mcnn data get` fetched")
    set_command(check, _check, _check_code)


def _get(arguments):
    from minitorch_cnn import data
    from minitorch_cnn.cli.download_bar import DownloadBar

    with DownloadBar("CIFAR-10", sys.stderr) as bar:
        print(data.fetch(arguments.source, arguments.to, progress=bar.show))


def _get_code(arguments):
    return f"from minitorch_cnn import data\n\nprint(data.fetch({arguments.source!r}, {arguments.to!r}))\n"


def _check(arguments):
    from minitorch_cnn import data

    for train in (True, False):
        dataset = data.CIFAR10(arguments.folder, train=train)
        print(f"{'train' if train else 'test'}: {len(dataset.labels):,} genuine images, digest {dataset.digest}")


def _check_code(arguments):
    return (
        "from minitorch_cnn import data\n\n"
        "for train in (True, False):\n"
        f"    dataset = data.CIFAR10({arguments.folder!r}, train=train)\n"
        "    print(len(dataset.labels), dataset.digest)\n"
    )
