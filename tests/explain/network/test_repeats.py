"""Repeated blocks are found and kept once."""

from minitorch_cnn.explain.network.repeats import Frame, Step, fold


def chain(kinds, paths=None):
    reads = [()] + [(i,) for i in range(len(kinds) - 1)]
    return [Step(*step) for step in zip(kinds, reads, paths or [""] * len(kinds), strict=True)]


def test_a_block_that_repeats_is_kept_once():
    kept, inputs, frames = fold(chain("i" + "abc" * 5 + "o"))
    assert kept == [0, 1, 2, 3, 16] and frames == [Frame(1, 3, 5)]
    assert inputs == [(), (0,), (1,), (2,), (3,)]


def test_shortcuts_go_along():
    steps = [Step("i", (), "")]
    for _ in range(4):
        at = len(steps)
        steps += [Step("conv", (at - 1,), ""), Step("sum", (at, at - 1), "")]
    kept, inputs, frames = fold(steps)
    assert (kept, inputs, frames) == ([0, 1, 2], [(), (0,), (1, 0)], [Frame(1, 2, 4)])


def test_a_block_begins_where_the_paths_part():
    """In sabababx, ab and ba repeat: modules decide."""
    paths = ["s", "l.0.x", "l.0.y", "l.1.x", "l.1.y", "l.2.x", "l.2.y", "end"]
    assert fold(chain("bababab", ["s", *paths[1:-1]]))[2] == [Frame(1, 2, 3)]


def test_what_differs_stays():
    kept, _, frames = fold(chain("abcdef"))
    assert kept == list(range(6)) and frames == []
    assert fold(chain("aab"))[2] == []  # drawing a single step once instead of twice saves nothing
    far = [Step("a", (), ""), Step("b", (0,), ""), Step("b", (0,), ""), Step("b", (0,), "")]
    assert fold(far)[2] == []  # these read what lies at other distances


def test_the_block_with_most_repeats_comes_first_then_what_is_beside_it():
    _, _, frames = fold(chain("i" + "xyxy" + "abcabcabc" + "zz" + "uvuv"))
    assert frames == [Frame(1, 2, 2), Frame(3, 5, 3), Frame(8, 9, 2)]
