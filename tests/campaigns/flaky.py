"""README's tests again and again: a run that fails says which test, and is not repeated.

    python tests/campaigns/flaky.py --full     # 20 runs; interrupted, it continues

Two runs are started side by side, so each meets a machine that others use, too, and a cache that others write to.

The log of each run stays in the folder ``MCNN_FLAKY``, by default ``flaky-<commit>`` here; remove it to begin anew.
The short form runs one file of tests twice.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import harness
import pytest

AT_ONCE = 2


def run(log, options):
    """Run the suite once; write its log and, last of all, how it ended, unless it was interrupted."""
    begin = time.monotonic()
    with open(log, "w") as file:
        command = [sys.executable, "-m", "pytest", "-q", *options]
        code = subprocess.run(command, cwd=harness.ROOT, stdout=file, stderr=subprocess.STDOUT).returncode
    if code == pytest.ExitCode.INTERRUPTED:
        return
    lines = log.read_text().splitlines()
    failed = [line for line in lines if re.match(r"(FAILED|ERROR) ", line)]
    record = {
        "code": code,
        "seconds": round(time.monotonic() - begin),
        "last": lines[-1] if lines else "",
        "failed": failed,
    }
    log.with_suffix(".json").write_text(json.dumps(record) + "\n")


def repeat(length):
    """Bar 28: as often as the bar asks for."""
    count, options = length(2, 20), length(["tests/test_shapes.py"], ["-m", "not slow"])
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=harness.ROOT, capture_output=True, text=True)
    name = os.environ.get("MCNN_FLAKY", f"flaky-{commit.stdout.strip()}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(name if length.full else scratch)
        folder.mkdir(exist_ok=True)
        logs = [folder / f"run-{number:02d}.log" for number in range(1, count + 1)]
        missing = [log for log in logs if not log.with_suffix(".json").exists()]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda log: run(log, options), missing))
        records = [json.loads(log.with_suffix(".json").read_text()) for log in logs]
    failures = [f"run {n}: {' '.join(r['failed']) or r['last']}" for n, r in enumerate(records, 1) if r["code"]]
    for failure in failures:
        print("  ", failure)
    slowest = max(record["seconds"] for record in records)
    figure = f"{len(failures)} of {count} runs failed, no test was repeated, the slowest took {slowest} s"
    return f"{figure}; the last: {re.sub(' in .*', '', records[-1]['last'])}", not failures


if __name__ == "__main__":
    harness.main(__doc__, {"28 the suite again and again": repeat})
