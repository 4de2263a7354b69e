"""The processor's vector registers, and the few instructions that the micro-kernels are written in.

Numba compiles loops well, but it decides itself which values stay in registers. The micro-kernels (`gemm.microkernel`,
`conv.winograd.transform` and those of `conv.depthwise`) must decide that, so they emit LLVM's vector instructions
directly, through `VectorIR`.

LLVM can compile them for any processor. On one that we do not know they use registers of 16 bytes, and multiply and add
in two instructions. So there is one micro-kernel for all, also where NumPy's library might be expected to be faster:
compiled for an x86 processor without AVX, the indirect convolution takes less time than im2col and OpenBLAS's kernel
for the same processor in most of the layers that we measured, see `examples/docs/benchmarks.md`.
"""

import math
import platform

import numpy as np

from minitorch_kernels.runtime.compiler import cgutils, config, ir, jit_enabled, llvm, types

_AVX512_NAMES = ("skylake-avx512", "cascadelake", "cooperlake", "icelake", "sapphire", "granite")
_AVX512_NAMES += ("znver4", "znver5", "x86-64-v4")
_AVX2_NAMES = ("haswell", "broadwell", "skylake", "alderlake", "znver1", "znver2", "znver3", "x86-64-v3")


_BF16_NAMES = ("cooperlake", "sapphire", "granite", "znver4", "znver5")


def _features():
    """Return the features of the x86 processor that Numba compiles for, by name."""
    if config.CPU_FEATURES:
        return {name[1:]: name[0] == "+" for name in config.CPU_FEATURES.split(",")}
    return llvm.get_host_cpu_features()


def host_vectors():
    """Return the vector registers of the machine that Numba compiles for.

    Returns
    -------
    (int, int, bool)
        Bytes of a register, the number of registers, and whether one instruction multiplies and adds.
    """
    if platform.machine().lower() in ("arm64", "aarch64"):  # Windows says "ARM64"
        return 16, 32, True
    if config.CPU_NAME and not config.CPU_FEATURES:  # a processor that the user named
        if any(name in config.CPU_NAME for name in _AVX512_NAMES):
            return 64, 32, True
        return (32, 16, True) if any(name in config.CPU_NAME for name in _AVX2_NAMES) else (16, 16, False)
    features = _features()
    if features.get("avx512f"):
        return 64, 32, True
    return (32, 16, True) if features.get("avx2") and features.get("fma") else (16, 16, False)


def host_bf16():
    """Return True if the processor that Numba compiles for multiplies bf16, by AVX512_BF16 of x86."""
    if not llvm or platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    if config.CPU_NAME and not config.CPU_FEATURES:
        return any(name in config.CPU_NAME for name in _BF16_NAMES)
    return all(_features().get(name) for name in ("avx512f", "avx512bf16"))


VECTOR_BYTES, REGISTERS, FMA = host_vectors()
BF16 = host_bf16()
LINE = 64  # bytes of a line of the cache; where lines are longer, some are prefetched twice
VECTORS = 2  # vectors in a row of a micro-kernel's tile, unless one holds all columns
PAIR = np.dtype(np.uint32)  # two bf16 in the bits of one element, see `gemm.bf16`


def supports(dtype):
    """Return True where the micro-kernels run: compiled code, and float32, float64 or, with `BF16`, `PAIR`."""
    return jit_enabled() and np.dtype(dtype) in (np.float32, np.float64, *[PAIR] * BF16)


def sum_dtype(dtype):
    """Return the dtype of sums of products: float32 for pairs of bf16, else the dtype of the factors."""
    return np.dtype(np.float32) if dtype == PAIR else dtype


def lanes(dtype):
    """Return how many elements a vector register holds."""
    return VECTOR_BYTES // np.dtype(dtype).itemsize


def nr(dtype, columns=None):
    """Return NR, the columns of a tile and of a packed panel: VECTORS vectors, or one if it holds all the columns."""
    one = lanes(dtype)
    return one if columns is not None and columns <= one else VECTORS * one


class VectorIR:
    """Writes the few instructions that a micro-kernel is made of; a `PAIR` travels in a lane of float32."""

    def __init__(self, context, builder, dtype, vector_bytes=None):
        self.context, self.builder, self.pairs = context, builder, dtype == types.uint32
        self.element = context.get_data_type(types.float32 if self.pairs else dtype)
        self.lanes, self.integer = (vector_bytes or VECTOR_BYTES) * 8 // dtype.bitwidth, ir.IntType(64)
        self.vector, self.element_bits = ir.VectorType(self.element, self.lanes), dtype.bitwidth
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        name = f"llvm.fma.v{self.lanes}f{dtype.bitwidth}"
        self.fma_function = cgutils.get_or_insert_function(builder.module, kind, name)

    def arrays(self, signature, arguments, count):
        """Return the first ``count`` arguments as Numba's array structures."""
        pairs = zip(signature.args[:count], arguments[:count], strict=True)
        return [self.context.make_array(kind)(self.context, self.builder, value) for kind, value in pairs]

    def fields(self, kind, value):
        """Return the fields of a NamedTuple argument by name."""
        return {name: self.builder.extract_value(value, i) for i, name in enumerate(kind.fields)}

    def int64(self, value):
        return ir.Constant(self.integer, value)

    def at(self, pointer, index):
        return self.builder.gep(pointer, [index])

    def _vector_pointer(self, pointer, q):
        shifted = self.at(pointer, self.int64(q * self.lanes))
        return self.builder.bitcast(shifted, self.vector.as_pointer())

    def load_element(self, pointer):
        return self.builder.load(self.builder.bitcast(pointer, self.element.as_pointer()))

    def load_vector(self, pointer, q):
        value = self.builder.load(self._vector_pointer(pointer, q))
        value.align = 4  # arrays are aligned to their elements only
        return value

    def load_lanes(self, pointer, count):
        """Return a vector of ``count`` elements from memory, with zeros after them; the rest is not read."""
        mask, align = self._lanes_below(count), ir.IntType(32)(4)
        return self._masked("load", self.vector, [pointer, align, mask, self.constant(0)])

    def store_lanes(self, value, pointer, count):
        """Store the first ``count`` lanes; the memory after them is not written."""
        mask, align = self._lanes_below(count), ir.IntType(32)(4)
        self._masked("store", ir.VoidType(), [value, pointer, align, mask])

    def _masked(self, verb, result, arguments):
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        name = f"llvm.masked.{verb}.v{self.lanes}f{self.element_bits}.p0"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), arguments)

    def first_lanes(self, vector, count):
        """Return a vector with zeros in the lanes from ``count`` on."""
        return self.builder.select(self._lanes_below(count), vector, self.constant(0))

    def all_lanes(self, condition):
        """Return a condition for each lane, all the same."""
        integer = ir.IntType(self.element_bits)
        return self._lanes_below(self.builder.select(condition, integer(self.lanes), integer(0)))

    def _lanes_below(self, count):
        """Return for each lane whether its index is below ``count``."""
        integers = ir.VectorType(count.type, self.lanes)
        lane = ir.Constant(integers, list(range(self.lanes)))
        return self.builder.icmp_signed("<", lane, self._copied(count, integers))

    def relu_floor(self, relu):
        """Return the ``floor`` of `relu` for a condition: 0 in all lanes where it is true, else -inf."""
        return self.builder.select(relu, self.constant(0), self.constant(-math.inf))

    def relu(self, vector, floor):
        """Return a vector, with ``floor`` in the lanes that do not exceed it; NaN stays NaN, and -0.0 becomes 0.0."""
        return self.builder.select(self.builder.fcmp_ordered("<=", vector, floor), floor, vector)

    def store_vector(self, value, pointer, q):
        self.builder.store(value, self._vector_pointer(pointer, q)).align = 4

    def prefetch(self, pointer, write=False):
        """Prefetch the cache line of an address, which may be invalid; nothing waits for it."""
        integer = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, integer, integer, integer])
        function = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0")
        purpose, nearest_cache, data = (ir.Constant(integer, value) for value in (int(write), 3, 1))
        self.builder.call(function, [pointer, purpose, nearest_cache, data])

    def prefetch_share(self, pointer, first, pixels):
        """Fetch one vector's share of ``pixels`` pixels of all channels: as many vectors, from the first on."""
        for k in range(0, pixels, LINE // VECTOR_BYTES):
            offset = self.builder.mul(self.builder.add(first, self.int64(k)), self.int64(self.lanes))
            self.prefetch(self.at(pointer, offset))

    def broadcast(self, scalar):
        return self._copied(scalar, self.vector)

    def _copied(self, scalar, kind):
        """Return a vector of a type with a scalar in all lanes."""
        undefined = ir.Constant(kind, ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first, undefined, zeros)

    def fma(self, x, y, z):
        """Return x * y + z, rounded once where the processor can."""
        if not FMA:
            return self.builder.fadd(self.builder.fmul(x, y), z)
        return self.builder.call(self.fma_function, [x, y, z])

    def multiply_add(self, x, y, z):
        """Return x * y + z; of pairs, z plus both products."""
        if not self.pairs:
            return self.fma(x, y, z)
        bits = ir.VectorType(ir.IntType(32), self.lanes)
        kind = ir.FunctionType(self.vector, [self.vector, bits, bits])
        name = f"llvm.x86.avx512bf16.dpbf16ps.{self.lanes * 32}"
        dot_product = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(dot_product, [z, *(self.builder.bitcast(factor, bits) for factor in (x, y))])

    def combination(self, factors, values):
        """Return the sum of factor * value, not all factors 0; factors 0, 1 and -1 cost no multiplication."""
        pairs = [(factor, value) for factor, value in zip(factors, values, strict=True) if factor]
        pairs.sort(key=lambda pair: pair[0] != 1)  # begin with a factor of 1, if there is one
        (first, total), *rest = pairs
        if first != 1:
            total = self.builder.fmul(total, self.constant(first))
        for factor, value in rest:
            if factor == 1:
                total = self.builder.fadd(total, value)
            elif factor == -1:
                total = self.builder.fsub(total, value)
            else:
                total = self.fma(self.constant(factor), value, total)
        return total

    def constant(self, value):
        return ir.Constant(self.vector, [float(value)] * self.lanes)

    def loop(self, first, end, carried, body):
        """Run ``carried = body(i, carried)`` for i from first to end, at least once; return the last ``carried``."""
        builder, before = self.builder, self.builder.basic_block
        inside, after = builder.append_basic_block("loop"), builder.append_basic_block("after")
        builder.branch(inside)
        builder.position_at_end(inside)
        i = builder.phi(self.integer)
        phis = [builder.phi(value.type) for value in carried]
        results = body(i, phis)
        following = builder.add(i, self.int64(1))
        bottom = builder.basic_block
        for phi, outside, result in zip([i, *phis], [first, *carried], [following, *results], strict=True):
            phi.add_incoming(outside, before)
            phi.add_incoming(result, bottom)
        builder.cbranch(builder.icmp_signed("<", following, end), inside, after)
        builder.position_at_end(after)
        return results

    def loop_if_any(self, first, end, carried, body):
        """Run ``carried = body(i, carried)`` for i from first to end, maybe never; return the last ``carried``."""
        builder, before = self.builder, self.builder.basic_block
        some, after = builder.append_basic_block("some"), builder.append_basic_block("none")
        builder.cbranch(builder.icmp_signed("<", first, end), some, after)
        builder.position_at_end(some)
        results, bottom = self.loop(first, end, carried, body), builder.basic_block
        builder.branch(after)
        builder.position_at_end(after)
        phis = [builder.phi(value.type) for value in carried]
        for phi, outside, result in zip(phis, carried, results, strict=True):
            phi.add_incoming(outside, before)
            phi.add_incoming(result, bottom)
        return phis
