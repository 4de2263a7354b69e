"""From the textbook's loops to the shipped kernel: one convolution, made faster step by step.

Every step is a file of its own, with one idea and the same function:

    conv2d(x, weight, *, stride, padding)
        x (N, C, H, W), weight (O, C, KH, KW)  ->  out (N, O, OH, OW)

    out[n, o, i, j] = sum over c, u, v of x[n, c, i*stride + u - padding, j*stride + v - padding] * weight[o, c, u, v]

`STEPS` says in one line why each step is faster than the one before. `mcnn race ladder` measures them.
"""

from typing import TYPE_CHECKING

from minitorch_kernels._lazy import lazy_submodules

if TYPE_CHECKING:  # for editors and type checkers, which do not run `lazy_submodules`
    from minitorch_kernels.ladder import packing as packing
    from minitorch_kernels.ladder import step1_loops as step1_loops
    from minitorch_kernels.ladder import step2_compiled as step2_compiled
    from minitorch_kernels.ladder import step3_channels_last as step3_channels_last
    from minitorch_kernels.ladder import step4_im2col as step4_im2col
    from minitorch_kernels.ladder import step5_registers as step5_registers
    from minitorch_kernels.ladder import step6_packed as step6_packed
    from minitorch_kernels.ladder import step7_threads as step7_threads
    from minitorch_kernels.ladder import step8_shipped as step8_shipped
    from minitorch_kernels.ladder import step9_winograd as step9_winograd
else:  # a type checker would believe that `__getattr__` finds every misspelt name
    __getattr__, __dir__ = lazy_submodules(__name__)

STEPS = {
    "step1_loops": "the definition, as loops in Python",
    "step2_compiled": "the same loops as machine code",
    "step3_channels_last": "the inner loop reads neighbours in memory, a whole vector at a time",
    "step4_im2col": "each window becomes a row: one matrix product with one long inner loop",
    "step5_registers": "a tile of sums stays in registers; each loaded vector serves several of them",
    "step6_packed": "blocks that fit the caches, packed in the order in which they are read",
    "step7_threads": "each thread computes its own rows of the result",
    "step8_shipped": "no copies of the windows: a tuned micro-kernel reads the images through offsets",
    "step9_winograd": "another algorithm: a quarter of the multiplications",
}
