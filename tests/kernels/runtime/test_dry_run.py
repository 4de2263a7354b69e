"""A dry run: kernels are noted and none runs."""

import pickle

import numba
import numpy as np
import pytest

import minitorch_kernels as kernels
from minitorch_kernels.runtime import cache, compile_worker, dry_run, jit, memory, threads
from minitorch_kernels.runtime.dry_run import Call

needs_jit = pytest.mark.skipif(not jit.jit_enabled(), reason="nothing is compiled")
X = np.array([-1.0, 2.0], np.float32)


@needs_jit
def test_kernels_are_noted_and_do_not_run():
    with dry_run.dry_run() as calls:
        out = kernels.layers.elementwise.relu_forward(X)
        kernels.layers.elementwise.relu_forward(X.astype(np.float64))
    assert out.tolist() == [0, 0] and kernels.layers.elementwise.relu_forward(X).tolist() == [0, 2]
    assert [call.name for call in calls] == ["_relu_forward"] * 2 and calls[0].types != calls[1].types
    assert calls[0].module == "minitorch_kernels.layers.elementwise"


@needs_jit
def test_python_runs_a_part_that_gives_a_result():
    double = jit.compiled(lambda x: 2 * x)
    more = jit.compiled(lambda x: double(x) + 1)
    with dry_run.dry_run() as calls:
        assert more(3) == 7
    assert [call.types for call in calls] == [(numba.int64,)]  # `more` alone: `double` is part of it
    assert more(3) == 7


@needs_jit
def test_the_search_for_outliers_is_noted():
    outliers, x, weight = kernels.conv.winograd.outliers, np.zeros((4, 8, 8, 16), np.float32), np.ones((16, 16, 3, 3))
    with dry_run.dry_run() as calls:
        split = outliers.split_filters(weight.astype(np.float32))
        assert outliers.find(x, outliers.empty(x), split, 9).tolist() == []
    assert {"_measure_each", "_exclude"} == {call.name for call in calls}


@needs_jit
def test_products_with_large_weights_are_noted():
    identity = np.full((16, 16, 3, 3), 1e-4, np.float32)
    identity[range(16), range(16), 1, 1] = 1
    forward, hyper = kernels.conv.winograd.correlate.conv2d_forward_winograd, {"dilation": (1, 1), "groups": 1}
    for weight, noted in ((identity, True), (np.full_like(identity, 0.5), False)):
        with dry_run.dry_run() as calls:
            forward(np.zeros((4, 8, 8, 16), np.float32), weight, stride=(1, 1), padding=(1, 1, 1, 1), **hyper)
        assert ("_add_products" in [call.name for call in calls]) == noted


@needs_jit
def test_the_helpers_loop_is_noted_and_no_helper_starts(monkeypatch):
    monkeypatch.setattr(threads, "_helpers", threads._Helpers())
    with dry_run.dry_run() as calls:
        threads.team(2)
    assert [call.name for call in calls] == ["serve"] and threads._helpers.started == 0


def test_new_arrays_are_zero():
    used = memory.empty((1 << 16,), np.float32)
    used[:] = 1
    del used  # on the shelf, from where the next array would come
    with dry_run.dry_run():
        assert not memory.empty((1 << 16,), np.float32).any()


@needs_jit
def test_what_was_noted_is_what_a_call_needs():
    relu, matmul = kernels.layers.elementwise.relu_forward, kernels.gemm.matmul.matmul
    for call in (lambda: relu(X), lambda: matmul(X[None], X[:, None])):
        with dry_run.dry_run() as calls:
            call()
        call()  # compiles or loads
        assert calls and dry_run.not_compiled(calls) == []


@needs_jit
def test_not_compiled_names_each_kernel_once():
    unusual = np.zeros((1, 1), np.complex128)
    types = (numba.typeof(np.zeros(2, np.int64)), numba.int64, numba.typeof((unusual, unusual)))
    call = Call("minitorch_kernels.layers.elementwise", "_relu_forward", types)
    assert dry_run.not_compiled([call, call]) == [call]
    unknown = [
        call._replace(module="__main__"),
        call._replace(module="no_such_module"),
        call._replace(name="f.<locals>.g"),
    ]
    assert dry_run.not_compiled(unknown) == []
    assert pickle.loads(pickle.dumps(call)) == call


@needs_jit
def test_kernels_with_the_most_code_are_compiled_first(monkeypatch):
    monkeypatch.setattr(cache, "is_cached", lambda kernel, types: False)
    small = Call("minitorch_kernels.layers.elementwise", "_relu_forward", ())
    large = Call("minitorch_kernels.conv.winograd.correlate", "_by_tiles", ())  # most of its code is in its parts
    assert dry_run.not_compiled([small, large]) == dry_run.not_compiled([large, small]) == [large, small]
    assert large.code_size() > 4 * len(large.kernel().__wrapped__.__code__.co_code)


@needs_jit
def test_the_worker_answers_for_kernels_that_it_cannot_compile(monkeypatch):
    with dry_run.dry_run() as calls:
        kernels.layers.elementwise.relu_forward(X)
    (call,) = calls
    assert compile_worker.answer(call) == "kept"
    assert compile_worker.answer(call._replace(module="no_such_module")) == "failed"
    assert compile_worker.answer(call._replace(name="_no_such_kernel")) == "failed"
    assert compile_worker.answer(call._replace(types=call.types[:1])) == "failed"
    monkeypatch.setattr(cache, "is_cached", lambda kernel, types: False)
    assert compile_worker.answer(call) == "lost"
