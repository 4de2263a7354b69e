"""Vector registers: their width is found on every kind of processor, and the results are the same on each."""

import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from minitorch_kernels.gemm.microkernel import MR
from minitorch_kernels.runtime import simd

needs_tile = pytest.mark.skipif(not simd.supports(np.float32), reason="no register tile fits this machine")


@pytest.mark.parametrize(
    ("machine", "name", "features", "expected"),
    [
        ("ARM64", None, None, (16, 32, True)),  # Windows
        ("arm64", None, None, (16, 32, True)),
        ("aarch64", "generic", None, (16, 32, True)),
        ("x86_64", "haswell", "", (32, 16, True)),
        ("x86_64", "skylake", "", (32, 16, True)),
        ("x86_64", "skylake-avx512", "", (64, 32, True)),
        ("x86_64", "icelake-server", "", (64, 32, True)),
        ("x86_64", "znver3", "", (32, 16, True)),
        ("x86_64", "znver5", "", (64, 32, True)),
        ("x86_64", "nehalem", "", (16, 16, False)),
        ("x86_64", "generic", "", (16, 16, False)),
        ("x86_64", None, "+avx2,+fma,-avx512f", (32, 16, True)),
        ("x86_64", None, "+avx2,-fma", (16, 16, False)),
        ("x86_64", "haswell", "+avx512f,+avx2,+fma", (64, 32, True)),
    ],
)
def test_registers_follow_the_processor_that_numba_compiles_for(monkeypatch, machine, name, features, expected):
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(simd.config, "CPU_NAME", name)
    monkeypatch.setattr(simd.config, "CPU_FEATURES", features)
    assert simd.host_vectors() == expected


@pytest.mark.parametrize(
    ("machine", "name", "features", "expected"),
    [
        ("arm64", None, None, False),
        ("x86_64", "znver4", "", True),
        ("AMD64", "sapphirerapids", "", True),
        ("x86_64", "haswell", "", False),
        ("x86_64", "icelake-server", "", False),  # has AVX-512 without these instructions
        ("x86_64", None, "+avx512f,+avx512bf16", True),
        ("x86_64", None, "+avx512f,-avx512bf16", False),
        ("x86_64", None, "-avx512f,+avx512bf16", False),
    ],
)
def test_which_processors_multiply_bf16(monkeypatch, machine, name, features, expected):
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(simd.config, "CPU_NAME", name)
    monkeypatch.setattr(simd.config, "CPU_FEATURES", features)
    assert simd.host_bf16() == expected


def test_without_a_wish_the_machine_itself_is_asked(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(simd.config, "CPU_NAME", None)
    monkeypatch.setattr(simd.config, "CPU_FEATURES", None)
    for features, expected in (
        ({"avx512f": True, "avx2": True, "fma": True}, (64, 32, True)),
        ({"avx512f": False, "avx2": True, "fma": True}, (32, 16, True)),
        ({"sse2": True}, (16, 16, False)),
    ):
        monkeypatch.setattr(simd.llvm, "get_host_cpu_features", lambda told=features: told)
        assert simd.host_vectors() == expected


ONE_CONVOLUTION = """
import numpy as np
from minitorch_cnn import Tensor, ops
from minitorch_kernels.conv import indirect
from minitorch_kernels.gemm import matmul, microkernel
from minitorch_kernels.runtime import simd
assert (simd.VECTOR_BYTES, microkernel.MR) == {vectors}, simd.host_vectors()
assert simd.supports(np.float32) is {available} and not simd.supports(np.float16)
rng = np.random.default_rng(0)
shapes = (2, 5, 9, 8), (19, 5, 3, 2), (19,)
arrays = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]

def results(x, weight, bias, **hyper):
    tensors = [Tensor(a, requires_grad=True) for a in (x, weight, bias)]
    out = ops.conv2d(*tensors, padding=1, **hyper)
    out.backward(np.sin(np.arange(out.data.size)).reshape(out.shape))
    return [out.data, *(t.grad for t in tensors)]

for got, want in zip(*(results(*arrays, stride=(1, 2), algorithm=a) for a in ("auto", "im2col")), strict=True):
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-4)
square = arrays[0], np.concatenate([arrays[1], arrays[1][..., :1]], 3), arrays[2]
for algorithm in ("auto", "winograd" if {available} else "auto"):
    for got, want in zip(results(*square, algorithm=algorithm), results(*square, algorithm="im2col"), strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=2e-3)
many = [rng.standard_normal(shape).astype(np.float32) for shape in ((3, 90, 8, 8), (90, 90, 3, 3), (90,))]
for got, want in zip(*(results(*many, algorithm=a) for a in ("auto", "im2col")), strict=True):
    np.testing.assert_allclose(got, want, rtol=0, atol=5e-3)
for rows, columns in ((37, 35), (3, 64), (70, 7)):
    a, b = rng.standard_normal((rows, 401)), rng.standard_normal((401, columns))
    np.testing.assert_allclose(matmul.matmul(a, b), a @ b, rtol=0, atol=1e-11)
"""


def run(environment, **values):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    command = [sys.executable, "-c", ONE_CONVOLUTION.format(**values)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@needs_tile
@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names an x86 processor")
def test_the_narrower_registers_of_avx2_give_the_same():
    run({"NUMBA_CPU_NAME": "haswell"}, vectors=(32, 6), available=True)


@needs_tile
@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names an x86 processor")
def test_a_processor_without_fused_multiply_add_gives_the_same():
    run({"NUMBA_CPU_NAME": "nehalem"}, vectors=(16, 6), available=True)


def test_without_compilation_auto_is_im2col():
    run({"NUMBA_DISABLE_JIT": "1"}, vectors=(simd.VECTOR_BYTES, MR), available=False)
