"""`mcnn predict` and `mcnn eval`: using a trained classifier."""

import os

from minitorch_cnn.cli.errors import EXIT_USAGE, UsageError, is_run, run_in_place_of_pictures
from minitorch_cnn.cli.images import add_source_options
from minitorch_cnn.cli.options import add_model_options, check_test_images, classifier_code, run_code, test_source
from minitorch_cnn.cli.parser import set_command
from minitorch_cnn.display import figures


def add_commands(commands):
    """Add ``mcnn predict`` and ``mcnn eval``."""
    predict = commands.add_parser(
        "predict",
        help="classify image files, or all in a folder",
        description="Print file, class and probability for each image, separated by tabs; a tab or the end of a line "
        "in a name is written as \\t or \\n. Of a folder, all pictures in it and in the folders inside are classified, "
        "sorted by name; files whose names do not end as those of pictures are left out. A picture that cannot be read "
        "is named on standard error; the others are still classified, and the exit code is 2. With -o, pictures are "
        "drawn beside what the network sees of them.",
        examples=(
            "mcnn predict cat.png dog.jpg",
            "mcnn predict holiday > holiday.tsv",
            "mcnn predict --model runs/cifar4-1 --json cat.png",
            "mcnn predict holiday -o seen.png",
        ),
    )
    text = "a file that Pillow reads, of any size, or a folder of such files"
    predict.add_argument("images", nargs="+", metavar="IMAGE", help=text)
    predict.add_argument(
        "-o",
        dest="output",
        metavar="FILE",
        help=f"also draw the pictures as the network sees them: {', '.join(figures.KINDS)} (a .pdf has all of them)",
    )
    predict.set_defaults(kinds=figures.KINDS)

    evaluate = commands.add_parser(
        "eval",
        help="measure the accuracy of a model on the test set",
        description="Print loss and accuracy of a model on the test images. Do not choose between models by the test "
        "set: that is what `mcnn train --holdout` is for.",
        examples=("mcnn eval", "mcnn eval runs/cifar4-1 --data shapes10"),
    )
    add_source_options(evaluate, "the images that the model was trained on")
    evaluate.add_argument(
        "--views",
        type=int,
        choices=(1, 2, 6),
        default=1,
        help="average the answers for the image and its mirror image (2), also moved by a pixel (6)",
    )
    for command, run, code in ((predict, _predict, _predict_code), (evaluate, _evaluate, _evaluate_code)):
        add_model_options(command, first=command is evaluate)
        command.add_argument("--json", action="store_true", help="print JSON")
        set_command(command, run, code)


def _predict(arguments):
    return EXIT_USAGE if run_code(arguments)["failed"] else 0


def _predict_code(arguments):
    if arguments.json:
        imports = "import dataclasses\nimport sys\n"
        shown = 'print(json_text.dumps([{"class": a.label, **dataclasses.asdict(a)} for a in answers], indent=2))\n'
    else:
        imports = "import sys\n"
        shown = "for answer in answers:\n    print(answer)\n"
    drawn = arguments.output is not None
    library, paths = "explain, train" if drawn else "train", repr(arguments.images)
    writer = "from minitorch_cnn.io import json_text\n" if arguments.json else ""
    if any(map(os.path.isdir, arguments.images)):
        imports += "\nimport tqdm\n"
        library = f"data, {library}"
        found = f"[{', '.join(_paths_code(arguments, path) for path in arguments.images)}]"
        paths = f'tqdm.tqdm({found}, unit="pictures", leave=False, disable=None, ncols=80)'
    return (
        f"{imports}\nfrom minitorch_cnn import {library}\n{writer}\n"
        f"classifier, failed = {classifier_code(arguments)}, []\n"
        f"paths = {paths}\n"
        "answers = classifier.classify(paths, on_error=failed.append)\n"
        f"{shown}"
        "for error in failed:\n"
        '    print(f"mcnn predict: {error}", file=sys.stderr)\n'
        f"{_drawing_code(arguments.output) if drawn else ''}"
    )


def _drawing_code(output):
    return (
        "files = [answer.file for answer in answers]\n"
        "probabilities = [answer.probabilities for answer in answers]\n"
        'size, channels = classifier.input_size, len(classifier.metadata["mean"])\n'
        f"explain.seen(files, probabilities, size, channels).save({output!r})\n"
    )


def _paths_code(arguments, path):
    """Return the Python elements of a list for a file or folder."""
    if is_run(path):
        raise UsageError(f"{arguments.parser.prog}: {run_in_place_of_pictures(path)}")
    return f"*data.find_pictures({path!r})" if os.path.isdir(path) else repr(path)


def _evaluate(arguments):
    run_code(arguments)


def _evaluate_code(arguments):
    code, place = classifier_code(arguments), test_source(arguments)  # the first chooses the model, if none is given
    check_test_images(arguments, place)
    path = arguments.model or arguments.network
    views_code = f", views={arguments.views}" if arguments.views > 1 else ""
    if arguments.json:
        views = '"views": judged.views, "plain_test_accuracy": judged.plain_accuracy'
        result = f'{{"test_accuracy": judged.accuracy, "test_loss": judged.loss, {views}, "model": {path!r}}}'
        library, shown = "data, train\nfrom minitorch_cnn.io import json_text", f"print(json_text.dumps({result}))\n"
    else:
        library = "data, train"
        seen = " ({judged.views} views; plain {judged.plain_accuracy:.2%})" if arguments.views > 1 else ""
        judged = f"f'test accuracy {{judged.accuracy:.2%}}{seen}, loss {{judged.loss:.4f}}:'"
        shown = f"print({judged}, {path!r}, 'on', test_set.name)\n"
    return (
        f"from minitorch_cnn import {library}\n\n"
        f"test_set = {place.code(train=False)}\n"
        f"judged = {code}.evaluate(test_set{views_code})\n"
        f"{shown}"
    )
