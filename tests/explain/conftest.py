"""A browser for tests of pages."""

import shutil

import pytest

from tests.explain.browser import started


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("needs chromium and chromedriver; Debian's packages are chromium and chromium-driver")
    with started(tmp_path_factory.mktemp("profile")) as found:
        yield found
