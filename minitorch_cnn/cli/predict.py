"""`mcnn predict` and `mcnn eval`: using a trained classifier."""

import dataclasses
import json
import pathlib
import sys

from minitorch_cnn.cli.errors import UsageError
from minitorch_cnn.cli.options import Source, add_source_options, source
from minitorch_cnn.cli.parser import set_command


def add_commands(commands):
    """Add ``mcnn predict`` and ``mcnn eval``."""
    predict = commands.add_parser(
        "predict",
        help="say what images show",
        description="Print file, class and probability for each image, separated by tabs.",
        examples=("mcnn predict cat.png dog.jpg", "mcnn predict --model runs/cifar4-1 --json cat.png"),
    )
    predict.add_argument("images", nargs="+", metavar="IMAGE", help="a file that Pillow reads, of any size")

    evaluate = commands.add_parser(
        "eval",
        help="measure a model on the test set",
        description="Print loss and accuracy of a model on the test images. It looks at the test set once more: to "
        "choose between models, use `mcnn train --holdout`.",
        examples=("mcnn eval", "mcnn eval --model runs/cifar4-1 --data shapes10"),
    )
    add_source_options(evaluate)
    for command, run, code in ((predict, _predict, _predict_code), (evaluate, _evaluate, _evaluate_code)):
        command.add_argument(
            "--model", metavar="PATH", help="a run's folder or model file (default: the last finished in runs/)"
        )
        command.add_argument("--json", action="store_true", help="print JSON")
        set_command(command, run, code)


def model_path(arguments):
    """Return --model, or the model of the run that finished last."""
    if arguments.model is not None:
        return arguments.model
    finished = sorted(pathlib.Path("runs").glob("*/model.safetensors"), key=lambda path: path.stat().st_mtime)
    if not finished:
        raise UsageError(
            f"mcnn {arguments.command}: --model - expected a run's folder or model file, got none and there is none in "
            "runs/; `mcnn train` makes one"
        )
    print(f"using {finished[-1]}", file=sys.stderr)
    return str(finished[-1])


def _predict(arguments):
    from minitorch_cnn import train

    answers = train.Classifier.load(model_path(arguments)).classify(arguments.images)
    if arguments.json:
        print(json.dumps([{"class": a.label, **dataclasses.asdict(a)} for a in answers], indent=2))
        return
    for answer in answers:
        print(f"{answer.file}\t{answer.label}\t{answer.probability:.4f}")


def _predict_code(arguments):
    return (
        "from minitorch_cnn import train\n\n"
        f"classifier = train.Classifier.load({model_path(arguments)!r})\n"
        f"for answer in classifier.classify({arguments.images!r}):\n"
        "    print(answer.file, answer.label, answer.probability)\n"
    )


def _test_source(arguments, facts):
    """Return where the test images are: as --data says, or those that belong to the training images."""
    if arguments.data is not None:
        return source(arguments.data, arguments.unverified)
    return Source(facts["dataset"], facts["source"], facts["verified"] and not arguments.unverified)


def _evaluate(arguments):
    from minitorch_cnn import train

    path = model_path(arguments)
    classifier = train.Classifier.load(path)
    test_set = _test_source(arguments, classifier.facts).open(train=False)
    if tuple(test_set.classes) != tuple(classifier.classes):
        raise UsageError(f"mcnn eval: --data - expected the classes {classifier.classes}, got {list(test_set.classes)}")
    judged = classifier.evaluate(test_set)
    if arguments.json:
        print(json.dumps({"test_accuracy": judged.accuracy, "test_loss": judged.loss, "model": path}))
    else:
        print(f"test accuracy {judged.accuracy:.2%}, loss {judged.loss:.4f}: {path} on {test_set.name}")


def _evaluate_code(arguments):
    from minitorch_cnn import train

    path = model_path(arguments)
    test_set = _test_source(arguments, train.Classifier.load(path).facts).code(train=False)
    return (
        "from minitorch_cnn import data, train\n\n"
        f"judged = train.Classifier.load({path!r}).evaluate({test_set})\n"
        "print('test accuracy', judged.accuracy, 'loss', judged.loss)\n"
    )
