"""What works without Numba, threads and processes, as in a browser; `simulated/browser.py` says how."""

import os
import pathlib
import subprocess
import sys
import textwrap

import pytest

TESTS = pathlib.Path(__file__).parents[1]
SIMULATED = pathlib.Path(__file__).parent / "simulated"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the browser is simulated on Linux")


def python(*words, simulated="browser", cwd=TESTS.parent, **variables):
    """Run Python where it has what a browser has; return the finished process."""
    paths = [SIMULATED, TESTS.parent, TESTS.parent / "kernels", *filter(None, sys.path)]
    variables = {"PYTHONPATH": os.pathsep.join(map(str, paths)), "MCNN_SIMULATED": simulated, **variables}
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=cwd, env=os.environ | variables, capture_output=True, text=True, check=False)


def printed(code, **options):
    done = python("-c", textwrap.dedent(code), **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_network_trains_in_plain_python_to_the_losses_of_compiled_kernels():
    code = """
    import sys
    import numpy as np
    import minitorch_cnn as mt
    from minitorch_cnn import nn

    mt.manual_seed(0)
    body = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)
    model = nn.Sequential(*body, nn.Flatten(), nn.Linear(64, 10))
    optimizer = mt.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    images, labels = np.random.default_rng(0).standard_normal((16, 3, 8, 8)).astype(np.float32), np.arange(16) % 10
    for _ in range(4):
        loss = mt.ops.cross_entropy(model(mt.Tensor(images)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"{loss.item():.4f}")
    print("numba" in sys.modules, mt.ops.conv_algorithm(mt.Tensor(images), body[0].weight).forward.name)
    """
    *losses, last = printed(code).splitlines()
    assert last == "False im2col"
    assert losses == printed(code, simulated="").splitlines()[:-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "last"),
    [
        ("explain conv", "6 0 3     -2 -2  2     -12   0   6"),
        ("gradcheck conv", "passed 2 of 2"),
        ("summary cifar4", "last map     each element sees"),
    ],
)
def test_commands_that_work(words, last):
    done = python("-m", "minitorch_cnn", *words.split())
    assert done.returncode == 0 and last in done.stdout.strip().splitlines()[-1], done.stdout + done.stderr


@pytest.mark.slow
def test_an_exercise_is_begun_and_checked(tmp_path):
    assert python("-m", "minitorch_cnn", "exercise", "start", "relu", cwd=tmp_path).returncode == 0
    done = python("-m", "minitorch_cnn", "exercise", "check", "relu.py", cwd=tmp_path)
    assert done.returncode == 1 and "relu" in done.stdout and "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_loader_prepares_its_batches_itself():
    told = printed("""
        import warnings
        import minitorch_cnn as mt

        warnings.simplefilter("error")
        try:
            mt.data.DataLoader(mt.data.Shapes10(train=False), 8, num_workers=2)
        except RuntimeWarning as warning:
            print(warning)
        images, labels = next(iter(mt.data.DataLoader(mt.data.Shapes10(train=False), 8)))
        print(images.shape)
    """)
    assert "num_workers - expected 0 on this system" in told and told.endswith("(8, 3, 32, 32)\n")


def test_what_needs_a_process_says_so():
    done = python("-m", "minitorch_cnn", "doctor")
    assert done.returncode == 1 and "a browser starts none" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("disabled", ["0", "1"])
def test_numba_is_missed_elsewhere_unless_plain_python_is_asked_for(tmp_path, disabled):
    (tmp_path / "numba.py").write_text("raise ModuleNotFoundError(\"No module named 'numba'\", name='numba')")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from minitorch_kernels.runtime import compiler"
    code += "; print(compiler.jit_enabled())"
    done = python("-c", code, simulated="", NUMBA_DISABLE_JIT=disabled)
    if disabled == "1":
        assert done.stdout == "False\n"
    else:
        assert "ImportError: minitorch_kernels: expected Numba, which compiles the kernels: install it" in done.stderr


def test_plain_python_adds_as_accurately_as_kernels_and_starts_no_threads():
    code = """
import threading
import numpy as np
from minitorch_kernels.layers import batch_norm, reduction

row = np.ones(5000, np.float32)
row[0] = 1 << 24
print(int(reduction.sum_over(row, (0,)).item()) - (1 << 24))
batch_norm.batch_norm_stats(np.ones((40, 8, 8, 16), np.float32))
print(threading.active_count())
"""
    done = python("-c", code, simulated="", NUMBA_DISABLE_JIT="1")
    assert done.stdout == "4999\n1\n" and not done.stderr
