from __future__ import annotations

import pytest

from ktrdr.formatting import duration, gain, p_equals, p_value, percentage, points, score, size_text, with_error


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (36_864, "36.9 kB"), (13e6, "13.0 MB"), (2.5e12, "2500.0 GB")],
)
def test_sizes_are_in_powers_of_a_thousand(size_bytes: float, text: str) -> None:
    assert size_text(size_bytes) == text


def test_a_figure_that_is_not_there_is_a_dash() -> None:
    assert (percentage(None), gain(None), score(None), with_error(0.5, None)) == ("-", "-", "-", "-")


def test_every_kind_of_figure_has_its_digits() -> None:
    assert (percentage(0.5321), points(0.0642), score(1234.56789)) == ("53.2%", "6.4", "1,234.5679")
    assert (gain(-0.1234), gain(12.5), gain(12345.6)) == ("-12.3%", "+1,250.0%", "+1.23e+04×")
    assert with_error(-0.5, 0.926) == "-0.50 ± 0.93"


@pytest.mark.parametrize(("value", "text"), [(0.342, "0.34"), (0.0042, "0.004"), (0.00042, "less than 0.001")])
def test_a_probability_by_chance_is_never_zero(value: float, text: str) -> None:
    assert p_value(value) == text


def test_a_p_value_has_its_sign_of_relation() -> None:
    assert (p_equals(0.034), p_equals(0.0001)) == ("p = 0.03", "p < 0.001")


@pytest.mark.parametrize(("seconds", "text"), [(4.21, "4.2 s"), (187, "3:07"), (7387, "2:03:07")])
def test_a_duration_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text
