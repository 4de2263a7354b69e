"""`mcnn gradcheck`: the operations, and the planted mistakes."""

import json

from minitorch_cnn.ops.matmul import MatMul
from minitorch_cnn.testing import mutants


def test_the_operations_of_a_family(mcnn):
    code, out, err = mcnn("gradcheck", "matmul")
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].startswith("matmul.MatMul") and "gradcheck passed: 512 of 512 checked (full)" in lines[0]
    assert lines[-1] == "passed 1 of 1"


def test_a_wrong_operation_fails(mcnn, monkeypatch):
    right = MatMul.backward
    monkeypatch.setattr(MatMul, "backward", staticmethod(lambda ctx, g: tuple(-grad for grad in right(ctx, g))))
    code, out, _ = mcnn("gradcheck", "matmul", "--json")
    answer = json.loads(out)
    assert code == 1 and (answer["passed"], answer["of"]) == (0, 1)
    assert "looks like the wrong sign" in answer["checks"][0]["says"]


def test_mutants(mcnn):
    code, out, err = mcnn("gradcheck", "matmul", "--mutants")
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].split()[:2] == ["planted", "mistake"]
    assert lines[1].startswith("matmul: b not transposed") and "a transposed factor" in lines[1]
    assert lines[-1] == f"caught 4 of {len(mutants.select('matmul'))}"


def test_mutants_as_json_and_one_that_is_missed(mcnn, monkeypatch):
    missed = mutants.select("matmul")[0]._replace(name="none", wrong=lambda right, ctx, g: right(ctx, g))
    monkeypatch.setattr(mutants, "_MUTANTS", (missed, *mutants.select("matmul")))
    code, out, _ = mcnn("gradcheck", "--mutants", "--json")
    answer = json.loads(out)
    assert code == 1 and (answer["caught"]["full"], answer["of"]) == (4, 5)
    assert answer["mutants"][0]["full"] == "" and "ratio" in answer["mutants"][1]["full"]


def test_an_unknown_family(mcnn):
    code, out, err = mcnn("gradcheck", "convv")
    assert code == 2 and not out
    assert "family - expected one of conv, pool, norm" in err and "got 'convv'; did you mean conv?" in err


def test_the_code_that_does_the_same_runs(mcnn, capsys):
    for words, last in ((["--mutants"], "caught 4 of 4"), ([], "matmul.MatMul gradcheck passed")):
        code, out, _ = mcnn("gradcheck", "matmul", *words, "--show-code")
        assert code == 0
        exec(compile(out, "shown", "exec"), {})
        assert capsys.readouterr().out.splitlines()[-1].startswith(last)
