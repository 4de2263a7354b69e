"""Hostile surroundings for a command: mounts, limits, variables, streams, and what happens while it runs.

Needs root on Linux: every process gets its own mounts (`unshare --mount`), which vanish with it.
"""

import contextlib
import dataclasses
import fcntl
import os
import pathlib
import pty
import resource
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
import typing

NOT_MADE = 99  # exit code: the surrounding itself could not be made
CLOSED = {"stdin": "<&-", "stdout": ">&-", "stderr": "2>&-"}


@dataclasses.dataclass(frozen=True)
class Surrounding:
    """How a process begins and what happens to it.

    Parameters
    ----------
    before : str
        Lines of a shell that run first, in the folder of the command.
    wrapper : str
        A program, with its options, that becomes the command.
    python : tuple of str
        Words in the place of ``python``, such as ``("python", "-O")`` or ``("taskset", "-c", "0", "python")``.
    limits : tuple of (str, int)
        Names after ``RLIMIT_``, and values.
    streams : dict of str to str
        ``"closed"``, ``"full"``, or ``"gone"`` (a pipe that nobody reads) for standard input, output or errors.
    later : tuple of (float, callable), optional
        Seconds after the start, and what then happens: called with the process and its folder.
    terminal : tuple of (int, int), optional
        Rows and columns of a terminal for output and errors.
    variables : dict of str to (str or None)
        Variables of the environment; ``{folder}`` is the command's folder, None removes one.
    """

    before: str = ""
    wrapper: str = ""
    python: tuple[str, ...] = ("python",)
    limits: tuple[tuple[str, int], ...] = ()
    streams: dict[str, str] = dataclasses.field(default_factory=dict)
    later: tuple[float, typing.Callable] | None = None
    terminal: tuple[int, int] | None = None
    variables: dict[str, str | None] = dataclasses.field(default_factory=dict)


def with_variables(**variables):
    return Surrounding(variables=variables)


def with_limit(name, value):
    return Surrounding(limits=((name, value),))


def with_streams(**streams):
    return Surrounding(streams=streams)


def with_python(*words):
    return Surrounding(python=words)


# ------------------------------------------------------------------------- what happens meanwhile


def send(number):
    """Send a signal to the command and to all that it has started."""
    return lambda process, folder: os.killpg(process.pid, number)


def pause(process, folder):
    """Stop the command for two seconds, as Ctrl-Z and a laptop that sleeps do."""
    os.killpg(process.pid, signal.SIGSTOP)
    time.sleep(2)
    os.killpg(process.pid, signal.SIGCONT)


def remove_runs(process, folder):
    """Remove every folder that the command has made for its run."""
    for run in ("new", "runs", "swept"):
        shutil.rmtree(folder / run, ignore_errors=True)


def change_pictures(process, folder):
    """Write one picture over another, and remove a third."""
    cat, dog = folder / "pets" / "cat", folder / "pets" / "dog"
    shutil.copy(cat / "0.png", dog / "0.png")
    (dog / "9.png").unlink(missing_ok=True)


CHANGED_MEANWHILE = {change_pictures: ("pets/dog/0.png", "pets/dog/9.png")}


def at_moments(name, action):
    """Return surroundings in which something happens at one of some moments after the start."""
    return {f"{name} after {s:g} s": Surrounding(later=(s, action)) for s in (0.2, 0.5, 1, 1.5, 2.5, 4)}


# ------------------------------------------------------------------------------------- the table

NO_HOME = {"HOME": None, "MCNN_HOME": None, "XDG_CACHE_HOME": None, "XDG_CONFIG_HOME": None, "MPLCONFIGDIR": None}
FILL = "dd if=/dev/zero of={}/fill bs=4k; true"
ON_SMALL_DISK = (
    "mkdir full && mount -t tmpfs -o size=3m none full && cp -a $(ls | grep -v full) full/ && cd full && "
    + FILL.format(".")
)
LONG_NAME = "n=$(printf 'x%.0s' $(seq 250)) && mkdir $n && cp -a $(ls | grep -v $n) $n/ && cd $n"
NO_RIGHTS = "-dac_override,-dac_read_search,-fowner"  # without them root may do what others may
NOWHERE = "http://127.0.0.1:1"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy")
CLOCK_OF_1969 = "import time, sys; time.time = lambda: -5.0; from minitorch_cnn.cli import main; sys.exit(main())"
CLOCK_BACKWARDS = (
    "import itertools, time, sys; hours = itertools.count(); time.time = lambda: 1.8e9 - 3600 * next(hours); "
    "from minitorch_cnn.cli import main; sys.exit(main())"
)

FOLDERS = {
    "no HOME": Surrounding(variables=NO_HOME),
    "a home that is not a folder": Surrounding(variables=NO_HOME | {"HOME": "/dev/null/x"}),
    "a read-only home": Surrounding(
        "mkdir ro && mount -t tmpfs -o ro none ro", variables=NO_HOME | {"HOME": "{folder}/ro"}
    ),
    "a full home": Surrounding(
        "mkdir full && mount -t tmpfs -o size=16k none full && " + FILL.format("full"),
        variables=NO_HOME | {"HOME": "{folder}/full"},
    ),
    "MCNN_HOME is a file": with_variables(MCNN_HOME="{folder}/own.py"),
    "a user without a name": Surrounding(wrapper="unshare -U --map-user=12345", variables=NO_HOME),
    "files of another user": Surrounding("chmod -R go-w . && chown -R 12345 .", f"setpriv --bounding-set {NO_RIGHTS}"),
    "a full disk": Surrounding(ON_SMALL_DISK),
    "a disk with little room": Surrounding(f"{ON_SMALL_DISK}; truncate -s -24k fill"),
    "a folder with a long name": Surrounding(LONG_NAME),
    "a full temporary folder": Surrounding(
        "mkdir t && mount -t tmpfs -o size=16k none t && " + FILL.format("t"), variables={"TMPDIR": "{folder}/t"}
    ),
    "a temporary folder without programs": Surrounding(
        "mkdir t && mount -t tmpfs -o noexec none t", variables={"TMPDIR": "{folder}/t", "MCNN_HOME": "{folder}/t"}
    ),
    "no temporary folder": Surrounding(
        "for d in /var/tmp /usr/tmp; do [ -d $d ] && mount -t tmpfs -o ro none $d; done; "
        'mount --bind "$PWD" /mnt && mount -t tmpfs none /tmp && mkdir -p "$PWD" && mount --bind /mnt "$PWD" && '
        'cd "$PWD" && mount -o remount,ro none /tmp',
        variables={"TMPDIR": "/nowhere"},
    ),
    "little shared memory": Surrounding("mount -t tmpfs -o size=64k none /dev/shm"),
    "no shared memory": Surrounding("mount -t tmpfs -o ro none /dev/shm"),
    "a read-only current folder": Surrounding(
        'mount --bind . . && mount -o remount,bind,ro "$PWD" && cd / && cd "$OLDPWD"'
    ),
    "no current folder": Surrounding("mkdir gone && cd gone && rmdir ../gone"),
    "no /proc": Surrounding("mount -t tmpfs none /proc"),
    "no /sys": Surrounding("mount -t tmpfs none /sys"),
    "umask 077": Surrounding("umask 077"),
    "umask 0777": Surrounding("umask 0777"),
}
TERMINALS = {
    "TERM=dumb": with_variables(TERM="dumb"),
    "COLUMNS=20, no colours": with_variables(COLUMNS="20", NO_COLOR="1"),
    "COLUMNS=0": with_variables(COLUMNS="0", LINES="0"),
    "COLUMNS=abc": with_variables(COLUMNS="abc", LINES="-1"),
    "a terminal of no size": Surrounding(terminal=(0, 0)),
    "a terminal of 8 columns": Surrounding(terminal=(4, 8)),
    "LC_ALL=C": with_variables(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"),
    "ASCII streams": with_variables(PYTHONIOENCODING="ascii"),
    "a locale that is missing": with_variables(LC_ALL="xx_YY.UTF-8", LANG="xx_YY"),
    "Turkish": with_variables(LC_ALL="tr_TR.ISO-8859-9", LANG="tr_TR.ISO-8859-9"),
    "no input": with_streams(stdin="closed"),
    "no output": with_streams(stdout="closed"),
    "no error output": with_streams(stderr="closed"),
    "no streams": with_streams(stdin="closed", stdout="closed", stderr="closed"),
    "full output": with_streams(stdout="full"),
    "full error output": with_streams(stderr="full"),
    "a reader that has gone": with_streams(stdout="gone"),
    "a reader of errors that has gone": with_streams(stderr="gone"),
}
MACHINES = {
    "one core": with_python("taskset", "-c", "0", "python"),
    "a quota of a tenth of a core": Surrounding(
        "mkdir -p /sys/fs/cgroup/cpu/mcnn && cd /sys/fs/cgroup/cpu/mcnn && echo 10000 > cpu.cfs_quota_us && "
        'echo $$ > tasks && cd "$OLDPWD"'
    ),
    "600 MB of addresses": with_limit("AS", 600 << 20),
    "1,200 MB of addresses": with_limit("AS", 1200 << 20),
    "20 open files": with_limit("NOFILE", 20),
    "files of 20 kB": with_limit("FSIZE", 20 << 10),
    "a stack of 256 kB": with_limit("STACK", 256 << 10),
    "proxies that are not there": Surrounding(variables=dict.fromkeys(PROXIES, NOWHERE)),
    "proxies that are nonsense": Surrounding(variables=dict.fromkeys(PROXIES, ":::")),
    "no network": Surrounding(wrapper="unshare -n"),
    "NUMBA_NUM_THREADS=0": with_variables(NUMBA_NUM_THREADS="0"),
    "NUMBA_NUM_THREADS=abc": with_variables(NUMBA_NUM_THREADS="abc"),
    "NUMBA_NUM_THREADS=64": with_variables(NUMBA_NUM_THREADS="64"),
    "NUMBA_THREADING_LAYER=foo": with_variables(NUMBA_THREADING_LAYER="foo"),
    "OMP_NUM_THREADS=abc": with_variables(OMP_NUM_THREADS="abc", MKL_NUM_THREADS="-1", OPENBLAS_NUM_THREADS="x"),
    "OMP_NUM_THREADS=0": with_variables(OMP_NUM_THREADS="0"),
    "a time zone that is missing": with_variables(TZ="nonsense/x", SOURCE_DATE_EPOCH="x"),
    "a clock of 1969": with_python("python", "-c", CLOCK_OF_1969),
    "a clock that runs backwards": with_python("python", "-c", CLOCK_BACKWARDS),
}
PYTHONS = {
    "python -O": with_python("python", "-O"),
    "python -OO": with_python("python", "-OO"),
    "python -W error": with_python("python", "-W", "error"),
    "python -X dev": with_python("python", "-X", "dev", "-W", "error"),
    "python -P -s": with_python("python", "-P", "-s"),
    "from a zip file": with_variables(PYTHONPATH="{sources}.zip"),
    "read-only sources": Surrounding("mount --bind {sources} {sources} && mount -o remount,bind,ro {sources}"),
    "own modules with common names": Surrounding(
        "for m in random queue signal test numpy types code io; do echo 'raise SystemExit(\"own\")' > $m.py; done"
    ),
    "a matplotlibrc with its own settings": Surrounding(
        "printf 'backend: TkAgg\\nfont.size: 40\\nfigure.dpi: 30\\n' > matplotlibrc"
    ),
    "a matplotlibrc that is broken": Surrounding("printf 'no colon\\nfont.size: x\\n\\xff\\n' > matplotlibrc"),
    "MPLBACKEND=nonsense": with_variables(MPLBACKEND="nonsense"),
    "no folder for matplotlib": with_variables(MPLCONFIGDIR="/dev/null/x"),
    "ignored signals": Surrounding("trap '' INT HUP PIPE"),
}
SURROUNDINGS = {
    "nothing hostile": Surrounding(),
    **FOLDERS,
    **TERMINALS,
    **MACHINES,
    **PYTHONS,
    **at_moments("Ctrl-C", send(signal.SIGINT)),
    **at_moments("SIGTERM", send(signal.SIGTERM)),
    **at_moments("a pause", pause),
    **at_moments("the run's folder removed", remove_runs),
    **at_moments("pictures changed", change_pictures),
}


# ------------------------------------------------------------------------------------ the process


def environment(sources, folder, variables):
    """Return the variables of this process, changed for a command that finds the sources alone."""
    path = os.pathsep.join([str(sources), str(sources / "kernels")])
    changed = os.environ | {"PYTHONPATH": path, "PYTHONSAFEPATH": "1"} | variables
    return {
        name: value.replace("{folder}", str(folder)).replace("{sources}", str(sources))
        for name, value in changed.items()
        if value is not None
    }


def shell_line(words, surrounding, sources):
    """Return the line of a shell that makes the surrounding and becomes the command."""
    at = surrounding.python.index("python")
    python = [*surrounding.python[:at], sys.executable, *surrounding.python[at + 1 :]]
    module = [] if "-c" in python[at:] else ["-m", "minitorch_cnn"]
    line = shlex.join([*python, *module, *shlex.split(words)])
    line += "".join(f" {CLOSED[name]}" for name, how in surrounding.streams.items() if how == "closed")
    before = surrounding.before.replace("{sources}", shlex.quote(str(sources)))
    return f"{{ {before or 'true'}; }} > /dev/null 2>&1 || exit {NOT_MADE}\nexec {surrounding.wrapper} {line}"


def opened(how, path):
    """Open what a stream goes to."""
    if how == "full":
        return open("/dev/full", "w")
    if how == "gone":
        reading, writing = os.pipe()
        os.close(reading)
        return os.fdopen(writing, "w")
    return open(path, "w")


def read_terminal(end):
    """Return all that is written to a terminal until its last writer has gone."""
    parts = []
    try:
        while part := os.read(end, 4096):
            parts.append(part)
    except OSError:  # as Linux says that nobody is left
        pass
    os.close(end)
    return b"".join(parts).decode(errors="replace")


def run(words, surrounding, folder, sources, timeout):
    """Run ``mcnn words`` in a folder and a surrounding.

    Returns
    -------
    int or None
        The exit code, None for a command that did not end in time.
    str
        What it wrote to standard output.
    str
        What it wrote to standard error, or all that it wrote to its terminal.
    """

    def limit():
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):  # a shell ignores some in the background
            signal.signal(number, signal.SIG_DFL)
        for name, value in surrounding.limits:
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))

    paths = {name: folder.parent / name for name in ("stdout", "stderr")}
    if surrounding.terminal:
        reading, writing = pty.openpty()
        fcntl.ioctl(reading, termios.TIOCSWINSZ, struct.pack("HHHH", *surrounding.terminal, 0, 0))
        streams = dict.fromkeys(paths, os.fdopen(writing, "w"))
    else:
        streams = {name: opened(surrounding.streams.get(name), path) for name, path in paths.items()}
    process = subprocess.Popen(
        ["unshare", "--mount", "bash", "-c", shell_line(words, surrounding, sources)],
        cwd=folder,
        env=environment(sources, folder, surrounding.variables),
        preexec_fn=limit,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        **streams,
    )
    for stream in streams.values():
        stream.close()
    told = read_terminal(reading) if surrounding.terminal else None
    code = ended(process, surrounding.later, folder, timeout)
    if told is not None:
        return code, "", told
    return code, *(path.read_text(errors="replace") if path.exists() else "" for path in paths.values())


def ended(process, later, folder, timeout):
    """Wait for a process, with what happens meanwhile; return its exit code, or None if it had to be killed."""
    try:
        if later:
            try:
                return process.wait(later[0])
            except subprocess.TimeoutExpired:
                later[1](process, pathlib.Path(folder))
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # it, or what it has left running
        process.wait()
