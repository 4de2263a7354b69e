"""How one compiled call is shared out over threads, without Python and without its lock.

A kernel cuts its work into tasks and hands them out:

    function(team, count, args)        runs body(begin, end, *args) for ranges that cover 0 .. count - 1

`parallel_task` makes such a function of a body. The body has to write to different elements for different tasks, so
that neither the order of the tasks nor the number of threads changes a bit of the result. The calling thread announces
the job on a *board*, a few integers in shared memory, and works itself. Helper threads (`threads.py`) watch the board
from compiled code that holds no Python lock. Each thread begins with its own part of the tasks, which is the same part
in every call of that size: what it wrote in one kernel is in the cache of its core when the next kernel reads it. Who
has finished takes pieces of the other parts, so that a slow core holds nobody up:

    caller                                   helper
    board: body, args, count                 reads EPOCH until it is odd
    EPOCH becomes odd: open                  INSIDE + 1; EPOCH still the same? then
    takes pieces until none is left          takes pieces until none is left
    EPOCH becomes even: closed               INSIDE - 1
    waits until INSIDE is 0

The caller waits only for helpers that are at work. A helper that comes late finds the job closed, and one that never
comes costs nothing. One job is on the board at a time: a second Python thread that calls a kernel meanwhile computes
alone, which costs nothing either, as the cores are busy.
"""

import os

from minitorch_kernels.runtime.compiler import cgutils, intrinsic, ir, jit_enabled, types
from minitorch_kernels.runtime.jit import compiled

# Elements of the board, each in a cache line of its own, so that readers of one do not slow down writers of another.
_LINE = 8
OWNED, EPOCH, INSIDE, THREADS, COUNT, TASK, FRAME, NEXT = range(0, 8 * _LINE, _LINE)  # NEXT is one for each thread
MOST_THREADS = 1024
BOARD_SIZE = NEXT + MOST_THREADS * _LINE

_PIECES_PER_THREAD = 8  # enough that the last piece of a slow core is short
_ROUNDS = 20_000  # of a helper that waits: about half a millisecond, as long as Python takes between two kernels
_ROUNDS_BEFORE_YIELD = 64  # of a loop that waits: then another process may have the core

_INT = ir.IntType(64)
_POINTER = ir.IntType(8).as_pointer()
_TASK_TYPE = ir.FunctionType(ir.VoidType(), [_POINTER, _INT, _INT])


# ------------------------------------------------------------------------------------- atomics


def _element(builder, board, index):
    return builder.gep(builder.inttoptr(board, _INT.as_pointer()), [index])


@intrinsic
def _load(typing_context, board, index):
    def generate(context, builder, signature, args):
        return builder.load_atomic(_element(builder, *args), "seq_cst", 8)

    return types.int64(types.int64, types.int64), generate


@intrinsic
def _store(typing_context, board, index, value):
    def generate(context, builder, signature, args):
        builder.store_atomic(args[2], _element(builder, *args[:2]), "seq_cst", 8)
        return context.get_dummy_value()

    return types.none(types.int64, types.int64, types.int64), generate


@intrinsic
def _add(typing_context, board, index, value):
    """Add ``value`` and return what the element was before."""

    def generate(context, builder, signature, args):
        return builder.atomic_rmw("add", _element(builder, *args[:2]), args[2], "seq_cst")

    return types.int64(types.int64, types.int64, types.int64), generate


@intrinsic
def _claim(typing_context, board):
    """Set OWNED from 0 to 1, and return True if it was 0."""

    def generate(context, builder, signature, args):
        owned = _element(builder, args[0], _INT(OWNED))
        return builder.extract_value(builder.cmpxchg(owned, _INT(0), _INT(1), "seq_cst", "seq_cst"), 1)

    return types.boolean(types.int64), generate


@intrinsic
def _pause(typing_context):
    """Tell the processor that this loop waits: it saves power, and gives its time to the core's other thread."""

    def generate(context, builder, signature, args):
        if "x86" in builder.module.triple:
            function_type = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, function_type, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.none(), generate


@intrinsic
def _yield_core(typing_context):
    """Let the operating system run another thread on this core, if one is waiting."""

    def generate(context, builder, signature, args):
        if hasattr(os, "sched_yield"):
            function_type = ir.FunctionType(ir.IntType(32), [])
            builder.call(cgutils.get_or_insert_function(builder.module, function_type, "sched_yield"), [])
        return context.get_dummy_value()

    return types.none(), generate


# ------------------------------------------------------------------------------- running a job


@intrinsic
def _call_task(typing_context, task, frame, begin, end):
    def generate(context, builder, signature, args):
        function = builder.inttoptr(args[0], _TASK_TYPE.as_pointer())
        builder.call(function, [builder.inttoptr(args[1], _POINTER), *args[2:]])
        return context.get_dummy_value()

    return types.none(*[types.int64] * 4), generate


@compiled
def _work(board, thread):
    """Do the pieces of the thread's own part of the job that are left, then those of the parts after it."""
    threads, count = _load(board, THREADS), _load(board, COUNT)
    task, frame = _load(board, TASK), _load(board, FRAME)
    for step in range(threads):
        part = (thread + step) % threads
        begin, end = part * count // threads, (part + 1) * count // threads
        pieces = min(end - begin, _PIECES_PER_THREAD)
        while _load(board, NEXT + part * _LINE) < pieces:  # reading alone disturbs no other core
            piece = _add(board, NEXT + part * _LINE, 1)
            if piece < pieces:
                first, last = begin + piece * (end - begin) // pieces, begin + (piece + 1) * (end - begin) // pieces
                _call_task(task, frame, first, last)


@compiled
def _wait_a_little(rounds):
    """Pass the time in a loop that waits; now and then let another process have the core."""
    _pause()
    if rounds % _ROUNDS_BEFORE_YIELD == 0:
        _yield_core()


@compiled
def serve(board, index):
    """Work on every job of the board that wants helper ``index``, until the board has been empty for a while.

    While others still work on a job, a helper stays awake: the kernel may have another job, and cannot wake it.
    """
    seen, idle, rounds = 0, 0, 0
    while idle < _ROUNDS:
        epoch = _load(board, EPOCH)
        if epoch % 2 == 1 and epoch != seen:
            if index + 1 < _load(board, THREADS):
                _add(board, INSIDE, 1)
                if _load(board, EPOCH) == epoch:  # from now on the caller waits for us
                    _work(board, index + 1)
                _add(board, INSIDE, -1)
            seen = epoch
        idle = 0 if epoch % 2 == 1 else idle + 1
        rounds += 1
        _wait_a_little(rounds)


def compile_serve():
    """Compile `serve`, or take it from the cache, in the thread that calls this.

    A helper must not: while Numba compiles, it replaces Python's warning filters and puts the old ones back, which
    would undo what another thread does to them meanwhile.
    """
    serve.entry.compile((types.int64, types.int64))


@compiled
def _run(team, count, task, frame):
    """Run a job on the board, or alone where one thread is enough or another job is on the board."""
    board, threads = team[0], team[1]
    if threads == 1 or count < 2 or not _claim(board):
        _call_task(task, frame, 0, count)
        return
    _store(board, THREADS, threads)
    _store(board, COUNT, count)
    _store(board, TASK, task)
    _store(board, FRAME, frame)
    for thread in range(threads):
        _store(board, NEXT + thread * _LINE, 0)
    _add(board, EPOCH, 1)
    _work(board, 0)
    _add(board, EPOCH, 1)
    rounds = 0
    while _load(board, INSIDE) > 0:
        rounds += 1
        _wait_a_little(rounds)
    _store(board, OWNED, 0)


# --------------------------------------------------------------------------------------- tasks


def parallel_task(function):
    """Compile ``function(begin, end, *args)``; compiled code calls it as ``function(team, count, args)``.

    Parameters
    ----------
    function : callable
        Does the tasks begin .. end - 1, which write to different elements. Returns nothing. If it raises, the other
        tasks are still done, and then one of the exceptions goes on to the caller.

    Returns
    -------
    callable
        ``team`` as `threads.team` gives it, the number of tasks, and a tuple of the other arguments. ``__wrapped__``
        is the function.
    """
    if not jit_enabled():
        return lambda team, count, args: function(0, count, *args)
    body = compiled(function)

    @intrinsic
    def share_out(typing_context, team, count, args):
        argument_types = (types.int64, types.int64, *args.types)
        body_signature = _resolve(typing_context, body, argument_types)
        run_signature = _resolve(typing_context, _run, (team, types.int64, types.int64, types.int64))

        def generate(context, builder, signature, values):
            count = context.cast(builder, values[1], signature.args[1], types.int64)
            frame = _fill_frame(context, builder, values[2])
            function = _emit_task(context, builder, body, body_signature, argument_types, frame.type.pointee)
            addresses = [builder.ptrtoint(pointer, _INT) for pointer in (function, frame)]
            _call(context, builder, _run, run_signature, [values[0], count, *addresses])
            _raise_failure(context, builder, frame)
            return context.get_dummy_value()

        return types.none(team, count, args), generate

    share_out.__wrapped__ = function
    return share_out


def _resolve(typing_context, dispatcher, argument_types):
    return types.Dispatcher(dispatcher).get_call_type(typing_context, argument_types, {})


def _call(context, builder, dispatcher, signature, arguments):
    """Emit a call of a compiled function, and return its status."""
    result = dispatcher.get_compile_result(signature)
    context.active_code_library.add_linking_library(result.library)
    description = result.fndesc
    callee = context.declare_function(builder.module, description)
    status, _ = context.call_conv.call_function(builder, callee, description.restype, description.argtypes, arguments)
    return status


def _fill_frame(context, builder, args):
    """Lay the frame of a job on the stack: the code and details of an exception, none so far, then the args."""
    details = context.call_conv._get_excinfo_argument(builder.function).type.pointee
    frame_type = ir.LiteralStructType([ir.IntType(32), details, args.type])
    frame = cgutils.alloca_once_value(builder, ir.Constant(frame_type, None))
    builder.store(ir.Constant(frame_type, None), frame)
    builder.store(args, cgutils.gep_inbounds(builder, frame, 0, 2))
    return frame


def _emit_task(context, builder, body, signature, given_types, frame_type):
    """Emit the C function task(frame, begin, end), which calls body(begin, end, *args) with the args of the frame."""
    function = ir.Function(builder.module, _TASK_TYPE, builder.module.get_unique_name("task"))
    function.linkage = "internal"
    builder = ir.IRBuilder(function.append_basic_block())
    frame = builder.bitcast(function.args[0], frame_type.as_pointer())
    args = cgutils.unpack_tuple(builder, builder.load(cgutils.gep_inbounds(builder, frame, 0, 2)))
    args = [_borrow(context, builder, *pair) for pair in zip(given_types[2:], args, strict=True)]
    values = [*function.args[1:], *args]
    casts = zip(values, given_types, signature.args, strict=True)
    status = _call(context, builder, body, signature, [context.cast(builder, *cast) for cast in casts])
    with builder.if_then(status.is_error, likely=False):
        builder.store(status.code, cgutils.gep_inbounds(builder, frame, 0, 0))
        builder.store(status.excinfoptr, cgutils.gep_inbounds(builder, frame, 0, 1))
    builder.ret_void()
    return function


def _borrow(context, builder, kind, value):
    """Return an array that owns nothing, as the caller keeps its memory alive.

    Otherwise each slice of it would count a reference, in an integer that all threads write to. Of a tuple, such as
    a NamedTuple of tables, all elements are borrowed.
    """
    if isinstance(kind, types.BaseTuple):
        elements = [_borrow(context, builder, part, builder.extract_value(value, i)) for i, part in enumerate(kind)]
        return context.make_tuple(builder, kind, elements)
    if not isinstance(kind, types.Array):
        return value
    array = context.make_array(kind)(context, builder, value)
    array.meminfo = cgutils.get_null_value(array.meminfo.type)
    array.parent = cgutils.get_null_value(array.parent.type)
    return array._getvalue()


def _raise_failure(context, builder, frame):
    """Emit: raise the exception that a task has left in the frame, if there is one."""
    code, details = (builder.load(cgutils.gep_inbounds(builder, frame, 0, i)) for i in range(2))
    status = context.call_conv._get_return_status(builder, code, details)
    with builder.if_then(status.is_error, likely=False):
        context.call_conv.return_status_propagate(builder, status)
