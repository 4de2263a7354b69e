"""No use of what a platform lacks: the type checkers find on Windows and macOS what they find on Linux, no more.

mypy and pyright know which functions of Python's library a platform has. A use after a test of `sys.platform`,
or one that asks by `getattr`, is allowed.
"""

import json
import pathlib
import re
import subprocess
import sys

import pytest

import minitorch_cnn

ROOT = pathlib.Path(minitorch_cnn.__file__).parents[1]
PACKAGES = ["minitorch_cnn", "kernels/minitorch_kernels"]
PROBE = "import os\nimport signal\n\nos.fork()\nos.sched_getaffinity(0)\nsignal.SIGKILL\n"  # 3 on Windows, 1 on macOS


def pyright(folder, platform):
    """Return what pyright finds in the packages and the probe: names that a module lacks."""
    pytest.importorskip("pyright", reason="pyright is not installed")
    include = [str(ROOT / package) for package in PACKAGES] + [str(folder / "probe.py")]
    settings = {"include": include, "pythonPlatform": platform, "extraPaths": [str(ROOT), str(ROOT / "kernels")]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "{" not in done.stdout:  # on its first run it may have to fetch Node.js or itself
        pytest.skip("pyright does not start here: it needs Node.js, or the network to fetch it")
    report = json.loads(done.stdout[done.stdout.index("{") :])
    errors = [e for e in report["generalDiagnostics"] if e.get("rule") == "reportAttributeAccessIssue"]
    return {f"{e['file']}: {e['message']}" for e in errors}


def mypy(folder, platform):
    """Return what mypy finds in the packages and the probe: names that a module lacks."""
    pytest.importorskip("mypy", reason="mypy is not installed")
    command = [sys.executable, "-m", "mypy", "--ignore-missing-imports", "--check-untyped-defs", "--no-error-summary"]
    command += ["--cache-dir", str(folder / "cache"), "--platform", platform, *PACKAGES, str(folder / "probe.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr  # errors in the probe at least
    return {line for line in re.sub(r":\d+:", ":", done.stdout).splitlines() if "has no attribute" in line}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("checker", "linux", "others"),
    [(mypy, "linux", {"win32": 3, "darwin": 1}), (pyright, "Linux", {"Windows": 3, "Darwin": 1})],
)
def test_the_packages_use_nothing_that_a_platform_lacks(tmp_path, checker, linux, others):
    (tmp_path / "probe.py").write_text(PROBE, encoding="utf-8")
    on_linux = checker(tmp_path, linux)
    for platform, in_probe in others.items():
        more = checker(tmp_path, platform) - on_linux
        assert [found for found in sorted(more) if "probe.py" not in found] == [], platform
        assert len(more) == in_probe, platform
