"""The table of all bars, from the records that campaigns wrote, and the tests that hold the others.

    python tests/campaigns/workers.py --full --json out/workers.json      # and so on
    python tests/campaigns/report.py out/*.json > table.md

A bar whose campaign has no record, or whose record is of the short form, says so.
"""

import json
import pathlib
import sys

SUITE = {  # bars that the test suite itself holds, at full length
    1: ("gradients of all operations and layers", "tests/ops tests/nn/test_every_layer.py"),
    3: ("kernels against the textbook", "tests/kernels"),
    5: ("parameters, multiplications and keys of the famous networks", "tests/models/test_zoo.py"),
    6: ("NaN and infinity", "tests/kernels tests/test_architecture.py -k 'nan or flags'"),
    10: ("the same bytes for 0, 1, 2 and 4 workers", "tests/data/test_loader.py"),
    11: ("no augmentation stream twice", "tests/data/test_philox.py"),
    17: ("files of known sha256", "tests/models/test_pretrained.py"),
    21: ("CIFAR-10 that is not genuine", "tests/data/test_cifar10.py"),
    22: ("archives: nothing is extracted", "tests/data/test_cifar10.py"),
    23: ("downloads that break or lie", "tests/test_files.py"),
    25: ("training that diverges", "tests/train/test_guard.py"),
}


def rows(records):
    """Return the lines of the table: bar, what, figure, pass or fail, command."""
    lines = []
    for record in records:
        verdict = "pass" if record["passed"] else "**fail**"
        form = "" if record["full"] else ", short form"
        figure = record["figure"].replace("|", "/")
        lines.append((record["bar"], f"{record['what']} | {figure} | {verdict}{form} | `{record['command']}`"))
    for bar, (what, tests) in SUITE.items():
        lines.append((bar, f"{what} | | in every test run | `pytest {tests}`"))
    return [f"| {bar} | {text} |" for bar, text in sorted(lines)]


if __name__ == "__main__":
    found = [record for name in sys.argv[1:] for record in json.loads(pathlib.Path(name).read_text())]
    print("| bar | what | measured | verdict | command |\n|---|---|---|---|---|")
    print("\n".join(rows(found)))
