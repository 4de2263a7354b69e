"""`mcnn transfer`: a pretrained network learns new classes; the rest is `mcnn train`."""

import contextlib
import os.path

from minitorch_cnn.cli import training
from minitorch_cnn.cli.errors import UsageError, usage
from minitorch_cnn.cli.images import Source, add_source_options, source
from minitorch_cnn.cli.options import add_threads_option, is_own, use_threads
from minitorch_cnn.cli.parser import SEEDS, epochs, integer, positive, set_command
from minitorch_cnn.cli.recipe_options import add_recipe_options, recipe_changes

_NETWORK = "resnet18"


def add_commands(commands):
    """Add ``mcnn transfer``."""
    parser = commands.add_parser(
        "transfer",
        help="let a pretrained network learn new classes",
        description="Give a pretrained network a new last layer and train it on: all layers, or those after "
        "--freeze-until. The run's folder is that of mcnn train, whose --resume continues it.",
        examples=(
            "mcnn transfer --help",
            "mcnn transfer --weights resnet18.pth --freeze-until layer4 --show-code",
            "mcnn transfer --weights runs/cifar4-1 --data shapes10 --show-code",
        ),
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        help=f"a name of `mcnn list`, or FILE.py:NAME of your own (default: {_NETWORK}, or the network of the run)",
    )
    parser.add_argument(
        "--weights",
        metavar="PATH",
        help="a run's folder or model file, or a file of weights alone, as of torch.save (default: torchvision's, "
        "downloaded once)",
    )
    add_source_options(parser)
    parser.add_argument(
        "--image-size", type=integer(1), metavar="S", help="pixels per side (default: what it was pretrained at)"
    )
    parser.add_argument("--freeze-until", metavar="LAYER", help="layers up to this one, such as layer4, do not learn")
    parser.add_argument(
        "--cache-features",
        action="store_true",
        help="run the frozen layers once, not every epoch; images are then neither moved nor mirrored, and only the "
        "last layer learns",
    )
    parser.add_argument("--epochs", type=epochs, metavar="N", help="squeeze or stretch the schedule to N epochs")
    parser.add_argument(
        "--lr",
        type=positive,
        metavar="LR",
        help="highest learning rate of the new layer (default: 0.3, or 0.03 where only this layer learns)",
    )
    parser.add_argument(
        "--seed",
        type=integer(0, SEEDS),
        default=0,
        metavar="N",
        help="seed of the new layer, the order and augmentation (default: 0)",
    )
    parser.add_argument(
        "--holdout", type=integer(1), metavar="N", help="judge the model by N training images, not by the test set"
    )
    parser.add_argument(
        "--workers", type=integer(0), metavar="N", help="processes that prepare batches (default: the recipe's)"
    )
    add_recipe_options(parser)
    add_threads_option(parser)
    parser.add_argument("--run", dest="run_folder", metavar="DIR", help="new folder (default: runs/transfer-1, ...)")
    set_command(parser, _run, _code)


def _is_run(arguments):
    """Return whether --weights has the whole network: the folder of a run, or its model file."""
    path = arguments.weights
    if path is None or not (arguments.model is None or is_own(arguments.model)):
        return False
    return os.path.isdir(path) or (path.endswith(".safetensors") and os.path.isfile(path))


def _pretrained_code(arguments):
    """Return the Python that loads the pretrained network."""
    name, path = arguments.model, arguments.weights
    if _is_run(arguments):
        own = f", model={name!r}" if name else ""
        return f"train.Classifier.load({path!r}{own})"
    if is_own(name):
        raise UsageError(
            "mcnn transfer: give the run of your network by --weights: its folder or model file also has the mean and "
            "standard deviation of its images"
        )
    return f"models.load_pretrained({name or _NETWORK!r}, {path!r})"


def _load(arguments, progress=None):
    """Return the pretrained network, with its name."""
    from minitorch_cnn import models, train

    if not _is_run(arguments):
        _pretrained_code(arguments)  # refuses what has no weights
        name = arguments.model or _NETWORK
        return models.load_pretrained(name, arguments.weights, progress), name
    try:
        loaded = train.Classifier.load(arguments.weights, arguments.model)
    except ValueError as error:
        raise usage("mcnn transfer", error) from error
    return loaded, loaded.metadata["architecture"]["name"]


def _recipe(arguments, place):
    """Return the name of the recipe, and the changes to it by the command line or because there are few pictures."""
    cached = {"cache_features": True, "crop_padding": 0, "flip": False} if arguments.cache_features else {}
    changes = {
        "model": arguments.model or _recorded_name(arguments),
        "epochs": arguments.epochs,
        "peak_lr": arguments.lr,
        "image_size": arguments.image_size,
        "freeze_until": arguments.freeze_until,
    }
    changes = training.given(changes) | recipe_changes(arguments) | cached
    name = "transfer_head" if _only_head_learns(arguments) else "transfer"
    return name, training.for_pictures(place, name, changes, False) if place.is_own else changes


def _native_size(name):
    """Return the pixels per side that a network is made for; None for an unknown name, which is reported later."""
    from minitorch_cnn import models

    return models.native_input(name)[1] if name in models.list() else None


def _recorded_name(arguments):
    return _load(arguments)[1] if _is_run(arguments) else _NETWORK


def _size_of_run(arguments):
    return _load(arguments)[0].image_size if _is_run(arguments) else None


def _only_head_learns(arguments):
    """Return whether the last layer learns alone: then it needs smaller steps."""
    from minitorch_cnn import models, train

    if arguments.cache_features or arguments.freeze_until is None:
        return arguments.cache_features
    try:
        if _is_run(arguments):
            model = _load(arguments)[0].model
        else:
            model = models.create(arguments.model or _NETWORK, drawn=False)
        return train.only_head_learns(model, arguments.freeze_until)
    except ValueError as error:
        raise usage("mcnn transfer", error) from error


def _plan(arguments):
    """Return the `Source` of the images, the run's folder or None, and the options of the trainer."""
    size = arguments.image_size or _size_of_run(arguments) or _native_size(arguments.model or _NETWORK)
    place = source(arguments.data, arguments.unverified, size, arguments.skip_broken)
    if place is None:
        training.say_no_cifar10(arguments.model or _NETWORK)
        place = Source("shapes10")
    options = {"source": place.root, "seed": arguments.seed, "holdout": arguments.holdout, "workers": arguments.workers}
    return place, arguments.run_folder, training.given(options)


def _run(arguments):
    from minitorch_cnn import train
    from minitorch_cnn.cli.download_bar import DownloadBar

    use_threads(arguments)
    place, folder, options = _plan(arguments)

    def trainer(train_set, reporter):
        name, changes = _recipe(arguments, place)
        recipe = train.recipe(name, **changes)
        with DownloadBar(arguments.model or _NETWORK) as bar:
            pretrained, _ = _load(arguments, bar.show)
        with contextlib.nullcontext(folder) if folder else training.reserved_folder("transfer") as chosen:
            return train.transfer(recipe, pretrained, train_set, chosen, reporter=reporter, **options)

    return training.train_to_the_end("transfer", trainer, place, arguments.holdout is None)


def _code(arguments):
    place, folder, options = _plan(arguments)
    folder = folder or training.free_folder("transfer")
    train_set, options = place.code(train=True), training.arguments_code(options)
    name, changes = _recipe(arguments, place)
    lines = [
        f"recipe = train.recipe({name!r}{training.arguments_code(changes)})",
        f"pretrained = {_pretrained_code(arguments)}",
        f"trainer = train.transfer(recipe, pretrained, {train_set}, {folder!r}{options})",
    ]
    return training.code("data, models, train", arguments.threads, lines, place, arguments.holdout is None)
