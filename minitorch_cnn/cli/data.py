"""`mcnn data`: download a dataset, check a copy of one, or look at images."""

from minitorch_cnn.cli.images import DOWNLOADS
from minitorch_cnn.cli.options import run_code
from minitorch_cnn.cli.parser import Parser, set_command


def add_commands(commands):
    """Add ``mcnn data get`` and ``mcnn data check``."""
    examples = ("mcnn data get --help", "mcnn data check --help")
    about = "Download CIFAR-10, CIFAR-100, MNIST or Fashion-MNIST, or check a copy of one."
    family = commands.add_parser("data", help="download or check a dataset", description=about, examples=examples)
    actions = family.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=Parser)

    get = actions.add_parser(
        "get",
        help="download a dataset: CIFAR-10 (170 MB), CIFAR-100 (169 MB), MNIST (12 MB), Fashion-MNIST (31 MB)",
        description="Download a dataset from its official address, or import a copy, and check every image.",
        examples=(
            "mcnn data get",
            "mcnn data get mnist",
            "mcnn data get --from ~/Downloads/cifar-10-binary.tar.gz",
        ),
    )
    get.add_argument(
        "name",
        nargs="?",
        choices=DOWNLOADS,
        default="cifar10",
        metavar="NAME",
        help=f"{', '.join(DOWNLOADS)} (default: cifar10)",
    )
    get.add_argument(
        "--from", dest="source", metavar="FILE", help="an archive or folder that is on this computer already"
    )
    get.add_argument(
        "--to", metavar="DIR", help="the folder to put it in (default: data/ in MCNN_HOME or the user's cache)"
    )
    set_command(get, _get, _get_code)

    check = actions.add_parser(
        "check",
        help="check a copy of a dataset",
        description="Check files, labels, class counts and the digest of all images.",
        examples=("mcnn data check", "mcnn data check mnist", "mcnn data check ~/data/cifar-10-batches-bin"),
    )
    check.add_argument(
        "folder", nargs="?", metavar="DATA", help=f"{', '.join(DOWNLOADS)}, or its folder (default: cifar10)"
    )
    set_command(check, run_code, _check_code)


def _get(arguments):
    from minitorch_cnn import data
    from minitorch_cnn.cli.download_bar import DownloadBar
    from minitorch_cnn.data.downloads import OFFICIAL

    with DownloadBar(OFFICIAL[arguments.name].title) as bar:
        print(data.fetch(arguments.source, arguments.to, progress=bar.show, dataset=arguments.name))


def _get_code(arguments):
    dataset = "" if arguments.name == "cifar10" else f", dataset={arguments.name!r}"
    return f"from minitorch_cnn import data\n\nprint(data.fetch({arguments.source!r}, {arguments.to!r}{dataset}))\n"


def _check_code(arguments):
    from minitorch_cnn.data import downloads

    root, name = arguments.folder, "cifar10"
    if root in DOWNLOADS:
        root, name = None, root
    elif root is not None and (found := downloads.recognised(root)):
        name = found.name
    function = downloads.OFFICIAL[name].function
    return (
        "from minitorch_cnn import data\n\n"
        'for part in ("train", "test"):\n'
        f"    dataset = data.{function}({root!r}, train=part == 'train')\n"
        '    print(f"{part}: {len(dataset.labels):,} genuine images, digest {dataset.digest}")\n'
    )
