"""`mcnn explore`: a page in which a trained network computes."""

import pathlib

from minitorch_cnn.cli.errors import UsageError
from minitorch_cnn.cli.images import add_source_options
from minitorch_cnn.cli.options import (
    add_model_options,
    check_output,
    classifier_code,
    model_path,
    run_code,
    test_source,
)
from minitorch_cnn.cli.parser import integer, set_command


def add_commands(commands):
    """Add ``mcnn explore``."""
    parser = commands.add_parser(
        "explore",
        help="write a page in which a trained network computes",
        description="Write one HTML file that opens by a double click and computes without any network: look at "
        "every map of any image, at the sum that makes every element, and at all gradients; change filters and see the "
        "answer change. Drop your own picture on it.",
        examples=(
            "mcnn explore -o explorer.html",
            "mcnn explore cat.png dog.png --model runs/cifar4-1 -o pets.html",
            "mcnn explore --model runs/cifar4-1 --film",
        ),
    )
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="files to choose from (default: of the test set)")
    add_source_options(parser)
    parser.add_argument(
        "--count", type=integer(1), default=10, metavar="N", help="images of the test set (default: 10)"
    )
    add_model_options(parser)
    parser.add_argument(
        "--film",
        action="store_true",
        help="show the training, too, from the epochs that `mcnn train --save-epochs` kept",
    )
    parser.add_argument("-o", dest="output", metavar="FILE", default="explorer.html", help="(default: explorer.html)")
    parser.set_defaults(kinds=(".html",))
    set_command(parser, _explore, _code)


def _explore(arguments):
    check_output(arguments)
    made = run_code(arguments)["page"]
    print(f"{arguments.output} - open it in a browser, {len(made.html) / 1e6:.1f} MB")


def _code(arguments):
    a = arguments
    if a.images and (a.data or a.unverified):
        raise UsageError("mcnn explore: give images or --data, not both")
    lines, film = f"classifier = {classifier_code(a)}\n", f", run={_run(a)!r}" if a.film else ""
    if a.images:
        lines += f"page = explain.explore(classifier, classifier.read({a.images!r}){film})\n"
    else:
        lines += (
            f"test_set = {test_source(a).code(train=False)}\n"
            f"chosen = slice(0, {a.count})\n"
            f"page = explain.explore(classifier, test_set.images[chosen], test_set.labels[chosen]{film})\n"
        )
    return f"from minitorch_cnn import data, explain, train\n\n{lines}page.save({a.output!r})\n"


def _run(arguments):
    """Return the folder of the run whose model is shown."""
    path = pathlib.Path(model_path(arguments))
    return str(path if path.is_dir() else path.parent)
