"""The API reference is built from the docstrings and has a page for every public package."""

import os
import pathlib
import subprocess
import sys

import pytest

import minitorch_cnn

ROOT = pathlib.Path(minitorch_cnn.__file__).parents[1]


def test_it_is_built(tmp_path):
    pytest.importorskip("pdoc", reason="pdoc is not installed: pip install '.[docs]'")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")])}
    command = [sys.executable, str(ROOT / "examples/docs/make_api.py"), "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert done.returncode == 0 and "Warn" not in done.stderr, done.stderr
    front = (tmp_path / "minitorch_cnn.html").read_text()
    for name in minitorch_cnn.__all__:
        assert f'id="{name}"' in front or (tmp_path / "minitorch_cnn" / f"{name}.html").exists(), name
    operations = (tmp_path / "minitorch_cnn" / "ops.html").read_text()
    assert all(f'id="{name}"' in operations for name in minitorch_cnn.ops.__all__)
    assert "x[n, c, i*stride + u*dilation - padding, j*stride" in operations  # a formula, not Markdown's emphasis
    assert "floor((H + 2*padding - dilation*(KH-1) - 1) / stride) + 1" in operations
    assert "_typing" not in operations  # what an alias of a type stands for
