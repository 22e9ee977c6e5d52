"""Rich's console for text from outside: whatever it prints, control characters of the text arrive escaped."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from ktrdr.terminal import escaped_lines


class EscapingConsole(Console):
    """Adds the control sequences of its own styles and movements, and lets no others through."""

    def __init__(self, file: TextIO | None = None) -> None:
        super().__init__(file=file or sys.stderr, markup=False, highlight=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Escapes before the layout, so that columns are as wide as what they show."""
        return super().render_str(escaped_lines(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Escapes what was no plain text before, such as a ready `Text`."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=escaped_lines(segment.text))
