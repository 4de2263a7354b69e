"""A model as a table: shapes, parameters, multiplications, memory and receptive field of each layer."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from minitorch_cnn.display import html
from minitorch_cnn.explain.fields.formula import receptive_fields
from minitorch_cnn.explain.trace.semantics import covers_maps, macs_of
from minitorch_cnn.io import json_text
from minitorch_cnn.nn import Module, Parameter
from minitorch_cnn.nn.tracing import traced
from minitorch_cnn.ops.reads import UNKNOWN
from minitorch_cnn.ops.reduce import Mean
from minitorch_cnn.types import Shape

_NO_PIXEL = (0, 0)


@dataclass(frozen=True)
class Layer:
    """One row: a module that ran, or an operation between modules."""

    name: str  # dotted path; of an operation, that of the module around it
    type: str
    output_shape: tuple[int, ...]
    params: int  # of this row; a layer that runs twice counts once
    macs: int | str  # "not known" if one of its operations does not declare them
    flops: int | str
    activation_bytes: int  # that all its operations write
    # (h, w), pixels, 0 where it does not depend on the image; None where it sees the whole image; or "not known"
    receptive_field: tuple[int, ...] | str | None
    jump: tuple[int, ...] | str | None
    frozen: bool
    algorithm: dict[str, Any] | None = None  # of a convolution: for each product, the name of its kernel and the reason


@dataclass(frozen=True)
class Summary:
    """All rows and their totals; prints as a table."""

    model: str
    input_shape: tuple[int, ...]
    layers: list[Layer]
    params: int
    trainable: int
    macs: int  # of the layers where the count is known
    flops: int
    receptive_field: tuple[int, ...] | str | None  # of the last map of more than one pixel
    inference_bytes: int  # the most that is alive at one time in inference
    training_bytes: int  # what a training step keeps for backward, and the largest gradient

    def json(self) -> str:
        """Return all of it as JSON."""
        return json_text.dumps(asdict(self), indent=2)

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    def _repr_html_(self):
        title, *totals = _totals(self)
        return html.table(_rows(self), title) + html.text("\n".join(totals))


def summary(model: Module, input_shape: Shape) -> "Summary":
    """Summarise a model.

    Parameters
    ----------
    model : Module
        It is traced in its current mode; nothing is computed, and nothing in it changes.
    input_shape : tuple of int
        (N, C, H, W).

    Returns
    -------
    Summary
        ``macs`` counts the multiply-adds of convolutions and matrix products, for the whole batch;
        ``flops`` is twice as much. Bytes are those of the feature maps in the model's dtype. ``algorithm`` of a
        convolution names the kernels for this batch: forward / input gradient / weight gradient where they differ.

    Raises
    ------
    ShapeError
        If the model does not take inputs of this shape.
    """
    x, records, _ = traced(model, input_shape)
    parameters = list(model.parameters())
    dtype = x.data.dtype
    fields, modules = receptive_fields(records, x), dict(model.named_modules())
    layers, seen = [], set()
    for group in _groups(records, modules):
        path, module, last = group[0].path, modules[group[0].path], group[-1]
        own = [p for p in _parameters(group, module) if id(p) not in seen]
        seen.update(map(id, own))
        macs = _macs(group)
        field = fields.get(id(last.output))
        layers.append(
            Layer(
                name=path,
                type=type(module).__name__ if _is_layer(module) else _operation(group),
                output_shape=tuple(last.output.shape),
                params=sum(p.size for p in own),
                macs=macs,
                flops=macs if macs == UNKNOWN else 2 * macs,
                activation_bytes=sum(_bytes(record, dtype) for record in group),
                receptive_field=field.size if field else _NO_PIXEL,
                jump=field.jump if field else _NO_PIXEL,
                frozen=bool(own) and not any(p.requires_grad for p in own),
                algorithm=_algorithm(group),
            )
        )
    macs = sum(layer.macs for layer in layers if layer.macs != UNKNOWN)
    return Summary(
        model=type(model).__name__,
        input_shape=tuple(input_shape),
        layers=layers,
        params=sum(p.size for p in parameters),
        trainable=sum(p.size for p in parameters if p.requires_grad),
        macs=macs,
        flops=2 * macs,
        receptive_field=_last_map(records, fields, x),
        inference_bytes=_most_alive(records, x, dtype),
        training_bytes=sum(_bytes(r, dtype) for r in records) + max((_bytes(r, dtype) for r in records), default=0),
    )


def _groups(records, modules):
    """Yield the operations of each row: all those of one run of a layer, or a single one of a module with layers."""
    group = []
    for record in records:
        one_layer = group and group[-1].path == record.path and _is_layer(modules[record.path])
        if group and not one_layer:
            yield group
            group = []
        group.append(record)
    if group:
        yield group


def _parameters(group, module):
    """Return the parameters of a row, each once: those that a layer has, and those that its operations read."""
    read = [v for record in group for v in record.inputs if isinstance(v, Parameter)]
    return list({id(p): p for p in [*(module.parameters() if _is_layer(module) else []), *read]}.values())


def _is_layer(module):
    return not list(module.children())


def _operation(group):
    last = group[-1]
    return "GlobalAvgPool" if last.op is Mean and covers_maps(last) else last.op.__name__


def _macs(group):
    """Return the multiply-adds of a row, or "not known"."""
    counts = [macs_of(record) for record in group]
    return UNKNOWN if None in counts else sum(counts)


def _algorithm(group):
    """Return the algorithms of a row's convolution as a dict, or None."""
    found = [record.algorithm for record in group if record.algorithm]
    return {product: chosen._asdict() for product, chosen in found[-1]._asdict().items()} if found else None


def _last_map(records, fields, x):
    """Return the size of the field of the last maps, or of the last output if there are none.

    Maps of one pixel that see the whole image come from a global pooling and do not count.
    """
    sizes = [
        field.size
        for record in records
        if len(record.output.shape) > 2
        and (field := fields.get(id(record.output)))
        and not (field.whole and math.prod(record.output.shape[2:]) == 1)
    ]
    if sizes:
        return sizes[-1]
    last = fields.get(id(records[-1].output if records else x))
    return last.size if last else _NO_PIXEL


def _bytes(record, dtype):
    return 0 if record.op.kind == "view" else record.output.size * dtype.itemsize


def _most_alive(records, x, dtype):
    """Return the most bytes of maps that are alive at one time; a map lives until its last use, or that of a view."""
    last_use, memory = {}, {}  # memory: id of the map that a view looks at
    for i, record in enumerate(records):
        read = [memory.get(id(v), id(v)) for v in record.inputs if v is not None]
        last_use.update(dict.fromkeys(read, i))
        if record.op.kind == "view":
            memory[id(record.output)] = read[0]
    if records:
        last_use.pop(memory.get(id(records[-1].output)), None)  # the result
    alive, most = {id(x): x.size * dtype.itemsize}, x.size * dtype.itemsize
    for i, record in enumerate(records):
        alive[id(record.output)] = _bytes(record, dtype)
        most = max(most, sum(alive.values()))
        alive = {key: size for key, size in alive.items() if last_use.get(key, len(records)) > i}
    return most


def _rows(summary):
    rows = [("layer", "type", "output", "parameters", "MACs", "memory", "sees", "jump", "algorithm", "")]
    for layer in summary.layers:
        rows.append(
            (
                layer.name or "(model)",
                layer.type,
                " x ".join(map(str, layer.output_shape[1:])),
                f"{layer.params:,}" if layer.params else "",
                layer.macs if layer.macs == UNKNOWN else f"{layer.macs:,}" if layer.macs else "",
                _megabytes(layer.activation_bytes),
                _pixels(layer.receptive_field) or "all",
                _pixels(layer.jump),
                _kernels(layer.algorithm),
                "frozen" if layer.frozen else "",
            )
        )
    return rows


def _kernels(algorithm):
    """Return "winograd", or the kernels of forward, input gradient and weight gradient where they differ."""
    names = [chosen["name"] for chosen in algorithm.values()] if algorithm else []
    return names[0] if len(set(names)) == 1 else " / ".join(names)


def _lines(summary):
    rows = _rows(summary)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if i in (0, 1, 8, 9) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    lines.insert(1, "-" * max(map(len, lines)))
    title, *totals = _totals(summary)
    return [title, *lines, *totals]


def _large(count):
    """Return a count with a unit that leaves digits to see: "416.52 k", "7.35 M", "1.82 G"."""
    unit, size = next(row for row in (("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 0)) if count >= row[1])
    return f"{count / (size or 1):.2f} {unit}"


def _totals(summary):
    """Return the line above the table and those below it."""
    shape = " x ".join(map(str, summary.input_shape))
    frozen = summary.params - summary.trainable
    idle = summary.params - sum(layer.params for layer in summary.layers)
    unknown = sum(layer.macs == UNKNOWN for layer in summary.layers)
    without = f", not counting {unknown} layer{'s' * (unknown > 1)} with unknown counts" if unknown else ""
    return [
        f"{summary.model}, input {shape}",
        f"parameters   {summary.params:,}"
        + (f", {frozen:,} of them frozen" if frozen else "")
        + (f", {idle:,} of them in no row: what has them does not run" if idle else ""),
        f"MACs         {summary.macs:,} ({_large(summary.macs)}MAC, {_large(summary.flops)}FLOP){without}",
        f"memory       {_megabytes(summary.inference_bytes)} of maps in inference, "
        f"{_megabytes(summary.training_bytes)} in training",
        f"last map     {_last_line(summary.receptive_field)}",
    ]


def _last_line(size):
    if size == UNKNOWN:
        return "what each element sees is not known"
    return f"each element sees {_pixels(size) or 'all'} pixels"


def _megabytes(size):
    return f"{size / 1e6:.2f} MB"


def _pixels(pair):
    """Return a size as "3", "3 x 5", "3 x all" or "not known"; nothing for None."""
    if pair is None or pair == UNKNOWN:
        return pair or ""
    height, width = ("all" if side is None else f"{side:g}" for side in pair)
    return height if height == width else f"{height} x {width}"
