"""The program `python -m ktrdr.backup`, which `ktrdr home backup` becomes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from ktrdr.backup.copying import CHECKSUMS, BackupReport, back_up
from ktrdr.errors import InputError, KtrdrError
from ktrdr.formatting import counted, size_text
from ktrdr.home import Home, keep_files_private
from ktrdr.launch import Backup
from ktrdr.settings import read_settings
from ktrdr.terminal import escaped, json_text, write_error

_ELSEWHERE = "note: the registry is the database that KTRDR_DATABASE_URL names: back it up before this, with pg_dump"


def main(arguments: Sequence[str] | None = None) -> int:
    """Back up a home; the exit code is 0 when it is done, 2 for wrong use, and 1 when it failed."""
    chosen = Backup.parse(arguments)
    try:
        return run(chosen)
    except KtrdrError as error:
        write_error(error, as_json=chosen.json)
        return 2 if isinstance(error, InputError) else 1


def run(chosen: Backup) -> int:
    if chosen.to is None:
        raise InputError("no folder is named", hint="ktrdr home backup DIR")
    keep_files_private()
    settings = read_settings(**({"ktrdr_home": chosen.home} if chosen.home else {}))
    registry_elsewhere = bool(settings.ktrdr_database_url) and not chosen.home
    report = back_up(Home(settings.ktrdr_home), chosen.to.absolute(), registry_elsewhere=registry_elsewhere)
    if registry_elsewhere:
        sys.stderr.write(f"{_ELSEWHERE}\n")
    if chosen.json:
        sys.stdout.write(json_text(asdict(report), indent=2) + "\n")
    else:
        sys.stdout.write("".join(f"{escaped(line)}\n" for line in _lines(report)))
    return 0


def _lines(report: BackupReport) -> Iterator[str]:
    yield f"Backed up {counted(report.operations, 'operation')} to {report.target}"
    yield f"{counted(report.files, 'file')}, {size_text(report.size_bytes)}, with their checksums in {CHECKSUMS}"
    if report.unfinished:
        yield f"Not ended yet, so settled by the first server on the backup: {', '.join(report.unfinished)}"
    yield f"Serve it with: KTRDR_HOME={report.target} ktrdr serve"


if __name__ == "__main__":
    sys.exit(main())
