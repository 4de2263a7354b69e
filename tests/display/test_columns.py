"""Tables of plain text."""

from minitorch_cnn.display import columns


def test_columns_are_aligned():
    assert columns.table([("a", "bb", "c"), ("long", "1", "d")], right=(1,)) == "a     bb  c\nlong   1  d"
