"""Sub-modules that load on first use, found by looking into the package's folder."""

import importlib
import pkgutil
import sys


def lazy_submodules(package):
    """Return the ``__getattr__`` and ``__dir__`` of a package whose sub-modules load on first use.

    Parameters
    ----------
    package : str
        The package's ``__name__``.

    Returns
    -------
    (callable, callable)
        ``__getattr__`` imports a sub-module, or raises AttributeError; ``__dir__`` lists all of them.
    """

    def names():
        return sorted(info.name for info in pkgutil.iter_modules(sys.modules[package].__path__))

    def __getattr__(name):
        if name in names():
            return importlib.import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return __getattr__, names
