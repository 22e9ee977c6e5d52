"""The template process imports the modules that workers need, does nothing else, and is forked into workers.

The standard library's forkserver is not enough: it is the parent of its workers, so their exit codes pass through it
and are lost with it, and it forks even when other threads exist. Here a worker is forked twice, so that it becomes a
child of the server (a "subreaper"), like a spawned one: the server reads its exit code from the kernel, and the
template may be killed at any time.

A fork copies only the thread that calls it, so a lock that another thread holds stays locked in the child. The
template therefore computes nothing, and ends instead of forking while a thread exists that is not known to be harmless.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import logging
import os
import signal
import socket
import sys
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from ktrdr import logs
from ktrdr.executors import worker

logger = logging.getLogger(__name__)

# From <linux/prctl.h>.
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

_HARMLESS_THREADS = (
    "jemalloc_bg_thd",  # jemalloc's fork handlers wait until this thread holds no lock; the child does not need it
    "polars-ooc-clea",  # sleeps until Polars spills data to disk, which does not happen here
)


def main() -> None:
    """`python -m ktrdr.executors.template LOG_FILE LOG_LEVEL MODULE…`, with a socket as its standard input.

    It writes a word to the socket when it is ready. For each descriptor that it receives there, it forks a worker
    with that descriptor as its standard input. It ends with the process at the other end.
    """
    log_file, log_level, *modules = sys.argv[1:]
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    worker.set_name("ktrdr-template")
    # Python 3.12 and later warn about any other thread at a fork; `_check_threads` examines them by name.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    logs.configure(Path(log_file), log_level, rotates=False)
    _import(modules)
    _stop_openblas()
    _check_threads()
    with socket.socket(fileno=sys.stdin.fileno()) as channel:
        channel.sendall(b"warm")
        while descriptors := socket.recv_fds(channel, 1, 1)[1]:
            _check_threads()
            _fork_worker(channel, descriptors[0], Path(log_file), log_level)


def prctl(option: int, value: int) -> None:
    """Call Linux's prctl for this process. Raises OSError."""
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _import(modules: Sequence[str]) -> None:
    """Import with the collector off, then collect once and freeze: most imported objects live for ever."""
    gc.disable()
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:  # noqa: BLE001
            logger.warning("Workers will be slow to start: %s cannot be imported ahead: %s", module, error)
    gc.enable()
    gc.collect()
    gc.freeze()


def _stop_openblas() -> None:
    """Fork once: OpenBLAS starts threads when loaded, ends them at a fork, and restarts them when it computes."""
    if child := os.fork():
        os.waitpid(child, 0)
    else:
        os._exit(0)


def _check_threads() -> None:
    if threads := [name for name in _other_threads() if name not in _HARMLESS_THREADS]:
        logger.warning("Workers are spawned, because a fork is unsafe while other threads run: %s", ", ".join(threads))
        sys.exit(1)


def _other_threads() -> list[str]:
    tasks = Path("/proc/self/task")
    return [
        (task / "comm").read_text(encoding="ascii").strip() for task in tasks.iterdir() if task.name != str(os.getpid())
    ]


def _fork_worker(channel: socket.socket, standard_input: int, log_file: Path, log_level: str) -> None:
    """Fork one worker; where memory is short, the server sees its end of `standard_input` close."""
    with suppress(OSError):
        if child := os.fork():
            os.waitpid(child, 0)
        else:
            _become_parent_of_worker(channel, standard_input, log_file, log_level)
    os.close(standard_input)


def _become_parent_of_worker(channel: socket.socket, standard_input: int, log_file: Path, log_level: str) -> NoReturn:
    """Fork the worker and end, so that the worker becomes a child of the server."""
    own_pid = os.getpid()
    try:
        if os.fork() == 0:
            os.setsid()
            os.dup2(standard_input, channel.detach())
            os.close(standard_input)
            # A worker that dies as a child of this process would leave its exit code here.
            while os.getppid() == own_pid:
                time.sleep(0.0005)
            worker.serve(log_file, log_level)
    except BaseException:
        logger.exception("A worker could not begin")
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()
