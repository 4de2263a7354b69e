"""Every command in every hostile surrounding: it works, or ends with a sentence that says what to do.

Each try is a process of its own in a new folder, whose mounts, limits, variables and streams are those of one
surrounding of `surroundings.py`. It fails if it ends by a traceback, by a signal, without a sentence or with another
exit code, after more than LIMIT seconds, or if it changes or removes a finished file or leaves a half-written one.
Needs root on Linux.
"""

import concurrent.futures
import hashlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import zipfile

import harness
import numpy as np
import surroundings
from PIL import Image
from surroundings import SURROUNDINGS

LIMIT = 1500  # seconds: only a hang takes them, even on a machine that does much other work
AT_ONCE = (os.cpu_count() or 1) + 1  # some surroundings only wait
SAVED = 60  # pairs after which what was seen is saved
CODES = 0, 1, 2, 3, 130
OWN = """
from minitorch_cnn import nn


class Net(nn.Sequential):
    def __init__(self, num_classes, in_channels):
        body = nn.Conv2d(in_channels, 4, 3, stride=4, bias=False), nn.BatchNorm2d(4), nn.ReLU()
        super().__init__(*body, nn.GlobalAvgPool(), nn.Linear(4, num_classes))
"""
SMALL = "--model own.py:Net --data pets --epochs 1 --image-size 32 --batch-size 8"
TRAIN = f"train {SMALL} --threads 1 --workers 0"
COMMANDS = {
    "help": "--help",
    "list": "list",
    "summary": "summary mlp",
    "completion": "completion bash",
    "data show": "data show pets -o shown.png",
    "data check": "data check",
    "data get": "data get mnist",
    "train": f"{TRAIN} --run new",
    "train with workers": f"train {SMALL} --threads 1 --workers 2 --run new",
    "train by name": TRAIN,
    "resume": "train --resume stopped",
    "sweep": f"sweep --lr 0.1 --run swept -- {SMALL} --workers 0",
    "runs": "runs . -o runs.png",
    "transfer": "transfer --model own.py:Net --weights run --data pets --epochs 1 --workers 0 --run new",
    "predict folder": "predict --model run pets/cat",
    "predict": "predict --model run --json pets/cat/0.png pets/dog/1.png",
    "eval": "eval run",
    "race": "race conv --batch 1 --channels 2 --filters 2 --size 6",
    "topology": "topology mlp -o drawn.svg",
    "explain": "explain conv --input 4 --kernel 3 -o conv.html",
    "explain maps": "explain maps pets/cat/0.png --model run -o maps.png",
    "explore": "explore pets/cat/0.png --model run -o explorer.html",
    "lecture": "lecture -o lecture.html",
    "lecture new": "lecture new text",
    "lecture build": "lecture build deck -o deck.html",
    "chapters": "chapters --no-run chapter.py -o notebooks",
    "export": "export run -o run.onnx",
    "gradcheck": "gradcheck pool",
    "exercise start": "exercise start relu",
    "launch": f"launch -n 1 -- {TRAIN} --run new",
}
GROWS = "stopped/"  # a stopped run that a command continues


def copy_sources(target):
    """Copy the packages, as a folder and as a zip file beside it, so that a surrounding may write-protect them."""
    for package in ("minitorch_cnn", "kernels/minitorch_kernels"):
        shutil.copytree(harness.ROOT / package, target / package, ignore=shutil.ignore_patterns("__pycache__"))
    with zipfile.ZipFile(f"{target}.zip", "w") as archive:
        for root in (target, target / "kernels"):
            for path in sorted(root.rglob("*")):
                if path.is_file() and not (root == target and path.is_relative_to(target / "kernels")):
                    archive.write(path, path.relative_to(root))


def lay_out(folder, sources):
    """Make what the commands work on, once: pictures, a network, a finished and a stopped run, a lecture's text."""
    folder.mkdir()
    (folder / "own.py").write_text(OWN)
    (folder / "chapter.py").write_text('# %% [markdown]\n# # A chapter\n\n# %%\nprint("ü")\n')
    draw = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / "pets" / name).mkdir(parents=True)
        for i in range(10):
            pixels = draw.integers(0, 256, (32, 32, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "pets" / name / f"{i}.png")
    for words in (f"{TRAIN} --run run", "lecture new deck", f"{TRAIN} --run stopped"):
        line = surroundings.shell_line(words, SURROUNDINGS["nothing hostile"], sources)
        environment = surroundings.environment(sources, folder, {})
        subprocess.run(["bash", "-c", line], cwd=folder, env=environment, check=True, capture_output=True)
    for path in folder.glob("stopped/*"):  # as if it had been killed before its first epoch had ended
        if not (path.name.startswith("checkpoint-000000000") or path.name == "run.jsonl"):
            path.unlink()


def digests(folder):
    """Return the digest of every file of a folder."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "fill")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def faults(command, surrounding, code, told, folder, before):
    """Return what is wrong with the end of a command, a list of sentences."""
    found = []
    action = surrounding.later and surrounding.later[1]
    before_us = "KeyboardInterrupt" in told and "minitorch_cnn/" not in told  # Ctrl-C while Python itself started
    if "Traceback" in told and not before_us:
        found.append("a traceback")
    # Python takes its own handlers away at its end, so a signal that comes after all work ends it without a word.
    ended = code in (-signal.SIGINT, -signal.SIGTERM) and action is not None
    if code and surrounding is SURROUNDINGS["nothing hostile"] and not command.startswith("data "):
        found.append(f"exit code {code} where nothing is hostile")
    elif code not in CODES and not ended:
        found.append(f"exit code {code}")
    heard = not {"stdout", "stderr"} & surrounding.streams.keys()
    if code and heard and not ended and not told.strip():
        found.append("not a word")
    after, allowed = digests(folder), surroundings.CHANGED_MEANWHILE.get(action, ())
    changed = [name for name, digest in before.items() if after.get(name) != digest and name not in allowed]
    changed = [name for name in changed if not name.startswith(GROWS)]
    if changed:
        found.append(f"changed: {changed}")
    if left := [str(path.relative_to(folder)) for path in folder.rglob(".*.tmp")]:
        found.append(f"half-written: {left}")
    return found


def one_try(command, surrounding, sound, sources):
    """Run a command of COMMANDS in a surrounding; return its exit code, what is wrong, and the last of what it told."""
    with tempfile.TemporaryDirectory(prefix="mcnn-") as root:
        folder = pathlib.Path(root, "übung 1'; x")
        shutil.copytree(sound, folder)
        before = digests(folder)
        code, out, errors = surroundings.run(COMMANDS[command], surrounding, folder, sources, LIMIT)
        return code, faults(command, surrounding, code, errors + out, folder, before), (errors or out)[-1500:]


def anywhere(length):
    """Bar 33."""
    if os.name != "posix" or os.geteuid() or not shutil.which("unshare"):
        return "left out: mounts of one process need root on Linux", not length.full
    pairs = [(c, s) for s in SURROUNDINGS for c in COMMANDS]
    random.Random(length.seed).shuffle(pairs)
    seen = harness.Progress(length, tried=0, wrong=[], not_made=[])
    with tempfile.TemporaryDirectory() as root:
        sources, sound = pathlib.Path(root, "sources"), pathlib.Path(root, "sound")
        copy_sources(sources)
        lay_out(sound, sources)
        wanted = length(8, len(pairs))
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            while chosen := pairs[seen.tried : min(seen.tried + SAVED, wanted)]:
                tries = [pool.submit(one_try, c, SURROUNDINGS[s], sound, sources) for c, s in chosen]
                for (command, name), done in zip(chosen, tries, strict=True):
                    code, found, told = done.result()
                    if code == surroundings.NOT_MADE:
                        seen.not_made.append([command, name])
                    elif found:
                        seen.wrong.append([command, name, found])
                        print(f"{command}, {name}: exit code {code}, {'; '.join(found)}\n{told}", flush=True)
                seen.tried += len(chosen)
                seen.save()
    figure = f"{len(COMMANDS)} commands, {len(SURROUNDINGS)} surroundings, {seen.tried} pairs, {len(seen.wrong)} faults"
    if seen.not_made:
        figure += f", {len(seen.not_made)} surroundings could not be made here"
    return figure, not seen.wrong and len(seen.not_made) < seen.tried / 10


if __name__ == "__main__":
    harness.main(__doc__, {"33 commands anywhere": anywhere})
