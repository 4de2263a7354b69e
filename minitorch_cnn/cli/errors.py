"""Errors of the command line: the exit codes, and which errors are one sentence and which need their traceback."""

EXIT_FAILED, EXIT_USAGE, EXIT_DIVERGED = 1, 2, 3
EXIT_STOPPED = 130  # as a shell reports a process that Ctrl-C ended


class UsageError(Exception):
    """Bad input: one line on standard error, exit code 2."""


def explain(error):
    """Return (exit code, one sentence) for errors that are not ours, else (None, None)."""
    from minitorch_cnn import data, nn, train, weights

    bad_input = (
        data.DatasetError,
        nn.StateDictError,
        train.CheckpointError,
        train.ClassifierError,
        train.RanksError,
        train.RunFolderError,
        weights.WeightFileError,
    )
    if isinstance(error, UsageError):
        return EXIT_USAGE, str(error)
    if isinstance(error, train.TrainingDivergedError):
        return EXIT_DIVERGED, str(error)
    if isinstance(error, bad_input):
        return EXIT_USAGE, str(error)
    if isinstance(error, OSError):
        text = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        named = isinstance(error, (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError))
        return (EXIT_USAGE if named else EXIT_FAILED), text
    return None, None
