"""Runs the suites of kernels and operations, and a short training, in an arm64 Debian under qemu.

    apt-get install qemu-user-static binfmt-support debootstrap
    nice -n 19 python tests/campaigns/arm64.py --folder /tmp/arm64 --log arm64.log

As root: debootstrap lays out a Debian in the folder, and chroot runs its Python, whose wheels of NumPy and Numba are
those for arm64. qemu translates each instruction, so the results are those of an arm64 processor; times say nothing.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = ("numpy", "numba", "pillow", "matplotlib", "tqdm", "safetensors", "threadpoolctl", "pytest", "hypothesis")
SUITES = {
    "kernels": "tests/kernels",
    "operations": "tests/ops",
    "layers": "tests/nn",
    "weights": "tests/weights",
    "data": "tests/data",
}
TRAINING = """
import hashlib, platform, sys
import minitorch_cnn as mt
from minitorch_kernels.runtime import threads

threads._SMALL_BYTES = -1  # shares out the work of small arrays too
digests = []
for count in (1, 2):
    mt.set_num_threads(count)
    mt.manual_seed(0)
    x, labels = mt.data.Shapes10(train=True).batch(32)
    model = mt.models.create("cifar4")
    optimizer = mt.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for step in range(5):
        loss = mt.ops.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    state = b"".join(p.numpy().tobytes() for p in model.parameters())
    digests.append(hashlib.sha256(state).hexdigest()[:16])
    print(f"{platform.machine()}, {count} threads:", *(f"{loss:.6f}" for loss in losses), digests[-1])
sys.exit(0 if digests[0] == digests[1] and losses[-1] < losses[0] else 1)
"""


def prepare(folder):
    """Lay out the system and its Python, once."""
    if (folder / "ready").exists():
        return
    subprocess.run(
        ["debootstrap", "--arch=arm64", "--variant=minbase", "--include=ca-certificates,python3-venv,libgomp1"]
        + ["bookworm", str(folder)],
        check=True,
    )
    (wheels := folder / "wheels").mkdir()
    platforms = [f"--platform=manylinux_2_{libc}_aarch64" for libc in (17, 27, 28)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(wheels), *platforms]
    subprocess.run([*command, "--python-version=3.11", "--only-binary=:all:", *PACKAGES], check=True)
    subprocess.run(["chroot", str(folder), "python3", "-m", "venv", "/venv"], check=True)
    install = ["/venv/bin/pip", "install", "--quiet", "--no-index", "--find-links=/wheels", *PACKAGES]
    subprocess.run(["chroot", str(folder), *install], check=True)
    (folder / "ready").touch()


def copy_project(folder):
    """Put the project's files into the system, as they are now."""
    shutil.rmtree(folder / "project", ignore_errors=True)
    told = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in told.stdout.splitlines():
        if (ROOT / name).is_file():
            (target := folder / "project" / name).parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())


def run(folder, log, *words):
    """Run Python in the system with its output in the log; return (exit code, output)."""
    variables = ["PYTHONPATH=/project:/project/kernels", "HOME=/root", "PATH=/venv/bin:/usr/bin:/bin"]
    command = ["chroot", str(folder), "env", "-i", "-C", "/project", *variables, "/venv/bin/python", *words]
    log.write(f"\n+ python {' '.join(words) if words[0] == '-m' else '...'}\n")
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout:
            lines.append(line)
            log.write(line)
            log.flush()
    return process.returncode, "".join(lines).strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=pathlib.Path, required=True, help="the system goes there, 1 GB")
    parser.add_argument("--log", default="arm64.log", help="default: arm64.log")
    parser.add_argument("--only", choices=["short training", *SUITES], action="append", help="may be repeated")
    options = parser.parse_args()
    folder, failed = options.folder.resolve(), []
    prepare(folder)
    copy_project(folder)
    checks = {"short training": ["-c", TRAINING]}
    for name, path in SUITES.items():
        plugins = ["-p", "no:cacheprovider", "-p", "minitorch_cnn.pytest_plugin"]
        checks[name] = ["-m", "pytest", "-v", "-m", "not oracle", "-o", "faulthandler_timeout=900", *plugins, path]
    with open(options.log, "w", encoding="utf-8") as log:
        for name, words in checks.items():
            if options.only and name not in options.only:
                continue
            begin = time.monotonic()
            code, output = run(folder, log, *words)
            failed += [name] * (code != 0)
            told = output if name == "short training" else output.splitlines()[-1]
            print(f"{'FAIL' if code else 'pass'}  {name}: {told} ({time.monotonic() - begin:.0f} s)", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
