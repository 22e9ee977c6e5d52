"""A lead beside all tries at the same rows, in words."""

from __future__ import annotations

from ktrdr.formatting import count, counted, p_equals, points, score
from ktrdr.payloads.selection import SelectionVerdict


def describe_selection(selection: SelectionVerdict, *, is_regression: bool) -> str:
    """What a lead is worth beside all tries; a sentence on a model that was named before."""
    over_all, alone = (f"{p_equals(value)}" for value in (selection.p_value, selection.single_p_value))
    figure, unit = (score, "training variances") if is_regression else (points, "points")
    if selection.lead <= 0:
        return f"It is not ahead of the {selection.over} baseline; {_tried(selection)}."
    lead = f"It is ahead of the {selection.over} baseline by {figure(selection.lead)} {unit}"
    if selection.tries == 1:
        return f"{lead}: {over_all}. Nothing else was tried on these rows."
    luckiest = (
        f"{_tried(selection)}, and the luckiest of {count(selection.tries)} that know nothing would be ahead by up to "
        f"{figure(selection.luckiest.upper)}"
    )
    if selection.beats_baselines:
        return f"{lead} (single-run {alone}); {luckiest}: {over_all} over all tries."
    doubt = f"{_tried(selection)}, and its timing may be luck"
    why = luckiest if selection.lead <= selection.luckiest.upper else doubt
    return f"{lead} (single-run {alone}); but {why}: {over_all} over all tries."


def _tried(selection: SelectionVerdict) -> str:
    """`43 models were evaluated on these rows`, `1 model was evaluated …`"""
    models = f"{counted(selection.tries, 'model')} {'was' if selection.tries == 1 else 'were'}"
    if not selection.without_series:
        return f"{models} evaluated on these rows"
    return f"{models} tried on these rows, {count(selection.without_series)} of them without a result"
