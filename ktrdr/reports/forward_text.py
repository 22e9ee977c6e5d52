"""The sequential test of predictions that were made before their outcomes, in words."""

from __future__ import annotations

from collections.abc import Iterator

from ktrdr.formatting import counted, percentage, signed_points, signed_score
from ktrdr.payloads.forward import ForwardGain, ForwardTest


def forward_lines(test: ForwardTest) -> Iterator[str]:
    """What may be said of the model now, and the evidence against each rival."""
    if test.hardest is None:
        yield f"No outcome is known yet of {counted(test.predictions, 'prediction')} made in time."
        return
    if test.claimed_at:
        yield (
            f"The model is ahead of its baselines: the evidence reached {test.enough:g} at "
            f"{test.claimed_at:%Y-%m-%d %H:%M} UTC, which at most 5% of models that know nothing ever reach."
        )
    else:
        yield f"The evidence is not enough yet: {test.highest:.2g} of {test.enough:g}."
    right = f"{percentage(test.accuracy)} of {counted(test.settled, 'settled prediction')} were right"
    waiting = test.predictions - test.settled
    yield f"{right}; {waiting:,} {'waits' if waiting == 1 else 'wait'} for an outcome."
    for name, gain in test.against.items():
        rival = f"against {name.replace('_', ' ')}: {_lead(gain, test)}"
        yield f"  {rival}; evidence {gain.e_value:.3g}, {gain.highest:.3g} at its highest"


def _lead(gain: ForwardGain, test: ForwardTest) -> str:
    return signed_score(gain.lead) if test.is_regression else f"{signed_points(gain.lead)} points"
