"""`mcnn train`: a recipe, a dataset and a folder; the rest is `train.Trainer`."""

import dataclasses
import itertools
import os.path
import sys

from minitorch_cnn.cli.datasets import Source, add_source_options, source
from minitorch_cnn.cli.parser import UsageError, add_threads_option, integer, positive, use_threads

EXIT_STOPPED = 130  # as a shell reports a process that Ctrl-C ended
_CHOSEN_ONCE = ("recipe", "epochs", "lr", "seed", "holdout", "run_folder")  # and not again by --resume


def add_commands(commands):
    """Add ``mcnn train``."""
    parser = commands.add_parser(
        "train",
        help="train a network",
        description="Train a network by a recipe. Progress goes to standard error, the result to standard output, "
        "and everything into the folder of the run. Ctrl-C once finishes the batch and saves.",
        examples=("mcnn train --data shapes10", "mcnn train --recipe mlp --data shapes10 --epochs 2 --seed 1"),
    )
    parser.add_argument("--recipe", metavar="R", help="cifar4, cifar4_fast, mlp or shapes10 (default: by the data)")
    add_source_options(parser)
    parser.add_argument("--epochs", type=integer(1), metavar="N", help="squeeze or stretch the schedule to N epochs")
    parser.add_argument("--lr", type=positive, metavar="LR", help="highest learning rate, instead of the recipe's")
    parser.add_argument("--seed", type=integer(0), metavar="N", help="of weights, order and augmentation (default: 0)")
    parser.add_argument(
        "--holdout",
        type=integer(1),
        metavar="N",
        help="judge by N training images and leave the test set alone: to choose a schedule",
    )
    parser.add_argument("--workers", type=integer(0), metavar="N", help="processes that prepare batches")
    add_threads_option(parser)
    parser.add_argument("--run", dest="run_folder", metavar="DIR", help="new folder (default: runs/RECIPE-1, -2, ...)")
    parser.add_argument("--resume", metavar="DIR", help="go on with the run in this folder")
    parser.add_argument("--show-code", action="store_true", help="print the Python that does the same, and stop")
    parser.set_defaults(run=_run, code=_code, parser=parser)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a command line means."""

    source: Source
    folder: str
    recipe: str | None  # None: go on with the run in the folder
    changes: dict  # of the recipe
    options: dict  # of the Trainer
    tested: bool  # whether the test set is looked at in the end


def _plan(arguments):
    """Return the `Plan`; remarks about it go to standard error."""
    workers = {} if arguments.workers is None else {"workers": arguments.workers}
    if arguments.resume is not None:
        return _resume_plan(arguments, workers)
    recipe, place = _choose(arguments)
    changes = {"epochs": arguments.epochs, "peak_lr": arguments.lr}
    options = {"source": place.root, "seed": arguments.seed or 0, "holdout": arguments.holdout}
    return Plan(
        source=place,
        folder=arguments.run_folder or _free_folder(recipe),
        recipe=recipe,
        changes={name: value for name, value in changes.items() if value is not None},
        options={name: value for name, value in options.items() if value is not None} | workers,
        tested=arguments.holdout is None,
    )


def _choose(arguments):
    """Return the name of the recipe and the `Source`."""
    from minitorch_cnn import train

    try:
        recipe = train.recipe(arguments.recipe) if arguments.recipe is not None else None
    except ValueError as error:
        raise UsageError(f"mcnn train: --{error}") from error
    place = source(arguments.data, arguments.unverified)
    if arguments.data is None and recipe is not None and recipe.dataset == "shapes10":
        place = Source("shapes10")
    if place is None:
        from minitorch_cnn.data import cifar10

        _say(f"no CIFAR-10 in {cifar10.default_folder()}: `mcnn data get` fetches it, --data DIR names another folder.")
        _say("Training the same network on shapes10 instead, which needs no download.")
        same_network = recipe is None or recipe.model == train.RECIPES["shapes10"].model
        return ("shapes10" if same_network else recipe.name), Source("shapes10")
    if recipe is None:
        recipe = train.RECIPES["shapes10" if place.name == "shapes10" else "cifar4"]
    return recipe.name, place


def _free_folder(recipe):
    """Return the first of runs/RECIPE-1, -2, ... that is not there yet."""
    return next(path for i in itertools.count(1) if not os.path.exists(path := os.path.join("runs", f"{recipe}-{i}")))


def _resume_plan(arguments, options):
    from minitorch_cnn import train

    for name in _CHOSEN_ONCE:
        if getattr(arguments, name) is not None:
            option = "run" if name == "run_folder" else name
            raise UsageError(f"mcnn train: --{option} - expected nothing with --resume: it was chosen at the start")
    folder = train.RunFolder.open(arguments.resume)
    settings = train.Checkpoints(folder.path).load()[0]["settings"]
    place = Source(settings["dataset"], settings["source"], settings["verified"])
    if arguments.data is not None:
        place = source(arguments.data, arguments.unverified or not settings["verified"])
    return Plan(place, arguments.resume, None, {}, options, settings["holdout"] == 0)


def _run(arguments):
    import minitorch_kernels as kernels
    from minitorch_cnn import train

    use_threads(arguments)
    plan = _plan(arguments)
    if plan.recipe is None and (result := train.RunFolder(plan.folder).read_result()) is not None:
        _say("this run is complete; here is its result again")
        print(_summary(result, plan.folder))
        return 0
    reporter = train.Reporter()
    forget = kernels._jit.on_compile(reporter.compiling)
    try:
        train_set = plan.source.open(train=True)
        if plan.recipe is None:
            trainer = train.Trainer.resume(plan.folder, train_set, reporter=reporter, **plan.options)
        else:
            recipe = train.recipe(plan.recipe, **plan.changes)
            trainer = _start(recipe, train_set, plan, reporter)
        if not trainer.fit():
            _say(f"stopped after batch {trainer.progress.step} and saved; go on by: mcnn train --resume {plan.folder}")
            return EXIT_STOPPED
        result = trainer.final_eval(plan.source.open(train=False) if plan.tested else None)
    finally:
        forget()
    print(_summary(result, plan.folder))
    return 0


def _start(recipe, train_set, plan, reporter):
    from minitorch_cnn import train

    try:
        return train.Trainer(recipe, train_set, plan.folder, reporter=reporter, **plan.options)
    except train.RunFolderError:
        raise
    except ValueError as error:
        raise UsageError(f"mcnn train: {error}") from error


def _summary(result, folder):
    kind = "test" if result["test_reads"] else "holdout"
    accuracy, loss = result[f"{kind}_accuracy"], result[f"{kind}_loss"]
    unverified = "" if result["verified"] else " (unverified images)"
    return (
        f"{kind} accuracy {accuracy:.2%}, loss {loss:.4f}: {result['recipe']} on {result['dataset']}{unverified}, "
        f"{result['epochs']} epochs in {result['seconds']:.0f} s, seed {result['seed']}; "
        f"{os.path.join(folder, 'result.json')}"
    )


def _say(text):
    print(text, file=sys.stderr, flush=True)


def _code(arguments):
    plan = _plan(arguments)
    options = "".join(f", {name}={value!r}" for name, value in plan.options.items())
    train_set, lines = plan.source.code(train=True), ["from minitorch_cnn import data, train", ""]
    if arguments.threads is not None:
        lines = ["import minitorch_cnn", *lines, f"minitorch_cnn.set_num_threads({arguments.threads})"]
    if plan.recipe is None:
        lines += [f"trainer = train.Trainer.resume({plan.folder!r}, {train_set}{options})"]
    else:
        changes = "".join(f", {name}={value!r}" for name, value in plan.changes.items())
        lines += [
            f"recipe = train.recipe({plan.recipe!r}{changes})",
            f"trainer = train.Trainer(recipe, {train_set}, {plan.folder!r}{options})",
        ]
    kind, test_set = ("test", plan.source.code(train=False)) if plan.tested else ("holdout", "")
    lines += [
        "if trainer.fit():  # False after Ctrl-C",
        f"    result = trainer.final_eval({test_set})",
        f"    print('{kind} accuracy', result['{kind}_accuracy'])",
    ]
    return "\n".join(lines) + "\n"
