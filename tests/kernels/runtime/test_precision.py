"""The precision of products: what is set, for whom, and what a processor without bf16 says."""

import threading

import pytest

from minitorch_kernels.runtime import simd
from minitorch_kernels.runtime.precision import get_precision, precision, set_precision

needs_bf16 = pytest.mark.skipif(not simd.supports(simd.PAIR), reason="no AVX512_BF16, or nothing is compiled")


def in_a_thread(function):
    """Return what a function returns in another thread."""
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


@needs_bf16
def test_what_is_set_holds_for_the_process_and_a_context_for_its_thread():
    assert get_precision() == "float32"
    try:
        set_precision("bf16")
        assert get_precision() == in_a_thread(get_precision) == "bf16"
        with precision("float32"):
            assert get_precision() == "float32" and in_a_thread(get_precision) == "bf16"
        assert get_precision() == "bf16"
    finally:
        set_precision("float32")
    with pytest.raises(KeyError), precision("bf16"):
        raise KeyError
    assert get_precision() == "float32"


@pytest.mark.parametrize("name", ["float16", "BF16", None, 16])
def test_other_names(name):
    with pytest.raises(ValueError, match="set_precision: name - expected 'float32' or 'bf16', got "):
        set_precision(name)
    with pytest.raises(ValueError, match="precision: name - expected 'float32' or 'bf16', got "), precision(name):
        pass


def test_a_processor_without_bf16_says_so(monkeypatch):
    monkeypatch.setattr(simd, "BF16", False)
    with pytest.raises(ValueError, match="set_precision: name - expected 'float32' on a processor without AVX512_BF16"):
        set_precision("bf16")
    with pytest.raises(ValueError, match="precision: name - .*, got 'bf16'"), precision("bf16"):
        pass
    set_precision("float32")
    assert get_precision() == "float32"
