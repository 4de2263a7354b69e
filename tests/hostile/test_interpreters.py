"""Python's own options, character sets, and programs that call from threads, event loops and several processes."""

import asyncio
import io
import os

import numpy as np
import pytest

from minitorch_cnn import data, nn, train
from tests.hostile.conftest import TRAIN

pytestmark = pytest.mark.slow  # each starts processes


@pytest.mark.parametrize("options", [("-OO",), ("-W", "error"), ("-X", "dev", "-W", "error::ResourceWarning")], ids=str)
def test_a_training_under_options_of_python(around, options):
    done = around.run(*TRAIN, options=options)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr and "Traceback" not in done.stderr


def test_without_asserts_the_formulas_of_exercises_remain(around):
    code = "import sys\nfrom minitorch_cnn.cli import main\nsys.exit(main())\n"
    assert around.run("exercise", "start", "conv2d", options=("-OO",), code=code).returncode == 0
    assert '"""' in (around.folder / "conv2d.py").read_text()


@pytest.mark.parametrize("charset", ["C", "en_US.ISO-8859-1"])
def test_a_training_where_characters_are_ascii(around, charset):
    ascii_only = {"LANG": charset, "LC_ALL": charset, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = around.run(*TRAIN[:-1], "Ü", variables=ascii_only)
    assert done.returncode == 0, done.stderr
    assert (around.folder / "Ü" / "result.json").exists()


def test_a_training_on_one_processor(around):
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system does not bind processes to processors")
    one = {min(os.sched_getaffinity(0))}
    code = "import minitorch_cnn\nprint(minitorch_cnn.get_num_threads())\n"
    variables = {"NUMBA_NUM_THREADS": None, "OMP_NUM_THREADS": None}
    bound = {"preexec_fn": lambda: os.sched_setaffinity(0, one), "variables": variables}
    assert around.run(code=code, **bound).stdout == "1\n"
    assert around.run(*TRAIN, **bound).returncode == 0


IN_THREADS = """
import threading
import numpy as np
results = []
def first_use():
    import minitorch_cnn as mt
    x = mt.Tensor(np.linspace(-1, 1, 3 * 8 * 8, dtype=np.float32).reshape(1, 3, 8, 8), requires_grad=True)
    weight = mt.Tensor(np.linspace(-1, 1, 4 * 3 * 3 * 3, dtype=np.float32).reshape(4, 3, 3, 3), requires_grad=True)
    mt.ops.conv2d(x, weight, stride=1).sum().backward()
    results.append(weight.grad.tobytes())
threads = [threading.Thread(target=first_use) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(results), len(set(results)))
"""


def test_the_first_import_from_eight_threads_at_once(around):
    done = around.run(code=IN_THREADS)
    assert (done.returncode, done.stdout) == (0, "8 1\n"), done.stderr


def test_a_training_inside_a_running_event_loop(tmp_path):
    """As in a notebook, where every cell runs in one."""
    pixels = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3)).astype(np.uint8)
    images = data.ArrayDataset(pixels, np.arange(16) % 2, ("red", "blue"), (0.4,) * 3, (0.3,) * 3)
    recipe = train.Recipe("small", model="mlp", epochs=1, batch_size=8, workers=1)

    def make(name):
        model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
        return train.Trainer(recipe, images, tmp_path / name, model=model, reporter=train.Reporter(io.StringIO()))

    async def cell():
        in_thread = asyncio.create_task(asyncio.to_thread(make("thread").fit))
        return make("loop").fit(), await in_thread

    assert asyncio.run(cell()) == (True, True)
