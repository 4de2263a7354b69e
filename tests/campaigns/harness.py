"""What all campaigns share: the command line, the record of each bar, child processes that may die.

A campaign injects one family of faults many times and states what it measured. It is a script:

    python tests/campaigns/workers.py                        # short, seconds: what every test run does
    python tests/campaigns/workers.py --full --json FILE     # at full length, and the record for `report.py`

It prints a line for each bar and exits with 1 if one failed.
"""

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import pickle
import shlex
import signal
import subprocess
import sys
import textwrap
import time
import traceback
import warnings

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "kernels")]


class Length:
    """How much a campaign does, its random numbers, and the path of its record, or None."""

    def __init__(self, full, seed, record=None):
        self.full, self.seed, self.record = full, seed, record
        self.rng = np.random.default_rng(seed)

    def __call__(self, short, full):
        """Return the one or the other."""
        return full if self.full else short


def sources(paths):
    """Return a digest of the Python and JavaScript files at these paths, and of those in folders among them."""
    files = {ROOT / path for path in paths}
    files |= {file for folder in files for kind in ("*.py", "*.mjs") for file in folder.rglob(kind)}
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(files) if file.is_file())).hexdigest()


class Progress:
    """What a campaign at full length has seen so far: named values, kept in a file beside the record.

    A stopped run continues from it, as long as no file at ``paths`` has changed: all that its results depend on.
    """

    def __init__(self, length, paths=("minitorch_cnn", "kernels", "tests/campaigns"), **begin):
        record = length.record if length.full else None
        self._path = record and record.with_name(f"{record.name}.progress")
        self._names, digest = tuple(begin), sources(paths)
        kept = json.loads(self._path.read_text()) if self._path and self._path.is_file() else {}
        self._kept = kept if kept.get("sources") == digest else {"sources": digest}
        for name, value in begin.items():
            setattr(self, name, type(value)(self._kept.get(name, value)))

    def save(self):
        """Write the file, if there is a record."""
        if self._path:
            self._kept |= {name: getattr(self, name) for name in self._names}
            self._path.write_text(json.dumps(self._kept))


def main(description, checks):
    """Run the checks of a campaign and exit.

    Parameters
    ----------
    description : str
        The docstring of the script.
    checks : dict of str to callable
        Named ``"12 what"`` by the number of the bar. Called with a `Length`; return what was measured,
        a sentence, and whether the bar is met.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="as many faults as the bar asks for")
    parser.add_argument("--seed", type=int, default=0, help="of the random faults (default: 0)")
    parser.add_argument("--only", metavar="BAR", help="only the checks whose name begins with these words")
    parser.add_argument("--json", metavar="FILE", type=pathlib.Path, help="write the record there")
    options = parser.parse_args()
    records = []
    for name, check in checks.items():
        if options.only and not f"{name} ".startswith(f"{options.only} "):
            continue
        bar, what = name.split(" ", 1)
        begin = time.monotonic()
        try:
            figure, passed = check(Length(options.full, options.seed, options.json))
        except Exception as error:  # the next bar is measured all the same
            traceback.print_exc()
            figure, passed = f"{type(error).__name__}: {error}", False
        seconds = round(time.monotonic() - begin, 1)
        print(f"bar {bar:>2} {'pass' if passed else 'FAIL'}  {what}: {figure}  ({seconds} s)", flush=True)
        script = f"python tests/campaigns/{pathlib.Path(sys.argv[0]).name}{' --full' * options.full}"
        command = f"{script} --only {shlex.quote(name)}"
        records.append(
            {"bar": int(bar), "what": what, "figure": figure, "passed": bool(passed), "seconds": seconds}
            | {"full": options.full, "command": command}
        )
        if options.json:  # after each bar, so that a campaign that is stopped leaves what it has
            options.json.write_text(json.dumps(records, indent=1) + "\n")
    sys.exit(0 if records and all(record["passed"] for record in records) else 1)


# ------------------------------------------------------------------------------- child processes


def start(code, *arguments, **environment):
    """Start a Python process that runs ``code`` and finds the packages of this project."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "kernels"), *filter(None, sys.path)])
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": paths} | {key: str(value) for key, value in environment.items()}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process, timeout=300.0):
    """Return (exit code or None if it hung, standard output, standard error)."""
    try:
        out, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, errors = process.communicate()
        return None, out, errors
    return process.returncode, out, errors


class Forked:
    """A copy of this process that runs one function; its death harms nobody."""

    def __init__(self, function, *arguments):
        self._result, end = os.pipe()
        sys.stdout.flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which the copy does not use
            self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                os.close(self._result)
                data = pickle.dumps(function(*arguments))
                with os.fdopen(end, "wb") as file:
                    file.write(data)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(end)

    def kill(self):
        """Send SIGKILL, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def wait(self):
        """Return (how it ended, its result or None): ``"exit 0"`` or the name of a signal."""
        with os.fdopen(self._result, "rb") as file:
            data = file.read()
        _, status = os.waitpid(self.pid, 0)
        if os.WIFSIGNALED(status):
            return signal.Signals(os.WTERMSIG(status)).name, None
        return f"exit {os.WEXITSTATUS(status)}", pickle.loads(data) if data else None


def memory(field):
    """Return a field of this process's memory, such as ``"VmRSS"``, in bytes."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))
