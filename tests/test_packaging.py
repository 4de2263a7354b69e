"""The declarations in pyproject.toml that build tools read."""

import pathlib
import tomllib

ROOT = pathlib.Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_licence_is_declared_in_the_form_that_build_tools_will_go_on_to_read():
    """As an expression: setuptools takes that from version 77 on, and announced to refuse the older table."""
    assert PROJECT["project"]["license"] == "MIT"
    assert [ROOT / name for name in PROJECT["project"]["license-files"]] == [ROOT / "LICENSE"]
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
    assert "setuptools>=77" in PROJECT["build-system"]["requires"]
