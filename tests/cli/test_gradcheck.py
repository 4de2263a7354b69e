"""`mcnn gradcheck`: the operations, and the planted mistakes."""

import json

from minitorch_cnn.ops.matmul import MatMul
from minitorch_cnn.testing import mutants


def test_the_operations_of_a_family(mcnn):
    code, out, err = mcnn("gradcheck", "matmul")
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].startswith("matmul.MatMul") and "gradcheck passed: 512 of 512 checked (full)" in lines[0]
    assert lines[-1] == "passed 2 of 2"


def test_a_wrong_operation_fails(mcnn, monkeypatch):
    right = MatMul.backward
    monkeypatch.setattr(MatMul, "backward", staticmethod(lambda ctx, g: tuple(-grad for grad in right(ctx, g))))
    code, out, _ = mcnn("gradcheck", "matmul", "--json")
    answer = json.loads(out)
    assert code == 1 and (answer["passed"], answer["of"]) == (1, 2)
    assert "looks like the wrong sign" in answer["checks"][0]["says"]


def test_mutants(mcnn):
    code, out, err = mcnn("gradcheck", "matmul", "--mutants")
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].split()[:2] == ["planted", "mistake"]
    assert lines[1].startswith("matmul: b not transposed") and "a transposed factor" in lines[1]
    assert lines[-1] == f"caught 9 of {len(mutants.select('matmul'))}"


def test_mutants_as_json_and_one_that_is_missed(mcnn, monkeypatch):
    missed = mutants.select("matmul")[0]._replace(name="none", wrong=lambda right, ctx, g: right(ctx, g))
    monkeypatch.setattr(mutants, "_MUTANTS", (missed, *mutants.select("matmul")))
    code, out, _ = mcnn("gradcheck", "--mutants", "--json")
    answer = json.loads(out)
    assert code == 1 and (answer["caught"]["full"], answer["of"]) == (9, 10)
    assert answer["mutants"][0]["full"] == "" and "ratio" in answer["mutants"][1]["full"]


def test_an_unknown_family(mcnn):
    code, out, err = mcnn("gradcheck", "convv")
    assert code == 2 and not out
    assert "family - expected one of conv, pool, norm" in err and "got 'convv'; did you mean 'conv'?" in err


def test_the_code_that_does_the_same_runs(mcnn, capsys):
    for words, last in ((["--mutants"], "caught 9 of 9"), ([], "matmul.Linear gradcheck passed")):
        code, out, _ = mcnn("gradcheck", "matmul", *words, "--show-code")
        assert code == 0
        exec(compile(out, "shown", "exec"), {})
        assert capsys.readouterr().out.splitlines()[-1].startswith(last)


MINE = """
import numpy as np
from minitorch_cnn.autograd import Function

class Double(Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x
    @staticmethod
    def backward(ctx, grad_out):
        return FACTOR * grad_out
"""


def test_a_function_of_your_own(mcnn, own_folder):
    (own_folder / "mine.py").write_text(MINE.replace("FACTOR", "2"))
    (own_folder / "wrong.py").write_text(MINE.replace("FACTOR", "3"))
    code, out, _ = mcnn("gradcheck", "mine.py:Double", "--shape", "2,3")
    assert code == 0 and out.startswith("gradcheck passed: 36 of 36 checked (full)")
    code, out, _ = mcnn("gradcheck", "wrong.py:Double", "--json", "--mode", "projection")
    answer = json.loads(out)
    assert code == 1 and not answer["passed"] and "ratio 1.5" in answer["says"]


def test_what_does_not_fit_is_refused(mcnn, own_folder):
    layer = "from minitorch_cnn import nn\ndef make(): return nn.Conv2d(1, 1, 3)\n"
    two = MINE.replace("Double", "Times").replace("ctx, x", "ctx, x, w")
    (own_folder / "mine.py").write_text(MINE + layer + two)
    for words, says in (
        (("mine.py:Single",), "expected a class or function 'Single' in mine.py, got none"),
        (("mine.py:make",), "give the shape that it takes by --shape N,C,H,W: "),
        (("mine.py:Double", "--shape", "2,x"), "expected lengths with commas between them, such as 2,3,6,6, got '2,x'"),
        (("mine.py:Double", "--mutants"), "leave out --mutants"),
        (("mine.py:Times", "--shape", "2,3"), "give --shape once for each input: gradcheck: inputs - expected one for"),
        (("mine.py:Double", "--shape", "2,3", "--shape", "3"), "of Double.forward(ctx, x), got 2 (too many"),
        (("conv", "--shape", "2,3"), "leave out --shape, or name your own layer"),
        (("none.py:Double",), "expected FILE:NAME of a Python file, got 'none.py:Double'"),
    ):
        code, out, err = mcnn("gradcheck", *words)
        assert code == 2 and says in err and out == "", err
