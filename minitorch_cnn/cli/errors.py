"""Errors of the command line: exit codes, which errors become one sentence, and which keep their traceback."""

import errno
import glob
import os

EXIT_FAILED, EXIT_USAGE, EXIT_DIVERGED = 1, 2, 3
_THREAD = 16 << 20  # bytes of addresses, with its stack
EXIT_STOPPED = 130  # as a shell reports a process that Ctrl-C ended
_OPTIONS = {  # what begins an error of the library, and the option that it is about
    "Trainer: holdout": "--holdout",
    "Trainer: accumulate": "--accumulate",
    "Trainer: class_weights": "--class-weights",
    "Trainer: train_set - expected at least one batch": "lower --batch-size, or give more images: expected a batch",
}

_ADVICE = {  # what to do about an error of the operating system
    errno.ENOENT: "check the name",
    errno.ENOTDIR: "check the path: a part of it is a file, not a folder",
    errno.EISDIR: "give a file, not a folder",
    errno.EEXIST: "choose a name that is free",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EACCES: "choose another place, or ask for the right to use this one",
    errno.EPERM: "choose another place, or ask for the right to use this one",
    errno.EROFS: "choose a folder that can be written",
    errno.ENOSPC: "the disk is full: free some space",
    errno.EDQUOT: "the quota of this user is full: free some space",
    errno.EFBIG: "allow larger files, by ulimit -f",
    errno.EMFILE: "allow more open files, by ulimit -n, or take fewer workers",
    errno.ENFILE: "close other programs: the machine has no more open files",
}


class UsageError(Exception):
    """Bad input: one line on standard error, exit code 2."""


class FailedError(Exception):
    """Something outside of this program failed; the message says how to continue. Exit code 1."""


def usage(prog, error):
    """Return a UsageError for an error of the library that the command line caused, with what to do first."""
    from minitorch_cnn import train

    text = str(error)
    for argument, option in _OPTIONS.items():
        text = text.replace(argument, option, 1) if text.startswith(argument) else text
    if isinstance(error, train.OwnNetworkError):
        option = "--model" if prog == "mcnn train" else "--network"
        text = f"name your network by {option} FILE:NAME, such as {error.place}: {error.reason}"
    return UsageError(f"{prog}: {text}")


def explain(error):
    """Return (exit code, one sentence) for an error that this program does not cause, else (None, None)."""
    if isinstance(error, MemoryError):  # nothing more can be imported
        return EXIT_FAILED, sentence(error)

    from minitorch_cnn import data, nn, train, weights
    from minitorch_cnn.explain.lecture.errors import LectureError
    from minitorch_cnn.models import own
    from minitorch_cnn.shapes import ShapeError

    bad_input = (
        UsageError,
        LectureError,
        data.DatasetError,
        nn.StateDictError,
        train.CheckpointError,
        train.ClassifierError,
        train.OwnNetworkError,
        train.RanksError,
        train.RunFolderError,
        weights.WeightFileError,
        ShapeError,
    )
    if isinstance(error, train.TrainingDivergedError):
        return EXIT_DIVERGED, str(error)
    if isinstance(error, bad_input):
        return EXIT_USAGE, str(error)
    if isinstance(error, (FailedError, data.WorkerError, train.FolderGoneError)):
        return EXIT_FAILED, str(error)
    if _is_out_of_memory(error):
        return EXIT_FAILED, sentence(error)
    if place := own.where(error):
        return EXIT_USAGE, f"mend your own code{place}: {type(error).__name__}: {error}"
    if isinstance(error, TypeError) and own.has_run() and " - expected " in str(error):
        return EXIT_USAGE, f"check what your own code returns: {error}"
    if isinstance(error, OSError):
        named = isinstance(error, (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError))
        too_long = error.errno == errno.ENAMETOOLONG
        return (EXIT_USAGE if named or too_long else EXIT_FAILED), sentence(error)
    return None, None


def sentence(error):
    """Return the text of an error of the operating system, with the file if it names one."""
    if isinstance(error, MemoryError) and str(error).startswith("allow "):  # says itself what to do
        return str(error)
    if _is_out_of_memory(error):
        reason = str(error) or type(error).__name__
        return f"allow this process more memory, or give it smaller images, batches or networks: {reason}"
    if isinstance(error, FileNotFoundError) and not _current_folder_exists():
        return "go into another folder: the current one was removed"
    if not isinstance(error, OSError):
        return str(error) or type(error).__name__
    code = errno.EISDIR if _names_a_folder(error) else error.errno
    if code == errno.EISDIR and is_run(str(error.filename)):
        return run_in_place_of_pictures(error.filename)
    reason = os.strerror(code) if code == errno.EISDIR else error.strerror
    if not reason:
        return str(error) or type(error).__name__
    told = f"{error.filename}: {reason}" if error.filename else reason
    advice = _ADVICE.get(code) if reason == os.strerror(code) else None  # else the text is one of ours
    return f"{advice} ({told})" if advice else told


def lack_of_addresses():
    """Return what to do where `ulimit -v` leaves no addresses for one more thread, else None."""
    from minitorch_kernels.runtime import address_space

    try:
        address_space.require(_THREAD, "one more thread")
    except MemoryError as error:
        return str(error)
    return None


def is_run(path):
    """Return whether a path is the folder of a run."""
    return bool(glob.glob(os.path.join(glob.escape(path), "*.safetensors")))


def run_in_place_of_pictures(path):
    """Return what to do about the folder of a run among the pictures."""
    return f"give the run by --model {path}: a picture is expected in its place"


def _names_a_folder(error):
    """Return whether a folder was opened as a file; Windows calls that a lack of permission."""
    if not isinstance(error, OSError) or not error.filename:
        return False
    refused = os.name == "nt" and isinstance(error, PermissionError) and os.path.isdir(error.filename)
    return refused or isinstance(error, IsADirectoryError)


def _is_out_of_memory(error):
    """Return whether memory was short for an error or for one that led to it, such as a library that is not loaded."""
    while error is not None:
        no_room = isinstance(error, OSError) and error.errno == errno.ENOMEM
        if isinstance(error, MemoryError) or no_room or "failed to map segment" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _current_folder_exists():
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True
