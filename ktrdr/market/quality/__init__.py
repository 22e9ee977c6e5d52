"""How far stored bars can be trusted: what is missing, what is wrong, and what limits a strategy sets."""

from ktrdr.market.quality.check import check
from ktrdr.market.quality.limits import enforce

__all__ = ["check", "enforce"]
