"""`mcnn launch`: a training by several processes that begins again from its last checkpoint when one of them fails."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys

from minitorch_cnn.cli import training
from minitorch_cnn.cli.errors import EXIT_DIVERGED, EXIT_STOPPED, EXIT_USAGE, FailedError, UsageError
from minitorch_cnn.cli.parser import integer, set_command
from minitorch_cnn.cli.streams import say
from minitorch_cnn.processes import ASK_TO_STOP, STOP_SIGNALS, module_command, module_environment

_FINAL = (0, EXIT_USAGE, EXIT_DIVERGED, EXIT_STOPPED)  # exit codes after which another attempt ends the same way
_ASK_AGAIN = 30.0  # seconds: long enough for a rank that has saved to say so and end, even on a busy machine


def add_commands(commands):
    """Add ``mcnn launch``."""
    parser = commands.add_parser(
        "launch",
        help="train with several processes, and restart them when one fails",
        description="Start mcnn train on N processes by mpiexec. When one of them fails, all begin again from the last "
        "checkpoint. A request to stop, such as Ctrl-C or SIGTERM, saves and ends all of them; the same command "
        "continues.",
        examples=("mcnn launch -n 2 -- train --data shapes10 --run runs/two", "mcnn launch --help"),
    )
    parser.add_argument("-n", dest="ranks", type=integer(1), default=1, metavar="N", help="processes (default: 1)")
    parser.add_argument(
        "--max-restarts", type=integer(0), default=3, metavar="K", help="attempts after the first one (default: 3)"
    )
    parser.add_argument("words", nargs="*", metavar="-- train ...", help="a command line of mcnn train")
    set_command(parser, _run, _code)


def _command(arguments, folder):
    """Return the command of one attempt."""
    if arguments.words[:1] != ["train"]:
        raise UsageError("mcnn launch: add a command of training after --, such as -- train --data shapes10")
    if "--resume" in arguments.words:
        raise UsageError("mcnn launch: leave out --resume: give the folder by --run, and the run in it continues")
    run = [] if "--run" in arguments.words else ["--run", folder]
    command = module_command("minitorch_cnn", *arguments.words, *run, "--resume", "auto")
    return command if arguments.ranks == 1 else [_mpiexec(), "-n", str(arguments.ranks), *command]


def _mpiexec():
    """Return the path of mpiexec: that of this environment, else the first one of PATH."""
    folders = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which("mpiexec", path=folders)
    if found is None:
        raise FailedError("install MPI first, by pip install 'minitorch-cnn[mpi]': there is no mpiexec")
    return found


def _run(arguments):
    with contextlib.ExitStack() as stack:
        folder = ""
        if arguments.words[:1] == ["train"] and "--run" not in arguments.words:
            folder = stack.enter_context(training.reserved_folder("launch"))
        command = _command(arguments, folder)
        attempts = _Attempts(command)
        for restart in range(arguments.max_restarts + 1):
            code = attempts.run()
            if code in _FINAL or attempts.stopped:
                return code
            if restart < arguments.max_restarts:
                say(f"mcnn launch: exit code {code}; restart {restart + 1} of {arguments.max_restarts}")
        raise FailedError(f"exit code {code} at the last of {arguments.max_restarts + 1} attempts: see above")


class _Attempts:
    """Runs a command, again and again, and passes requests to stop on to it.

    The processes get SIGUSR1, which mpiexec hands to all ranks, whereas Ctrl-C would make it kill them. They do not see
    the signals of the terminal: they run in a process group of their own.
    """

    def __init__(self, command):
        self._command, self._process = command, None
        self.stopped = False

    def run(self):
        """Run it once; return the exit code, of a process that a signal ended 128 + its number."""
        earlier = {number: signal.signal(number, self._stop) for number in STOP_SIGNALS}
        try:
            # PYTHONUNBUFFERED: what a rank says passes through pipes of mpiexec.
            environment = module_environment(PYTHONUNBUFFERED="1")
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, env=environment, start_new_session=True
            )
            if self.stopped:  # while it was starting
                self._pass_on(ASK_TO_STOP)
            code = self._wait()
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)
        if self.stopped and code not in (0, EXIT_USAGE, EXIT_DIVERGED):
            if code < 0:  # it was ended before it could answer, such as while it was starting
                say("mcnn launch: stopped at once; the same command continues from the last checkpoint")
            return EXIT_STOPPED
        return 128 - code if code < 0 else code

    def _wait(self):
        """Wait for the end; ask again and again, for mpiexec drops a request that comes before its ranks have begun."""
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self._process.wait(_ASK_AGAIN)
            if self.stopped:
                self._pass_on(ASK_TO_STOP)

    def _stop(self, number, frame):
        # The second Ctrl-C ends all at once.
        again, self.stopped = self.stopped and number == signal.SIGINT, True
        if self._process is not None:
            self._pass_on(signal.SIGINT if again else ASK_TO_STOP)

    def _pass_on(self, number):
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)


def _code(arguments):
    command = _command(arguments, training.free_folder("launch"))
    return (
        "import subprocess\n\n"
        f"command = {command!r}\n"
        f"for _ in range({arguments.max_restarts + 1}):\n"
        "    if subprocess.run(command).returncode == 0:\n"
        "        break\n"
    )
