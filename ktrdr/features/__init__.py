"""Features, labels and samples; called, as `ktrdr.features(strategy, "AAPL")`, it gives a table of features."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    """The room and the function share a name, so the room answers for both."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from ktrdr.features.frame import features

        return features(*arguments, **options)


sys.modules[__name__].__class__ = _Room
