"""Memory and pipes that a process shares with the worker processes that it starts, on every system.

Elsewhere than on Windows a child inherits file descriptors: those of its pipes, and of files in memory that have no
name. On Windows it inherits the handles of its pipes, and finds memory by a name, which goes with the last process
that has mapped it. Either way nothing remains, however the processes end.
"""

from __future__ import annotations

import math
import mmap
import os
import pathlib
import secrets
import subprocess
import sys
import tempfile

import numpy as np

from minitorch_cnn.processes import deaf_to_stop_signals, module_command, module_environment

if sys.platform == "win32":
    from multiprocessing.connection import Pipe, wait
    from multiprocessing.connection import PipeConnection as Connection
elif sys.platform != "emscripten":  # a browser, where no process can be started: see `pool.possible_workers`
    import fcntl
    from multiprocessing.connection import Connection, wait

# What a worker needs to find memory: a descriptor; on Windows a name, or the path of a file.
Memory = int | str | pathlib.Path


def new_memory() -> Memory:
    """Return memory that has no size yet; see `create_array`."""
    if sys.platform == "win32":
        return f"minitorch_cnn-{secrets.token_hex(16)}"
    if memfd_create := getattr(os, "memfd_create", None):  # Linux alone has it
        return _above_standard(memfd_create("minitorch_cnn"))
    descriptor, path = tempfile.mkstemp()
    os.unlink(path)
    return _above_standard(descriptor)


def file_memory(path: pathlib.Path) -> Memory:
    """Return the bytes of a file, to be read alone."""
    return path if sys.platform == "win32" else _above_standard(os.open(path, os.O_RDONLY))


def create_array(memory: Memory, shape):
    """Give new memory the size of a uint8 array, and return the array.

    On Windows somebody has to hold it until the workers have it, too.
    """
    if isinstance(memory, int):
        os.ftruncate(memory, max(math.prod(shape), 1))
    return map_array(memory, shape)


def map_array(memory: Memory, shape, offset=0, access=mmap.ACCESS_WRITE):
    """Return the uint8 array that memory holds after ``offset`` bytes."""
    count = math.prod(shape)
    mapped = _mapped(memory, max(offset + count, 1), access)
    return np.frombuffer(mapped, np.uint8, count, offset).reshape(shape)


def _mapped(memory, size, access):
    if isinstance(memory, pathlib.Path):
        with open(memory, "rb") as file:
            return mmap.mmap(file.fileno(), size, access=access)
    if sys.platform == "win32":
        return mmap.mmap(-1, size, tagname=memory, access=access)
    return mmap.mmap(memory, size, access=access)


def release(memory: Memory) -> None:
    """Close what `new_memory` or `file_memory` opened; arrays in it stay."""
    if isinstance(memory, int):
        os.close(memory)


def pipe():
    """Return the reading and the writing end of a pipe, two connections of `multiprocessing`."""
    if sys.platform == "win32":
        return Pipe(duplex=False)
    reading, writing = map(_above_standard, os.pipe())
    return Connection(reading, writable=False), Connection(writing, readable=False)


def has_answer(end: Connection, seconds: float) -> bool:
    """Wait until the reading end of a pipe has something, or is at its end; return False if the time is over before."""
    return bool(wait([end], seconds))


def connection(handle: int, **direction: bool) -> Connection:
    """Return the end of a pipe that a child inherited."""
    return Connection(handle, **direction)


def _above_standard(descriptor):
    """Return a descriptor above 2: where stdin is closed, a new file gets number 0, which a child opens anew."""
    if sys.platform != "win32" and descriptor <= 2:
        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
        os.close(descriptor)
        return moved
    return descriptor


def start(module: str, ends, memories, **variables: str) -> subprocess.Popen:
    """Start a module as a process that inherits ends of pipes and memory.

    Parameters
    ----------
    module : str
        Its arguments are the handles of the ends.
    ends : sequence of Connection
    memories : sequence of Memory
    variables : str
        Of the environment.

    Returns
    -------
    Popen
        It gets none of the signals that ask to stop: that is for the parent to decide.
    """
    handles = [end.fileno() for end in ends]
    command = module_command(module, *map(str, handles))
    environment = module_environment(**variables)
    if sys.platform != "win32":
        passed = [*handles, *(memory for memory in memories if isinstance(memory, int))]
        with deaf_to_stop_signals():
            return subprocess.Popen(command, pass_fds=passed, env=environment, stdin=subprocess.DEVNULL)
    # In a virtual environment sys.executable starts the interpreter as a process of its own, which would be the child
    # of our child. The variable tells the interpreter where its environment is.
    environment["__PYVENV_LAUNCHER__"], command[0] = command[0], getattr(sys, "_base_executable", command[0])
    for handle in handles:
        os.set_handle_inheritable(handle, True)
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        startupinfo=subprocess.STARTUPINFO(lpAttributeList={"handle_list": handles}),
        creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,  # Ctrl-C goes to all others on the console
    )
