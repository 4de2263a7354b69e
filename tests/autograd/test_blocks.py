"""no_grad, enable_grad and trace around generators, coroutines and threads, and blocks that overlap."""

import asyncio
import contextvars
import sys
import threading

import numpy as np
import pytest

from minitorch_cnn import Tensor, ops
from minitorch_cnn.autograd import GraphError, enable_grad, is_grad_enabled, no_grad, trace
from minitorch_cnn.autograd.trace import setting


def inside(block):
    """Stop inside a block."""
    with block:
        yield is_grad_enabled()


@pytest.mark.parametrize("first", [0, 1])
def test_blocks_that_overlap_leave_what_was_before_them(first):
    generators = [inside(no_grad()), inside(no_grad())]
    assert [next(generator) for generator in generators] == [False, False]
    assert not is_grad_enabled()
    generators.pop(first).close()
    assert not is_grad_enabled()  # the other is open
    generators.pop().close()
    assert is_grad_enabled()


def test_the_last_block_that_is_open_decides():
    outer, inner = inside(no_grad()), inside(enable_grad())
    assert (next(outer), next(inner)) == (False, True)
    outer.close()
    assert is_grad_enabled()
    inner.close()
    assert is_grad_enabled()


def test_one_block_can_be_entered_again_and_inside_itself():
    block = no_grad()
    for _ in range(2):
        with block, block:
            assert not is_grad_enabled()
        assert is_grad_enabled()


def test_a_decorated_generator_runs_inside_and_its_user_outside():
    @no_grad()
    def generator(count):
        for _ in range(count):
            sent = yield is_grad_enabled()
            assert not is_grad_enabled() and sent in (None, "sent")
        return "the end"

    steps = generator(2)
    assert next(steps) is False and is_grad_enabled()
    assert steps.send("sent") is False and is_grad_enabled()
    with pytest.raises(StopIteration, match="the end"):
        next(steps)
    assert list(generator(3)) == [False] * 3


def test_backward_speaks_of_a_generator_that_waits_inside_no_grad():
    generator, x = inside(no_grad()), Tensor(np.ones(1), requires_grad=True)
    next(generator)
    loss = x * 2
    with pytest.raises(GraphError, match=r"got one that does not: .* no_grad\(\) was in force, perhaps of a generator"):
        loss.backward()
    generator.close()
    (x * 2).backward()
    assert x.grad == [2.0]


def test_a_decorated_generator_passes_errors_and_its_end_on():
    ended = []

    @no_grad()
    def generator():
        try:
            yield 1
        except KeyError:
            yield 2
        finally:
            ended.append(is_grad_enabled())

    steps = generator()
    next(steps)
    assert steps.throw(KeyError()) == 2
    steps.close()
    assert ended == [False] and is_grad_enabled()


def test_a_decorated_coroutine_runs_inside():
    @no_grad()
    async def work(seen):
        await asyncio.sleep(0)
        seen.append(is_grad_enabled())

    async def both():
        seen = []
        await asyncio.gather(work(seen), work(seen))
        return seen, is_grad_enabled()

    assert asyncio.run(both()) == ([False, False], True)


def test_what_cannot_be_decorated_is_refused():
    async def generator():
        yield 1

    for wrong, got in ((generator, "an asynchronous generator"), (Tensor, "a class")):
        with pytest.raises(TypeError, match=f"grad_enabled: function - expected a function to decorate, got {got}"):
            no_grad()(wrong)


def test_a_thread_has_blocks_of_its_own():
    def leave_one_open():
        generator, seen = inside(no_grad()), []
        next(generator)
        thread = threading.Thread(target=lambda: (seen.append(is_grad_enabled()), generator.close()))
        thread.start()
        thread.join()
        assert seen == [True] and not is_grad_enabled()  # it ended in a thread that had not begun it
        with enable_grad():
            assert (Tensor(np.ones(1), requires_grad=True) * 2).requires_grad

    contextvars.copy_context().run(leave_one_open)
    assert is_grad_enabled()


def test_a_trace_inside_a_trace_records_into_both():
    x = Tensor(np.ones(2))
    with trace() as outer:
        ops.relu(x)
        with trace() as inner:
            ops.exp(x)
        ops.sqrt(x)
    assert [record.op.__name__ for record in outer] == ["ReLU", "Exp", "Sqrt"]
    assert [record.op.__name__ for record in inner] == ["Exp"]


class InterruptedAt:
    """A context variable, where Ctrl-C comes right after its value was set for the n-th time."""

    def __init__(self, count):
        self.kept, self.left = contextvars.ContextVar("kept", default="before"), count

    def get(self):
        return self.kept.get()

    def set(self, value):
        self.kept.set(value)
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("count", [1, 2])
def test_ctrl_c_while_a_block_begins_or_ends(count):
    variable = InterruptedAt(count)
    block = setting(variable, "inside")
    with pytest.raises(KeyboardInterrupt), block:
        pass
    assert (variable.left, variable.get()) == (-1, "before")
    with block as value:
        assert variable.get() == value == "inside"
    assert variable.get() == "before"


def interrupted_block(make, stop):
    """Run a block with Ctrl-C at its ``stop``-th line, where Python looks for signals; return how many lines ran."""

    def look(frame, event, argument):
        if frame.f_code.co_filename != sys.modules[setting.__module__].__file__:
            return None
        first = frame.f_code is setting.__exit__.__code__ and frame.f_lineno == frame.f_code.co_firstlineno + 1
        lines.append(frame.f_lineno)
        if event == "line" and len(lines) == stop and not first:  # before its first line, nobody can help
            raise KeyboardInterrupt
        return look

    lines, before = [], sys.gettrace()
    sys.settrace(look)
    try:
        with make():
            pass
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)
    return len(lines)


@pytest.mark.parametrize("make", [no_grad, trace])
def test_ctrl_c_at_any_line_of_a_block(make):
    for stop in range(1, 60):
        ran = interrupted_block(make, stop)
        x = Tensor(np.ones(2), requires_grad=True)
        with trace() as records:
            assert ops.exp(x).requires_grad
        assert len(records) == 1
    assert ran < 60  # all lines were tried
