"""Options that several commands share: the images, the ranks, the threads, and `-o FILE`."""

import dataclasses
import os.path

from minitorch_cnn.cli import errors
from minitorch_cnn.cli.errors import UsageError
from minitorch_cnn.cli.parser import integer, positive, set_command

# ------------------------------------------------------------------------------------ images


@dataclasses.dataclass(frozen=True)
class Source:
    """A dataset by name and place; opened only when its images are needed."""

    name: str  # "cifar10" or "shapes10"
    root: str | None = None  # of CIFAR-10; None is where `mcnn data get` puts it
    verify: bool = True

    def open(self, train):
        """Return the training images or the test images."""
        from minitorch_cnn import data

        if self.name == "shapes10":
            return data.Shapes10(train=train)
        return data.CIFAR10(self.root, train=train, verify=self.verify)

    def code(self, train):
        """Return the Python that opens them."""
        if self.name == "shapes10":
            return f"data.Shapes10(train={train})"
        unverified = "" if self.verify else ", verify=False"
        return f"data.CIFAR10({self.root!r}, train={train}{unverified})"


def add_source_options(parser):
    """Add --data and --unverified to a command."""
    parser.add_argument(
        "--data",
        metavar="shapes10|DIR",
        help="shapes10, which is drawn on the spot, or the folder of CIFAR-10: cifar-10-batches-bin, or the one "
        "around it (default: what `mcnn data get` fetched)",
    )
    parser.add_argument(
        "--unverified", action="store_true", help="take images that are not those of CIFAR-10; the record says so"
    )


def source(text, unverified):
    """Return the `Source` of a --data option, or None if there was none and CIFAR-10 was not fetched either."""
    from minitorch_cnn.data import cifar10

    if text == "shapes10":
        return Source("shapes10")
    if text is not None:
        if not os.path.exists(text):
            raise UsageError(f"mcnn: --data - expected shapes10 or a folder, got {text!r}, which does not exist")
        return Source("cifar10", os.path.abspath(text), not unverified)
    folder = cifar10.default_folder()
    fetched = [*folder.glob("cifar-10-batches-*"), *folder.glob("cifar-10-*.tar.gz")]
    return Source("cifar10", None, not unverified) if fetched else None


# ------------------------------------------------------------------------- ranks and threads


def add_ranks_options(parser):
    """Add what a training by several processes can be told."""
    parser.add_argument(
        "--distributed",
        choices=("auto", "mpi", "off"),
        help="share each batch with the other processes of mpiexec (default: auto, where mpiexec started this)",
    )
    parser.add_argument(
        "--sync-bn", action="store_true", default=None, help="batch norm over the whole batch: any ranks, one result"
    )
    parser.add_argument("--accumulate", type=integer(1), metavar="N", help="go through each batch in N parts")
    parser.add_argument(
        "--rank-timeout", type=positive, metavar="S", help="stop all where a rank is silent for S seconds (default: 60)"
    )


def connect(arguments):
    """Return the ranks of this process; see `train.connect`."""
    from minitorch_cnn import train

    return train.connect(arguments.distributed or "auto", arguments.rank_timeout or 60.0, errors.explain)


def add_threads_option(parser):
    """Add ``--threads`` to a command."""
    parser.add_argument("--threads", type=integer(1), metavar="N", help="threads that compute (default: all cores)")


def use_threads(arguments, default=None):
    """Compute with ``--threads``, or with ``default`` if it was not given; None leaves all as it is."""
    import minitorch_cnn

    threads = default if arguments.threads is None else arguments.threads
    if threads is not None:
        try:
            minitorch_cnn.set_num_threads(threads)
        except ValueError as error:
            raise UsageError(f"mcnn {arguments.command}: --threads - {error}") from error


# ----------------------------------------------------------------------------- pictures, `-o`


def add_output_option(parser, kinds, run, code):
    """Add ``-o`` and ``--show-code`` to a command, and say what it does.

    Parameters
    ----------
    parser : Parser
    kinds : str
        The ends of files that the result can be saved as, such as ".png or .svg".
    run, code : callable
        Take the arguments; one runs the command, the other returns the Python that does the same.
    """
    parser.add_argument("-o", dest="output", metavar="FILE", help=f"a {kinds} file (default: print text)")
    set_command(parser, run, code)


def show(arguments, make, **options):
    """Print what ``make()`` returns, or save it as ``-o``; a ValueError becomes one line.

    Parameters
    ----------
    arguments : Namespace
        Of a command with `add_output_option`.
    make : callable
        Returns an object with ``save(path)`` and a text by ``str``.
    options
        Of ``save``.

    Raises
    ------
    UsageError
        If the arguments do not fit together, or the end of the file is none that can be written.
    """
    try:
        made = make()
        if arguments.output is None:
            print(made)
        else:
            made.save(arguments.output, **options)
    except ValueError as error:
        raise UsageError(f"{arguments.parser.prog}: {error}") from error


def ending(arguments, **options):
    """Return the last line of ``--show-code`` for a result called ``made``."""
    given = "".join(f", {name}={value!r}" for name, value in options.items())
    return "print(made)\n" if arguments.output is None else f"made.save({arguments.output!r}{given})\n"
