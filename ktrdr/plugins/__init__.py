"""Features, labels and networks of one's own: the decorators for files that the setting KTRDR_PLUGINS names.

A parameter of a plugin is a parameter of its function, with a type and a default. `pydantic.Field` gives it bounds:

    @feature(warmup=lambda window: window)
    def gap(bars: pl.DataFrame, window: Annotated[int, Field(ge=2, le=500)] = 20) -> pl.Series: ...
"""

from ktrdr.plugins.declaration import feature, label, network

__all__ = ["feature", "label", "network"]
