"""The folder of what can be fetched or compiled again: data sets, weights, compiled kernels."""

import os
import pathlib
import sys


def mcnn_home():
    """Return the folder in which this project keeps files; nothing is made.

    MCNN_HOME, else ``minitorch_cnn`` in the folder in which the platform keeps caches: XDG_CACHE_HOME or ``~/.cache``,
    ``~/Library/Caches`` on macOS, LOCALAPPDATA on Windows.

    Returns
    -------
    Path
    """
    if home := os.environ.get("MCNN_HOME"):
        return pathlib.Path(home).expanduser()
    if sys.platform == "win32":
        cache = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        cache = "~/Library/Caches"
    else:
        cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return pathlib.Path(os.path.expanduser(cache), "minitorch_cnn")
