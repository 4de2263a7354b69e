"""The engine of the page gives what the kernels give: every map, every gradient."""

import numpy as np
import pytest

from minitorch_cnn import models
from minitorch_cnn.explain.page.description import describe
from minitorch_cnn.explain.trace.replay import Replay
from tests.explain.page.engine import Call, from_kernels, run
from tests.explain.page.random_operations import DRAW, random_case
from tests.ops.table import TABLE
from tests.ops.test_table import caller

ROUNDING = 1e-6  # of a single operation, such as 1 - tanh(x)**2 where the tangent is almost 1
# What the page may lack: losses, operations that train, and dropout, which does nothing in evaluation. Of any other
# operation it must compute at least three samples.
ABSENT = {
    "dense_block",
    "dropout",
    "sync_batch_norm",
    "topk",
    *(name for name in TABLE if "loss" in name or "entropy" in name),
}


def close(found, expected, what, rounding):
    """Require equality to 1e-4 of the largest element, and to what float32 rounds away on the way to it."""
    assert found.shape == expected.shape, what
    atol = 1e-4 * np.abs(expected).max(initial=0) + rounding
    try:
        np.testing.assert_allclose(found, expected, rtol=0, atol=atol)
    except AssertionError as error:  # only now: the text of a deep network takes longer than the comparison
        raise AssertionError(f"{what}: {error}") from None


def requires_equal(cases, folder, rounding=1e-7, pin=False):
    """Require equal maps and gradients; with ``pin``, gradients at the maps of the kernels instead of the page's."""
    wanted = [from_kernels(*one) for one in cases]
    found = run(cases, folder, [values for values, _, _ in wanted] if pin else None)
    for (model, _, _), result, (expected, expected_gradients, expected_named) in zip(cases, found, wanted, strict=True):
        values, gradients, named = result
        for i, pair in enumerate(zip(values, expected, strict=True)):
            close(*pair, (model, "variable", i), rounding)
        for i, pair in enumerate(zip(gradients, expected_gradients, strict=True)):
            close(*pair, (model, "gradient", i), rounding)
        for path, gradient in expected_named.items():
            close(named[path], gradient, (model, path), rounding)


def case(model, x, seed=0):
    """Return a case with a random gradient of the output."""
    shape = Replay(model, x.shape).records[-1].output.shape
    return model, np.float32(x), np.float32(np.random.default_rng(seed).standard_normal(shape))


def random_network(name, seed=0, size=None):
    """Return a case of a network of the zoo with random weights and statistics."""
    channels, side = models.native_input(name)
    model, rng = models.create(name, image_size=size or side), np.random.default_rng(seed)
    for path, value in model.state_dict().items():
        if path.endswith("running_var"):
            value[...] = rng.uniform(0.5, 2, value.shape)
        elif path.endswith("running_mean"):
            value[...] = rng.standard_normal(value.shape) / 4
    return case(model, rng.standard_normal((1, channels, size or side, size or side)), seed)


LONG = [pytest.param(name, marks=pytest.mark.slow) for name in ("resnet9", "densenet40_k12")]
PAGES = ["lenet5", "cifar4", "air80", "resnet20", "vgg_a_lrn_cifar", *LONG]


@pytest.mark.parametrize("name", PAGES)
def test_networks_of_the_zoo(name, tmp_path):
    # Of thousands of units one may be so near to 0 that rounding decides whether ReLU passes its gradient.
    requires_equal([random_network(name)], tmp_path, pin=True)


def known(model, shape):
    """Return whether the page has all operations of a model."""
    try:
        describe(model, shape)
    except ValueError as error:
        assert "model - expected" in str(error)
        return False
    return True


# Cross-entropy takes its targets out of the graph, which a trace does not show; the other two choose by values.
@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(TABLE) - {"cross_entropy", "topk", "where"}))
def test_every_operation_alone_is_right_or_refused_by_name(name, tmp_path):
    cases = []
    for arrays, at, hyper in TABLE[name].samples:
        if arrays and np.size(arrays[0]):
            model = Call(caller(name, at, hyper), *arrays[1:])
            if Replay(model, arrays[0].shape).records and known(model, arrays[0].shape):
                cases.append(case(model, arrays[0]))
    assert len(cases) >= 3 or name in ABSENT
    if cases:
        requires_equal(cases, tmp_path)


def test_random_hyper_parameters_of_every_operation(tmp_path):
    assert set(DRAW) == set(TABLE) - ABSENT
    rng = np.random.default_rng(11)
    requires_equal([random_case(name, rng) for name in DRAW], tmp_path, ROUNDING)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_bad_element_spoils_what_it_spoils_in_the_kernels(tmp_path):
    rng, cases = np.random.default_rng(12), []
    # The kernel of batch_norm_relu multiplies an infinite x by the 0 of a gradient that ReLU stops.
    for name in sorted(set(DRAW) - {"batch_norm_relu"}):
        for value in (np.nan, np.inf, -np.inf):
            model, x, grad = random_case(name, rng)
            spoilt = x if rng.integers(2) else grad
            spoilt.flat[rng.integers(spoilt.size)] = value
            cases.append((name, model, x, grad))
    for (name, *case), (values, gradients, named) in zip(cases, run([one[1:] for one in cases], tmp_path), strict=True):
        expected = from_kernels(*case)
        pairs = [(values[-1], expected[0][-1]), (gradients[0], expected[1][0])]
        pairs += [(named[path], gradient) for path, gradient in expected[2].items()]
        for found, wanted in pairs:
            for kind in (np.isnan, np.isposinf, np.isneginf):
                np.testing.assert_array_equal(kind(found), kind(wanted), err_msg=name)


def test_what_the_page_lacks_is_refused_by_name():
    arrays, at, hyper = TABLE["dense_block"].samples[0]
    with pytest.raises(ValueError, match="describe: model - expected one that the page can compute .* got DenseNetBl"):
        describe(Call(caller("dense_block", at, hyper), *arrays[1:]), arrays[0].shape)
