"""A lecture whose networks are not trained: what it shows is wrong, how it shows it is right."""

import pytest

from minitorch_cnn.explain import lecture
from minitorch_cnn.explain.lecture import networks


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Return the file of the lecture that is shipped, with networks of one step."""
    pytest.importorskip("markdown_it")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "STEPS", 1)
        patch.setattr(networks, "TRAINING", 65)
        made = lecture.build_lecture()
    path = tmp_path_factory.mktemp("lecture") / "lecture.html"
    made.save(path)
    return path
