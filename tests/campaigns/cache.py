"""The cache of compiled kernels: damaged, and written by many processes at once."""

import os
import pathlib
import shutil
import tempfile

import harness

KERNEL = """from minitorch_kernels.runtime import jit

@jit.compiled
def twice(x):
    return x + x

@jit.compiled
def add(x, y):
    return twice(x) + y
"""


def compute(home, folder):
    """Compile or load one kernel, of two functions, and call it."""
    os.environ["MCNN_HOME"] = home
    harness.sys.path.append(folder)
    import added_by_a_user

    return added_by_a_user.add(3, 4.5), added_by_a_user.add(3, 4)


def prepare(folder):
    """Write the kernel; import what compiles it, but let each child choose its own cache."""
    (pathlib.Path(folder) / "added_by_a_user.py").write_text(KERNEL)
    import minitorch_kernels.runtime.jit  # noqa: F401 - shared by the children, which are copies of this process


def at_once(length):
    """Bar 15: eight processes compile into one empty cache."""
    rounds, good = length(1, 50), 0
    with tempfile.TemporaryDirectory() as folder:
        prepare(folder)
        for number in range(rounds):
            crowd = [harness.Forked(compute, f"{folder}/home-{number}", folder) for _ in range(8)]
            good += sum([process.wait() == ("exit 0", (10.5, 10)) for process in crowd])
            shutil.rmtree(f"{folder}/home-{number}")
    return f"{good}/{8 * rounds} processes of {rounds} times 8 are right", good == 8 * rounds


def damaged(length):
    """Bar 15: each file of the cache cut, flipped, emptied or zeroed."""
    count, good, rng = length(6, 60), 0, length.rng
    with tempfile.TemporaryDirectory() as folder:
        prepare(folder)
        home = pathlib.Path(folder) / "home"
        harness.Forked(compute, str(home), folder).wait()
        sound = {path: path.read_bytes() for path in home.rglob("*.kernel")}
        for number in range(count):
            for path, content in sound.items():
                place = int(rng.integers(0, len(content)))
                flipped = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
                path.write_bytes([content[:place], flipped, b"", bytes(len(content))][number % 4])
            good += harness.Forked(compute, str(home), folder).wait() == ("exit 0", (10.5, 10))
    return f"{good}/{count} results right after all {len(sound)} files were damaged", good == count and len(sound) > 0


if __name__ == "__main__":
    harness.main(__doc__, {"15 compiling at once": at_once, "15 damaged files": damaged})
