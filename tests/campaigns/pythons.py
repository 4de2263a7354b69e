"""Runs chosen suites with several interpreters, each with the packages that are installed for it.

    nice -n 19 python tests/campaigns/pythons.py --log pythons.log /path/to/venv314/bin/python ...

The lowest versions that pyproject.toml declares are one more such environment; `--lowest` prints what to install.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUITES = ["tests/io", "tests/autograd", "tests/optim", "tests/data", "tests/weights", "tests/kernels/runtime"]
SUITES += ["tests/kernels/gemm", "tests/kernels/conv", "tests/nn", "tests/ops", "tests/train/test_trainer.py"]
SUITES += ["tests/train/test_resume.py", "tests/train/report", "tests/testing", "tests/cli/test_train.py"]
VERSIONS = """
import importlib.metadata, sys
names = ("numpy", "numba", "pillow", "matplotlib", "tqdm", "safetensors", "threadpoolctl", "pytest", "hypothesis")
print(sys.version.split()[0], *(f"{name} {importlib.metadata.version(name)}" for name in names), sep=", ")
"""


def lowest():
    """Return the requirements of pyproject.toml, each at its lowest version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(r for r in project["optional-dependencies"]["dev"] if "pytest" in r)]
    wanted += [r for r in project["optional-dependencies"]["dev"] if "hypothesis" in r]
    return [requirement.replace(">=", "==") for requirement in wanted]


def run(python, log, *words):
    """Run an interpreter on the project with its output in the log; return (exit code, output)."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")])}
    lines = []
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen([python, *words], cwd=ROOT, env=environment, **streams) as process:
        for line in process.stdout:
            lines.append(line)
            log.write(line)
            log.flush()
    return process.returncode, "".join(lines).strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pythons", nargs="*", metavar="PYTHON")
    parser.add_argument("--log", default="pythons.log", help="default: pythons.log")
    parser.add_argument("--suites", nargs="+", default=SUITES, help="default: those that meet Python and its packages")
    parser.add_argument("--lowest", action="store_true", help="print the lowest declared versions")
    options = parser.parse_args()
    if options.lowest:
        print(*lowest())
    failed = 0
    with open(options.log, "a", encoding="utf-8") as log:
        for python in map(os.path.abspath, options.pythons):
            begin = time.monotonic()
            _, versions = run(python, log, "-c", VERSIONS)
            plugins = ["-p", "no:cacheprovider", "-p", "minitorch_cnn.pytest_plugin"]
            code, output = run(python, log, "-m", "pytest", "-q", "-m", "not oracle", *plugins, *options.suites)
            failed += code != 0
            last = output.splitlines()[-1]
            print(f"{'FAIL' if code else 'pass'}  {versions}: {last} ({time.monotonic() - begin:.0f} s)", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
