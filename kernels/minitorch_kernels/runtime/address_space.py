"""The address space that `ulimit -v` leaves this process. Where it ends, LLVM and OpenBLAS end the process."""

import mmap
import sys

_MORE = 512 << 20  # bytes to allow in addition, so that the next kernels fit as well


def limit():
    """Return how many bytes of addresses this process may take in all, or None where that is not limited."""
    if sys.platform in ("win32", "emscripten"):  # have no such limit
        return None
    import resource

    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if most == resource.RLIM_INFINITY else most


def left():
    """Return how many bytes of addresses this process may still take, or None where that is not limited."""
    most = limit()
    if most is None:
        return None
    try:
        with open("/proc/self/statm") as sizes:
            return most - int(sizes.read().split()[0]) * mmap.PAGESIZE
    except OSError:  # macOS, which does not keep to the limit, or a container without /proc
        return None


def require(needed, what):
    """Raise MemoryError where fewer than ``needed`` bytes are left, which ``what`` may take."""
    rest = left()
    if rest is not None and rest < needed:
        most = limit()
        raise MemoryError(
            f"allow this process more address space by `ulimit -v {(most + _MORE) // 1024}` or more: it has "
            f"{most // 1024}, and {what} may not fit into what is left"
        )
