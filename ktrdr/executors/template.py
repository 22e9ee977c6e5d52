"""The template process: it has imported what workers need, has done nothing else, and is forked into workers.

The standard library's forkserver would do the same with less care: the code with which a worker ends comes through it
and is lost with it, it forks however many threads there are, and it is its workers' parent. Here a worker is forked
twice, so that it becomes a child of the server (a "subreaper"), as a spawned one is: the server takes its exit code
from the kernel, and the template may be killed at any time.

What must not be forked are threads: a fork copies the one that forks, and whatever lock another holds stays locked.
So nothing computes here, and the template ends rather than fork beside a thread that isn't known to be harmless.
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
    "jemalloc_bg_thd",  # jemalloc's own fork handlers wait until it holds no lock, and do without it in the child
    "polars-ooc-clea",  # sleeps until Polars spills something to disk, which it never does here
)


def main() -> None:
    """`python -m ktrdr.executors.template LOG_FILE LOG_LEVEL MODULE…`, with a socket as its standard input.

    It writes a word to the socket when it is ready. For each descriptor that it receives there, it makes a worker
    whose standard input that is. It ends with the process at the other end.
    """
    log_file, log_level, *modules = sys.argv[1:]
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    worker.set_name("ktrdr-template")
    # Python 3.12 and later warn of any thread at a fork; here they are looked at one by one.
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
    """Linux' system call of this name, for this process. Raises OSError."""
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _import(modules: Sequence[str]) -> None:
    """Most of what that makes stays for good, so it is looked through for garbage once, and is no worker's concern."""
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
    """OpenBLAS starts threads when it is loaded; it ends them at a fork, and starts them anew when it computes."""
    if child := os.fork():
        os.waitpid(child, 0)
    else:
        os._exit(0)


def _check_threads() -> None:
    if threads := [name for name in _other_threads() if name not in _HARMLESS_THREADS]:
        logger.warning("Workers are spawned, since forks are not safe beside other threads: %s", ", ".join(threads))
        sys.exit(1)


def _other_threads() -> list[str]:
    tasks = Path("/proc/self/task")
    return [
        (task / "comm").read_text(encoding="ascii").strip() for task in tasks.iterdir() if task.name != str(os.getpid())
    ]


def _fork_worker(channel: socket.socket, standard_input: int, log_file: Path, log_level: str) -> None:
    """Whoever waits for a worker that there is no memory for sees its end of `standard_input` close."""
    with suppress(OSError):
        if child := os.fork():
            os.waitpid(child, 0)
        else:
            _become_parent_of_worker(channel, standard_input, log_file, log_level)
    os.close(standard_input)


def _become_parent_of_worker(channel: socket.socket, standard_input: int, log_file: Path, log_level: str) -> NoReturn:
    """End as soon as there is a worker, which then is the server's child."""
    try:
        if os.fork() == 0:
            os.setsid()
            os.dup2(standard_input, channel.detach())
            os.close(standard_input)
            worker.serve(log_file, log_level)
    except BaseException:
        logger.exception("A worker could not begin")
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()
