"""Checks the folder of a home itself, and the temporary files in it."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from ktrdr.cache import FolderCache
from ktrdr.files import drafts_within
from ktrdr.findings import Finding, Level, finish_repairs, is_interrupted, subfolders
from ktrdr.formatting import counted, size_text
from ktrdr.home import Home, is_open_to_others

_MIN_FREE_BYTES = 200 * 1024**2
_ADVICE = "fix its permissions, or choose another folder with KTRDR_HOME"


def check(root: Path) -> Iterator[Finding]:
    if os.statvfs(root).f_flag & os.ST_RDONLY:
        yield _fault(f"{root} is on a disk that is mounted read-only", _ADVICE)
        return
    if is_interrupted(root):
        what = "a repair was interrupted between its renames"
        advice = "the next start of the server finishes it, or --repair"
        yield Finding(Level.FAULT, "folder", what, advice, lambda backup: finish_repairs(root))
    if is_open_to_others(Home(root)):
        advice = f"close it with: chmod -R go= {shlex.quote(str(root))}"
        yield Finding(Level.NOTE, "folder", f"{root} can be read by other users of this machine", advice)
    folders = (root, *subfolders(root).values())
    refused = [folder for folder in folders if not os.access(folder, os.R_OK | os.W_OK | os.X_OK)]
    yield from (_fault(f"{folder} cannot be read and written", _ADVICE) for folder in refused)
    free = shutil.disk_usage(root).free
    if free < _MIN_FREE_BYTES:
        yield _fault(f"only {size_text(free)} are free", "make room: see ktrdr operations prune, and the folder backup")
    elif not refused:
        yield Finding(Level.OK, "folder", f"can be written, {size_text(free)} free")


def _fault(what: str, advice: str) -> Finding:
    return Finding(Level.FAULT, "folder", what, advice)


def check_leftovers(home: Home) -> Iterator[Finding]:
    """Find temporary files of killed writers; in a home that is in use they may belong to running ones."""
    drafts = [
        path for folder in (home.bars, home.tables, home.models, home.operations) for path in drafts_within(folder)
    ]
    uploads = sorted(home.uploads.iterdir()) if home.uploads.is_dir() else []
    if drafts:
        yield _leftover(home, drafts, "temporary files of writers that were killed")
    if uploads:
        yield _leftover(home, uploads, "uploads that never ended")


def check_cache(home: Home) -> Iterator[Finding]:
    """Find damaged entries of the cache of datasets; nothing is said of an empty one."""
    cache = FolderCache(home.datasets, 0)
    entries, damaged = cache.entries(), cache.damaged()
    if damaged:
        what = f"{counted(len(damaged), 'dataset')} in the cache damaged, such as {damaged[0].relative_to(home.root)}"
        advice = "a trial that needs one makes it again; or --repair moves them away"
        yield Finding(Level.NOTE, "cache", what, advice, lambda backup: backup.move(*damaged))
    elif entries:
        size = size_text(sum(entry.size_bytes for entry in entries))
        yield Finding(Level.OK, "cache", f"{counted(len(entries), 'dataset')}, {size}")


def _leftover(home: Home, paths: Sequence[Path], kind: str) -> Finding:
    size = size_text(sum(path.stat().st_size for path in paths if path.is_file()))
    what = f"{len(paths):,} {kind}, {size}, such as {paths[0].relative_to(home.root)}"
    advice = "they do no harm; --repair moves them away"
    return Finding(Level.NOTE, "leftovers", what, advice, lambda backup: backup.move(*paths))
