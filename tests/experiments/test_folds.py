"""Whether the folds of one training, taken together, are ahead beyond chance."""

from __future__ import annotations

import pytest

from ktrdr.experiments.folds import measure_lead, verdict


@pytest.mark.parametrize(
    ("leads", "ahead", "beats", "words"),
    [
        ([0.05, 0.06, 0.055, 0.045], 4, True, "more than chance explains"),
        ([0.05, -0.04, 0.06, -0.03], 2, False, "no more than chance explains"),
        ([-0.05, -0.06, -0.055], 0, False, "no more than chance explains"),
        ([0.02, 0.02, 0.02], 3, True, "more than chance explains"),
        ([0.0, 0.0], 0, False, "no more than chance explains"),
    ],
)
def test_a_lead_counts_when_the_folds_agree(leads: list[float], ahead: int, beats: bool, words: str) -> None:
    found = measure_lead(leads)

    assert (found.folds_ahead, found.beats_baselines) == (ahead, beats)
    assert f": {words}" in verdict(len(leads), found)


def test_a_mean_below_zero_is_behind() -> None:
    assert ", behind by 4.0 ± 2.0 percentage points on average:" in verdict(2, measure_lead([-0.06, -0.02]))
    assert ", ahead by 4.0 ± 2.0 percentage points on average:" in verdict(2, measure_lead([0.06, 0.02]))
