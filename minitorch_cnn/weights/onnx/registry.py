"""Which operations have a translation into ONNX, and what a translation gets."""

from typing import NamedTuple

import numpy as np

OPSET = 18
END = np.iinfo(np.int64).max


class Call(NamedTuple):
    """One operation of a trace: shapes without the batch are final, lengths that follow the batch are -1."""

    shapes: tuple  # of the inputs, None for an absent one
    shape: tuple  # of the output
    hyper: dict
    dtype: np.dtype


TRANSLATIONS = {}


def translates(*functions):
    """Register a translation for operations."""

    def add(translation):
        TRANSLATIONS.update(dict.fromkeys(functions, translation))
        return translation

    return add


def same_name(function, kind, **attributes):
    """Register an operation whose ONNX operator has no settings, or settings of the same names."""

    def translation(builder, call, *inputs):
        named = {theirs: call.hyper[ours] for theirs, ours in attributes.items()}
        return builder.add(kind, *inputs, **named)

    TRANSLATIONS[function] = translation
