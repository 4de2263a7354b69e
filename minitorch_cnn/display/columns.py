"""Tables of plain text."""

import unicodedata

_ESCAPED = {"Cc", "Zl", "Zp", "Cs"}  # control characters, what else ends a line, and bytes that are not text


def cell(text):
    """Return a text for a cell: tabs, ends of lines and what cannot be shown are written as in Python."""
    escaped = (c.encode("unicode_escape").decode() if unicodedata.category(c) in _ESCAPED else c for c in text)
    return "".join(escaped)


def table(rows, right=()):
    """Return rows of text as lines of aligned columns, two spaces between them; those in ``right`` end together."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = enumerate(zip(row, widths, strict=True))
        lines.append("  ".join(c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in cells).rstrip())
    return "\n".join(lines)
