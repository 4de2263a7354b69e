"""`mcnn data`: download a dataset, check a copy of one, or look at one."""

from minitorch_cnn.cli.errors import UsageError
from minitorch_cnn.cli.images import DOWNLOADS, Source, source
from minitorch_cnn.cli.options import add_output_option, run_code
from minitorch_cnn.cli.parser import Parser, integer, set_command
from minitorch_cnn.cli.training import arguments_code
from minitorch_cnn.display import figures
from minitorch_cnn.hints import hint


def add_commands(commands):
    """Add ``mcnn data get`` and ``mcnn data check``."""
    examples = ("mcnn data get --help", "mcnn data check --help", "mcnn data show --help")
    about = "Download CIFAR-10, CIFAR-100, MNIST or Fashion-MNIST, check a copy of one, or look at any images."
    family = commands.add_parser(
        "data", help="download a dataset, check it, or look at it", description=about, examples=examples
    )
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
    _add_show(actions)


def _add_show(actions):
    """Add ``mcnn data show``."""
    show = actions.add_parser(
        "show",
        help="look at a dataset, or at pictures of your own, before training",
        description="Print how many images each class has, and which images are there twice; of your own pictures also "
        "the smallest and the largest, and files that cannot be read. With -o, draw some images of each class.",
        examples=(
            "mcnn data show pets -o pets.png",
            "mcnn data show labels.csv",
            "mcnn data show cifar100 -o classes.png",
            "mcnn data show pets --augmented -o augmented.png",
        ),
    )
    show.add_argument(
        "data", nargs="?", metavar="DATA", help="as --data of `mcnn train` (default: cifar10, or shapes10 without it)"
    )
    show.add_argument("--augmented", action="store_true", help="draw the images as a network sees them in training")
    show.add_argument(
        "--recipe", metavar="R", help="with --augmented: the recipe (default: that of the dataset, else cifar4)"
    )
    show.add_argument(
        "--image-size", type=integer(1), metavar="S", help="read pictures of your own with S pixels per side"
    )
    show.add_argument("--unverified", action="store_true", help="accept images that are not the genuine ones")
    add_output_option(show, figures.KINDS, _show_code)


def _show_code(arguments):
    place = source(arguments.data, arguments.unverified, arguments.image_size) or Source("shapes10")
    if arguments.recipe is not None and not arguments.augmented:
        raise UsageError("mcnn data show: add --augmented to --recipe: without it images are drawn as they are")
    lines = [f"train_set, test_set = {place.code(train=True)}, {place.code(train=False)}"]
    given = ["train_set", "test_set"]
    if place.is_own:
        size = "" if place.size is None else f", {place.size}"
        lines = [f"found = data.survey({place.root!r}{size})"]
        given = ["found.train", "found.test", "files=(found.train_files, found.test_files)"]
    if arguments.augmented:
        lines.append(f"recipe = train.recipe({_recipe(arguments, place)!r}{arguments_code(place.changes)})")
        given.append("transforms=train.augmentation(recipe)")
    lines += [f"made = explain.dataset({', '.join(given)})", "print(made)", *["print(found)"] * place.is_own]
    if arguments.output is not None:
        lines.append(f"made.save({arguments.output!r})")
    return f"from minitorch_cnn import data, explain{', train' * arguments.augmented}\n\n" + "\n".join(lines) + "\n"


def _recipe(arguments, place):
    """Return the name of the recipe whose augmentation is shown."""
    from minitorch_cnn import train

    name = arguments.recipe or (place.name if place.name in train.RECIPES else "cifar4")
    if name not in train.RECIPES:
        near = hint(name, train.RECIPES)
        raise UsageError(f"mcnn data show: no recipe is called {name!r}{near or ';'} `mcnn list` prints their names")
    return name


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
