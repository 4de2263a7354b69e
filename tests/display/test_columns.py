"""Tables of plain text."""

from minitorch_cnn.display import columns


def test_columns_are_aligned():
    assert columns.table([("a", "bb", "c"), ("long", "1", "d")], right=(1,)) == "a     bb  c\nlong   1  d"


def test_a_cell_holds_no_tab_and_no_end_of_a_line():
    assert columns.cell("a\tb\nc\r\u2028d\x85e\x00\udcff é\u200d") == r"a\tb\nc\r\u2028d\x85e\x00\udcff é" + "\u200d"
    assert columns.cell(r"C:\new") == r"C:\new"
