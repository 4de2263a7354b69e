"""A process that compiles kernels for another one, which finds them in the cache.

    python -m minitorch_kernels.runtime.compile_worker

Reads each `dry_run.Call` from standard input, pickled, and answers with a line: "kept", "lost" if the cache cannot be
written, or "failed". It ends with its input.
"""

import gc
import os
import pickle
import sys

from minitorch_kernels.runtime import cache, jit


def answer(call):
    """Compile a kernel and return the answer."""
    try:
        kernel = call.kernel().entry
        kernel.compile(call.types)
    except Exception:  # the process that needs the kernel will meet it too, and can show it to the user
        return "failed"
    return "kept" if cache.is_cached(kernel, call.types) else "lost"


def main():
    """Answer until the input ends."""
    gc.disable()  # Numba drops little in cycles, and this process soon ends
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    sys.stdout = sys.stderr  # of a user's modules that print when they are imported
    jit.import_compiler()  # while the other process finds out what to compile
    while True:
        try:
            call = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        print(answer(call), file=answers, flush=True)


if __name__ == "__main__":
    main()
