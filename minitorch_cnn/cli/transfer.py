"""`mcnn transfer`: a pretrained network learns new classes; the rest is `mcnn train`."""

import contextlib

from minitorch_cnn.cli import training
from minitorch_cnn.cli.images import Source, add_source_options, source
from minitorch_cnn.cli.options import add_threads_option, use_threads
from minitorch_cnn.cli.parser import SEEDS, integer, positive, set_command


def add_commands(commands):
    """Add ``mcnn transfer``."""
    parser = commands.add_parser(
        "transfer",
        help="let a pretrained network learn new classes",
        description="Give a pretrained network a new last layer and train it on: all layers, or those after "
        "--freeze-until. The run's folder is that of mcnn train, whose --resume goes on with it.",
        examples=("mcnn transfer --help", "mcnn transfer --weights resnet18.pth --freeze-until layer4 --show-code"),
    )
    parser.add_argument("--model", default="resnet18", metavar="NAME", help="the network (default: resnet18)")
    parser.add_argument(
        "--weights", metavar="FILE", help="of torch.save or weights.save (default: torchvision's, fetched once)"
    )
    add_source_options(parser)
    parser.add_argument(
        "--image-size", type=integer(1), metavar="S", help="pixels (default: what it was pretrained at)"
    )
    parser.add_argument("--freeze-until", metavar="LAYER", help="layers up to this one, such as layer4, do not learn")
    parser.add_argument(
        "--cache-features",
        action="store_true",
        help="run the frozen layers once, and not every epoch: images are then neither moved nor mirrored",
    )
    parser.add_argument("--epochs", type=integer(1), metavar="N", help="squeeze or stretch the schedule to N epochs")
    parser.add_argument("--lr", type=positive, metavar="LR", help="highest learning rate of the new layer")
    parser.add_argument("--seed", type=integer(0, SEEDS), default=0, metavar="N", help="(default: 0)")
    parser.add_argument("--holdout", type=integer(1), metavar="N", help="judge by N training images, not the test set")
    parser.add_argument("--workers", type=integer(0), metavar="N", help="processes that prepare batches")
    add_threads_option(parser)
    parser.add_argument("--run", dest="run_folder", metavar="DIR", help="new folder (default: runs/transfer-1, ...)")
    set_command(parser, _run, _code)


def _changes(arguments, place):
    """Return what the command line changes in the recipe, and what few pictures do: smaller batches, no more epochs."""
    cached = {"cache_features": True, "crop_padding": 0, "flip": False} if arguments.cache_features else {}
    changes = {
        "model": arguments.model,
        "epochs": arguments.epochs,
        "peak_lr": arguments.lr,
        "image_size": arguments.image_size,
        "freeze_until": arguments.freeze_until,
    }
    changes = training.given(changes) | cached
    return training.for_pictures(place, "transfer", changes, False) if place.name == "folder" else changes


def _native_size(name):
    """Return the pixels a side that a network is made for; None for an unknown name, which comes up later."""
    from minitorch_cnn import models

    return models.native_input(name)[1] if name in models.list() else None


def _plan(arguments):
    """Return the `Source` of the images, the run's folder or None, and the options of the trainer."""
    size = arguments.image_size or _native_size(arguments.model)
    place = source(arguments.data, arguments.unverified, size, arguments.skip_broken)
    if place is None:
        training.say_no_cifar10(arguments.model)
        place = Source("shapes10")
    options = {"source": place.root, "seed": arguments.seed, "holdout": arguments.holdout, "workers": arguments.workers}
    return place, arguments.run_folder, training.given(options)


def _run(arguments):
    from minitorch_cnn import models, train
    from minitorch_cnn.cli.download_bar import DownloadBar

    use_threads(arguments)
    place, folder, options = _plan(arguments)

    def trainer(train_set, reporter):
        recipe = train.recipe("transfer", **_changes(arguments, place))
        with DownloadBar(arguments.model) as bar:
            pretrained = models.load_pretrained(arguments.model, arguments.weights, bar.show)
        with contextlib.nullcontext(folder) if folder else training.reserved_folder("transfer") as chosen:
            return train.transfer(recipe, pretrained, train_set, chosen, reporter=reporter, **options)

    return training.train_to_the_end("transfer", trainer, place, arguments.holdout is None)


def _code(arguments):
    place, folder, options = _plan(arguments)
    folder = folder or training.free_folder("transfer")
    train_set, options = place.code(train=True), training.arguments_code(options)
    lines = [
        f"recipe = train.recipe('transfer'{training.arguments_code(_changes(arguments, place))})",
        f"pretrained = models.load_pretrained({arguments.model!r}, {arguments.weights!r})",
        f"trainer = train.transfer(recipe, pretrained, {train_set}, {folder!r}{options})",
    ]
    return training.code("data, models, train", arguments.threads, lines, place, arguments.holdout is None)
