"""What plugins declare, without running them here: another process runs their files and prints it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from pydantic import ValidationError

from ktrdr.errors import PluginError
from ktrdr.payloads.plugins import PluginFile, Plugins
from ktrdr.plugins.files import Source, read_source

IMPORT_TIMEOUT_S = 60.0
"""Of one file. On a busy machine torch alone takes 20 s."""

# Where the file cannot be interrupted from within.
_TIMEOUT_S = 1.5 * IMPORT_TIMEOUT_S


class DescribedPlugins:
    """What some files declare, described again when they have changed. May be shared by threads."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)
        self._described: dict[Source, PluginFile] = {}
        self._lock = Lock()

    def __call__(self) -> Plugins:
        with self._lock:
            return Plugins(files=tuple(map(self._file, self._paths)))

    def _file(self, path: Path) -> PluginFile:
        try:
            source = read_source(path)
        except PluginError as error:
            return PluginFile(path=str(path), error=error.detail)
        if source not in self._described:
            self._described[source] = _describe(source)
        return self._described[source]


def _describe(source: Source) -> PluginFile:
    """Run the file in a process of its own, which may raise, hang or crash."""
    command = [sys.executable, "-P", "-m", "ktrdr.plugins", str(source.path)]

    def broken(reason: str) -> PluginFile:
        return PluginFile(path=str(source.path), sha256=source.sha256, error=f"{source.path.name}: {reason}")

    try:
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_S, check=False)
        return Plugins.model_validate_json(ended.stdout).files[0]
    except subprocess.TimeoutExpired:
        return broken(f"its import took longer than {_TIMEOUT_S:g} s")
    except (OSError, ValidationError, IndexError):
        return broken("its import ended the process that was to describe it")
