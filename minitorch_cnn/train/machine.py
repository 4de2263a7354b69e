"""What the bits of a run also depend on, beyond recipe and seed: versions, threads, the BLAS core."""

import importlib.metadata
import pathlib
import platform
import re
from typing import Any

import threadpoolctl

import minitorch_cnn

PACKAGES = ("minitorch-cnn", "numpy", "numba", "llvmlite", "pillow", "matplotlib", "safetensors")


def versions():
    """Return the version of Python and of every package that computes or writes files."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # run from a source folder that was never installed
            found[package] = None
    return found


def blas():
    """Return name, version, core and threads of the BLAS library that NumPy loaded, as a dict."""
    import numpy

    # NumPy's wheels have it in numpy.libs or numpy/.dylibs. SciPy has another, which Numba loads when it compiles.
    own = str(pathlib.Path(numpy.__file__).parent)
    found = [library for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]
    library = min(found, key=lambda library: not library["filepath"].startswith(own), default={})
    names = {"library": "internal_api", "version": "version", "core": "architecture", "threads": "num_threads"}
    return {name: library.get(key) for name, key in names.items()}


def cpu():
    """Return the processor's name and whether it has AVX-512, if the system tells."""
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return {"name": platform.processor() or platform.machine(), "vendor": None, "avx512": None}
    fields = dict(re.findall(r"^(model name|vendor_id|flags)\s*: (.*)$", text, re.MULTILINE))
    return {
        "name": fields.get("model name", platform.machine()),
        "vendor": fields.get("vendor_id"),
        "avx512": "avx512f" in fields.get("flags", "").split(),
    }


def environment() -> dict[str, Any]:
    """Return versions, threads, BLAS and processor as one dict for the record of a run.

    Returns
    -------
    dict
        "versions", "threads" (of kernels), "blas", "cpu".
    """
    return {"versions": versions(), "threads": minitorch_cnn.get_num_threads(), "blas": blas(), "cpu": cpu()["name"]}
