"""`mcnn export`: a trained network as a file for other programs."""

import pathlib

from minitorch_cnn.cli.errors import UsageError
from minitorch_cnn.cli.options import add_model_options, check_output, classifier_code, run_code
from minitorch_cnn.cli.parser import set_command


def add_commands(commands):
    """Add ``mcnn export``."""
    parser = commands.add_parser(
        "export",
        help="write a trained network as an ONNX file",
        description="Write a trained network as an ONNX file, which ONNX Runtime and many other programs run. Names of "
        "classes, mean and standard deviation of each channel, and the size of the images are in its metadata. Needs "
        "the package onnx: pip install 'minitorch-cnn[onnx]'.",
        examples=("mcnn export -o model.onnx", "mcnn export runs/cifar4-1 -o cifar4.onnx"),
    )
    add_model_options(parser, first=True)
    parser.add_argument("-o", dest="output", metavar="FILE", default="model.onnx", help="(default: model.onnx)")
    parser.set_defaults(kinds=(".onnx",))
    set_command(parser, _export, _code)


def _export(arguments):
    check_output(arguments)
    try:
        any_batch = run_code(arguments)["any_batch"]
    except ImportError as error:
        raise UsageError("mcnn export: install the package onnx first: pip install onnx") from error
    size = pathlib.Path(arguments.output).stat().st_size / 1e6
    images = "any number of images" if any_batch else "one image"
    print(f"{arguments.output} - {size:.1f} MB, takes {images} at a time")


def _code(arguments):
    return f"from minitorch_cnn import train\n\nany_batch = {classifier_code(arguments)}.export({arguments.output!r})\n"
