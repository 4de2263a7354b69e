"""Results as HTML for notebooks: tables, text and images, with every cell escaped."""

import base64
import html


def table(rows, caption=""):
    """Return rows of text as an HTML table, every cell escaped; the first row is the header."""
    head, *body = ([html.escape(cell).replace("\n", "<br>") for cell in row] for row in rows)
    style = "text-align: left; vertical-align: top"
    lines = [f"<caption>{html.escape(caption)}</caption>"] if caption else []
    lines += ["<tr>" + "".join(f'<th style="{style}">{cell}</th>' for cell in head) + "</tr>"]
    lines += ["<tr>" + "".join(f'<td style="{style}">{cell}</td>' for cell in row) + "</tr>" for row in body]
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def text(lines):
    """Return text as an HTML block that keeps its columns, escaped."""
    return f"<pre>{html.escape(str(lines))}</pre>"


def png(data):
    """Return the bytes of a PNG file as an HTML image that needs no file."""
    return f'<img style="max-width: 100%" src="data:image/png;base64,{base64.b64encode(data).decode()}">'
