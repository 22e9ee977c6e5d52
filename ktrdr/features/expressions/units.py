"""Units: how values change when all prices double, or all volumes do.

A price doubles, its logarithm grows by ln 2, a ratio of two prices stays. That is all that a model needs to know of a
unit: what stays means the same for a share at 20 and at 200.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

_DIGITS = 9  # of a power, so that three cube roots of a price make one price


@dataclass(frozen=True, slots=True)
class Unit:
    """When prices double, values become `2 ** price * value + log_price * ln 2`; likewise when volumes double."""

    price: float = 0.0
    volume: float = 0.0
    log_price: float = 0.0
    log_volume: float = 0.0

    @property
    def is_none(self) -> bool:
        return self == NO_UNIT

    @property
    def is_logarithm(self) -> bool:
        return bool(self.log_price or self.log_volume)

    @property
    def shiftless(self) -> Unit:
        """Of a difference: logarithms have lost their units."""
        return replace(self, log_price=0.0, log_volume=0.0)

    def times(self, other: Unit) -> Unit:
        """Of a product. Neither is a logarithm of something with a unit."""
        return Unit(_rounded(self.price + other.price), _rounded(self.volume + other.volume))

    def power(self, exponent: float) -> Unit:
        return Unit(_rounded(self.price * exponent), _rounded(self.volume * exponent))

    def scaled(self, factor: float) -> Unit:
        """Of a number times a value: the logarithm of a price becomes that of its power."""
        return replace(self, log_price=_rounded(self.log_price * factor), log_volume=_rounded(self.log_volume * factor))

    def plus(self, other: Unit) -> Unit:
        """Of a sum of two values that differ at most in their logarithms."""
        return replace(
            self,
            log_price=_rounded(self.log_price + other.log_price),
            log_volume=_rounded(self.log_volume + other.log_volume),
        )

    def logarithm(self) -> Unit:
        return Unit(log_price=self.price, log_volume=self.volume)

    def exponential(self) -> Unit:
        return Unit(price=self.log_price, volume=self.log_volume)

    def __str__(self) -> str:
        if self.is_none:
            return "a number without a unit"
        if self.is_logarithm:
            return f"the logarithm of {_product(self.log_price, self.log_volume)}"
        return _product(self.price, self.volume)


NO_UNIT = Unit()
PRICE = Unit(price=1.0)
VOLUME = Unit(volume=1.0)


def _product(price: float, volume: float) -> str:
    """`a price`, `a volume`, `price ** -1 * volume`."""
    powers = {name: power for name, power in (("price", price), ("volume", volume)) if power}
    if list(powers.values()) == [1.0]:
        return f"a {next(iter(powers))}"
    return " * ".join(name if power == 1 else f"{name} ** {power:g}" for name, power in powers.items())


def _rounded(power: float) -> float:
    return round(power, _DIGITS) + 0.0  # no negative zero
