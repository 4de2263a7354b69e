"""Kernels compiled in advance: found by the process that needs them, and installation continues without them."""

import os
import subprocess
import sys

import pytest

from minitorch_cnn.diagnose import prepare
from minitorch_kernels.runtime import cache

needs_level = pytest.mark.skipif(not cache.levels(), reason="no kernels are prepared for this processor")
STEPS = """
import sys
from minitorch_kernels.runtime import cache, jit
cache._PREPARED = cache.pathlib.Path(sys.argv[1])
compiled = []
jit.on_compile(lambda name, count: compiled.append(name))
import numpy as np
from minitorch_cnn import Tensor, models, nn, ops, optim
model = nn.fuse(models.create("mlp"))
optimizer = optim.Adam(model.parameters(), lr=1e-3)
ops.cross_entropy(model(Tensor(np.zeros((128, 3, 32, 32), np.float32))), np.zeros(128, int)).backward()
optimizer.step()
print(compiled)
"""


@pytest.mark.slow
@needs_level
def test_what_was_prepared_is_not_compiled_again(tmp_path):
    assert prepare.prepare(tmp_path / "prepared", cache.levels()[0], ["mlp"]) > 5
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "MCNN_HOME": str(tmp_path)}
    command = [sys.executable, "-c", STEPS, str(tmp_path / "prepared")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@needs_level
def test_a_process_that_fails_is_told(tmp_path):
    with pytest.raises(subprocess.CalledProcessError, match="no such network"):
        prepare.prepare(tmp_path / "prepared", cache.levels()[0], ["no such network"])
    assert not (tmp_path / "prepared").exists()
