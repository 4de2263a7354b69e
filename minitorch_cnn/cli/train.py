"""`mcnn train`: a recipe, a dataset and a folder; the rest is `train.Trainer`."""

import dataclasses
import glob
import os.path

from minitorch_cnn.cli import find_rate, training
from minitorch_cnn.cli.errors import UsageError
from minitorch_cnn.cli.images import Source, add_source_options, recorded_source, source
from minitorch_cnn.cli.options import add_ranks_options, add_threads_option, connect, is_own, use_threads
from minitorch_cnn.cli.parser import SEEDS, epochs, integer, positive, set_command
from minitorch_cnn.cli.recipe_options import FIELDS, add_recipe_options, recipe_changes
from minitorch_cnn.cli.streams import say

_CHOSEN_ONCE = (
    "recipe",
    "model",
    "image_size",
    "epochs",
    "lr",
    "seed",
    "holdout",
    "sync_bn",
    "accumulate",
    "save_epochs",
    "run_folder",
    *FIELDS,
)  # --resume and --more keep them


def add_commands(commands):
    """Add ``mcnn train``."""
    parser = commands.add_parser(
        "train",
        help="train a network",
        description="Train a network with a recipe: network, optimiser, schedule and augmentation. Progress goes to "
        "standard error, the result to standard output, and everything into the folder of the run. Press Ctrl-C once "
        "to finish the batch, save and stop.",
        examples=(
            "mcnn train --data shapes10",
            "mcnn train --recipe mlp --data shapes10 --epochs 2 --seed 1",
            "mcnn train --data shapes10 --holdout 500 --schedule plateau --epochs 30 --early-stop 5",
            "mcnn train --more runs/shapes10-1 --epochs 2",
            "mcnn train --data shapes10 --find-lr",
        ),
    )
    parser.more_arguments = "; write --model before a network, --data before images"
    parser.add_argument(
        "--recipe",
        metavar="R",
        help="a recipe of `mcnn list` (default: air90 for CIFAR-10, else that of the dataset; cifar4 for a network or "
        "pictures of your own)",
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="a network of `mcnn list`, trained with the recipe of its family; or FILE.py:NAME, a class or function of "
        "your own, trained with --recipe",
    )
    add_source_options(parser)
    parser.add_argument("--image-size", type=integer(1), metavar="S", help="scale the images to S pixels per side")
    parser.add_argument("--epochs", type=epochs, metavar="N", help="squeeze or stretch the schedule to N epochs")
    parser.add_argument("--lr", type=positive, metavar="LR", help="highest learning rate (default: the recipe's)")
    parser.add_argument(
        "--seed", type=integer(0, SEEDS), metavar="N", help="seed of weights, order and augmentation (default: 0)"
    )
    parser.add_argument(
        "--holdout",
        type=integer(1),
        metavar="N",
        help="judge the model by N training images, not by the test set: to compare settings",
    )
    parser.add_argument(
        "--workers", type=integer(0), metavar="N", help="processes that prepare batches (default: the recipe's)"
    )
    add_recipe_options(parser)
    add_threads_option(parser)
    add_ranks_options(parser)
    _add_run_options(parser)
    set_command(parser, _run, _code)


def _add_run_options(parser):
    """Add what says where the run is kept, what is written into it, and which run it continues."""
    parser.add_argument("--run", dest="run_folder", metavar="DIR", help="new folder (default: runs/RECIPE-1, -2, ...)")
    parser.add_argument(
        "--save-epochs",
        action="store_true",
        default=None,
        help="keep the model of every epoch, for the film of `mcnn explain filters -o film.gif`",
    )
    parser.add_argument(
        "--tensorboard", action="store_true", help="write event files for TensorBoard into the folder of the run"
    )
    parser.add_argument(
        "--find-lr",
        nargs="?",
        const=find_rate.CHART,
        metavar="FILE",
        help="do not train: try many learning rates for one step each, suggest one for --lr and draw the loss "
        f"(default: {find_rate.CHART})",
    )
    parser.add_argument(
        "--resume",
        metavar="DIR",
        help="continue the run in this folder; auto: continue the run in --run, or begin it if there is none",
    )
    parser.add_argument(
        "--more",
        metavar="RUN",
        help="train the finished run in this folder for --epochs N more, as a new run with a schedule of its own",
    )


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a command line means."""

    source: Source
    folder: str | None  # None: the next free one
    recipe: str | None  # None: continue the run in the folder, or train the run `more` further
    changes: dict  # of the recipe
    options: dict  # of the Trainer
    tested: bool  # whether the test set judges the model at the end
    name: str = ""  # of the run, for a folder of its own
    more: str | None = None  # folder of the finished run that is trained further

    def trainer(self, train_set, folder, **others):
        """Return the Trainer."""
        from minitorch_cnn import train

        if self.more is not None:
            return train.more(self.more, train_set, folder, **self.changes, **others, **self.options)
        if self.recipe is None:
            return train.Trainer.resume(folder, train_set, **others, **self.options)
        recipe = train.recipe(self.recipe, **self.changes)
        return train.Trainer(recipe, train_set, folder, **others, **self.options)

    def code(self, folder, further):
        """Return the lines of Python that make it; ``further`` arguments are Python, each after a comma."""
        train_set, options = self.source.code(train=True), training.arguments_code(self.options) + further
        changes = training.arguments_code(self.changes)
        if self.more is not None:
            return [f"trainer = train.more({self.more!r}, {train_set}, {folder!r}{changes}{options})"]
        if self.recipe is None:
            return [f"trainer = train.Trainer.resume({folder!r}, {train_set}{options})"]
        return [
            f"recipe = train.recipe({self.recipe!r}{changes})",
            f"trainer = train.Trainer(recipe, {train_set}, {folder!r}{options})",
        ]


def planned(arguments):
    """Return the `Plan`; remarks about it go to standard error."""
    if arguments.find_lr is not None:
        find_rate.refuse_others(arguments)
    options = training.given({"workers": arguments.workers})
    if arguments.model is not None and arguments.model.endswith(".py"):
        raise UsageError(f"mcnn train: name the class or function in the file, too: --model {arguments.model}:NAME")
    if is_own(arguments.model):
        options["model"] = arguments.model
    elif arguments.model is not None and arguments.recipe is not None:
        raise UsageError("mcnn train: leave out --recipe or --model: a network of `mcnn list` has its own recipe")
    if arguments.more is not None:
        return _more_plan(arguments, options)
    automatic = arguments.resume == "auto"
    if automatic and arguments.run_folder is None:
        raise UsageError("mcnn train: add --run DIR: --resume auto continues the run in it, or begins it")
    if automatic and _has_run(arguments.run_folder):
        return _resume_plan(arguments, options, arguments.run_folder)
    if arguments.resume is not None and not automatic:
        for _, option, _ in _given_choices(arguments):
            raise UsageError(
                f"mcnn train: leave out --{option}: a run that is resumed keeps the one that it began with"
            )
        return _resume_plan(arguments, options, arguments.resume)
    recipe, place = _choose(arguments)
    own = options.get("model", "").rpartition(":")[2]
    chosen = options
    changes = training.given({"epochs": arguments.epochs, "peak_lr": arguments.lr}) | recipe_changes(arguments)
    changes |= place.changes
    if place.is_own:  # its pictures are read in the size that is asked for
        changes = training.for_pictures(place, recipe, changes)
    elif arguments.image_size is not None:
        changes["image_size"] = arguments.image_size
    options = {"source": place.root, "seed": arguments.seed or 0, "holdout": arguments.holdout}
    options |= {"sync_bn": arguments.sync_bn, "accumulate": arguments.accumulate}
    options["save_epochs"] = arguments.save_epochs
    return Plan(
        source=place,
        folder=arguments.run_folder,
        recipe=recipe,
        changes=changes,
        options=training.given(options) | chosen,
        tested=arguments.holdout is None,
        name=own or recipe,
    )


def _choose(arguments):
    """Return the name of the recipe and the `Source`."""
    from minitorch_cnn import train

    try:
        name = arguments.recipe
        if name is None and not is_own(arguments.model):
            name = arguments.model
        recipe = None if name is None else train.recipe(name)
    except ValueError as error:
        option = "model" if arguments.recipe is None else "recipe"
        raise UsageError(f"mcnn train: --{option}: {str(error).removeprefix('recipe: ')}") from error
    place = source(arguments.data, arguments.unverified, arguments.image_size, arguments.skip_broken)
    if arguments.data is None and recipe is not None and recipe.dataset != "cifar10":
        place = source(recipe.dataset, arguments.unverified)
    if place is None:
        name = "shapes10" if recipe is None else recipe.name
        training.say_no_cifar10(arguments.model or arguments.recipe or train.RECIPES[name].model)
        return name, Source("shapes10")
    if recipe is None:
        fast = place.name == "cifar10" and not is_own(arguments.model)  # a network of your own has no whitening layer
        recipe = train.RECIPES["air90" if fast else place.name if place.name in train.RECIPES else "cifar4"]
        if fast:
            say(f"training by the recipe {recipe.name}, which gives most in a few minutes; --recipe chooses another")
    return recipe.name, place


def _has_run(path):
    """Return whether a folder has a run that can be continued, or that is complete."""
    return any(glob.iglob(os.path.join(glob.escape(path), "checkpoint-*.safetensors")))


def _given_choices(arguments):
    """Return (name, option, value) of the settings on the command line that a run fixes when it begins."""
    chosen = [name for name in _CHOSEN_ONCE if getattr(arguments, name) is not None]
    if is_own(arguments.model):  # a network of your own is named again, so that it is found
        chosen.remove("model")
    return [(n, "run" if n == "run_folder" else n.replace("_", "-"), getattr(arguments, n)) for n in chosen]


def _refuse_other_choices(arguments, settings):
    """Raise UsageError if --resume auto comes with settings that differ from those of the run in the folder."""
    from minitorch_cnn import train

    recipe = dataclasses.asdict(train.Recipe(**settings["recipe"]))  # an older run has no values for newer fields
    names = {"recipe": recipe["name"], "model": recipe["name"], "run_folder": arguments.run_folder}
    height, width = settings["input_size"]  # of own pictures, too, which have their size before the recipe scales any
    run = {**recipe, **settings, "lr": recipe["peak_lr"], **names, "image_size": height if height == width else None}
    for name, option, value in _given_choices(arguments):
        if run[name] != value:
            raise UsageError(
                f"mcnn train: choose another --run, or leave out --{option}: the run in {arguments.run_folder} began "
                f"with {run[name]}, not {value}"
            )


def _resume_plan(arguments, options, path):
    """Return the `Plan` that continues the run in a folder."""
    from minitorch_cnn import train

    folder = train.RunFolder.open(path)
    inside = sorted(path.parent.name for path in folder.path.glob("runs/*/checkpoint-*.safetensors"))
    if inside and not list(folder.path.glob("checkpoint-*")):
        found = os.path.join(path, "runs", inside[0])
        raise UsageError(f"mcnn train: --resume - the runs are inside: try {found}")
    folder.refuse_if_locked()
    settings = train.Checkpoints(folder.path).load()[0]["settings"]
    _refuse_other_choices(arguments, settings)
    return Plan(_recorded_place(arguments, settings), path, None, {}, options, settings["holdout"] == 0)


def _more_plan(arguments, options):
    """Return the `Plan` of training a finished run further."""
    from minitorch_cnn import train

    if arguments.resume is not None:
        raise UsageError("mcnn train: leave out --resume or --more: one continues a run, the other begins a new one")
    if arguments.epochs is None:
        raise UsageError("mcnn train: add --epochs N to --more: how many epochs more")
    for name, option, _ in _given_choices(arguments):
        if name not in ("epochs", "lr", "run_folder"):
            raise UsageError(f"mcnn train: leave out --{option}: --more keeps that of the run which it trains further")
    run = train.RunFolder.open(arguments.more)
    settings = train.Checkpoints(run.path).load()[0]["settings"]
    return Plan(
        source=_recorded_place(arguments, settings),
        folder=arguments.run_folder,
        recipe=None,
        changes=training.given({"epochs": arguments.epochs, "peak_lr": arguments.lr}),
        options=options,
        tested=settings["holdout"] == 0,
        name=settings["recipe"]["name"],
        more=arguments.more,
    )


def _recorded_place(arguments, settings):
    """Return the `Source` of the images of an earlier run: as it recorded them, or as --data says now."""
    place = recorded_source(settings)
    if arguments.data is None and place is None:
        name = settings["dataset"]
        raise UsageError(
            f"mcnn train: give the images by --data: the run was trained on {name!r}, of a program of your own"
        )
    if arguments.data is not None:
        size = settings["input_size"][0]
        place = source(arguments.data, arguments.unverified or not settings["verified"], size, skip_broken=True)
    return place


def _run(arguments):
    from minitorch_cnn import train

    with connect(arguments) as ranks:
        use_threads(arguments, ranks.threads)
        plan = planned(arguments)
        if arguments.find_lr is not None:
            return find_rate.run(arguments, plan, ranks)
        log = {"on_epoch": _tensorboard()} if arguments.tensorboard else {}
        resumed = plan.recipe is None and plan.more is None
        if resumed and (result := train.RunFolder(plan.folder).read_result()) is not None:
            say("this run is complete; its result was:")
            print(training.summary(result, plan.folder))
            return 0

        def make(train_set, reporter):
            if plan.folder is not None or ranks.rank:
                return plan.trainer(train_set, plan.folder, reporter=reporter, ranks=ranks, **log)
            with training.reserved_folder(plan.name) as folder:
                return plan.trainer(train_set, folder, reporter=reporter, ranks=ranks, **log)

        return training.train_to_the_end("train", make, plan.source, plan.tested, alone=ranks.size == 1)


def _tensorboard():
    from minitorch_cnn import train

    try:
        return train.TensorBoard()
    except ImportError as error:
        raise UsageError(f"mcnn train: leave out --tensorboard, or install what it needs: {error}") from error


def _code(arguments):
    plan = planned(arguments)
    folder = plan.folder or training.free_folder(plan.name)
    connected, ranks = [], ""
    if arguments.distributed not in (None, "off"):
        connected, ranks = [f"ranks = train.connect({arguments.distributed!r})"], ", ranks=ranks"
    further = ranks + ", on_epoch=train.TensorBoard()" * arguments.tensorboard
    lines = connected + plan.code(folder, further)
    if arguments.find_lr is not None:
        return find_rate.code(arguments, lines)
    return training.code("data, train", arguments.threads, lines, plan.source, plan.tested)
