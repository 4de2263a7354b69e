"""Signs beyond ASCII that drawings show, by name.

Python's own escape by name imports a module when a file is compiled, and takes Ctrl-C meanwhile for an error of syntax.
"""

ASTERISK = "\u2217"
CROSS = "\u2717"
ELLIPSIS = "\u2026"
INFINITY = "\u221e"
MINUS = "\u2212"
RIGHT_ARROW = "\u2192"
TIMES = "\u00d7"
