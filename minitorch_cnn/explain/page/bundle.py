"""JavaScript modules joined into one script, which a page opened from a folder can run.

A browser loads no modules from ``file://``, so the modules lose their imports and exports and follow each other in one
script, each after those that it imports. Every name at the top of a file is therefore unique among all files.
"""

import pathlib
import re

FOLDER = pathlib.Path(__file__).parent
_IMPORT = re.compile(r'^import [^;]*? from "(\./[^"]+|\.\./[^"]+)";\n', re.MULTILINE)


def bundle(entry):
    """Join a module and all that it imports.

    Parameters
    ----------
    entry : str
        A file below this folder, such as ``"engine/graph.mjs"``.

    Returns
    -------
    str
    """
    done, parts = set(), []

    def add(path):
        if path in done:
            return
        done.add(path)
        text = path.read_text(encoding="utf-8")
        for found in _IMPORT.finditer(text):
            add((path.parent / found[1]).resolve())
        parts.append(re.sub(r"^export ", "", _IMPORT.sub("", text), flags=re.MULTILINE))

    add((FOLDER / entry).resolve())
    return '"use strict";\n' + "\n".join(parts)
