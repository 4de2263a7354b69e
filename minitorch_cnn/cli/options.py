"""Options that several commands share: networks, ranks, threads and ``-o FILE``."""

import argparse
import dataclasses
import os
import pathlib

from minitorch_cnn.cli import errors
from minitorch_cnn.cli.errors import UsageError
from minitorch_cnn.cli.images import Source, recorded_source, source
from minitorch_cnn.cli.parser import integer, positive, set_command
from minitorch_cnn.cli.streams import say
from minitorch_cnn.hints import hint

# ---------------------------------------------------------------------------------- networks

NETWORK = "a name of `mcnn list`, FILE.py:NAME of your own, or a run's folder or model file"


def add_size_options(parser):
    """Add --classes, --in-channels and --image-size to a command that takes a network."""
    for name, metavar, text in (
        ("classes", "K", "number of classes"),
        ("in-channels", "C", "channels of the images"),
        ("image-size", "S", "pixels per side"),
    ):
        parser.add_argument(f"--{name}", type=integer(1), metavar=metavar, help=f"{text} (default: the network's own)")


def is_own(name):
    """Return whether a name is ``FILE.py:NAME``."""
    return name is not None and name.rpartition(":")[0].endswith(".py")


def network(arguments, name, drawn=True):
    """Return (Python that makes a network, shape of a batch of one image) for a network's name.

    Parameters
    ----------
    arguments : Namespace
        With the sizes of `add_size_options`, as far as the command has them.
    name : str
        See NETWORK.
    drawn : bool
        Whether its weights matter.

    Raises
    ------
    UsageError
        If there is no such network.
    """
    from minitorch_cnn import models

    prog = arguments.parser.prog
    given = {key: getattr(arguments, key, None) for key in ("in_channels", "image_size")}
    classes = {"num_classes": arguments.classes} if getattr(arguments, "classes", None) else {}
    if name in models.list():
        channels, size = models.native_input(name)
        sizes = {"in_channels": given["in_channels"] or channels, "image_size": given["image_size"] or size}
        options = classes | sizes | ({} if drawn else {"drawn": False})
        return _call("models.create", name, options), (1, sizes["in_channels"], *[sizes["image_size"]] * 2)
    if is_own(name):
        known = _parameters(prog, name)
        usual = {"in_channels": 3, "image_size": 32}
        sizes = {key: given[key] or known.get(key) or usual[key] for key in usual}
        return _call("models.from_file", name, classes | sizes), (1, sizes["in_channels"], *[sizes["image_size"]] * 2)
    if os.path.exists(name):
        if any(given.values()) or classes:
            raise UsageError(f"{prog}: leave out the sizes: {name} is a trained network with its own")
        loaded = load_classifier(arguments, name)
        return f"train.Classifier.load({name!r}).model", (1, len(loaded.metadata["mean"]), *loaded.input_size)
    near = hint(name, models.list())
    raise UsageError(f"{prog}: no network is called {name!r}{near or ';'} `mcnn list` prints their names")


def _call(function, name, options):
    return f"{function}({name!r}{''.join(f', {key}={value}' for key, value in options.items())})"


def _parameters(prog, place):
    """Return the defaults of the class or function that ``FILE:NAME`` names, by name."""
    from minitorch_cnn.models import own

    try:
        return own.defaults(place)
    except ValueError as error:
        raise UsageError(f"{prog}: {error}") from error


# ------------------------------------------------------------------------- trained networks


class _Once(argparse.Action):
    """Keeps a value that may be given as an argument or as an option, but not as both."""

    def __call__(self, parser, namespace, values, option_string=None):
        if getattr(namespace, self.dest, None) is not None:
            parser.error(f"leave out {values} or {getattr(namespace, self.dest)}: one model at a time")
        setattr(namespace, self.dest, values)


def add_model_options(parser, first=False):
    """Add --model and --network to a command that takes a trained network; ``first``: it may be an argument, too."""
    text = "a run's folder or model file (default: the run in runs/ that finished last)"
    if first:
        parser.add_argument("model", nargs="?", metavar="RUN", action=_Once, default=argparse.SUPPRESS, help=text)
    parser.add_argument("--model", metavar="PATH", action=_Once, help="the same" if first else text)
    parser.add_argument(
        "--network",
        metavar="NAME",
        help="only for a file of weights alone, as of torch.save: a name of `mcnn list`; or for a run of your own "
        "network whose file was moved or changed: FILE.py:NAME",
    )


def model_path(arguments):
    """Return --model, or the model of the run that finished last."""
    if arguments.model is not None:
        return arguments.model
    finished = sorted(pathlib.Path("runs").glob("*/model.safetensors"), key=lambda path: path.stat().st_mtime)
    if not finished:
        raise UsageError(
            f"{arguments.parser.prog}: --model - expected a run's folder or model file, got none and there is none in "
            "runs/; `mcnn train` makes one"
        )
    say(f"using {finished[-1]}")
    arguments.model = str(finished[-1])
    return arguments.model


def classifier_code(arguments):
    """Return the Python that loads the classifier of --model and --network."""
    if arguments.network is not None and not is_own(arguments.network):
        return f"train.Classifier.pretrained({arguments.network!r}, {arguments.model!r})"
    own = f", model={arguments.network!r}" if arguments.network else ""
    return f"train.Classifier.load({model_path(arguments)!r}{own})"


def load_classifier(arguments, path=None):
    """Return the classifier of --model and --network, or of a path; a ValueError becomes a UsageError."""
    from minitorch_cnn import train

    code = classifier_code(arguments) if path is None else f"train.Classifier.load({path!r})"
    try:
        return eval(code, {"train": train})
    except ValueError as error:
        raise usage(arguments, error) from error


def test_source(arguments):
    """Return where the test images are: as --data says, or those that belong to the training images of the model."""
    if arguments.data is not None:
        return source(arguments.data, arguments.unverified, skip_broken=arguments.skip_broken)
    if not arguments.model and arguments.network and not is_own(arguments.network):
        return source(None, arguments.unverified) or Source("shapes10")
    return _trained_on(arguments, load_classifier(arguments).metadata)


def check_test_images(arguments, place):
    """Raise UsageError if test pictures that a seed draws may be among those that the model has learned from.

    They are, where pictures came or went since the training, or were divided otherwise then.
    """
    if arguments.unverified or not place.is_own or not place.listing().drawn:
        return
    from minitorch_cnn.train import same_data

    record = load_classifier(arguments).metadata
    kind, _, name = str(record.get("dataset")).partition(" ")
    learned = os.path.abspath(record.get("source") or place.root), kind, name, "data_sha256" in record
    if learned != (place.root, place.name, os.path.basename(os.path.realpath(place.root)), True):
        return
    again = dataclasses.replace(place, size=tuple(record["input_size"]), skip_broken=True).open(train=True)
    if same_data.data_digests(again)["data_sha256"] != record["data_sha256"]:
        raise UsageError(
            f"{arguments.parser.prog}: train again, or add --unverified: the training pictures in {place.root} are not "
            "those of the training any more, so that some test pictures may be ones that the model has learned from"
        )


def _trained_on(arguments, metadata):
    """Return the `Source` of the images that the record of a run names."""
    if metadata.get("dataset") is None:  # a model that no run has trained
        return source(None, arguments.unverified) or Source("shapes10")
    found = recorded_source(metadata, arguments.unverified)
    if found is None:
        name = metadata["dataset"]
        raise UsageError(
            f"{arguments.parser.prog}: give the images by --data: the model was trained on {name!r}, of a program of "
            "your own"
        )
    return found


def usage(arguments, error):
    """Return a UsageError for an error of the library that the command line caused, with what to do first."""
    from minitorch_cnn import train, weights

    path, network = (getattr(arguments, name, None) for name in ("model", "network"))
    if (
        isinstance(error, (train.ClassifierError, weights.WeightFileError))
        and not network
        and os.path.isfile(path or "")
    ):
        with open(path, "rb") as file:
            start = file.read(4)
        torch = start.startswith((b"PK\3\4", b"\x80\x02\x8a\n"))  # a zip file; what versions before 1.6 wrote
        if torch or "weights without" in str(error) or "expected a file of weights.save" in str(error):
            kind = "a file of torch.save" if torch else "a file of weights"
            told = f"add --network NAME, the network of these weights: {path} is {kind}, which does not name it"
            return UsageError(f"{arguments.parser.prog}: {told}")
    return errors.usage(arguments.parser.prog, error)


# ------------------------------------------------------------------------- ranks and threads


def add_ranks_options(parser):
    """Add the options of a training by several processes."""
    parser.add_argument(
        "--distributed",
        choices=("auto", "mpi", "off"),
        help="share each batch among the processes of mpiexec (default: auto, which means mpi under mpiexec)",
    )
    parser.add_argument(
        "--sync-bn",
        action="store_true",
        default=None,
        help="normalise over the whole batch: the result does not depend on the number of processes",
    )
    parser.add_argument(
        "--accumulate", type=integer(1), metavar="N", help="compute each batch in N parts, which takes less memory"
    )
    parser.add_argument(
        "--rank-timeout",
        type=positive,
        metavar="S",
        help="stop all processes if one does not answer for S seconds (default: 60)",
    )


def connect(arguments):
    """Return the ranks of this process; see `train.connect`."""
    from minitorch_cnn import train

    return train.connect(arguments.distributed or "auto", arguments.rank_timeout or 60.0, errors.explain)


def add_threads_option(parser):
    """Add ``--threads`` to a command."""
    parser.add_argument("--threads", type=integer(1), metavar="N", help="number of threads (default: all cores)")


def use_threads(arguments, default=None):
    """Compute with ``--threads``, or with ``default`` if it was not given; None changes nothing."""
    import minitorch_cnn

    threads = default if arguments.threads is None else arguments.threads
    if threads is not None:
        try:
            minitorch_cnn.set_num_threads(threads)
        except ValueError as error:
            raise UsageError(f"mcnn {arguments.command}: --threads - {error}") from error


# ------------------------------------------------------- commands that run their own shown code


def add_output_option(parser, kinds, code):
    """Add ``-o`` and ``--show-code`` to a command whose shown code is what it runs.

    Parameters
    ----------
    parser : Parser
    kinds : tuple of str
        The extensions of files that the result can be saved as, such as ".png".
    code : callable
        Takes the arguments and returns the Python that the command runs.
    """
    parser.add_argument(
        "-o", dest="output", metavar="FILE", help=f"the file to write: {', '.join(kinds)} (default: print text)"
    )
    parser.set_defaults(kinds=kinds)
    set_command(parser, run_code, code)


def run_code(arguments):
    """Run the code that ``--show-code`` prints, so that the two cannot differ.

    Returns
    -------
    dict
        The names that the code defined.

    Raises
    ------
    UsageError
        If the arguments do not fit together, or ``-o`` cannot be written.
    """
    check_output(arguments)
    names: dict = {"__name__": "mcnn"}
    try:
        exec(compile(arguments.code(arguments), "<mcnn --show-code>", "exec"), names)
    except ValueError as error:
        raise usage(arguments, error) from error
    if getattr(arguments, "output", None) is not None:
        say(f"wrote {arguments.output}")
    return names


def check_output(arguments):
    """Raise UsageError, before any work, unless the file of ``-o`` can be written: its extension and its folder."""
    output = getattr(arguments, "output", None)
    if output is None:
        return
    prog, folder = arguments.parser.prog, os.path.dirname(output) or "."
    kinds = getattr(arguments, "kinds", None)
    if kinds and pathlib.Path(output).suffix.lower() not in kinds:
        raise UsageError(f"{prog}: -o - expected a file name that ends in {' or '.join(kinds)}, got {output!r}")
    if not os.path.isdir(folder):
        raise UsageError(f"{prog}: make the folder {folder!r} first: -o {output} has to be written there")
    if os.path.isdir(output):
        raise UsageError(f"{prog}: -o - expected a file, got the folder {output!r}")


def ending(arguments, **options):
    """Return the last line of ``--show-code`` for a result called ``made``."""
    given = "".join(f", {name}={value!r}" for name, value in options.items())
    return "print(made)\n" if arguments.output is None else f"made.save({arguments.output!r}{given})\n"
