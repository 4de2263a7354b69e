"""`mcnn completion`: a script with which a shell completes commands, options, networks, recipes and files."""

import argparse

from minitorch_cnn.cli.errors import FailedError
from minitorch_cnn.cli.options import run_code
from minitorch_cnn.cli.parser import set_command

_SHELLS = ("bash", "zsh", "fish", "powershell", "tcsh")
_FILES = ("FILE", "PATH", "IMAGE", "DIR", "DATA")  # placeholders of arguments that are files or folders


def add_commands(commands):
    """Add ``mcnn completion``."""
    parser = commands.add_parser(
        "completion",
        help="print what a shell needs to complete commands and options",
        description="Print a script for your shell. It is static, so that the Tab key never waits for Python: write it "
        "anew after an update. bash reads it from ~/.local/share/bash-completion/completions/mcnn, zsh from _mcnn in a "
        "folder of fpath, fish from ~/.config/fish/completions/mcnn.fish.",
        examples=("mcnn completion bash", "mcnn completion fish"),
    )
    parser.add_argument("shell", choices=_SHELLS, metavar="SHELL", help=", ".join(_SHELLS))
    set_command(parser, run_code, _code)


def _code(arguments):
    return (
        "from minitorch_cnn.cli import completion\n"
        "from minitorch_cnn.cli.main import all_commands\n\n"
        f"print(completion.script(all_commands(), {arguments.shell!r}), end='')\n"
    )


def script(parser, shell):
    """Return the script of a shell.

    Parameters
    ----------
    parser : ArgumentParser
        Of all commands.
    shell : str
        "bash", "zsh", "fish", "powershell" or "tcsh".

    Raises
    ------
    FailedError
        If shtab is not installed, which writes the script.
    """
    try:
        import shtab
    except ImportError as error:
        raise FailedError("install shtab first, by pip install 'minitorch-cnn[completion]'") from error
    for action in _actions(parser):
        if action.metavar in _FILES:
            action.complete = shtab.FILE
        elif action.choices is None:
            action.choices = _names(action)
    return shtab.complete(parser, shell)


def _actions(parser):
    """Yield the arguments of a parser and of the commands below it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
        else:
            yield action


def _names(action):
    """Return the names that an argument takes although it takes others too, such as a file of your own; or None."""
    from minitorch_cnn import models, train

    if action.dest == "recipe":
        return list(train.RECIPES)
    return models.list() if action.metavar == "NAME" and action.dest in ("model", "name", "network") else None
