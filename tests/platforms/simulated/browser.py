"""Takes from Python on Linux what Pyodide, the Python in a browser, does not have.

    PYTHONPATH=tests/platforms/simulated MCNN_SIMULATED=browser python -m pytest tests/ops

What is missing was read off Pyodide 314 itself, in Node.js. It has NumPy, Pillow, Matplotlib, tqdm, safetensors and
threadpoolctl, and no Numba. It starts neither threads nor processes.
"""

import os
import sys
import threading

MISSING_MODULES = {"numba", "llvmlite", "_multiprocessing", "resource", "pwd", "readline"}
MISSING_FUNCTIONS = ("sched_getaffinity", "memfd_create", "posix_fallocate", "nice", "fork", "register_at_fork")


class _NotFound:
    """The first that Python asks for a module."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in MISSING_MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _no_thread(self):
    raise RuntimeError("can't start new thread")


def install():
    """Miss from now on what Pyodide lacks."""
    sys.platform = "emscripten"  # before `subprocess` is imported, which then starts no process
    sys.meta_path.insert(0, _NotFound)
    for name in MISSING_FUNCTIONS:
        delattr(os, name)
    os.cpu_count = lambda: 1
    threading.Thread.start = _no_thread
