"""The tester tested: planted mistakes are caught, and the classic ones by name."""

import importlib
import re

import pytest

from minitorch_cnn import ops
from minitorch_cnn.testing import GradcheckError, mutants

SMALL_MISTAKES = [mutant for mutant in mutants.select() if mutant.name.endswith("wrong sign")]


@pytest.mark.parametrize("family", mutants.families())
def test_the_right_backwards_pass(family):
    for case in {id(mutant.case): mutant.case for mutant in mutants.select(family)}.values():
        report = mutants.check(case)
        assert report.passed and report.n_checked == report.n_total > 0


def test_all_mutants_are_caught_and_the_classic_ones_by_name():
    results = list(mutants.trial(checks=["full"]))
    assert len(results) >= 60 and not [result.mutant.name for result in results if not result.says["full"]]
    for mutant, says in results:
        assert re.search(mutant.cause, says["full"]), f"{mutant.name}: expected {mutant.cause!r}, got {says['full']!r}"
    assert sum(bool(result.mutant.cause) for result in results) >= 50


def test_every_family_of_operations_with_a_backward_has_mutants():
    targets = {mutant.target.split(".")[0] for mutant in mutants.select()}
    assert targets == {
        "activation", "activation_pieces", "activation_smooth", "adaptive_pool", "arithmetic", "choice", "conv",
        "conv_transpose", "dilated_pool", "dropout", "element_loss", "fused", "indexing", "layer_norm", "loss",
        "matmul", "movement", "norm", "ordering", "padding", "pointwise", "pool", "reduce", "resize", "softmax",
    }  # fmt: skip


@pytest.mark.parametrize("mutant", SMALL_MISTAKES, ids=lambda mutant: mutant.name)
def test_a_derivative_that_is_wrong_by_a_thousandth_is_caught(mutant):
    slightly = mutant._replace(wrong=lambda right, ctx, g: scaled(right(ctx, g)))
    for mode in ("full", "random", "projection"):
        with slightly.planted(), pytest.raises(GradcheckError, match="slightly wrong: all is multiplied by 1.001"):
            mutants.check(slightly.case, mode=mode)


def scaled(grads):
    return tuple(1.001 * grad for grad in grads) if isinstance(grads, tuple) else 1.001 * grads


def test_a_planted_mistake_is_taken_out_again():
    mutant, right = mutants.select("matmul")[0], ops.matmul.__globals__["MatMul"].backward
    with pytest.raises(KeyError), mutant.planted():
        raise KeyError
    assert ops.matmul.__globals__["MatMul"].backward is right


@pytest.mark.parametrize("target", sorted({mutant.target for mutant in mutants.select()}))
def test_an_operation_is_afterwards_what_it_was(target):
    """LayerNorm inherits a class method, and RMSNorm inherits from LayerNorm."""
    module, name = target.split(".")
    operation = getattr(importlib.import_module(f"minitorch_cnn.ops.{module}"), name)
    before = dict(vars(operation))
    with next(mutant for mutant in mutants.select() if mutant.target == target).planted():
        assert operation.backward is not before.get("backward")
    assert dict(vars(operation)) == before


def test_an_unknown_family_is_named():
    with pytest.raises(ValueError, match="mutants: family - expected one of conv, pool, .*, got 'cnov'"):
        mutants.select("cnov")


def test_one_element_is_not_enough():
    """What many courses' check misses is why all elements are looked at."""
    results = list(mutants.trial("pool", checks=["one element"]))
    assert not all(result.says["one element"] for result in results)
