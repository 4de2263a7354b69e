"""Options that change a recipe, which `mcnn train` and `mcnn transfer` share."""

import argparse
import math

from minitorch_cnn.cli.errors import UsageError
from minitorch_cnn.cli.parser import integer, number

ONE_VALUE = (
    "batch_size",
    "weight_decay",
    "label_smoothing",
    "dropout",
    "schedule",
    "mixup",
    "cutmix",
    "color_jitter",
    "hue",
    "rotate",
    "resized_crop",
    "erase",
    "rand_augment",
    "precision",
)  # a number or a word without commas; `mcnn sweep` tries several
FIELDS = *ONE_VALUE, "class_weights", "early_stop", "keep_best"  # of `Recipe`, and of the parsed arguments


def add_recipe_options(parser):
    """Add the options to a command; each is a field of `Recipe`."""
    parser.add_argument("--batch-size", type=integer(2), metavar="N", help="images of a step (default: the recipe's)")
    parser.add_argument("--weight-decay", type=number(0), metavar="D", help="times each weight, added to its gradient")
    parser.add_argument(
        "--label-smoothing",
        type=number(0, below=1),
        metavar="S",
        help="share of a label that all classes get, 0 to below 1",
    )
    parser.add_argument("--dropout", type=number(0, most=1), metavar="P", help="rate of all dropout layers")
    parser.add_argument(
        "--schedule",
        choices=("one_cycle", "plateau"),
        help="how the learning rate changes: one cycle (default), or constant until the loss no longer falls",
    )
    parser.add_argument(
        "--class-weights",
        type=_class_weights,
        metavar="W",
        help="balanced: classes of few images count more; or one number per class, such as 1,2,0.5",
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "bf16"),
        help="of large products: bf16 is faster on processors with AVX512_BF16, and has 8 bits (default: float32)",
    )
    _add_augmentation(parser)
    parser.add_argument(
        "--early-stop",
        type=integer(1),
        metavar="N",
        help="stop once the loss on the held-out images has not fallen for N epochs; keeps the best, needs --holdout",
    )
    parser.add_argument(
        "--keep-best",
        action="store_true",
        default=None,
        help="keep the epoch with the lowest loss on the held-out images, not the last; needs --holdout",
    )


def _add_augmentation(parser):
    """Add what changes the training images at random, beyond the crops and flips of the recipe."""
    options = (
        ("mixup", math.inf, "A", "blend images in pairs, with shares of a Beta(A, A) distribution, such as 0.2"),
        ("cutmix", math.inf, "A", "paste a box of one image into another, of a share of Beta(A, A), such as 1"),
        ("color-jitter", 1, "S", "change brightness, contrast and saturation by up to this share"),
        ("hue", 0.5, "S", "turn the hue by up to this share of the circle of colours"),
        ("rotate", 180, "DEG", "turn by up to this angle"),
        ("resized-crop", 1, "AREA", "cut out a part of at least this share of the area, and scale it up"),
        ("erase", 1, "P", "black out a box with this probability"),
        ("rand-augment", 10, "M", "two random operations of this magnitude"),
    )
    for name, most, metavar, text in options:
        parser.add_argument(f"--{name}", type=number(0, most=most), metavar=metavar, help=text)


def recipe_changes(arguments):
    """Return the fields of `Recipe` that the command line sets; raise UsageError if one needs what is not there."""
    if arguments.holdout is None and (arguments.early_stop or arguments.keep_best):
        option = "--early-stop" if arguments.early_stop else "--keep-best"
        prog = arguments.parser.prog
        raise UsageError(f"{prog}: add --holdout N to {option}: it judges each epoch by N training images held out")
    if arguments.precision is not None:
        _check_precision(arguments)
    given = {name: getattr(arguments, name) for name in FIELDS}
    return {name: value for name, value in given.items() if value is not None}


def _check_precision(arguments):
    import minitorch_cnn

    try:
        with minitorch_cnn.precision(arguments.precision):
            pass
    except ValueError as error:
        prog = arguments.parser.prog
        raise UsageError(f"{prog}: leave out --precision {arguments.precision} on this machine: {error}") from error


def _class_weights(text):
    """Parse "balanced", or numbers with commas between them."""
    if text == "balanced":
        return text
    try:
        weights = [float(word) for word in text.split(",")]
    except ValueError:
        weights = [-1.0]
    if not all(0 <= weight < float("inf") for weight in weights) or not any(weights):
        expected = "expected balanced, or one number per class with commas between them"
        raise argparse.ArgumentTypeError(f"{expected}, got {text!r}")
    return weights
