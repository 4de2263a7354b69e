"""The figures that a lecture can show: their arguments, and what each needs beyond them."""

import dataclasses
from collections.abc import Callable
from typing import Any

from minitorch_cnn.explain.lecture import kinds
from minitorch_cnn.explain.lecture.errors import LectureError
from minitorch_cnn.explain.lecture.structures import costs, principal_filters, structure
from minitorch_cnn.hints import hint


@dataclasses.dataclass(frozen=True)
class Block:
    """``arguments`` maps each name to (kind, default); ``more`` makes further content from the arguments."""

    arguments: dict[str, tuple[kinds.Kind, Any]]
    more: Callable[[dict[str, Any]], Any] = lambda arguments: None
    networks: bool = False  # whether it shows a trained network, named by the argument ``network``
    check: Callable[[dict[str, Any]], tuple[str, str] | None] = lambda arguments: None  # (argument, expected) if wrong


WINDOW = {
    "kernel_size": (kinds.whole(1, 5), 3),
    "stride": (kinds.whole(1, 4), 1),
    "padding": (kinds.whole(0, 3), 0),
    "dilation": (kinds.whole(1, 3), 1),
}
IMAGE = [[0, 0, 0, 9, 9, 9], [0, 0, 0, 9, 9, 9], [0, 0, 9, 9, 9, 9], [0, 9, 9, 9, 9, 9], [9, 9, 9, 9, 9, 9], [9] * 6]
EDGE = [[1, 0, -1], [2, 0, -2], [1, 0, -1]]
NETWORK = {"network": (kinds.TEXT, "yours")}


def _window_fits(arguments):
    size, (rows, columns) = kinds.shape(arguments["input"]), kinds.shape(arguments["kernel"])
    if rows > size[0] or columns > size[1]:
        return "kernel", f"at most the {size[0]} rows and {size[1]} columns of the input"
    return None


def _pooling_fits(arguments):
    rows, columns = kinds.shape(arguments["input"])
    most = columns if rows == 1 else min(rows, columns)
    if not arguments["whole_map"] and arguments["kernel_size"] > most:
        return "kernel_size", f"at most {most}, for an input of {rows} x {columns}"
    return None


def _impulse_fits(arguments):
    odd = all(length % 2 for length in kinds.shape(arguments["kernel"]))
    return None if odd else ("kernel", "1 or 3 rows and columns, which have one in the middle")


FIGURES = {
    "window": Block(
        {
            "input": (kinds.grid(6, 6), IMAGE),
            "kernel": (kinds.grid(3, 3), EDGE),
            "stride": (kinds.whole(1, 4), 1),
            "padding": (kinds.whole(0, 2), 0),
            "operation": (kinds.one_of("cross-correlation", "convolution"), "cross-correlation"),
        },
        check=_window_fits,
    ),
    "impulse": Block({"kernel": (kinds.grid(3, 3), [[1, 2, 3], [4, 5, 6], [7, 8, 9]])}, check=_impulse_fits),
    "filter": Block({"kernel": (kinds.grid(5, 5), EDGE), **NETWORK}, networks=True),
    "arithmetic": Block(
        {
            "size": (kinds.whole(1, 12), 7),
            **WINDOW,
            "sliders": (
                kinds.some_of("size", *WINDOW),
                ["size", "kernel_size", "padding", "stride", "dilation"],
            ),
        }
    ),
    "connectivity": Block({"units": (kinds.whole(3, 9), 7), "kernel_size": (kinds.whole(1, 5), 3)}),
    "growth": Block({"layers": (kinds.whole(1, 6), 3), "kernel_size": (kinds.whole(1, 5), 3)}),
    "field": Block(NETWORK, networks=True),
    "filters": Block(NETWORK, networks=True),
    "bank": Block(
        {"count": (kinds.whole(1, 96), 96), "kernel_size": (kinds.whole(3, 11), 11), **NETWORK},
        lambda arguments: principal_filters(arguments["count"], arguments["kernel_size"]),
        networks=True,
    ),
    "patches": Block({**NETWORK, "count": (kinds.whole(1, 12), 8)}, networks=True),
    "network": Block(NETWORK, networks=True),
    "pooling": Block(
        {
            "input": (kinds.grid(6, 12), [[1, 3, 2, 9], [7, 4, 1, 5], [8, 5, 2, 3], [4, 2, 1, 4]]),
            "kernel_size": (kinds.whole(1, 6), 2),
            "stride": (kinds.whole(1, 4), 2),
            "kind": (kinds.one_of("max", "average"), "max"),
            "whole_map": (kinds.TRUTH, False),
        },
        check=_pooling_fits,
    ),
    "layers": Block(
        {
            "networks": (kinds.known_networks(6), ["alexnet_2012"]),
            "show": (kinds.one_of("size", "channels", "params", "macs"), "size"),
        },
        lambda arguments: [structure(name) for name in arguments["networks"]],
    ),
    "variants": Block(
        {"networks": (kinds.known_networks(6), ["vgg_a", "vgg_b", "vgg_c", "vgg_d", "vgg_e"])},
        lambda arguments: [structure(name) for name in arguments["networks"]],
    ),
    "shortcuts": Block({"depth": (kinds.whole(2, 40), 20)}),
    "dense": Block({"layers": (kinds.whole(2, 6), 4), "growth": (kinds.whole(1, 48), 12)}),
    "costs": Block({}, lambda arguments: costs()),
    "ladder": Block(
        {"steps": (kinds.table(name="six layers", accuracy=91.2, minutes=3, command="mcnn train"), None)}
    ),
    "transfer": Block(
        {
            "network": (kinds.known_networks(1), ["resnet18"]),
            "results": (kinds.table(name="all layers", accuracy=91.2, minutes=3), None),
        },
        lambda arguments: structure(arguments["network"][0]),
    ),
}


def content(figure, networks):
    """Check a figure block, and return what the page gets of it.

    Parameters
    ----------
    figure : Figure
    networks : collection of str
        The trained networks of this lecture.

    Returns
    -------
    dict
        ``name``, ``arguments`` with defaults filled in, and ``more``.

    Raises
    ------
    LectureError
        If there is no such figure, or an argument is missing, unknown, of another kind, or does not
        fit the others.
    """
    if figure.name not in FIGURES:
        near = hint(figure.name, FIGURES)
        problem = f"figure - expected one of {', '.join(FIGURES)}, got {figure.name!r}{near}"
        raise LectureError(figure.place(), problem)
    block = FIGURES[figure.name]
    for name in figure.arguments:
        if name not in block.arguments:
            expected = f"expected one of {', '.join(block.arguments)}" if block.arguments else "expected no arguments"
            got = f"{name!r}{hint(name, block.arguments)}"
            raise LectureError(figure.place(name), f"figure {figure.name}: argument - {expected}, got {got}")
    arguments = {}
    for name, (kind, default) in block.arguments.items():
        value = figure.arguments.get(name, default)
        if not kind.fits(value):
            got = "nothing" if name not in figure.arguments else f"{value!r}{kind.hint(value)}"
            problem = f"figure {figure.name}: {name} - expected {kind.expected}, got {got}"
            raise LectureError(figure.place(name), problem)
        arguments[name] = value
    if block.networks and arguments["network"] not in networks:
        expected = f"expected one of {', '.join(networks)}"
        got = f"{arguments['network']!r}{hint(arguments['network'], networks)}"
        raise LectureError(figure.place("network"), f"figure {figure.name}: network - {expected}, got {got}")
    if problem := block.check(arguments):
        name, expected = problem
        told = f"figure {figure.name}: {name} - expected {expected}, got {arguments[name]!r}"
        raise LectureError(figure.place(name), told)
    return {"name": figure.name, "arguments": arguments, "more": block.more(arguments)}
