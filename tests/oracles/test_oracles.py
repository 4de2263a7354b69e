"""Inputs that PyTorch and the ONNX standard publish for testing, for all that we have, in float64, with gradients."""

import functools
import re

import pytest

from tests.oracles import onnx_nodes, torch_samples
from tests.oracles.differences import DIFFERENCES, difference

pytestmark = pytest.mark.oracle

ORACLES = {
    "operation": (torch_samples.operation, torch_samples.OPERATIONS),
    "layer": (torch_samples.layer, torch_samples.LAYERS),
    "optimizer": (torch_samples.optimizer, torch_samples.OPTIMIZERS),
    "onnx": (onnx_nodes.node, onnx_nodes.OPERATORS),
}
CASES = [(oracle, name) for oracle, (_, names) in ORACLES.items() for name in names]


@functools.cache
def outcomes(oracle, name):
    """Return the outcomes of all published inputs, or skip."""
    for package in ("onnx",) if oracle == "onnx" else ("torch", "expecttest"):
        pytest.importorskip(package, reason=f"needs {package}: pip install 'minitorch-cnn[oracle]'")
    return list(ORACLES[oracle][0](name))


@pytest.mark.parametrize(("oracle", "name"), CASES)
def test_results_and_gradients_are_the_published_ones(oracle, name):
    results = outcomes(oracle, name)
    assert any(result.verdict == "same" and not result.refused for result in results)
    unexpected = [str(result) for result in results if result.verdict != "same" and difference(result) is None]
    assert not unexpected, "\n".join(unexpected)


@pytest.mark.parametrize(("oracle", "name"), CASES)
def test_a_refusal_says_what_was_expected(oracle, name):
    refusals = [result for result in outcomes(oracle, name) if result.refused]
    assert not [str(result) for result in refusals if not re.match(r"\w+Error: \w+: [^-]+ - expected ", result.detail)]


def test_every_listed_difference_is_met():
    met = {difference(result) for case in CASES for result in outcomes(*case)}
    assert not [row for row in DIFFERENCES if row not in met]
