"""The table of bars is what `report.py` makes of the figures that were measured."""

import importlib.util
import json
import pathlib

import pytest

FOLDER = pathlib.Path(__file__).parent


@pytest.fixture(scope="module")
def report():
    spec = importlib.util.spec_from_file_location("report_of_campaigns", FOLDER / "report.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def record(bar, **changes):
    return {
        "bar": bar,
        "what": "a",
        "figure": "1",
        "passed": True,
        "seconds": 1,
        "full": True,
        "command": "c",
    } | changes


def test_the_tables_are_made_of_the_figures(report):
    records, begins = json.loads(report.FIGURES.read_text()), "".join(report.TABLES)
    texts = [path.read_text() for path in report.DOCUMENTS]
    assert all(text == report.written(text, records) for text in texts)
    assert "bars, written by report.py" in texts[0] and all(f"\n| {bar} | " in texts[0] for bar in report.BARS)
    assert report.written(f"a\n{begins}{report.END}b", []).endswith("b") and report.written("a", []) == "a"


def test_promises_are_kept_by_figures_of_full_length_alone(report):
    records = [record(20, figure="30/30"), record(24, full=False), record(2, passed=False, figure="5 of 9")]
    records += [
        record(16, figure="31 crafted files and 10000 mutations: 0"),
        record(16, what="b", figure="5 executions"),
    ]
    rows = dict(row.split(" | ") for row in report.promises(records).splitlines()[2:])
    assert rows["| A resumed training ends with the bits of one that never stopped"] == "30/30 |"
    assert rows["| A long training needs no more memory than a short one"] == "not yet at full length |"
    assert rows["| A wrong backward is found"] == "**failed**: 5 of 9 |"
    (files,) = [told for promise, told in rows.items() if "No file" in promise]
    assert files.startswith("31 crafted files, 10,000 mutations and 5 inputs of a fuzzer: none")


def test_every_command_of_the_figures_is_there(report):
    for record in json.loads(report.FIGURES.read_text()):
        _, script, module, *_ = [*record["command"].split(), ""]
        path = f"{module.replace('.', '/')}.py" if script == "-m" else script
        assert (FOLDER.parents[1] / path).is_file(), record


def test_only_what_passed_whole_and_at_full_length_is_met(report):
    records = [record(2), record(3, full=False), record(4, passed=False), record(5), record(7)]
    rows = report.table(records).splitlines()
    assert rows[0] == f"2 of {len(report.BARS)} bars are met at full length."
    found = {bar: [row.split("|")[4].strip() for row in rows if row.startswith(f"| {bar} |")] for bar in range(1, 8)}
    assert found == {
        1: ["not measured"],
        2: ["pass"],
        3: ["pass, short form"],
        4: ["**fail**"],
        5: ["pass"],
        6: ["not measured"],
        7: ["pass", "not measured"],
    }


def test_a_new_record_takes_the_place_of_the_old_one(report):
    old, new = [record(2), record(3)], [record(2, figure="2"), record(2, what="b")]
    assert report.merged(old, new) == [record(2, figure="2"), record(2, what="b"), record(3)]
