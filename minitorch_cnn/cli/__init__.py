"""`mcnn`, the command line: a file for each command, and `main`, which chooses among them."""

from minitorch_cnn.cli.main import main

__all__ = ["main"]
