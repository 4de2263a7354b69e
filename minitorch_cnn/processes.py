"""Starting a module of this package as a process of its own."""

import contextlib
import os
import signal
import sys

# What asks a program to end: Ctrl-C, a scheduler that wants the machine back, a terminal that was closed.
STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGBREAK") if hasattr(signal, name)
)

# What a parent sends for the same: of these the one that neither Ctrl-C nor mpiexec sends by itself, where it exists.
ASK_TO_STOP = getattr(signal, "SIGUSR1", signal.SIGTERM)


def module_command(module, *arguments):
    """Return the command that runs a module in a new Python process.

    ``-P`` keeps the current folder out of the module search path: a user's ``random.py`` there would take the place
    of Python's.

    Parameters
    ----------
    module : str
    arguments : str

    Returns
    -------
    list of str

    Raises
    ------
    RuntimeError
        If this process does not know its Python interpreter, as in a program that embeds Python.
    OSError
        In a browser, which starts no processes.
    """
    if sys.platform == "emscripten":
        raise OSError(f"run this with Python on a computer: {module} needs a process, and a browser starts none")
    if not sys.executable:
        raise RuntimeError(
            f"cannot start {module}: expected the path of the Python interpreter in sys.executable, "
            f"got {sys.executable!r}; in a program that embeds Python set it"
        )
    return [sys.executable, "-P", "-m", module, *arguments]


def module_environment(**variables):
    """Return the environment of a new process that imports the same modules as this one.

    Parameters
    ----------
    variables : str
        Further variables, or other values.

    Returns
    -------
    dict of str to str
    """
    return {**os.environ, "PYTHONPATH": os.pathsep.join(_search_path()), **variables}


def _search_path():
    """Return the folders of `sys.path` as absolute paths; an empty one is the current folder, as in interactive Python.

    Python does not start where it has to complete a path and the current folder was removed.
    """
    entries = [str(entry) for entry in sys.path]
    try:
        current = os.getcwd()
    except FileNotFoundError:
        return [entry for entry in entries if os.path.isabs(entry)]
    return [os.path.join(current, entry) if entry else current for entry in entries]


@contextlib.contextmanager
def deaf_to_stop_signals():
    """Start processes in this context that never see `STOP_SIGNALS`: a scheduler sends them to all, the parent decides.

    A child inherits the signals that the thread which starts it has blocked. This process gets its own at the end.
    """
    if sys.platform == "win32":
        yield  # a child inherits none
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
