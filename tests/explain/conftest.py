"""A browser for tests of pages, and what looks for obstacles in them.

``AXE`` names the file axe.min.js of the npm package axe-core; without it, what needs it is skipped.
"""

import os
import pathlib
import shutil

import pytest

from tests.explain.browser import started


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("needs chromium and chromedriver; Debian's packages are chromium and chromium-driver")
    with started(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="session")
def axe():
    """Return the source of axe-core."""
    path = os.environ.get("AXE")
    if not path:
        pytest.skip("needs axe-core from npm, and the path of its axe.min.js in AXE")
    return pathlib.Path(path).read_text(encoding="utf-8")
