"""What a decorator reads from a function, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import polars as pl
import pytest
from pydantic import Field

from ktrdr.payloads.plugins import PluginParameter
from ktrdr.plugins import feature, label, network
from ktrdr.plugins.declaration import declared_by


@label(classes=("a", "b", "c"), name="own_name")
def named(
    bars: pl.DataFrame,
    horizon: int,
    window: Annotated[int, Field(ge=2, lt=9, description="Bars.")] = 3,
    share: float = 1,
    way: Literal["up", "down"] = "up",
    is_on: bool = False,
) -> pl.Series:
    """One line.

    And more.
    """
    return bars["close"]


def test_a_signature_declares_parameters_with_types_bounds_and_defaults() -> None:
    declared = declared_by(named)

    assert declared is not None
    about = declared.declaration
    assert (about.kind, about.name, about.function, about.description) == ("label", "own_name", "named", "One line.")
    assert (about.classes, about.cuts) == (("a", "b", "c"), (0.5, 1.5))
    assert about.parameters == (
        PluginParameter(name="window", type="integer", default=3, ge=2, lt=9, description="Bars."),
        PluginParameter(name="share", type="number", default=1),
        PluginParameter(name="way", type="string", default="up", choices=("up", "down")),
        PluginParameter(name="is_on", type="boolean", default=False),
    )
    assert about.resolved({"window": 4}) == {"window": 4, "share": 1.0, "way": "up", "is_on": False}


def test_a_decorated_function_is_what_it_was_and_a_subclass_is_no_plugin() -> None:
    bars = pl.DataFrame({"close": [1.0]})

    @network()
    class net:
        def __init__(self, features: int, outputs: int, window: int) -> None: ...

    class Other(net): ...

    assert named(bars, 1).to_list() == [1.0]
    assert (declared_by(net) is None, declared_by(Other)) == (False, None)


@pytest.mark.parametrize(
    ("warmup", "bars"), [(3, 3), (lambda window: 2 * window, 40), (lambda: 7, 7), (lambda scale, window: window, 20)]
)
def test_a_warmup_is_a_number_or_a_function_of_parameters(warmup: Any, bars: int) -> None:
    @feature(warmup=warmup)
    def made(bars: pl.DataFrame, window: int = 20, scale: float = 1.0) -> pl.Series:
        return bars["close"]

    declared = declared_by(made)

    assert declared is not None
    assert declared.declaration.warmup == bars


def no_bars(window: int = 3) -> Any: ...
def no_default(bars: Any, window: int) -> Any: ...
def no_type(bars: Any, window=3) -> Any: ...  # type: ignore[no-untyped-def]
def of_a_list(bars: Any, windows: list[int] = []) -> Any: ...  # noqa: B006
def of_text(bars: Any, way: str = "up") -> Any: ...
def of_many(bars: Any, **windows: int) -> Any: ...
def below(bars: Any, window: Annotated[int, Field(ge=2)] = 1) -> Any: ...
def a_key(bars: Any, timeframe: int = 1) -> Any: ...
def Upper(bars: Any) -> Any: ...


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (no_bars, "its first parameters must be bars"),
        (no_default, "parameter 'window' must have a default"),
        (no_type, "parameter 'window' must have a type: int, float, bool, str or a Literal of texts"),
        (of_a_list, "parameter 'windows' must have a type"),
        (of_text, "parameter 'way' must be an int or a float, as all parameters of a feature are"),
        (of_many, "parameter 'windows' must be named by itself"),
        (below, "the default of 'window' must be at least 2; it is 1"),
        (a_key, "parameter 'timeframe', which is a key of a strategy"),
        (Upper, "at most 32 lower-case letters, digits and _; it is 'Upper'"),
    ],
)
def test_a_signature_that_no_strategy_could_use_is_refused(function: Callable[..., Any], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        feature(warmup=0)(function)


@pytest.mark.parametrize(
    ("classes", "cuts", "words"),
    [
        (("a",), (), "two or three classes"),
        (("a", "b", "c", "d"), (), "two or three classes"),
        (("a", "a"), (), "names each class once"),
        (("a", "b"), (0.0, 1.0), "one less than classes"),
        (("a", "b", "c"), (1.0, 0.0), "cuts rise"),
        ((), (0.0,), "one less than classes"),
    ],
)
def test_classes_and_their_borders_must_agree(classes: tuple[str, ...], cuts: tuple[float, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        label(classes=classes, cuts=cuts)(lambda bars, horizon: bars)


def test_a_warmup_must_be_a_number_of_bars() -> None:
    def gap(bars: Any) -> Any: ...

    with pytest.raises(TypeError, match="0 or more; it is -1"):
        feature(warmup=lambda: -1)(gap)
