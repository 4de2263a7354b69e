"""``python -m minitorch_cnn`` is ``mcnn``."""

import sys

from minitorch_cnn.cli import main

if __name__ == "__main__":
    sys.exit(main())
