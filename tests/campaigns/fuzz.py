"""A fuzzer for every reader: ten minutes of mutations each, of the inputs that led to an answer not seen before.

The corpus begins with the sound file and the crafted ones. A mutation whose answer is new (an error whose text,
without its numbers, did not come up yet) joins it. An input fails if the process dies or hangs, if another error
than the reader's own comes out, if it is read as what it is not, takes memory beyond `hostile.py`'s bounds, or
runs something; it is written to the folder ``found``, to become a test. The same seed makes the same inputs, as
far as the time reaches.
"""

import hashlib
import os
import pathlib
import re
import signal
import tempfile
import time

import harness
import numpy as np
import readers
from mutation import mutated

FOUND = pathlib.Path("found")
BATCH = 250  # inputs a process
SLOW = 20  # seconds for one input
LARGEST, MOST = 100_000, 400  # bytes of an input that is mutated further, and how many of these there are


def answer(reader, path, own):
    """Return (what came out, without numbers; whether it is a finding); ``own`` files may be other than the sound."""
    try:
        same = reader.read(path)
    except reader.error as error:
        return re.sub(r"[0-9a-f]{64}|[\d.]+|'.*'|/\S+", "", str(error))[-160:], False
    except Exception as error:
        return f"{type(error).__name__}: {re.sub('[0-9]+', '', str(error))}"[:120], True
    finding = not same and not own
    return ("changed and accepted" if finding else "read"), finding or os.path.exists("executed")


def run(reader, inputs, note):
    """Read inputs; return (one for each answer; findings; memory taken). ``note`` says which input comes next."""
    new, findings, before = {}, {}, harness.memory("VmRSS")
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        path = pathlib.Path(folder) / "file"
        for number, (content, own) in enumerate(inputs):
            os.pwrite(note, number.to_bytes(4, "little"), 0)
            path.write_bytes(content)
            signal.alarm(SLOW)  # which ends this process
            told, finding = answer(reader, path, own)
            signal.alarm(0)
            (findings if finding else new).setdefault(told, (content, own))
        os.chdir("/")
    return new, findings, harness.memory("VmHWM") - before


def fuzz(reader):
    """Return the check of one reader."""

    def check(length):
        rng, sound, end = np.random.default_rng(length.seed), reader.sound(), time.monotonic() + length(2, 600)
        # with each content, whether it may carry checksums of its own, as then may all that come of it
        corpus = [(sound, False)]
        corpus += [(content, True) for content in reader.crafted.values() if 0 < len(content) <= LARGEST]
        answers, findings, executions, most = set(), {}, 0, 0
        while time.monotonic() < end:
            inputs = []
            for _ in range(BATCH):
                inside = reader.inside and rng.random() < 0.5
                origin, own = corpus[0 if rng.random() < 0.3 else rng.integers(0, len(corpus))]
                inputs.append(((reader.inside if inside else mutated)(origin, rng), own or bool(inside)))
            with tempfile.TemporaryFile() as note:
                how, result = harness.Forked(run, reader, inputs, note.fileno()).wait()
                if result is None:
                    number = int.from_bytes(os.pread(note.fileno(), 4, 0), "little")
                    result, executions = ({}, {how: inputs[number]}, 0), executions + number
                else:
                    executions += BATCH
            for told, (content, own) in result[0].items():
                if told not in answers and len(corpus) < MOST and 0 < len(content) <= LARGEST:
                    corpus.append((content, own))
                answers.add(told)
            findings |= result[1]
            most = max(most, result[2])
        for told, (content, _) in findings.items():
            FOUND.mkdir(exist_ok=True)
            name = f"{reader.__name__}-{hashlib.sha256(content).hexdigest()[:12]}"
            (FOUND / name).write_bytes(content)
            print(f"   {name}: {told}")
        figure = (
            f"{executions} executions in {length(2, 600)} s, {len(answers)} different answers, "
            f"{len(findings)} findings, at most {most / 1e6:.0f} MB of memory"
        )
        return figure, not findings and most <= max(reader.floor, 25_000_000) + 3 * LARGEST and executions > 0

    return check


if __name__ == "__main__":
    harness.main(__doc__, {f"16 fuzzing {name}": fuzz(reader) for name, reader in readers.ALL.items()})
