"""Folders: odd names, no home, nothing that can be written, packages that cannot be written or lie in a zip file."""

import os
import pathlib
import shutil
import stat
import subprocess
import sys
import zipfile

import pytest

import minitorch_cnn
import minitorch_kernels
from tests.hostile.conftest import TRAIN

pytestmark = pytest.mark.slow  # each starts processes

LONG = "x" * 240
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
PACKAGES = [pathlib.Path(package.__file__).parent for package in (minitorch_cnn, minitorch_kernels)]
RELU = """
import warnings
import numpy as np
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from minitorch_kernels.layers import elementwise
    print(elementwise.relu_forward(np.arange(-1, 2).astype(np.float32)).tolist())
print(*[warning.message for warning in caught], sep="\\n")
"""


def test_names_with_spaces_umlauts_and_250_letters(around):
    work = around.folder / f"übung 1 {LONG}"
    work.mkdir()
    home = work / "mein höme # % 家"
    around.home.rename(home)
    done = around.run(*TRAIN[:-1], f"läuft {LONG}", cwd=work, variables={"MCNN_HOME": str(home)})
    assert done.returncode == 0 and done.stdout.endswith(f"läuft {LONG}/result.json\n")
    done = around.run("eval", "--model", f"läuft {LONG}", "--data", "shapes10", cwd=work)
    assert done.returncode == 0, done.stderr


def test_a_name_that_is_too_long_is_bad_input(around):
    done = around.run(*TRAIN[:-1], 300 * "x")
    assert done.returncode == 2 and "File name too long" in done.stderr and "Traceback" not in done.stderr


def test_a_current_folder_that_is_gone_is_told(around):
    enter = "import os\nos.mkdir('gone')\nos.chdir('gone')\nos.rmdir('../gone')\n"
    code = enter + "import sys\nfrom minitorch_cnn.cli import main\nsys.exit(main())\n"
    done = around.run(*TRAIN, code=code)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        2,
        "mcnn train: go into another folder: the current one was removed",
    )
    assert around.run("summary", "mlp", code=code).returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_files_are_private_where_the_umask_says_so(around):
    done = around.run(*TRAIN, preexec_fn=lambda: os.umask(0o077))
    assert done.returncode == 0, done.stderr
    run = around.folder / "run"
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in (run, *run.iterdir()))


def small_home(around, home):
    """Return the variables of a process that has nothing but a home, and whose caches are in it."""
    return {"MCNN_HOME": None, "XDG_CACHE_HOME": None, "HOME": home, "MPLCONFIGDIR": str(around.folder)}


@pytest.mark.parametrize("home", ["/proc/nowhere", "/dev/null/x"])
def test_a_home_that_is_missing_costs_at_most_a_warning(around, home):
    done = around.run(code=RELU, variables=small_home(around, home))
    assert done.returncode == 0 and done.stdout.startswith("[0.0, 0.0, 1.0]\n"), done.stderr
    assert "kernels are compiled anew in every process" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_a_home_of_another_user_that_is_read_only(around):
    """As root, which may write everywhere, this test becomes another user."""
    home = around.folder / "read only"
    home.mkdir(mode=0o555)
    other = {"user": 65534, "group": 65534, "extra_groups": []} if ROOT else {}
    try:
        subprocess.run([sys.executable, "-c", "import numba"], **other, capture_output=True, cwd="/", check=True)
    except (PermissionError, subprocess.CalledProcessError):
        pytest.skip("another user may not read this Python")
    done = around.run(code=RELU, variables=small_home(around, str(home)), cwd="/", **other)
    assert done.returncode == 0 and done.stdout.startswith("[0.0, 0.0, 1.0]\n"), done.stderr
    assert "kernels are compiled anew in every process" in done.stdout
    assert list(home.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_cache_on_a_full_disk_costs_a_warning(around):
    """A limit on the size of files stands for the disk."""
    import resource

    home = around.folder / "full"
    home.mkdir()
    limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))}
    done = around.run(code=RELU, variables={"MCNN_HOME": str(home)}, **limit)
    assert done.returncode == 0 and done.stdout.startswith("[0.0, 0.0, 1.0]\n"), done.stderr
    assert "cannot be written: File too large; set MCNN_HOME" in done.stdout
    assert not [path for path in home.rglob("*") if path.is_file()]


def test_packages_that_cannot_be_written(around):
    site = around.folder / "site"
    for package in PACKAGES:
        shutil.copytree(package, site / package.name, ignore=shutil.ignore_patterns("__pycache__", "prepared"))
    for path in (site, *site.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    variables = {"PYTHONPATH": os.pathsep.join([str(site), *sys.path])}
    done = around.run("explain", "conv", options=("-P",), variables=variables)
    for path in (site, *site.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)
    assert done.returncode == 0 and done.stderr == ""
    assert ROOT or not list(site.rglob("__pycache__"))


def test_packages_in_a_zip_file(around):
    archive = around.folder / "packages.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for package in PACKAGES:
            for path in package.rglob("*.py"):
                file.write(path, path.relative_to(package.parent))
    variables = {"PYTHONPATH": os.pathsep.join([str(archive), *sys.path])}
    where = "import minitorch_cnn, minitorch_kernels\nprint(minitorch_cnn.__file__, minitorch_kernels.__file__)\n"
    done = around.run(code=where + RELU, variables=variables)
    assert done.returncode == 0, done.stderr
    files, result = done.stdout.splitlines()[:2]
    assert files.count(str(archive)) == 2 and result == "[0.0, 0.0, 1.0]"
