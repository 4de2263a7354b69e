"""`mcnn exercise start` and `mcnn exercise check`."""

import signal
import subprocess
import sys

import pytest


def test_from_a_stub_to_a_right_answer(mcnn, own_folder):
    code, out, err = mcnn("exercise", "start", "relu")
    assert code == 0 and not err and "mcnn exercise check relu.py" in out
    code, out, err = mcnn("exercise", "check", "relu.py")
    assert code == 1 and not err and "nothing is written yet" in out
    path = own_folder / "relu.py"
    text = path.read_text()
    text = text.replace('raise NotImplementedError("write forward")', "return np.maximum(x, 0)")
    path.write_text(text.replace('raise NotImplementedError("write backward")', "return grad_out * (x > 0)"))
    code, out, err = mcnn("exercise", "check", "relu.py")
    assert code == 0 and not err and "all right" in out


def test_bad_input(mcnn, own_folder):
    code, _, err = mcnn("exercise", "start", "conv3d")
    assert code == 2 and err.startswith("mcnn exercise start: name - expected one of conv2d, max_pool2d")
    code, _, err = mcnn("exercise", "check", "nothing.py")
    assert code == 2 and err == "mcnn exercise check: path - expected a Python file, got nothing.py, which is not one\n"


def test_the_code_that_does_the_same_runs(mcnn, own_folder, capsys):
    _, shown, _ = mcnn("exercise", "start", "linear", "-o", "mine.py", "--show-code")
    exec(compile(shown, "shown", "exec"), {})
    assert capsys.readouterr().out == "mine.py\n" and (own_folder / "mine.py").exists()
    _, shown, _ = mcnn("exercise", "check", "mine.py", "--show-code")
    exec(compile(shown, "shown", "exec"), {})
    assert capsys.readouterr().out == mcnn("exercise", "check", "mine.py")[1]


@pytest.mark.posix
@pytest.mark.parametrize(
    ("forward", "ignored"),
    [("while True: pass", True), ("time.sleep(3600)", False), ("open(0, 'rb').read()", False)],
    ids=["loop, SIGINT ignored", "clock", "input"],
)
def test_a_check_that_never_ends_is_stopped(forward, ignored, tmp_path):
    path = tmp_path / "relu.py"
    path.write_text(f'import time\nEXERCISE = "relu"\n\n\ndef forward(x):\n    {forward}\n\n\nbackward = forward\n')
    command = [sys.executable, "-m", "minitorch_cnn", "exercise", "check", str(path), "--time-limit", "0.5"]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if ignored else None  # as a shell does in the background
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        if ignored:
            signal.signal(signal.SIGINT, before)
    with process:
        assert process.stderr.read().startswith("mcnn exercise check: look for a loop that never ends: the check was")
        assert process.wait() == 2
