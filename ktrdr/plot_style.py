"""How every picture is drawn: colours, figures and axes. matplotlib is imported when the first one is."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from ktrdr.errors import StorageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, which colour-blind readers can tell apart too.
BLUE, ORANGE, VERMILION, GREEN, PURPLE = "#0072B2", "#E69F00", "#D55E00", "#009E73", "#9A5B8A"
# Of what is written, and of what only helps the eye.
INK, GREY, RULE, GRID = "#1A1A1A", "#6B6B6B", "#BBBBBB", "#E6E6E6"


def new_figure(height: float, width: float = 12) -> Figure:
    """An empty figure; sizes are in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def style_axes(axes: Axes) -> None:
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=GREY, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(RULE)


def literal(text: str) -> str:
    # matplotlib reads what stands between two dollar signs as mathematics.
    return text.replace("$", r"\$")


def png(figure: Figure) -> bytes:
    """Draw it as a PNG. Raises StorageError when a font cannot be read, which happens while it is drawn."""
    buffer = io.BytesIO()
    try:
        figure.savefig(buffer, format="png", pil_kwargs={"compress_level": 4})
    except RuntimeError as error:  # FreeType's
        raise StorageError(
            f"a plot cannot be drawn, as its fonts cannot be read: {error}", hint="check the disk, then resume"
        ) from error
    return buffer.getvalue()
