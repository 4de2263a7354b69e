"""What the operations of a trace mean, as they declare it; see `minitorch_cnn.ops.reads`."""

from minitorch_cnn.ops.reads import Call, SamePlace, Windows


def call_of(record):
    """Return the `Call` of a record."""
    return Call(tuple(v if v is None else v.shape for v in record.inputs), record.output.shape, record.hyper)


def declared(record, number=0):
    """Return the declaration for one input of an operation, or None."""
    return record.op.reads and record.op.reads.of(number)


def label(record):
    """Return the name of an operation in tables and drawings."""
    return record.op.label or record.op.__name__


def is_window(record):
    """Return True if the operation moves a window over maps."""
    reads = declared(record)
    return isinstance(reads, Windows) and reads.over is None and record.op.kind in ("conv", "pool")


def keeps_place(record):
    """Return True for a normalisation or an activation that reads the same place of the maps before it."""
    return record.op.kind in ("norm", "activation") and isinstance(declared(record), SamePlace)


def covers_maps(record):
    """Return True for a sum or a maximum over the whole of maps (N, C, H, W) or signals (N, C, W)."""
    call = call_of(record)
    axes = tuple(range(2, len(call.shapes[0])))
    return record.op.kind == "reduce" and bool(axes) and tuple(record.hyper["axis"]) == axes


def macs_of(record):
    """Return the multiply-adds of an operation; None where they are not known."""
    if record.op.macs is not None:
        return record.op.macs(call_of(record))
    return None if record.op.kind in ("", "conv", "full") else 0
