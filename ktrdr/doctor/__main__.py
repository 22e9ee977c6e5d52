"""The program `python -m ktrdr.doctor`, which `ktrdr doctor` becomes."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ktrdr.doctor.examination import examine, repair
from ktrdr.doctor.report import as_json, as_text, note_on_repair
from ktrdr.errors import InputError, KtrdrError
from ktrdr.home import Home, keep_files_private
from ktrdr.launch import Doctor
from ktrdr.settings import read_settings
from ktrdr.terminal import write_error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the doctor; the exit code is 0 for healthy or repaired, 1 for faults, 2 for wrong use."""
    chosen = Doctor.parse(arguments)
    try:
        return run(chosen)
    except KtrdrError as error:
        write_error(error, as_json=chosen.json)
        return 2


def run(chosen: Doctor) -> int:
    keep_files_private()
    settings = read_settings(**({"ktrdr_home": chosen.home} if chosen.home else {}))
    home = Home(settings.ktrdr_home)
    if not home.root.is_dir():
        hint = "name one with --home, or see KTRDR_HOME with: ktrdr config show"
        raise InputError(f"there is no folder {home.root}", hint=hint)
    registry_url = "" if chosen.home else settings.ktrdr_database_url
    examination = examine(home, registry_url=registry_url)
    if chosen.repair and not examination.is_in_use:
        examination = repair(examination, registry_url=registry_url)
    note = note_on_repair(examination, wants_repair=chosen.repair)
    sys.stdout.write((as_json if chosen.json else as_text)(examination, note) + "\n")
    return 1 if examination.faults else 0


if __name__ == "__main__":
    sys.exit(main())
