"""Views of arrays that compiled code needs often; Numba's own ``reshape`` and ``view`` take long to compile."""

from minitorch_kernels.runtime.compiler import cgutils, intrinsic, types


@intrinsic
def flat(typing_context, array):
    """Return all elements of a C-contiguous array, in one dimension."""
    return _flat_of(array, array.dtype)


@intrinsic
def flat_bits(typing_context, array):
    """Return all elements of a C-contiguous array in one dimension, as signed integers with the same bits."""
    return _flat_of(array, types.Integer.from_bitwidth(array.dtype.bitwidth))


def _flat_of(array, dtype):
    """Return the signature and the code of a flat view of an array type, with another element type of the same size."""
    if array.layout != "C":
        raise TypeError(f"flat: array - expected a C-contiguous one, got {array}")
    view = types.Array(dtype, 1, "C", readonly=not array.mutable)

    def generate(context, builder, signature, arguments):
        source = context.make_array(array)(context, builder, arguments[0])
        result = context.make_array(view)(context, builder)
        for name in ("meminfo", "parent", "nitems", "itemsize"):
            setattr(result, name, getattr(source, name))
        result.data = builder.bitcast(source.data, result.data.type)
        result.shape = cgutils.pack_array(builder, [source.nitems])
        result.strides = cgutils.pack_array(builder, [source.itemsize])
        context.nrt.incref(builder, view, result._getvalue())
        return result._getvalue()

    return view(array), generate
