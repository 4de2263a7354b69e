"""What every kernel uses.

The compiler, if there is one (`compiler`), compilation (`jit`), where its results are kept (`cache`), its dry runs
(`dry_run`, `compile_worker`), threads (`threads`, `parallel`), how work is cut (`chunks`), memory (`memory`,
`prefetch`, `collector`), vector instructions (`simd`, `transpose`), other views of arrays (`views`), the precision of
products (`precision`), what `ulimit -v` leaves (`address_space`).
"""

from typing import TYPE_CHECKING

from minitorch_kernels._lazy import lazy_submodules

if TYPE_CHECKING:  # for editors and type checkers, which do not run `lazy_submodules`
    from minitorch_kernels.runtime import address_space as address_space
    from minitorch_kernels.runtime import cache as cache
    from minitorch_kernels.runtime import chunks as chunks
    from minitorch_kernels.runtime import collector as collector
    from minitorch_kernels.runtime import compile_worker as compile_worker
    from minitorch_kernels.runtime import compiler as compiler
    from minitorch_kernels.runtime import dry_run as dry_run
    from minitorch_kernels.runtime import home as home
    from minitorch_kernels.runtime import jit as jit
    from minitorch_kernels.runtime import memory as memory
    from minitorch_kernels.runtime import parallel as parallel
    from minitorch_kernels.runtime import precision as precision
    from minitorch_kernels.runtime import prefetch as prefetch
    from minitorch_kernels.runtime import simd as simd
    from minitorch_kernels.runtime import threads as threads
    from minitorch_kernels.runtime import transpose as transpose
    from minitorch_kernels.runtime import views as views
else:  # a type checker would believe that `__getattr__` finds every misspelt name
    __getattr__, __dir__ = lazy_submodules(__name__)
