"""`mcnn gradcheck`: check the gradients of the operations, or check the checker with planted mistakes."""

import argparse

from minitorch_cnn.cli.errors import UsageError
from minitorch_cnn.cli.options import is_own
from minitorch_cnn.cli.parser import set_command
from minitorch_cnn.cli.streams import print_json
from minitorch_cnn.hints import hint

_SHAPE = 2, 3, 6, 6  # of an input, where none is given


def add_commands(commands):
    """Add ``mcnn gradcheck``."""
    parser = commands.add_parser(
        "gradcheck",
        help="check gradients against finite differences, or the checker against planted mistakes",
        description="Compare the backward pass of operations with finite differences of their forward pass, in "
        "float64. With --mutants, plant the classic mistakes in backward passes one after the other, and show which "
        "checks find them and what the full check says.",
        examples=("mcnn gradcheck conv", "mcnn gradcheck conv --mutants", "mcnn gradcheck --mutants --json"),
    )
    parser.add_argument(
        "family",
        nargs="?",
        help="a family of operations: conv, pool, norm, activation, ... (default: all); or FILE.py:NAME, a layer, a "
        "Function or a function of Tensors of your own",
    )
    parser.add_argument(
        "--shape",
        type=_shape,
        action="append",
        metavar="N,C,H,W",
        help="shape of the input of your own layer, drawn at random; once per input (default: 2,3,6,6)",
    )
    parser.add_argument(
        "--mode", choices=("full", "random", "projection"), help="what is compared for your own (default: full)"
    )
    parser.add_argument("--mutants", action="store_true", help="plant mistakes, and show which are found")
    parser.add_argument("--json", action="store_true", help="print JSON")
    set_command(parser, _run, _code)


def _shape(text):
    """Parse lengths with commas between them."""
    try:
        shape = tuple(int(word) for word in text.split(","))
    except ValueError:
        shape = (-1,)
    if not all(0 <= length < 1 << 20 for length in shape):
        raise argparse.ArgumentTypeError(f"expected lengths with commas between them, such as 2,3,6,6, got {text!r}")
    return shape


def _run(arguments):
    from minitorch_cnn.testing import mutants

    if is_own(arguments.family):
        return _own(arguments)
    for option in ("shape", "mode"):
        if getattr(arguments, option) is not None:
            raise UsageError(f"mcnn gradcheck: leave out --{option}, or name your own layer by FILE.py:NAME")
    if arguments.family not in (None, *mutants.families()):
        known = mutants.families()
        near = hint(arguments.family, known)
        raise UsageError(f"mcnn gradcheck: family - expected one of {', '.join(known)}, got {arguments.family!r}{near}")
    return _mutants(arguments) if arguments.mutants else _operations(arguments)


def _own(arguments):
    """Check a layer of the user's own; exit code 1 if it fails."""
    from minitorch_cnn.shapes import ShapeError
    from minitorch_cnn.testing import GradcheckError, InputCountError

    if arguments.mutants:
        raise UsageError("mcnn gradcheck: leave out --mutants: mistakes are planted in operations of the library alone")
    names = {}
    *lines, _ = _code(arguments).splitlines()  # the last one prints
    try:
        exec("\n".join(lines), names)
        passed, says = True, str(names["report"])
    except GradcheckError as error:
        passed, says = False, str(error)
    except ShapeError as error:
        raise UsageError(f"mcnn gradcheck: give the shape that it takes by --shape N,C,H,W: {error}") from error
    except InputCountError as error:
        raise UsageError(f"mcnn gradcheck: give --shape once for each input: {error}") from error
    except ValueError as error:
        raise UsageError(f"mcnn gradcheck: {error}") from error
    if arguments.json:
        print_json({"passed": passed, "name": arguments.family, "says": says})
    else:
        print(says if passed else f"gradcheck failed: {says}")
    return 0 if passed else 1


def _operations(arguments):
    """Check the right backwards; exit code 1 if one fails."""
    from minitorch_cnn.testing import GradcheckError, mutants

    cases = {}  # an operation is tried on several cases, and a case serves several mutants
    for mutant in mutants.select(arguments.family):
        cases.setdefault(id(mutant.case), (mutant.target, mutant.case))
    rows = []
    for target, case in cases.values():
        try:
            passed, says = True, str(mutants.check(case))
        except GradcheckError as error:
            passed, says = False, str(error)
        rows.append({"operation": target, "passed": passed, "says": says})
    passed = sum(row["passed"] for row in rows)
    if arguments.json:
        print_json({"passed": passed, "of": len(rows), "checks": rows})
    else:
        width = max((len(row["operation"]) for row in rows), default=0)
        for row in rows:
            print(f"{row['operation']:{width}}  {row['says']}")
        print(f"passed {passed} of {len(rows)}")
    return 0 if passed == len(rows) else 1


def _mutants(arguments):
    """Try every mutant; exit code 1 if the full check misses one."""
    from minitorch_cnn.testing import mutants

    results = []
    if not arguments.json:
        print(f"{'planted mistake':58}" + "".join(f"{name:>12}" for name in mutants.CHECKS) + "  the full check says")
    for result in mutants.trial(arguments.family):
        results.append(result)
        if not arguments.json:
            marks = "".join(f"{'caught' if says else '-':>12}" for says in result.says.values())
            print(f"{result.mutant.name:58}{marks}  {_cause(result.says['full'])}", flush=True)
    caught = {name: sum(bool(result.says[name]) for result in results) for name in mutants.CHECKS}
    if arguments.json:
        rows = [
            {"family": r.mutant.family, "name": r.mutant.name, "operation": r.mutant.target} | r.says for r in results
        ]
        print_json({"caught": caught, "of": len(results), "mutants": rows})
    else:
        print(f"{'caught':58}" + "".join(f"{count:>12}" for count in caught.values()))
        print(f"caught {caught['full']} of {len(results)}")
    return 0 if caught["full"] == len(results) else 1


def _cause(sentence):
    return sentence.split("looks like ")[-1] if sentence else "nothing"


def _code(arguments):
    if is_own(arguments.family):
        mode = f", mode={arguments.mode!r}" if arguments.mode else ""
        return (
            "import numpy as np\n\nfrom minitorch_cnn import Tensor, testing\n\n"
            "draw = np.random.default_rng(0)\n"
            f"inputs = [Tensor(draw.standard_normal(shape)) for shape in {arguments.shape or [_SHAPE]}]\n"
            f"report = testing.gradcheck(testing.from_file({arguments.family!r}), *inputs{mode})\n"
            "print(report)\n"
        )
    family = repr(arguments.family) if arguments.family else ""
    if arguments.mutants:
        return (
            "from minitorch_cnn.testing import mutants\n\n"
            f"results = list(mutants.trial({family}))\n"
            "for result in results:\n"
            "    print(result.mutant.name, '-', result.says['full'] or 'not caught')\n"
            "print('caught', sum(bool(r.says['full']) for r in results), 'of', len(results))\n"
        )
    return (
        "from minitorch_cnn.testing import mutants\n\n"
        f"for mutant in mutants.select({family}):\n"
        "    print(mutant.target, mutants.check(mutant.case))\n"
    )
