"""Runs chosen suites with several interpreters, each with the packages that are installed for it.

    nice -n 19 python tests/campaigns/pythons.py --log pythons.log /path/to/venv314/bin/python ...

`--whole` runs all tests but the long ones, the comparisons with PyTorch, and what does not depend on the interpreter;
each folder is a run of its own, so that what has passed is known before the end.

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
LEFT_OUT = ("typing", "campaigns", "oracles", "benchmarks", "page")  # type checkers, comparisons, browsers
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
    return [requirement.partition(";")[0].replace(">=", "==") for requirement in wanted]


def whole():
    """Return the paths of each run of `--whole`: the folders of tests, those of kernels and explain one by one."""
    folders = [path for path in sorted((ROOT / "tests").glob("*")) if path.name not in LEFT_OUT]
    for name in ("kernels", "explain"):
        parent = ROOT / "tests" / name
        at = folders.index(parent)
        folders[at : at + 1] = [path for path in sorted(parent.glob("*")) if path.name not in LEFT_OUT]
    groups = {}
    for path in folders:
        if path.is_dir() and any(path.rglob("test_*.py")):
            groups[path] = [path]
        elif path.name.startswith("test_"):
            groups.setdefault(path.parent, []).append(path)
    return [[str(path.relative_to(ROOT)) for path in paths] for paths in groups.values()]


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


def passes(python, log, chosen, suites):
    """Run suites once, print the last line of pytest, and return whether all has passed."""
    begin = time.monotonic()
    plugins = ["-p", "no:cacheprovider", "-p", "minitorch_cnn.pytest_plugin"]
    code, output = run(python, log, "-m", "pytest", "-q", "-m", chosen, *plugins, *suites)
    last = output.splitlines()[-1]
    name = suites[0] if len(suites) == 1 else f"{len(suites)} suites from {suites[0]} on"
    print(f"{'FAIL' if code else 'pass'}  {name}: {last} ({time.monotonic() - begin:.0f} s)", flush=True)
    return code == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pythons", nargs="*", metavar="PYTHON")
    parser.add_argument("--log", default="pythons.log", help="default: pythons.log")
    parser.add_argument("--suites", nargs="+", default=SUITES, help="default: those that meet Python and its packages")
    parser.add_argument("--whole", action="store_true", help="all suites, without long tests, one after the other")
    parser.add_argument("--lowest", action="store_true", help="print the lowest declared versions")
    options = parser.parse_args()
    if options.lowest:
        print(*lowest())
    if not options.pythons:
        return
    runs = whole() if options.whole else [options.suites]
    chosen = "not slow and not oracle" if options.whole else "not oracle"
    failed = 0
    with open(options.log, "a", encoding="utf-8") as log:
        for python in map(os.path.abspath, options.pythons):
            _, versions = run(python, log, "-c", VERSIONS)
            print(versions, flush=True)
            failed += sum(not passes(python, log, chosen, suites) for suites in runs)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
