"""Every campaign in its short form; `python tests/campaigns/NAME.py --full` is the whole of it."""

import os
import pathlib
import subprocess
import sys

import pytest

FOLDER = pathlib.Path(__file__).parent
SCRIPTS = set(FOLDER.glob("*.py")) - {pathlib.Path(__file__)}
CAMPAIGNS = sorted(path.stem for path in SCRIPTS if "harness.main(" in path.read_text())


@pytest.mark.slow
@pytest.mark.parametrize("name", CAMPAIGNS)
def test_a_campaign_in_its_short_form(name, tmp_path):
    for package in ("torch", "onnxruntime"):
        if f"import {package}" in (FOLDER / f"{name}.py").read_text():
            pytest.importorskip(package)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(FOLDER / f"{name}.py"), "--json", str(tmp_path / "record.json")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and " pass " in done.stdout, done.stdout + done.stderr
    assert (tmp_path / "record.json").is_file()
