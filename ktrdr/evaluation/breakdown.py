"""Where a model's lead comes from: the same test for each symbol and for each year."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ktrdr.evaluation.scored_rows import ScoredRows
from ktrdr.evaluation.significance import lead_over
from ktrdr.payloads.evaluation import Breakdown, GroupLead, Significance

if TYPE_CHECKING:
    from numpy.typing import NDArray


def breakdown(rows: ScoredRows, significance: Significance, symbols: Sequence[str]) -> Breakdown:
    """The lead over the naive baseline that is hardest to beat; `symbols` are the names behind `rows.symbols`."""
    rival = max(rows.rivals.naive, key=lambda name: significance.against[name].p_value)
    years = rows.timestamps.astype("datetime64[Y]").astype(np.int64) + 1970
    by_symbol = {symbols[number]: rows.symbols == number for number in np.unique(rows.symbols)}
    by_year = {str(year): years == year for year in np.unique(years)}
    return Breakdown(
        rival=rival,
        by_symbol=tuple(_group(rows, rival, name, own) for name, own in by_symbol.items()),
        by_year=tuple(_group(rows, rival, name, own) for name, own in by_year.items()),
    )


def _group(rows: ScoredRows, rival: str, name: str, own: NDArray[np.bool_]) -> GroupLead:
    part = rows.only(own)
    lead = lead_over(part.quality, part.rivals.naive[rival], part.sampling)
    return GroupLead(group=name, samples=len(part.hits), accuracy=float(part.hits.mean()), lead=lead)


def describe_breakdown(leads: Breakdown, lead_in_words: Callable[[float], str], unit: str) -> Iterator[str]:
    """A sentence on the years and one on the symbols, where there are several that differ."""
    for noun, groups in (("year", leads.by_year), ("symbol", leads.by_symbol)):
        if len({group.lead.lead for group in groups}) > 1:
            sizes = f"{_range(groups, lead_in_words)} {unit}"
            yield f"By {noun} its lead over {leads.rival} is {sizes}, {_count_ahead(groups)}."


def _range(groups: Sequence[GroupLead], lead_in_words: Callable[[float], str]) -> str:
    lowest, *_, highest = sorted(groups, key=lambda group: group.lead.lead)
    return " to ".join(f"{lead_in_words(group.lead.lead)} ({group.group})" for group in (lowest, highest))


def _count_ahead(groups: Sequence[GroupLead]) -> str:
    return f"above zero in {sum(group.lead.lead > 0 for group in groups)} of {len(groups)}"
