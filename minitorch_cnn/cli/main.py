"""`mcnn`: the command line. Each command is a few calls of the library; --show-code prints them.

Nothing heavy is imported before a command runs, so that ``mcnn --help`` answers at once. Nearly all is imported inside
`main`, where Ctrl-C is one line, and no traceback.
"""

import _thread
import contextlib
import os
import signal
import sys
import threading

from minitorch_cnn.cli import errors, streams


def main(argv=None):
    """Run ``mcnn``.

    Parameters
    ----------
    argv : list of str or None
        Without the program's name; None takes the process's own.

    Returns
    -------
    int
        0, or 1: something outside failed, 2: bad input, 3: training diverged, 130: stopped by Ctrl-C.
    """
    with _CtrlC() as ctrl_c:
        try:
            return _main(sys.argv[1:] if argv is None else argv, ctrl_c)
        except KeyboardInterrupt:  # while an error was explained, which imports much
            return _stopped("mcnn")


def _stopped(command):
    """Say why an interrupted command ended, and return its exit code."""
    if lack := errors.lack_of_addresses():  # OpenBLAS interrupts its own process where no thread can start
        streams.say(f"{command}: {lack}")
        return errors.EXIT_FAILED
    streams.say("mcnn: stopped")
    return errors.EXIT_STOPPED


class _CtrlC:
    """Whether Ctrl-C was pressed: where it meets an import, NumPy or Python's compiler makes another error of it.

    What a callback swallows, such as those that Python's import has, comes once more.
    """

    pressed = False

    def __enter__(self):
        self._hook, sys.unraisablehook = sys.unraisablehook, self._swallowed
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where it is ignored
            with contextlib.suppress(ValueError):  # in another thread, where Python delivers no signals
                signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(self, *error):
        sys.unraisablehook = self._hook
        if signal.getsignal(signal.SIGINT) == self._press:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _press(self, number, frame):
        self.pressed = True
        raise KeyboardInterrupt

    def _swallowed(self, told):
        if told.exc_type is KeyboardInterrupt:
            threading.Timer(0.02, _thread.interrupt_main).start()  # not at once: this is called by what swallows it
        else:
            self._hook(told)


def _main(words, ctrl_c):
    command = "mcnn"
    try:
        streams.escape_unknown()
        if not words:
            all_commands().print_help()
            return 0
        arguments = _parse(words)
        command = arguments.parser.prog
        with streams.warnings_in_words():
            if arguments.show_code:
                print(arguments.code(arguments), end="")
                code = 0
            else:
                _check_variables()
                code = arguments.run(arguments)
        if sys.stdout is not None:  # closed before this process began
            sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except errors.UsageError as error:
        streams.say(error)
        return errors.EXIT_USAGE
    except KeyboardInterrupt:
        return _stopped(command)
    except BrokenPipeError:  # such as `mcnn predict ... | head -1`
        return errors.EXIT_FAILED
    except Exception as error:
        if ctrl_c.pressed:
            return _stopped(command)
        code, text = errors.explain(error)
        if code is None:
            raise  # a mistake of ours: the traceback is what its report needs
        streams.say(f"{command}: {text}")
        return code
    finally:
        streams.give_up_broken()


def all_commands():
    """Return the parser of all commands."""
    import minitorch_cnn
    from minitorch_cnn.cli import (
        chapters,
        completion,
        data,
        doctor,
        exercise,
        explain,
        explore,
        export,
        gradcheck,
        launch,
        lecture,
        network,
        predict,
        race,
        runs,
        sweep,
        train,
        transfer,
    )
    from minitorch_cnn.cli.parser import Parser

    parser = Parser(
        prog="mcnn",
        description="Train and use convolutional networks on the CPU.",
        examples=("mcnn train", "mcnn train --help"),
    )
    parser.add_argument("--version", action="version", version=f"mcnn {minitorch_cnn.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    training = doctor, data, train, launch, sweep, runs, transfer, predict, race
    for family in (*training, network, explain, explore, lecture, chapters, export, gradcheck, exercise, completion):
        family.add_commands(commands)
    return parser


def _check_variables():
    """Refuse what Numba, NumPy or matplotlib would refuse later, without a word of the variable."""
    threads = os.environ.get("NUMBA_NUM_THREADS", "1")
    if not threads.isdecimal() or int(threads) == 0:
        raise errors.UsageError(f"mcnn: set NUMBA_NUM_THREADS to at least 1, or unset it: it is {threads!r}")
    date = os.environ.get("SOURCE_DATE_EPOCH", "0")
    if not date.isdecimal():
        expected = "a number of seconds, which dates files"
        raise errors.UsageError(f"mcnn: set SOURCE_DATE_EPOCH to {expected}, or unset it: it is {date!r}")


def _parse(argv):
    if bad := [word for word in argv if "\0" in word]:
        raise errors.UsageError(f"mcnn: leave out the character with code 0, which no file name has, in {bad[0]!r}")
    parser = all_commands()
    if argv[0].startswith("--") and argv[0] not in ("--help", "--version"):
        parser.unknown(argv[:1])
    arguments, extras = parser.parse_known_args(argv)
    if extras:
        arguments.parser.unknown(extras)
    return arguments
