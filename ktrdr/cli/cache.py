"""`ktrdr cache`: what the cache of datasets in the home holds, and clear."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ktrdr.cli.options import AsJson
from ktrdr.cli.output import brief_time, print_json, print_line, print_table
from ktrdr.errors import StorageError
from ktrdr.formatting import counted, size_text

if TYPE_CHECKING:
    from ktrdr.cache import FolderCache

_DIGITS = 12
app = typer.Typer(help="Datasets that the trials of searches share; any of them can be made again.")


@app.callback(invoke_without_command=True)
def cache(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show the datasets that the trials of searches share, the one used last first.

    Each is made once for bars, strategy and version of ktrdr, and made again
    when it is needed and gone. KTRDR_CACHE_LIMIT says how much they may take.

    Example:
      ktrdr cache clear
    """
    if ctx.invoked_subcommand is None:
        _show(_cache(), as_json=as_json)


@app.command()
def clear(as_json: AsJson = False) -> None:
    """Remove all datasets from the cache, also while trials run on them."""
    folders = _cache()
    entries = folders.entries()
    size = sum(entry.size_bytes for entry in entries)
    try:
        folders.clear()
    except OSError as error:
        raise StorageError(f"{folders.root} cannot be cleared: {error}", hint="fix its permissions") from error
    if as_json:
        print_json({"removed": len(entries), "size_bytes": size})
    else:
        print_line(f"Removed {counted(len(entries), 'dataset')}, {size_text(size)}.")


def _show(folders: FolderCache, *, as_json: bool) -> None:
    entries, limit = folders.entries(), folders.limit_bytes
    size = sum(entry.size_bytes for entry in entries)
    if as_json:
        datasets = [
            {
                "dataset": entry.folder.name,
                "about": entry.about,
                "size_bytes": entry.size_bytes,
                "used_at": entry.used_at.isoformat(timespec="seconds"),
            }
            for entry in entries
        ]
        print_json({"size_bytes": size, "limit_bytes": limit, "datasets": datasets})
        return
    if entries:
        rows = [
            (entry.folder.name[:_DIGITS], entry.about, size_text(entry.size_bytes), brief_time(entry.used_at))
            for entry in entries
        ]
        print_table(("dataset", "of", ">size", "used"), rows)
    print_line(f"{counted(len(entries), 'dataset')}, {size_text(size)} of at most {size_text(limit)}.")


def _cache() -> FolderCache:
    from ktrdr.cache import FolderCache
    from ktrdr.home import Home
    from ktrdr.settings import read_settings

    settings = read_settings()
    return FolderCache(Home(settings.ktrdr_home).datasets, settings.ktrdr_cache_limit)
