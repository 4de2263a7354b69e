"""The suites of files and weights, where Python and the file system refuse what Windows or macOS refuses.

`simulated/refusals.py` says how. The suites that need Numba or take long are left to campaigns and to real systems.
"""

import os
import pathlib
import subprocess
import sys
import textwrap

import pytest

TESTS = pathlib.Path(__file__).parents[1]
SIMULATED = pathlib.Path(__file__).parent / "simulated"
SUITES = ["io", "test_processes.py", "train/report/test_results.py", "data/test_dataset.py", "weights/test_file.py"]
SUITES += ["cli/test_exercise.py", "cli/test_failures.py::test_a_folder_in_place_of_a_file"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the refusals are simulated on Linux")


def python(system, *words):
    """Run Python on a simulated system; return the finished process."""
    paths = [SIMULATED, TESTS.parent, TESTS.parent / "kernels", *filter(None, sys.path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "MCNN_SIMULATED": system}
    return subprocess.run(
        [sys.executable, *words], cwd=TESTS.parent, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("system", ["windows", "macos"])
def test_suites_pass_on_a_simulated_system(system):
    paths = [str(TESTS / suite) for suite in SUITES]
    done = python(system, "-m", "pytest", "-q", "-m", "not oracle and not slow", "-p", "no:cacheprovider", *paths)
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout + done.stderr


# ------------------------------------------------------------------ the simulation itself refuses


def refused(system, code, tmp_path):
    """Return what a module of our package meets that runs some code in a folder."""
    module = tmp_path / "minitorch_cnn_probe.py"
    prepared = "import refusals\nrefusals.OURS += ('minitorch_cnn_probe',)\nimport minitorch_cnn_probe"
    module.write_text(textwrap.dedent(code))
    done = python(system, "-c", f"import os, sys\nos.chdir({str(tmp_path)!r})\nsys.path.insert(0, '')\n{prepared}")
    return done.stderr.strip().splitlines()[-1] if done.returncode else "nothing"


OPEN = "import os, pathlib\npathlib.Path('file').write_bytes(b'1')\npathlib.Path('new').write_bytes(b'2')\n"


@pytest.mark.parametrize(
    ("system", "code", "message"),
    [
        ("windows", "import fcntl", "ModuleNotFoundError"),
        ("windows", "import os\nos.register_at_fork", "no attribute 'register_at_fork'"),
        ("windows", "from os import fork", "cannot import name 'fork'"),
        ("windows", "import signal\nsignal.SIGKILL", "no attribute 'SIGKILL'"),
        ("windows", "import os\nos.kill(os.getpid(), 0)", "sends Ctrl-C"),
        ("windows", "import os\nos.open('.', os.O_RDONLY)", "Permission denied"),
        ("windows", "open('.', 'rb')", "Permission denied"),
        (
            "windows",
            "import subprocess, sys\nsubprocess.Popen([sys.executable], pass_fds=[1])",
            "pass_fds not supported",
        ),
        ("windows", "open('text', 'w')", "without encoding="),
        pytest.param(
            "windows",
            "import pathlib\npathlib.Path('text').write_text('1')",
            "without encoding=",
            marks=pytest.mark.skipif(sys.version_info >= (3, 15), reason="files are UTF-8 from Python 3.15 on"),
        ),
        ("windows", "open('a:b', 'wb')", "Invalid argument"),
        ("windows", "import os\nos.mkdir('con')", "Invalid argument"),
        ("windows", OPEN + "held = open('file', 'rb')\nos.replace('new', 'file')", "in use"),
        ("windows", OPEN + "held = open('file', 'rb')\nos.remove('file')", "in use"),
        ("windows", OPEN + "os.rename('new', 'file')", "File exists"),
        (
            "windows",
            OPEN
            + "import mmap\nwith open('file', 'rb') as f: held = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)\n"
            "pathlib.Path('file').unlink()",
            "in use",
        ),
        ("macos", "import os\nos.sched_getaffinity", "no attribute 'sched_getaffinity'"),
        ("macos", "open('/proc/cpuinfo', 'rb')", "No such file"),
        ("macos", "open('name', 'wb').close()\nopen('Name', 'wb')", "the case of letters is ignored"),
        ("macos", "import multiprocessing\nmultiprocessing.get_context('fork')", "cannot find context"),
        ("macos", "import numpy\nassert numpy.dtype(numpy.longdouble).itemsize > 8", "AssertionError"),
    ],
)
def test_the_simulation_refuses(system, code, message, tmp_path):
    assert message in refused(system, code, tmp_path)


@pytest.mark.parametrize("system", ["windows", "macos"])
def test_the_simulation_lets_the_rest_be(system, tmp_path):
    code = OPEN + "import subprocess, sys, tempfile\nos.replace('new', 'file')\nos.remove('file')\n"
    code += "open('text', 'w', encoding='utf-8').close()\nwith tempfile.TemporaryDirectory(): pass\n"
    code += "subprocess.run([sys.executable, '-c', 'import os, signal; os.fork, signal.SIGKILL'], check=True)\n"
    assert refused(system, code, tmp_path) == "nothing"
