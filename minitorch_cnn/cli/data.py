"""`mcnn data`: download CIFAR-10, or check a copy of it."""

from minitorch_cnn.cli.options import run_code
from minitorch_cnn.cli.parser import Parser, set_command


def add_commands(commands):
    """Add ``mcnn data get`` and ``mcnn data check``."""
    examples = ("mcnn data get --help", "mcnn data check --help")
    about = "Download CIFAR-10, or check a copy of it."
    family = commands.add_parser("data", help="download or check CIFAR-10", description=about, examples=examples)
    actions = family.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=Parser)

    get = actions.add_parser(
        "get",
        help="download CIFAR-10 (170 MB)",
        description="Download CIFAR-10 from its official address, or import a copy, and check every image.",
        examples=("mcnn data get", "mcnn data get --from ~/Downloads/cifar-10-binary.tar.gz"),
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
        help="check a copy of CIFAR-10",
        description="Check files, labels, class counts and the digest of all images.",
        examples=("mcnn data check", "mcnn data check ~/data/cifar-10-batches-bin"),
    )
    check.add_argument("folder", nargs="?", metavar="DIR", help="(default: where `mcnn data get` puts it)")
    set_command(check, run_code, _check_code)


def _get(arguments):
    from minitorch_cnn import data
    from minitorch_cnn.cli.download_bar import DownloadBar

    with DownloadBar("CIFAR-10") as bar:
        print(data.fetch(arguments.source, arguments.to, progress=bar.show))


def _get_code(arguments):
    return f"from minitorch_cnn import data\n\nprint(data.fetch({arguments.source!r}, {arguments.to!r}))\n"


def _check_code(arguments):
    return (
        "from minitorch_cnn import data\n\n"
        'for part in ("train", "test"):\n'
        f"    dataset = data.CIFAR10({arguments.folder!r}, train=part == 'train')\n"
        '    print(f"{part}: {len(dataset.labels):,} genuine images, digest {dataset.digest}")\n'
    )
