"""The lead by year and by symbol as the rows of a table, so few that they can be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ktrdr.formatting import NOTHING, count, percentage

if TYPE_CHECKING:
    from ktrdr.payloads.evaluation import Breakdown, GroupLead, Lead

# Of more groups, those at both ends are shown, half of this number each.
MAX_GROUPS = 10


def breakdown_rows(breakdown: Breakdown, lead_cells: Callable[[Lead], list[str]]) -> list[list[str]]:
    """Cells of a header and of each group, years before symbols; nothing where there is but one of both.

    `lead_cells` formats a lead and its p-value.
    """
    several = [groups for groups in (breakdown.by_year, breakdown.by_symbol) if len(groups) > 1]
    rows = [row for groups in several for row in _rows(groups, lead_cells)]
    return [["", "samples", "accuracy", f"lead over {breakdown.rival}", "p"], *rows] if rows else []


def _rows(groups: Sequence[GroupLead], lead_cells: Callable[[Lead], list[str]]) -> list[list[str]]:
    rows = [
        [group.group, count(group.samples), percentage(group.accuracy), *lead_cells(group.lead)] for group in groups
    ]
    if len(rows) <= MAX_GROUPS:
        return rows
    order = sorted(range(len(rows)), key=lambda place: groups[place].lead.lead)
    lowest, highest = order[: MAX_GROUPS // 2], order[-MAX_GROUPS // 2 :]
    between = [f"({len(rows) - MAX_GROUPS} between)", *[NOTHING] * 4]
    return [*(rows[place] for place in lowest), between, *(rows[place] for place in highest)]
