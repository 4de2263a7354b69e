"""Sub-modules that load on first use, found by looking into the package's folder."""

import importlib
import importlib.util
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
        import pkgutil

        return sorted(info.name for info in pkgutil.iter_modules(sys.modules[package].__path__))

    def __getattr__(name):
        if importlib.util.find_spec(f"{package}.{name}"):  # quicker than to list the folder
            return importlib.import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return __getattr__, names
