"""The decorators of plugins, which declare a function and change nothing about it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ktrdr.payloads.plugins import PluginDeclaration, PluginKind, Unit
from ktrdr.plugins.signature import parameters_of

Function = TypeVar("Function", bound=Callable[..., Any])

Warmup = int | Callable[..., int]
"""Leading bars without a value: a number, or a function of some of the parameters, by their names."""

_MARK = "__ktrdr_plugin__"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_RESERVED = frozenset(
    {"name", "as", "source", "sources", "timeframe", "symbol", "expr", "table", "column", "include", "plugin", "sha256"}
    | {"type", "horizon", "classes", "sequence_length", "parameters"}
)
_MOST_CLASSES = 3


@dataclass(frozen=True, slots=True)
class Declared:
    """What a decorator notes at its function.

    declaration: what a strategy, and anybody else who runs no code, may know of it
    warmup: as it was declared; 0 for labels and networks
    """

    declaration: PluginDeclaration
    warmup: Warmup = 0

    def warmup_at(self, parameters: dict[str, Any]) -> int:
        """Leading bars without a value at these parameters. Raises TypeError where that is no such number."""
        if not callable(self.warmup):
            return self.warmup
        names = inspect.signature(self.warmup).parameters
        bars = self.warmup(**{name: value for name, value in parameters.items() if name in names})
        if type(bars) is not int or bars < 0:
            raise TypeError(f"warmup must be a number of bars, 0 or more; it is {bars!r}")
        return bars


def feature(
    *, warmup: Warmup, outputs: Sequence[str] = (), unit: Unit = "none", name: str = ""
) -> Callable[[Function], Function]:
    """Declare a feature: a function `(bars, **parameters)` that returns a pl.Series with a value for every bar.

    `bars` is a pl.DataFrame with timestamp, open, high, low, close and volume. Only the first `warmup` values may be
    null or NaN. With `outputs` it returns a pl.DataFrame with these columns. `unit` says what the values are measured
    in: those of "price" enter a model as value / close - 1, of "price difference" as value / close, of "price squared"
    as value / close ** 2, and of "none" as they are. A strategy names it as it names an indicator.
    """

    def declare(function: Function) -> Function:
        about = _about("feature", function, ("bars",), name, outputs=tuple(outputs), unit=unit)
        defaults = {each.name: each.default for each in about.parameters}
        at_defaults = Declared(about, warmup).warmup_at(defaults)
        return _marked(function, Declared(about.model_copy(update={"warmup": at_defaults}), warmup))

    return declare


def label(*, classes: Sequence[str] = (), cuts: Sequence[float] = (), name: str = "") -> Callable[[Function], Function]:
    """Declare a label: a function `(bars, horizon, **parameters)` that returns a pl.Series, a measure for each bar.

    A measure may depend on at most `horizon` bars after its own; those of the last `horizon` bars are not used, and
    null or NaN means that a bar has no label. With two or three `classes`, in rising order of the measure, `cuts` are
    the borders between them; by default the measure is the number of the class, counted from 0. Without classes the
    measure is the target of a regression.
    """
    borders = tuple(cuts) or tuple(number + 0.5 for number in range(len(classes) - 1))

    def declare(function: Function) -> Function:
        _check_classes(classes, borders)
        about = _about("label", function, ("bars", "horizon"), name, classes=tuple(classes), cuts=borders)
        return _marked(function, Declared(about))

    return declare


def network(*, name: str = "") -> Callable[[Function], Function]:
    """Declare a network: a class or function `(features, outputs, window, **parameters)` that makes a torch.nn.Module.

    The module maps windows [batch, window, features] to outputs [batch, outputs]: the logits of the classes, or the one
    target of a regression.
    """

    def declare(function: Function) -> Function:
        return _marked(function, Declared(_about("network", function, ("features", "outputs", "window"), name)))

    return declare


def declared_by(value: object) -> Declared | None:
    """What a decorator noted at a function or class itself, and not at one that it inherits from."""
    mark = getattr(value, "__dict__", {}).get(_MARK)
    return mark if isinstance(mark, Declared) else None


def _marked(function: Function, declared: Declared) -> Function:
    setattr(function, _MARK, declared)
    return function


def _about(
    kind: PluginKind, function: Callable[..., Any], inputs: tuple[str, ...], name: str, **more: Any
) -> PluginDeclaration:
    own = name or function.__name__
    if not _NAME.fullmatch(own):
        raise ValueError(f"a plugin's name has at most 32 lower-case letters, digits and _; it is {own!r}")
    parameters = parameters_of(function, inputs, only_numbers=kind == "feature")
    if taken := sorted(_RESERVED & {each.name for each in parameters}):
        raise ValueError(f"{own} has the parameter {taken[0]!r}, which is a key of a strategy; name it otherwise")
    return PluginDeclaration(
        kind=kind,
        name=own,
        function=function.__name__,
        line=_first_line(function),
        description=(inspect.getdoc(function) or "").partition("\n")[0],
        parameters=parameters,
        **more,
    )


def _first_line(function: Callable[..., Any]) -> int:
    """Of a class that of its constructor."""
    written = function.__init__ if inspect.isclass(function) else inspect.unwrap(function)
    return getattr(getattr(written, "__code__", None), "co_firstlineno", 1)


def _check_classes(classes: Sequence[str], borders: Sequence[float]) -> None:
    if classes and not 2 <= len(classes) <= _MOST_CLASSES:
        raise ValueError(f"a label has two or three classes, or none; these are {len(classes)}")
    if len(set(classes)) != len(classes):
        raise ValueError("a label names each class once")
    if len(borders) != max(0, len(classes) - 1) or list(borders) != sorted(set(borders)):
        raise ValueError(f"cuts rise, and there is one less than classes; they are {list(borders)}")
