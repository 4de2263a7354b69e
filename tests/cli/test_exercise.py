"""`mcnn exercise start` and `mcnn exercise check`."""


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
