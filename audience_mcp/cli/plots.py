"""Sizes over time as a terminal can show them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from audience_mcp.catalog.models import HistoryPoint
from audience_mcp.core.dates import parse_datetime

LEVELS, PLAIN_LEVELS = "▁▂▃▄▅▆▇█", "_.-=*#"
"""From the smallest of the sizes that are shown to the biggest."""
ROWS = 10
"""Lines of a plot."""


def draw_line(points: Sequence[HistoryPoint], width: int, blocks: bool) -> str:
    """One line: each character is a span of time, as high as the size at its end."""
    levels = LEVELS if blocks else PLAIN_LEVELS
    sizes = _sample(points, width)
    low, high = min(sizes), max(sizes)
    if low == high:
        return levels[len(levels) // 2 - 1] * width
    return "".join(levels[_scale(size, low, high, len(levels))] for size in sizes)


def draw_plot(points: Sequence[HistoryPoint], width: int, blocks: bool) -> list[str]:
    """Lines with the sizes at the left and the first and the last day below.

    The lowest line is the smallest of these sizes, and not 0.
    """
    mark = "•" if blocks else "*"
    low, high = min(p.size for p in points), max(p.size for p in points)
    rows = ROWS if high > low else 1
    labels = [f"{high - (high - low) * row // max(1, rows - 1):,}" for row in range(rows)]
    margin = max(map(len, labels))
    columns = max(10, width - margin - 2)
    heights = [_scale(size, low, high, rows) for size in _sample(points, columns)]
    lines = []
    for row, label in enumerate(labels):
        marks = "".join(mark if height == rows - 1 - row else " " for height in heights)
        lines.append(f"{label.rjust(margin)}  {marks}".rstrip())
    first, last = points[0].as_of[:10], points[-1].as_of[:10]
    days = first if first == last else f"{first}{last.rjust(max(len(last) + 1, columns - len(first)))}"
    return [*lines, f"{' ' * margin}  {days}"]


def _scale(size: int, low: int, high: int, levels: int) -> int:
    """Which of so many levels is nearest to a size between two others."""
    return round((size - low) * (levels - 1) / max(1, high - low))


def _sample(points: Sequence[HistoryPoint], width: int) -> list[int]:
    """The size at `width` moments, evenly spread over the whole time: each size holds until the next."""
    moments = [_seconds(point.as_of) for point in points]
    first, whole = moments[0], moments[-1] - moments[0]
    sizes, place = [], 0
    for column in range(width):
        at = first + whole * (column + 1) / width
        while place + 1 < len(moments) and moments[place + 1] <= at + 1e-6:
            place += 1
        sizes.append(points[place].size)
    return sizes


def _seconds(moment: str) -> float:
    when = parse_datetime(moment)
    return when.timestamp() if isinstance(when, datetime) else 0.0
