from __future__ import annotations

import pytest

from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.strategy.loading import load_strategy
from ktrdr.strategy.unused_keys import unused_keys

TREES = "model: {type: gradient_boosting}\n"
NETWORK = "model: {type: mlp}\n"


def found(text: str) -> list[str]:
    return [key.path for key in unused_keys(load_strategy(f"name: s\n{text}", IndicatorCatalogue()))]


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        (TREES, []),
        (TREES + "training: {epochs: 5, learning_rate: 0.1, class_weights: balanced, seed: 3}", []),
        (
            TREES + "training: {optimizer: sgd, batch_size: 1, weight_decay: 0.1, gradient_clip: 1, device: cpu}",
            [f"training.{key}" for key in ("batch_size", "optimizer", "weight_decay", "gradient_clip", "device")],
        ),
        (TREES + "training: {batch_size: 32}", ["training.batch_size"]),  # its default, and no less without effect
        (NETWORK + "training: {optimizer: sgd, batch_size: 1, gradient_clip: 1}", []),
        (NETWORK + "labels: {type: forward_return}\ntraining: {class_weights: balanced}", ["training.class_weights"]),
        (NETWORK + "training: {sample_weights: uniqueness}", ["training.sample_weights"]),
        (NETWORK + "labels: {horizon: 2}\ntraining: {sample_weights: uniqueness}", []),
        (
            NETWORK + "validation: {type: walk_forward}\ntraining: {validation_split: 0.3}",
            ["training.validation_split"],
        ),
        (NETWORK + "training: {validation_split: 0.3}", []),
        (
            NETWORK + "positions: {threshold: 0.6, kelly_cap: 2, volatility_span: 5, barrier_fill: touch}",
            [f"positions.{key}" for key in ("threshold", "kelly_cap", "volatility_span", "barrier_fill")],
        ),
        (
            NETWORK
            + "positions: {direction: long}\ncosts: {borrow_bps_per_day: 1, financing_bps_per_day: 1, capital: 9}",
            ["costs.borrow_bps_per_day", "costs.capital", "costs.financing_bps_per_day"],
        ),
        (
            NETWORK + "positions: {kelly: 1, max_symbol: 2, max_gross: 2}",
            ["positions.max_symbol", "positions.max_gross"],
        ),
        (NETWORK + "positions: {volatility_target: 0.1, max_symbol: 2, max_gross: 1}", []),
        (
            NETWORK + "labels: {type: triple_barrier}\npositions: {hold: barrier, band: 0.1}",
            ["positions.band"],
        ),
        (
            NETWORK + "labels: {type: forward_return}\npositions: {kelly: 0.5, kelly_cap: 2, volatility_span: 5}\n"
            "costs: {borrow_bps_per_day: 1}",
            [],
        ),
    ],
)
def test_keys_that_do_nothing_are_found_and_no_others(text: str, paths: list[str]) -> None:
    assert found(text) == paths
