"""Builds what is published, and tries it in empty environments, on any system: python .ci/package.py

Needs `build` and `twine`. The sdist and the wheel come to dist/. The wheel has no compiled kernels: those fit one
version of Python and of Numba, so each machine compiles them, when the sdist is installed or when they are first used.
"""

import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import venv

ROOT = pathlib.Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
TRAINING = """
import minitorch_cnn as mt
mt.manual_seed(0)
x, labels = mt.data.Shapes10(train=True).batch(32)
model = mt.models.create("mlp")
optimizer = mt.optim.SGD(model.parameters(), lr=0.05)
losses = []
for _ in range(5):
    loss = mt.ops.cross_entropy(model(x), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
assert losses[-1] < losses[0], losses
print("trained:", *(f"{loss:.3f}" for loss in losses))
"""


def run(*command, **options):
    print("+", *command, flush=True)
    subprocess.run([str(word) for word in command], check=True, **options)


def build():
    """Build the sdist, and the wheel from it; return their paths."""
    for old in DIST.glob("minitorch_cnn-*"):
        old.unlink()
    environment = {**os.environ, "MCNN_PREPARE": "0"}
    run(sys.executable, "-m", "build", "--outdir", DIST, ROOT, env=environment)
    (sdist,), (wheel,) = DIST.glob("*.tar.gz"), DIST.glob("*.whl")
    run(sys.executable, "-m", "twine", "check", "--strict", sdist, wheel)
    return sdist, wheel


def compare_with_clone(sdist):
    """Require that the sdist has each file that a clone has, but for the workflows."""
    told = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True)
    with tarfile.open(sdist) as archive:
        packed = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    missing = {name for name in told.stdout.split("\n") if name and not name.startswith(".git")} - packed
    if missing:
        sys.exit(f"add to MANIFEST.in: {sorted(missing)}")


def try_out(package):
    """Install a package in an empty environment, and use it in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(pathlib.Path(folder, "env"), with_pip=True)
        programs = pathlib.Path(folder, "env", "Scripts" if sys.platform == "win32" else "bin")
        (work := pathlib.Path(folder, "work")).mkdir()
        environment = {**os.environ, "MCNN_HOME": str(pathlib.Path(folder, "home"))}
        run(programs / "python", "-m", "pip", "install", "--quiet", package)
        for words in (["--version"], ["summary", "mlp"], ["explain", "conv"], ["gradcheck", "matmul"]):
            run(programs / "mcnn", *words, cwd=work, env=environment, stdout=subprocess.DEVNULL)
        run(programs / "python", "-c", TRAINING, cwd=work, env=environment)


if __name__ == "__main__":
    sdist, wheel = build()
    compare_with_clone(sdist)
    for package in (wheel, sdist):
        try_out(package)
