"""Writes the bars in `README.md` and the promises in `examples/docs/reliability.md` from what campaigns measured.

    python tests/campaigns/workers.py --full --json out/workers.json      # and so on
    python tests/campaigns/report.py out/*.json                           # into figures.json and the tables
    python tests/campaigns/report.py                                      # the tables anew

A record replaces the one of the same bar and check. A bar without a record, or with one of the short form, says so.
"""

import argparse
import json
import pathlib
import re

FOLDER = pathlib.Path(__file__).parent
FIGURES, DOCUMENTS = FOLDER / "figures.json", (FOLDER / "README.md", FOLDER.parents[1] / "examples/docs/reliability.md")
END = "<!-- end of what report.py writes -->\n"
BARS = {  # what each requires
    1: "gradient check of all operations and layers in float64: eps 1e-6, atol 1e-5, rtol 1e-3, twice the same bits",
    2: "at least 95 % of at least 60 wrong backwards caught",
    3: "kernels against the textbook: float32 within 1e-5 sqrt(K), float64 within 1e-12 sqrt(K), 500 shapes",
    4: "at least three wrong arguments for each operation, refused by name",
    5: "parameters, multiplications, buffers and keys of the famous networks, exact",
    6: "NaN and infinity go through as in NumPy; no fastmath=True",
    7: "tests of kernels with bounds checked and without compilation",
    8: "same seed: 20 runs of 50 steps, one sha256",
    9: "1 thread and several: the same bits, through BLAS within 1e-4",
    10: "the same bytes for 0, 1, 2 and 4 workers",
    11: "no augmentation stream twice in 10,000",
    12: "200 faults of workers: worker, pid, signal and sample named within 5 s; no hang, orphan or leaked memory",
    13: "kernels after a fork, in 200 own children and 100 workers of loaders: the same bits, no hang, no abort",
    14: "eight Python threads call kernels, and 100 Ctrl-C in a training step: the same bits, no hang, no abort",
    15: "the cache of kernels: damaged, stale, unwritable, eight processes at once 50 times: no wrong result",
    16: "25 crafted files and 10,000 mutations a reader: nothing run, no crash, memory at most 3 times the file",
    17: "a file of a known sha256 that has another is refused before it is read",
    18: "ResNet-18 with PyTorch's weights, ten images: logits within 1e-4 of the largest, the same first five",
    19: "500 kills while saving, full and failing disks: a checkpoint that loads, no stray file, the mode kept",
    20: "30 resumes at random steps, with 0 and 2 workers, end with the same bits",
    21: "CIFAR-10 that is damaged, altered or not genuine is noticed",
    22: "archives write nothing outside their place",
    23: "downloads that break or lie leave the old file and resume",
    24: "1,000 steps: memory grows by at most 1 % after step 50, no graph is left",
    25: "training that diverges stops within a step, and the last good checkpoint stays",
    26: "products through BLAS within K eps",
    27: "cifar4, 8 epochs, 3 seeds: on average at most 0.8 point below PyTorch",
    28: "the test suite 20 times in a row without a failure",
    29: "10,000 random uses of loaders with 0 to 4 workers: every batch as a model of one sample at a time has it",
    30: "100,000 random networks against PyTorch in float64, with one NaN, infinite or huge element: 0 differences",
    31: "ONNX files of the zoo and of 500 random networks: checker, ONNX Runtime within 1e-4, Netron opens them",
    32: "the engine of the page, forward and backward within 1e-4 of the largest of the kernels: every operation with "
    "200 random hyper-parameters, the zoo at three sizes of images",
    33: "every command in 100 hostile surroundings: works, or ends with a sentence; no traceback, nothing lost",
    34: "10,000 bad lines for every command: an exit code and a sentence, no traceback, nothing half-written",
}


CHECKS = dict.fromkeys(BARS, 1) | {7: 2, 9: 2, 12: 2, 13: 2, 14: 2, 15: 3, 16: 13, 19: 3, 31: 2, 32: 2}  # of each bar
PROMISES = {  # of bars that belong together
    "A worker process that is killed, crashes, fails or hangs gives one error that names the worker, its process, the "
    "cause and the sample; no process and no memory is left": (12,),
    "A checkpoint is complete or absent, however its writer is killed": (19,),
    "A resumed training ends with the bits of one that never stopped": (20,),
    "No file of weights or images can run code, take the process down or take more memory than three times its "
    "size, or 25 MB": (16,),
    "A damaged or shared cache of kernels costs time and nothing else": (15,),
    "Kernels compute the same bits when many Python threads call them, in a forked child, and after Ctrl-C": (13, 14),
    "The same seed gives the same bits, for any number of threads": (8, 9),
    "A long training needs no more memory than a short one": (24,),
    "A wrong backward is found": (2,),
    "PyTorch's file of weights gives PyTorch's answers": (18,),
    "`cifar4` learns what the same network learns in PyTorch from the same batches": (27,),
    "A loader serves each image with its own label, however its iterators overlap, are abandoned or continue": (29,),
    "The tests pass whenever they are run": (28,),
}


def verdict(record):
    """Say how a bar stands."""
    if not record["passed"]:
        return "**fail**"
    return "pass" if record["full"] else "pass, short form"


def table(records):
    """Return the lines of the table, and before it what it comes to."""
    found = {bar: [record for record in records if record["bar"] == bar] for bar in BARS}
    met = [bar for bar, of in found.items() if [verdict(record) for record in of] == ["pass"] * CHECKS[bar]]
    rows = [
        f"{len(met)} of {len(BARS)} bars are met at full length.",
        "",
        "| bar | required | measured | verdict | to repeat |",
        "|---|---|---|---|---|",
    ]
    for bar, what in BARS.items():
        rows += [
            f"| {bar} | {what} | {r['what']}: {r['figure'].replace('|', '/')} | {verdict(r)} | `{r['command']}` |"
            for r in found[bar]
        ]
        if missing := CHECKS[bar] - len(found[bar]):
            rows.append(f"| {bar} | {what} | {missing} of {CHECKS[bar]} checks | not measured | |")
    return "".join(f"{row}\n" for row in rows)


def promises(records):
    """Return the lines of the table of promises: figures of full length alone, and failures for what they are."""
    rows = ["| promise | measured |", "|---|---|"]
    for promise, bars in PROMISES.items():
        of = [record for record in records if record["bar"] in bars and record["full"]]
        failed = [f"**failed**: {record['figure']}" for record in of if not record["passed"]]
        told = failed or ([total(of)] if bars == (16,) else [record["figure"] for record in of])
        rows.append(f"| {promise} | {'; '.join(told).replace('|', '/') or 'not yet at full length'} |")
    return "".join(f"{row}\n" for row in rows)


def total(records):
    """Sum up what the readers of files went through."""
    figures = " ".join(record["figure"] for record in records)
    crafted, mutations, executions, large = (
        sum(map(int, re.findall(rf"(\d+) {what}", figures)))
        for what in ("crafted files", "mutations", "executions", "files, 0 above")
    )
    return (
        f"{crafted} crafted files, {mutations:,} mutations and {executions:,} inputs of a fuzzer: none ran code, was "
        f"taken for what it was not, or crashed; {large} files of 30 MB and more, none above three times and a megabyte"
    )


TABLES = {"<!-- bars, written by report.py -->\n": table, "<!-- promises, written by report.py -->\n": promises}


def written(text, records):
    """Return a text with its tables made of these records."""
    for begin, make in TABLES.items():
        if begin in text:
            before, rest = text.split(begin)
            text = before + begin + make(records) + END + rest.split(END, 1)[1]
    return text


def merged(old, new):
    """Return the records, the new ones in the place of old ones of the same check."""
    by_check = {(record["bar"], record["what"]): record for record in [*old, *new]}
    return [by_check[key] for key in sorted(by_check)]


def main():
    """Take the records of the files named into the figures, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", nargs="*", type=pathlib.Path, metavar="FILE", help="what --json wrote")
    records = json.loads(FIGURES.read_text())
    for path in parser.parse_args().records:
        if not path.is_file():
            parser.error(f"FILE - expected a record that --json wrote, got {path}, which is not a file")
        records = merged(records, json.loads(path.read_text()))
    FIGURES.write_text(json.dumps(records, indent=1) + "\n")
    for path in DOCUMENTS:
        path.write_text(written(path.read_text(), records))


if __name__ == "__main__":
    main()
