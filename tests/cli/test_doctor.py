from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Run


def test_doctor_becomes_the_program_that_examines(ktrdr: Run, commands: list[list[str]]) -> None:
    assert ktrdr("doctor").code == 0
    assert ktrdr("doctor", "--home", "there", "--repair", "--json").code == 0

    program = [sys.executable, "-P", "-m", "ktrdr.doctor"]
    assert commands == [program, [*program, "--home", "there", "--repair", "--json"]]
