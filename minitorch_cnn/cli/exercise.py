"""`mcnn exercise`: write an operation yourself, and have it checked."""

import _thread
import contextlib
import signal
import sys
import threading

from minitorch_cnn.cli.errors import UsageError
from minitorch_cnn.cli.options import check_output
from minitorch_cnn.cli.parser import positive, set_command
from minitorch_cnn.display import shell


def add_commands(commands):
    """Add ``mcnn exercise start`` and ``mcnn exercise check``."""
    parser = commands.add_parser(
        "exercise",
        help="write an operation yourself, and have it checked",
        description="Write the forward and the backward pass of an operation. They are compared with plain loops and "
        "with finite differences.",
        examples=("mcnn exercise start conv2d", "mcnn exercise check conv2d.py"),
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    begin = actions.add_parser(
        "start",
        help="write a file with two functions to complete",
        description="Write a file with formula, shapes, and two functions to complete: of conv2d, max_pool2d, relu, "
        "linear, batch_norm or cross_entropy.",
        examples=("mcnn exercise start conv2d", "mcnn exercise start relu -o my_relu.py"),
    )
    begin.add_argument("name", metavar="NAME", help="conv2d, max_pool2d, relu, linear, batch_norm or cross_entropy")
    begin.add_argument("-o", dest="output", metavar="FILE", help="the file to write (default: NAME.py)")
    set_command(begin, _start, _start_code)
    grade = actions.add_parser(
        "check",
        help="check a file",
        description="Run the file and check its forward and backward. The exit code is 1 if something is wrong.",
        examples=("mcnn exercise check conv2d.py",),
    )
    grade.add_argument("file", metavar="FILE", help="the file that `start` wrote and you completed; it is run")
    grade.add_argument(
        "--time-limit", type=positive, default=120.0, metavar="S", help="stop after S seconds (default: 120)"
    )
    set_command(grade, _check, _check_code)


def _start(arguments):
    check_output(arguments)
    from minitorch_cnn import exercises

    try:
        path = exercises.start(arguments.name, arguments.output)
    except ValueError as error:
        raise UsageError(f"mcnn exercise start: {str(error).removeprefix('exercise: ')}") from error
    print(f"{path}: write forward and backward, then run: {shell.line('mcnn', 'exercise', 'check', path)}")


def _start_code(arguments):
    path = f", {arguments.output!r}" if arguments.output else ""
    return f"from minitorch_cnn import exercises\n\nprint(exercises.start({arguments.name!r}{path}))\n"


def _check(arguments):
    from minitorch_cnn import exercises

    try:
        with _limit(arguments.time_limit):
            report = exercises.check(arguments.file)
    except TimeoutError as error:
        raise UsageError(f"mcnn exercise check: {error}") from error
    except exercises.ExerciseError as error:
        raise UsageError(f"mcnn exercise check: {str(error).removeprefix('check: ')}") from error
    print(report)
    return 0 if report.passed else 1


@contextlib.contextmanager
def _limit(seconds):
    """Raise TimeoutError in the main thread after some seconds: a loop of a student may never end.

    A browser has no thread that could watch; reloading the page ends such a loop.
    """
    if sys.platform == "emscripten":
        yield
        return
    fired = threading.Event()

    def interrupt():
        fired.set()
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # also ends a wait for input or a clock
        else:
            _thread.interrupt_main()  # on Windows, when the next line of Python runs

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it in the background
    timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    except KeyboardInterrupt:
        if not fired.is_set():
            raise
        raise TimeoutError(
            f"look for a loop that never ends: the check was stopped after {seconds:g} s; --time-limit S allows more"
        ) from None
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, before)


def _check_code(arguments):
    return f"from minitorch_cnn import exercises\n\nprint(exercises.check({arguments.file!r}))\n"
