"""Build the API reference from the docstrings.

pip install '.[docs]'
python examples/docs/make_api.py --out api     # then open api/index.html
"""

import argparse
import pathlib

import pdoc

import minitorch_cnn


def build(out):
    """Write one HTML page per module into the folder ``out``."""
    for name in minitorch_cnn.__all__:  # pdoc does not call the package's __getattr__, so load every name first
        setattr(minitorch_cnn, name, getattr(minitorch_cnn, name))
    pdoc.render.configure(docformat="numpy", footer_text=f"minitorch_cnn {minitorch_cnn.__version__}")
    pdoc.pdoc("minitorch_cnn", "minitorch_kernels", output_directory=out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default="api", metavar="DIR", help="(default: api)")
    build(parser.parse_args().out)
