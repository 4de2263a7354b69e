"""Command lines that a message offers."""

import os
import shlex
import subprocess


def line(*words) -> str:
    """Return words as one line that a shell takes: paths with spaces are quoted."""
    texts = [str(word) for word in words]
    return subprocess.list2cmdline(texts) if os.name == "nt" else shlex.join(texts)
