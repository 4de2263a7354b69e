"""What one parallel call costs: a kernel that does nothing, called from Python, with one thread and with more.

    python benchmarks/parallel_call.py

The bar: sharing out adds at most 25 us to a call with two threads.
"""

import argparse
import statistics
import time

import numpy as np

from minitorch_kernels.runtime import threads

CALLS, ROUNDS = 200, 200


@threads.parallel_kernel(tasks=lambda count: count)
def _nothing(first_task, end_task, count, array):
    """Do nothing for ``count`` tasks."""


def microseconds(count):
    """Return (fastest, median) of the mean time of a call with ``count`` threads, over many rounds, in microseconds."""
    array = np.zeros(1 << 20, np.uint8)  # large enough that the call is shared out
    times = []
    with threads.num_threads(count):
        for _ in range(ROUNDS + 1):
            start = time.perf_counter()
            for _ in range(CALLS):
                _nothing(64, array)
            times.append(1e6 * (time.perf_counter() - start) / CALLS)
    return min(times[1:]), statistics.median(times[1:])


def main():
    """Measure and report."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print("threads  us a call: fastest   median   shared out: fastest   median")
    alone = microseconds(1)
    for count in sorted({1, 2, threads.available_threads()} & set(range(1, threads.available_threads() + 1))):
        fastest, median = alone if count == 1 else microseconds(count)
        print(f"{count:7} {fastest:19.2f} {median:8.2f} {fastest - alone[0]:21.2f} {median - alone[1]:8.2f}")


if __name__ == "__main__":
    main()
