"""`mcnn explain conv`, `pool` and `xcorr`."""

import numpy as np
import pytest

from minitorch_cnn import Tensor, ops


def test_the_text_of_a_convolution(mcnn):
    code, out, err = mcnn("explain", "conv", "--input", 32, "--kernel", 5, "--stride", 2)
    assert code == 0 and not err
    assert "floor((32 + 2*0 - 5)/2) + 1 = floor(13.5) + 1 = 14; the last 1 row/column of the input is never read" in out


@pytest.mark.parametrize(("words", "product"), [((), "forward"), (("--backward", "input"), "backward_input")])
def test_it_tells_which_kernel_computed_the_result(mcnn, words, product):
    _, out, _ = mcnn("explain", "conv", "--input", 6, *words)
    told = ops.conv_algorithm(Tensor(np.ones((1, 1, 6, 6))), Tensor(np.ones((1, 1, 3, 3))))
    name, reason = getattr(told, product)
    assert f"\ncomputed by {name}: {reason}\n" in out


@pytest.mark.parametrize(
    "words, title",
    [
        (("conv", "--pad", 1, "--dilation", 2), "Cross-correlation in 2-D: stride 1, padding 1, dilation 2\n"),
        (("conv", "--one-d", "--filters", 2), "Cross-correlation in 1-D: stride 1, padding 0\n"),
        (("conv", "--backward", "weight", "--channels", 2), "Gradient of the weight: stride 1, padding 0\n"),
        (("pool", "--input", 6), "Max pooling of 2 x 2, stride 2\n"),
        (("pool", "--one-d", "--kind", "avg", "--channels", 2), "Average pooling of 2, stride 2\n"),
        (("pool", "--backward", "--kernel", 3, "--stride", 1), "Gradient of max pooling of 3 x 3, stride 1\n"),
        (("xcorr", "--kernel", 2), "input I\n  0 0 0\n  0 1 0\n"),
        (("xcorr", "--learn"), "the kernel that made the targets\n  1 2 3\n"),
    ],
)
def test_the_code_that_does_the_same_prints_the_same(mcnn, capsys, words, title):
    code, out, _ = mcnn("explain", *words)
    assert code == 0 and out.startswith(title)
    _, shown, _ = mcnn("explain", *words, "--show-code")
    exec(compile(shown, "shown", "exec"), {})
    assert capsys.readouterr().out == out


def test_files(mcnn, own_folder):
    starts = {"png": b"\x89PNG", "gif": b"GIF89a", "svg": b"<svg", "html": b"<!DOCTYPE html>", "txt": b"Cross-corr"}
    for kind, start in starts.items():
        step = ("--step", 2) if kind in ("png", "svg") else ()
        words = ("explain", "conv", "--input", 4, *step, "-o", f"a.{kind}")
        assert mcnn(*words) == (0, "", f"wrote a.{kind}\n")
        written = (own_folder / f"a.{kind}").read_bytes()
        assert written.startswith(start)
        (own_folder / f"a.{kind}").unlink()
        exec(compile(mcnn(*words, "--show-code")[1], "shown", "exec"), {})
        assert (own_folder / f"a.{kind}").read_bytes() == written


@pytest.mark.parametrize(
    "words, message",
    [
        (("conv", "--input", 4, "--kernel", 9), "mcnn explain conv: explain.conv: height - expected at least 9 padded"),
        (("conv", "--stride", 0), "--stride: expected an integer of at least 1, got '0'"),
        (("conv", "-o", "a.jpg"), "ends in .png or .svg or .pdf or .gif or .html or .txt, got 'a.jpg'"),
        (("conv", "--step", 10, "-o", "a.png"), "mcnn explain conv: --step - expected 1 to 9, got 10"),
        (("conv", "--step", 0), "--step: expected an integer of at least 1"),
        (("pool", "--pad", 2), "padding - expected less than the window's height 2, got 2"),
        (("xcorr", "-o", "a.gif"), "expected a file name that ends in .png or .svg or .pdf or .txt, got 'a.gif'"),
        (("pol",), "expected one of"),
        ((), "mcnn explain: the following arguments are required: WHAT"),
        (("conv", "--fuzz"), "unknown option --fuzz"),
    ],
)
def test_bad_input(mcnn, words, message):
    code, out, err = mcnn("explain", *words)
    assert code == 2 and not out and message in err and "Traceback" not in err
