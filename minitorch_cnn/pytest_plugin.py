"""The pytest plugin: a fixture and a marker, both of which load the framework only where they are used.

def test_my_layer(gradcheck):
    gradcheck(MyLayer(), Tensor(x))

@pytest.mark.gradcheck(mode="projection")     # the keywords of every call in this test
def test_my_network(gradcheck): ...
"""

import functools
import re

import pytest


def pytest_configure(config):
    """Make the marker known, so that --strict-markers accepts it."""
    config.addinivalue_line("markers", "gradcheck(**keywords): keywords of the fixture `gradcheck` in this test")


@pytest.fixture
def gradcheck(request):
    """Return `minitorch_cnn.testing.gradcheck`, with the keywords of the marker ``gradcheck`` if there is one."""
    from minitorch_cnn.testing import gradcheck as check

    marker = request.node.get_closest_marker("gradcheck")
    return functools.partial(check, **marker.kwargs) if marker else check


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Name our errors without their module in the summary, whose line then has room for the sentence."""
    outcome = yield
    crash = getattr(outcome.get_result().longrepr, "reprcrash", None)
    if crash is not None:
        crash.message = re.sub(r"^minitorch_cnn(\.\w+)+\.(?=\w+Error: )", "", crash.message)
