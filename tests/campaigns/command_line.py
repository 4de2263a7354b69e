"""Bad command lines by the thousand: every command answers in a sentence and with an exit code, never by a traceback.

    python -m tests.campaigns.command_line --tries 10000 --log lines.jsonl --json FILE
    python -m tests.campaigns.command_line --only "explain conv" --try 1234         # one line again, with its end

Every try runs `main` in a process that has imported all and was forked for some hundred tries. Training is real and
stopped by Ctrl-C after two steps; downloads and measurements are left out; one picture of 20 is really drawn, and
notebooks are written without results. A try fails if it ends by a traceback, by another exit code, with an error that
names nothing, is not a sentence or too long, after more than LIMIT seconds, or if it leaves half-written files or
changes those that it was not asked to write. The log has a line for each finished part: with the same log, tries that
are in it are not repeated.
"""

import argparse
import collections
import contextlib
import ctypes
import io
import itertools
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback

import numpy as np

from minitorch_cnn.cli import main
from minitorch_kernels.runtime import cache
from tests.campaigns import bad_inputs, harness
from tests.campaigns.tiny_work import tiny_work
from tests.campaigns.typed_lines import commands, line

CODES = {0, 1, 2, 3, 130}
LIMIT, PATIENCE = 20, 300  # seconds for one try: of computing, and by the clock
PART = 250  # tries of a process
MEMORY = 6 << 30  # bytes of addresses that a process may take more than it has
LONGEST = 15, 3000  # lines and characters of an error
RAW = re.compile(
    r"Traceback|\b(?:Key|Attribute|Index|Assertion|UnicodeDecode)Error\b|'NoneType' ob|<class|object at 0x"
)


class TooLong(BaseException):
    """A try took longer than LIMIT."""


def tree():
    """Return (size, time of the last change) of every entry of the current folder, by its path."""
    found, folders = {}, ["."]
    for folder in folders:
        with os.scandir(folder) as entries:
            for entry in entries:
                is_folder = entry.is_dir(follow_symlinks=False)
                status = entry.stat(follow_symlinks=False)
                found[entry.path[2:]] = (0, 0) if is_folder else (status.st_size, status.st_mtime_ns)
                if is_folder and status.st_mode & 0o500 == 0o500:
                    folders.append(entry.path)
    return found


def glance(folders):
    """Return what shows whether anything was written: the times of folders, and of the files outside of them."""
    with os.scandir(".") as entries:
        files = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
    times = [(name, status.st_size, status.st_mtime_ns) for name, status in files]
    return times, [os.stat(folder).st_mtime_ns if os.path.isdir(folder) else None for folder in folders]


def mend(before, after, sound):
    """Bring the current folder back to ``before``; everything that has changed comes from the folder ``sound``."""
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    for name in {path.split("/")[0] for path in changed}:
        if os.path.isdir(name) and not os.path.islink(name):
            shutil.rmtree(name)
        elif os.path.lexists(name):
            os.unlink(name)
        if os.path.lexists(sound / name):
            _copy(sound / name, name)
    return tree() if changed else before


def _copy(source, target):
    """Copy a file, a link or a folder with its mode, which may forbid to read it."""
    if source.is_symlink():
        os.symlink(os.readlink(source), target)
        return
    mode = source.stat().st_mode
    source.chmod(0o700)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target)
    for path in (source, pathlib.Path(target)):
        path.chmod(mode)


def attempt(words):
    """Run one command line; return (exit code or None, standard error, what is wrong with its end or None)."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(words)
    except SystemExit as stop:
        told = err.getvalue()
        return stop.code, told, None if stop.code == 0 and not told else f"SystemExit({stop.code!r})"
    except TooLong:
        return None, err.getvalue(), f"longer than {LIMIT} s of computing, or {PATIENCE} s"
    except BaseException:
        return None, err.getvalue(), traceback.format_exc()
    return code, err.getvalue(), _wrong(words, code, out.getvalue(), err.getvalue())


def _wrong(words, code, out, err):
    if code not in CODES:
        return f"exit code {code!r}"
    try:
        options = words[: words.index("--")] if "--" in words else words
        if code == 0 and "--show-code" in options:
            compile(out, "shown", "exec")
        elif code == 0 and "--json" in options:
            json.loads(out, parse_constant=lambda text: int(text))  # NaN is not JSON
    except (SyntaxError, ValueError) as error:
        return f"{type(error).__name__}: {error} in {out[:200]!r}"
    if code in (0, 130):
        return f"{code} with {err!r}" if "Traceback" in err else None
    told = [line for line in err.splitlines() if line.startswith("mcnn")]
    if code == 1 and not told and words[0] in ("exercise", "race", "gradcheck") and out:
        return None  # the report is the answer
    if not told:
        return f"exit code {code} without a sentence that begins with mcnn: {err!r}"
    text = err[err.index(told[-1]) :]
    if len(text.splitlines()) > LONGEST[0] or len(text) > LONGEST[1]:
        return f"an error of {len(text.splitlines())} lines and {len(text)} characters: {text[:300]!r}"
    return f"no sentence for a user: {text!r}" if RAW.search(text) else None


def left_behind(code, words, before, after):
    """Return what a try has left that it should not, or None."""
    new, gone = after.keys() - before.keys(), before.keys() - after.keys()
    if half := [path for path in new if ".tmp" in path or path.split("/")[-1].startswith(".") and path != ".png"]:
        return f"half-written: {half}"
    changed = {path for path in before.keys() & after.keys() if before[path] != after[path]}
    values = [word.partition("=")[2] if word.startswith("--") else word for word in words]
    resumed = {value.rstrip("/").split("/")[0] for value in values}  # files of a run that was asked to continue
    if wrong := {path for path in changed | gone if path.split("/")[0] not in resumed}:
        return f"changed or removed: {sorted(wrong)[:5]}"
    if code == 2 and (new or changed or gone) and words[0] != "predict":
        return f"left behind after bad input: {sorted(new | changed | gone)[:5]}"
    return None


def shape(text):
    """Return the last line of an error without what was typed: for a list of all the messages there are."""
    text = re.sub(r"'[^']*'|\"[^\"]*\"|\S*/\S*|[\d.]+", "_", (text.strip().splitlines() or [""])[-1])
    return text[:160]


def one(rng, words, parser, before, sound):
    """Make and run one line in the current folder; return (line, code, seconds, shape of the error, fault or None)."""
    made, start = line(rng, words, parser), time.process_time()
    folders = [path for path, (size, changed) in before.items() if size == changed == 0]
    seen = glance(folders)
    clocks = (signal.ITIMER_PROF, LIMIT), (signal.ITIMER_REAL, PATIENCE)
    for clock, most in clocks:
        signal.setitimer(clock, most)
    code, err, fault = attempt(made)
    for clock, _ in clocks:
        signal.setitimer(clock, 0)
    seconds = time.process_time() - start
    if seen != glance(folders):
        after = tree()
        fault = fault or left_behind(code, made, before, after)
        mend(before, after, sound)
    return made, code, seconds, shape(err) if code else "", fault


def part(index, words, parser, seed, first, count, sound):
    """Run tries in this process; return the record of them."""
    _as_a_user()
    codes, shapes, faults, slowest, begin = collections.Counter(), {}, [], (0.0, []), time.process_time()
    before = tree()
    for number in range(first, first + count):
        rng = np.random.default_rng([seed, index, number])
        made, code, seconds, text, fault = one(rng, words, parser, before, sound)
        codes[str(code)] += 1
        slowest = max(slowest, (seconds, made))
        shapes.setdefault(text, made)
        if fault:
            faults.append((number, made, fault))
        if code is None or number % 50 == 49:
            mend(before, tree(), sound)  # times differ where something was mended
            before = tree()
    seconds = round(time.process_time() - begin, 1)
    return {"codes": codes, "slowest": slowest, "faults": faults, "shapes": shapes, "seconds": seconds}


def _as_a_user():
    """Give up root's right to read and write everything, limit memory, and let an alarm stop a try."""

    def too_long(*_):
        raise TooLong

    signal.signal(signal.SIGALRM, too_long)
    signal.signal(signal.SIGPROF, too_long)
    resource.setrlimit(resource.RLIMIT_AS, (harness.memory("VmSize") + MEMORY,) * 2)
    header, rights = struct.pack("Ii", 0x20080522, 0), (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None)
    libc.capget(header, rights)
    rights[0] &= ~0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
    libc.capset(header, rights)


@contextlib.contextmanager
def workshop():
    """Make a folder of bad inputs and enter it; yield a copy of it."""
    start, home = os.getcwd(), os.environ.get("MCNN_HOME")
    kernels = cache.cache_folder()
    with tempfile.TemporaryDirectory() as folder, tiny_work():
        top = pathlib.Path(folder)
        for name in ("home", "work"):
            (top / name).mkdir()
        if kernels is not None:
            (top / "home" / "kernels").symlink_to(kernels.parent)
        os.environ["MCNN_HOME"] = str(top / "home")
        bad_inputs.prepare(top / "work")
        shutil.copytree(top / "work", top / "sound", symlinks=True)
        os.chdir(top / "work")
        try:
            yield top / "sound"
        finally:
            os.chdir(start)
            os.environ.pop("MCNN_HOME")
            if home is not None:
                os.environ["MCNN_HOME"] = home


def campaign(tries, seed, only=None, log=None, say=print, share=(0, 1)):
    """Try ``tries`` lines of every command, or of those whose words begin with ``only``; return the records.

    A ``share`` of (0, 2) takes every other part, so that two processes can work side by side.
    """
    done = {}
    if log is not None and pathlib.Path(log).exists():
        for text in pathlib.Path(log).read_text().splitlines():
            record = json.loads(text)
            done[record["command"], record["seed"], record["first"], record["tries"]] = record
    records, chosen = [], []
    for index, (words, parser) in enumerate(commands()):
        if only is None or " ".join(words).startswith(only):
            chosen.append((index, words, parser))
    with workshop() as sound:
        for first in range(0, tries, PART):  # all commands come equally far
            if first // PART % share[1] != share[0]:
                continue
            for index, words, parser in chosen:
                count, name = min(PART, tries - first), " ".join(words)
                record = done.get((name, seed, first, count))
                if record is None:
                    how, got = harness.Forked(part, index, words, parser, seed, first, count, sound).wait()
                    got = got or {
                        "codes": {},
                        "slowest": (0, []),
                        "faults": [(first, [name], how)],
                        "shapes": {},
                        "seconds": 0,
                    }
                    record = {"command": name, "seed": seed, "first": first, "tries": count} | got
                    if log is not None:
                        with open(log, "a") as file:
                            file.write(json.dumps(record) + "\n")
                for number, made, fault in record["faults"]:
                    say(f"--only '{name}' --try {number}: mcnn {' '.join(map(repr, made))}\n{fault}")
                records.append(record)
    return sorted(records, key=lambda record: [" ".join(words) for _, words, _ in chosen].index(record["command"]))


def table(records):
    """Return the lines of a table: command, tries, exit codes, faults, the slowest try."""
    lines = [
        f"{'command':20}{'tries':>8}"
        + "".join(f"{code:>8}" for code in sorted(CODES))
        + f"{'faults':>8}{'CPU s':>8}  slowest"
    ]
    for name, group in itertools.groupby(records, key=lambda record: record["command"]):
        group = list(group)
        codes = sum((collections.Counter(record["codes"]) for record in group), collections.Counter())
        tries, faults = sum(record["tries"] for record in group), sum(len(record["faults"]) for record in group)
        seconds, made = max((record["slowest"] for record in group), key=lambda slowest: slowest[0])
        cpu = sum(record["seconds"] for record in group)
        counts = "".join(f"{codes[str(code)]:>8}" for code in sorted(CODES))
        lines.append(f"{name:20}{tries:>8}{counts}{faults:>8}{cpu:>8.0f}  {seconds:.1f} s: {' '.join(made)[:60]!r}")
    return lines


def bar(records, options):
    """Return the record of bar 34."""
    lines, faults = sum(record["tries"] for record in records), sum(len(record["faults"]) for record in records)
    count = len({record["command"] for record in records})
    full = options.tries >= 10_000 and options.only is None and tuple(options.share) == (0, 1)
    return {
        "bar": 34,
        "what": "bad command lines",
        "figure": f"{count} commands, {lines} lines, {faults} faults",
        "passed": not faults,
        "seconds": round(sum(record["seconds"] for record in records), 1),
        "full": full,
        "command": f"python -m tests.campaigns.command_line --tries {options.tries} --seed {options.seed}",
    }


def run(arguments=None):
    """Run the campaign from the command line; exit code 1 if there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=1000, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", metavar="COMMAND", help="only commands that begin with these words")
    parser.add_argument("--log", metavar="FILE", help="append what is done, and leave out what it has already")
    parser.add_argument("--json", metavar="FILE", type=pathlib.Path, help="write the record for report.py there")
    parser.add_argument("--share", type=int, nargs=2, default=(0, 1), metavar=("I", "N"), help="the I-th of N shares")
    parser.add_argument("--try", dest="number", type=int, metavar="I", help="run one line of --only, and print its end")
    options = parser.parse_args(arguments)
    if options.number is not None:
        with workshop() as sound:
            for index, (words, command) in enumerate(commands()):
                if " ".join(words) == options.only:
                    _as_a_user()
                    rng = np.random.default_rng([options.seed, index, options.number])
                    print(one(rng, words, command, tree(), sound))
        return 0
    records = campaign(options.tries, options.seed, options.only, options.log, share=options.share)
    print("\n".join(table(records)))
    told = bar(records, options)
    print(f"seed {options.seed}: {told['figure']}")
    if options.json:
        options.json.write_text(json.dumps([told], indent=1) + "\n")
    return 0 if told["passed"] else 1


if __name__ == "__main__":
    sys.exit(run())
