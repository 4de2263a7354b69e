"""Several processes that train one model: their messages, and how they fail.

They use MPI through mpi4py, which is imported only if `connect` needs it. Every MPI call here starts an operation
and then polls it until a deadline, so that no rank waits forever for one that hangs: it says so and ends all of them.
"""

import contextlib
import json
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from minitorch_cnn import arguments
from minitorch_cnn.io.streams import NullStream
from minitorch_cnn.types import Array

if TYPE_CHECKING:
    from minitorch_cnn.nn import Module

# Returns (exit code, sentence) for an exception, or (None, None) for one that needs its traceback.
Explain: TypeAlias = Callable[[Exception], tuple[int | None, str | None]]

MODES = ("auto", "mpi", "off")
COMPILING = 10  # times the timeout: how long the first step may take, while kernels are compiled
_STARTED_BY = ("PMI_SIZE", "PMIX_RANK", "OMPI_COMM_WORLD_SIZE")  # set by mpiexec of MPICH, PMIx and Open MPI
# Seconds for the launcher to print the last message: at an abort it ends without reading its pipes to the end
# (MPICH lost 1 message in 60 without this pause).
_LAST_WORDS = 0.5
_SPINS = 2000  # polls without a pause; after that the rank sleeps between polls, so that others can use the processor


class RanksError(RuntimeError):
    """Ranks that cannot work together: they differ, one does not answer, or MPI is not installed."""


class SingleProcess:
    """The single process of an ordinary training; what ranks do together is trivial here."""

    rank, size, local_size, threads = 0, 1, 1, None  # threads: the default number

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        return False

    def share(self, count: int, rank: int | None = None) -> tuple[int, int]:
        """Return the range (first, end) of ``count`` items that a rank, by default this one, takes."""
        rank = self.rank if rank is None else rank
        return rank * count // self.size, (rank + 1) * count // self.size

    def sum(self, array: ArrayLike) -> Array:
        """Return the sum of an array over all ranks, with the same bits on each."""
        return np.asarray(array)

    def exchange(self, fact: Any) -> list[Any]:
        """Return a list of what each rank gave, in the order of the ranks; JSON must be able to hold it."""
        return [fact]

    def first(self, fact: Any) -> Any:
        """Return what rank 0 gave, on all ranks."""
        return self.exchange(fact)[0]

    def agree(self, facts: dict[str, Any]) -> None:
        """Refuse facts that are not the same everywhere.

        Parameters
        ----------
        facts : dict
            By name; JSON can hold them.

        Raises
        ------
        RanksError
            Naming the first that differs, and both values.
        """
        mine, *others = self.exchange(facts)
        for rank, theirs in enumerate(others, start=1):
            for name in mine | theirs:
                if mine.get(name) != theirs.get(name):
                    values = f"rank 0 has {mine.get(name)!r}, rank {rank} has {theirs.get(name)!r}"
                    raise RanksError(f"ranks: {name} - expected the same on all ranks, but {values}")

    def average_statistics(self, model: "Module") -> None:
        """Average the running statistics of batch norm over the ranks, because each has seen different images.

        After every step: the bits would depend on when a checkpoint is written if this were done there alone.
        """
        if self.size == 1:
            return
        buffers = [array for _, array in model.named_buffers() if array.dtype.kind == "f"]
        if not buffers:
            return
        means = self.sum(np.concatenate([array.astype(np.float64).ravel() for array in buffers])) / self.size
        ends = np.cumsum([array.size for array in buffers])[:-1]
        for array, mean in zip(buffers, np.split(means, ends), strict=True):
            array[...] = mean.reshape(array.shape)


def given_ranks(owner: str, ranks: SingleProcess | None) -> SingleProcess:
    """Return the processes that an argument names, a single one for None; raise TypeError for anything else."""
    ranks = SingleProcess() if ranks is None else ranks
    arguments.instance(owner, SingleProcess, ranks=ranks)
    return ranks


class MpiProcesses(SingleProcess):
    """The ranks of ``mpiexec``. Used as a context, it ends all of them with one message if one fails.

    Inside the context only rank 0 prints: the output of the others is dropped, except for the reason why they stop.

    Parameters
    ----------
    timeout : float, seconds, > 0
        How long a rank may keep the others waiting; ten times as long until the first step is done.
    explain : callable or None
        Returns (exit code, sentence) for an exception, or (None, None) for one that needs its traceback.

    Notes
    -----
    An exception leaves the context by ``MPI_Abort``: the launcher kills every rank of the run.
    """

    def __init__(self, timeout: float = 60.0, explain: Explain | None = None):
        if not timeout > 0:
            raise ValueError(f"MpiProcesses: timeout - expected a positive number of seconds, got {timeout!r}")
        from mpi4py import MPI

        self._mpi, self._comm = MPI, MPI.COMM_WORLD
        self.rank: int = self._comm.rank
        self.size: int = self._comm.size
        self.timeout, self._explain = timeout, explain or (lambda error: (None, None))
        self.compiled = False  # set by the trainer after the first step
        self.layout = self.exchange([socket.gethostname(), sorted(_cores())])
        self.local_size = sum(host == self.layout[self.rank][0] for host, _ in self.layout)

    @property
    def threads(self) -> int:
        """How many threads this rank may use: ranks on the same cores share them."""
        return max(1, len(self.layout[self.rank][1]) // self.layout.count(self.layout[self.rank]))

    def __enter__(self) -> Self:
        self._streams = contextlib.ExitStack()
        if self.rank:
            for redirect in (contextlib.redirect_stdout, contextlib.redirect_stderr):
                self._streams.enter_context(redirect(NullStream()))
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        self._streams.close()
        if error is not None:
            time.sleep(0.3 * min(self.rank, 5))  # if all ranks have the same fault, the first one reports it
            code, text = (130, "stopped") if kind is KeyboardInterrupt else self._explain(error)
            if code is None:
                code, text = 1, "".join(traceback.format_exception(error)).rstrip()
            self._abort(text, code)
        return False

    def _abort(self, text, code):
        print(f"rank {self.rank} of {self.size}: {text}\nall ranks are stopped", file=sys.__stderr__, flush=True)
        time.sleep(_LAST_WORDS)
        self._comm.Abort(code)

    def sum(self, array: ArrayLike) -> Array:
        """Return the sum of an array over all ranks, with the same bits on each."""
        total = np.array(array, copy=True, order="C")
        self.wait(self.start_sum(total))
        return total

    def start_sum(self, array: Array) -> Any:
        """Begin to replace an array by its sum over all ranks; return the request, for `wait` and `progress`."""
        return self._comm.Iallreduce(self._mpi.IN_PLACE, array)

    def progress(self, requests: Iterable[Any]) -> None:
        """Let MPI advance the operations that were started: it works only while it is called."""
        for request in requests:
            request.Test()

    def wait(self, request: Any) -> None:
        """Wait for an operation; end all ranks if it is not done before the deadline."""
        allowed = self.timeout * (1 if self.compiled else COMPILING)
        deadline, spins = time.monotonic() + allowed, 0
        while not request.Test():
            spins += 1
            if spins > _SPINS:
                time.sleep(1e-4)
                if time.monotonic() > deadline:
                    self._abort(f"another rank did not answer for {allowed:g} s: it hangs, or its machine is gone", 1)

    def exchange(self, fact: Any) -> list[Any]:
        """Return a list of what each rank gave, in the order of the ranks; JSON must be able to hold it."""
        text = np.frombuffer(json.dumps(fact).encode(), np.uint8)
        sizes = np.empty(self.size, np.int64)
        self.wait(self._comm.Iallgather(np.array([text.size], np.int64), sizes))
        texts = np.empty(sizes.sum(), np.uint8)
        self.wait(self._comm.Iallgatherv(text, [texts, sizes.tolist()]))
        return [json.loads(part.tobytes()) for part in np.split(texts, np.cumsum(sizes)[:-1])]


def connect(
    mode: str = "auto",
    timeout: float = 60.0,
    explain: Explain | None = None,
) -> SingleProcess:
    """Return the ranks to which this process belongs.

    Parameters
    ----------
    mode : "auto", "mpi" or "off"
        "auto" uses MPI if ``mpiexec`` started the process.
    timeout, explain
        As for `MpiProcesses`.

    Returns
    -------
    SingleProcess or MpiProcesses

    Raises
    ------
    ValueError
        If the mode is unknown.
    RanksError
        If MPI is needed and mpi4py cannot be imported.
    """
    if mode not in MODES:
        raise ValueError(f"connect: mode - expected one of {', '.join(MODES)}, got {mode!r}")
    if mode == "off" or (mode == "auto" and not any(name in os.environ for name in _STARTED_BY)):
        return SingleProcess()
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise RanksError(
            f"connect: mpi4py - expected it with an MPI library, `pip install 'minitorch-cnn[mpi]'`, got: {error}"
        ) from error
    return MpiProcesses(timeout, explain) if MPI.COMM_WORLD.size > 1 else SingleProcess()


def _cores():
    """Return the numbers of the processor cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    return affinity(0) if affinity else range(os.cpu_count() or 1)
