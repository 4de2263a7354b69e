"""`mcnn explain ...`: pictures for a lecture, one command each."""

from minitorch_cnn.cli.explain import arithmetic, layers, training, units

# Each adds its commands to the group by `add_commands(group)`.
FAMILIES = (arithmetic, layers, training, units)


def add_commands(commands):
    """Add ``mcnn explain`` and the commands below it."""
    parser = commands.add_parser(
        "explain",
        help="show how a convolution, a pooling or a network works",
        description="Show how it works, with numbers and pictures. Every number comes from the kernels that also "
        "train networks.",
        examples=("mcnn explain conv --input 5 --kernel 3 --stride 2 --pad 1", "mcnn explain conv --help"),
    )
    group = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    for family in FAMILIES:
        family.add_commands(group)
