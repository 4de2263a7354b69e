"""The roofline: operations and bytes of a step as its text says, and a table of records that are there."""

import importlib.util
import json
import pathlib
import subprocess
import sys

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "benchmarks" / "roofline.py"
spec = importlib.util.spec_from_file_location("roofline", SCRIPT)
roofline = importlib.util.module_from_spec(spec)
spec.loader.exec_module(roofline)


def test_operations_and_bytes_of_lenet_by_hand():
    operations, traffic = roofline.step_of("lenet5_cifar", 2, 32)
    first, rest = 28 * 28 * 6 * 75, 10 * 10 * 16 * 150 + 400 * 120 + 120 * 84 + 84 * 10
    assert operations == 2 * (4 * first + 6 * rest)
    # at least: every map is written by one operation and read by the next, three times
    assert traffic > 3 * 4 * 2 * (3 * 32 * 32 + 2 * 6 * 28 * 28)


def test_the_table_takes_the_best_of_the_peers(tmp_path):
    medians = {"minitorch_cnn": 0.008, "torch nchw": 0.02, "torch compile": 0.016, "torch channels_last": None}
    (tmp_path / "zoo_lenet5_cifar_training_32.json").write_text(json.dumps({"rows": [{"medians": medians}]}))
    row = roofline.point(tmp_path, "lenet5_cifar")
    assert row["ours"] == 2 * row["torch"]
    assert roofline.point(tmp_path, "cifar4") is None


def test_a_folder_without_records_is_named(tmp_path):
    command = [sys.executable, SCRIPT, "--records", tmp_path, "--out", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"Give a folder with records of zoo.py: there is none in {tmp_path}.\n"
