"""Files that lie: crafted, mutated and large ones for every reader, in a process of its own that may not die.

A mutation flips bits, cuts, repeats or moves a piece, or writes a number that people forget to check.
The reader has to refuse the file with its own error, or return what the sound file holds, and without
running anything. A large file may take three times its size of memory, measured as the process's
resident peak; a small one 25 MB in addition, which is what a pickle of the most instructions can make.
"""

import contextlib
import gc
import itertools
import os
import pathlib
import tempfile
import tracemalloc

import harness
import numpy as np
import readers
from mutation import mutated

MEGABYTE = 1_000_000  # of a reader's own, whose pages are counted too


def trial(reader, contents):
    """Read every content; return (read as if sound, what was wrong, most memory above three times the file)."""
    accepted, wrong, most = 0, [], 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        path = pathlib.Path(folder) / "file"
        for number, (name, content) in enumerate(contents):
            path.write_bytes(content)
            if watched := not name.startswith("mutation") or number % 20 == 0:  # watching memory takes long
                tracemalloc.start()
            try:
                if reader.read(path):
                    accepted += 1
                elif "inside" not in name:  # whose checksums are right
                    wrong.append(f"{name}: changed and accepted")
            except reader.error:
                pass
            except Exception as error:
                wrong.append(f"{name}: {type(error).__name__}: {error}"[:200])
            if watched:
                _, peak = tracemalloc.get_traced_memory()
                tracemalloc.stop()
                most = max(most, peak - 3 * len(content))
            if os.path.exists("executed"):
                wrong.append(f"{name}: ran code")
                os.unlink("executed")
        os.chdir("/")
    return accepted, wrong, most


def peak_of(reader, small, content):
    """Return by how many bytes this process grows at most while it reads a file, after it has read a small one."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "file"
        for data in (small, content):  # the first touches the pages of the reader's own code
            path.write_bytes(data)
            gc.collect()
            before = harness.memory("VmRSS")
            pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
            with contextlib.suppress(reader.error):
                reader.read(path)
        return harness.memory("VmHWM") - before


def attack(reader):
    """Return the check of one reader: crafted files, then mutations of a sound one."""

    def check(length):
        rng, sound, count = np.random.default_rng(length.seed), reader.sound(), length(300, 10_000)
        changes = [mutated, reader.inside] if reader.inside else [mutated]
        mutations = ((f"mutation {i} {changes[i % len(changes)].__name__}", i) for i in range(count))
        mutations = ((name, changes[i % len(changes)](sound, rng)) for name, i in mutations)
        accepted, problems, ends, most = [], [], [], 0
        for contents in ([("the sound file", sound)], reader.crafted.items(), mutations):
            end, result = harness.Forked(trial, reader, contents).wait()
            ends.append(end)
            if result:
                accepted.append(result[0])
                problems += result[1]
                most = max(most, result[2])
        for problem in problems[:8]:
            print("  ", problem)
        deaths = sum(end != "exit 0" for end in ends)
        figure = (
            f"{len(reader.crafted)} crafted files and {count} mutations: {deaths} crashes, {len(problems)} accepted, "
            f"executed or with another error, memory at most 3 times the file and {most / 1e6:.1f} MB"
        )
        return figure, not deaths and not problems and accepted[:2] == [1, 0] and most <= reader.floor

    return check


def weigh(length):
    """Bar 16: the memory that large files take."""
    worst, heavy, count, wrong = 0.0, "", 0, []
    for kind, reader in readers.ALL.items():
        small = reader.sound()
        for name, content in itertools.islice(reader.large(), length(1, None)):
            end, peak = harness.Forked(peak_of, reader, small, content).wait()
            count += 1
            # an archive stands for more than its own size: for no more than CIFAR-10, then
            allowed = max(len(content), reader.floor // 3 if reader is readers.Archive else 0)
            if peak is None or peak > 3 * allowed + MEGABYTE:
                wrong.append(f"{kind}, {name}: {end}, {peak} bytes for a file of {len(content)}")
            elif peak / allowed > worst:
                worst, heavy = peak / allowed, f"{kind}, {name}"
    for problem in wrong:
        print("  ", problem)
    return f"{count} files, {len(wrong)} above 3 times the file and 1 MB, else at most {worst:.2f} ({heavy})", not wrong


if __name__ == "__main__":
    attacks = {f"16 {name}": attack(reader) for name, reader in readers.ALL.items()}
    harness.main(__doc__, attacks | {"16 memory of large files": weigh})
