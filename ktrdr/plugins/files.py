"""Reads the files of plugins, and refuses those that others can change."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from ktrdr.errors import PluginError

_LARGEST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Source:
    """The content of one file, read once, so that its hash is that of the code that runs."""

    path: Path
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def read_source(path: Path) -> Source:
    """Raises PluginError for a file that cannot be read, or that others than its owner can change."""
    try:
        with path.open("rb") as file:
            _check_owner(path, os.fstat(file.fileno()))
            _check_folder(path.parent)
            content = file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise PluginError(f"the plugin file {path} cannot be read: {error.strerror}", hint=_HINT) from error
    if len(content) > _LARGEST_BYTES:
        raise PluginError(f"the plugin file {path} has more than {_LARGEST_BYTES:,} bytes", hint=_HINT)
    return Source(path, content)


_HINT = "correct the setting KTRDR_PLUGINS, which names the files"


def _check_owner(path: Path, status: os.stat_result) -> None:
    """A plugin runs with the rights of whoever trains, so nobody else may write it."""
    if not stat.S_ISREG(status.st_mode):
        raise PluginError(f"the plugin file {path} is no file", hint=_HINT)
    if status.st_mode & stat.S_IWOTH:
        raise PluginError(f"the plugin file {path} can be written by everybody", hint=f"chmod o-w {path}")
    if hasattr(os, "getuid") and status.st_uid not in (0, os.getuid()):
        raise PluginError(f"the plugin file {path} belongs to another user", hint="make a copy of your own")


def _check_folder(folder: Path) -> None:
    """Who may write a folder may replace its files, unless it is sticky."""
    mode = folder.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise PluginError(f"the folder of plugins {folder} can be written by everybody", hint=f"chmod o-w {folder}")
