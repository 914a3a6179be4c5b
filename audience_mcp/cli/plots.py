"""Sizes over time, drawn with characters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from audience_mcp.catalog.models import HistoryPoint
from audience_mcp.core.dates import parse_datetime
from audience_mcp.core.points import DAY, TICK

LEVELS, PLAIN_LEVELS = "▁▂▃▄▅▆▇█", "_.-=*#"
"""Marks from the smallest to the biggest of the sizes shown."""
SEAM, PLAIN_SEAM = "┊", "|"
"""Stands in a line where the vendor's own record ends and our sizes begin."""
VENDORS, PLAIN_VENDORS = "◦", "o"
"""Marks in a plot of sizes that the vendor itself remembers."""
ROWS = 10
"""Lines in a plot."""
_DAY_CHARS = len("2026-11-01")


def draw_line(points: Sequence[HistoryPoint], width: int, blocks: bool) -> str:
    """Draw one line. Each character is a span of time, as high as the size at its end.

    What the vendor itself remembers stands to the left of a mark.
    """
    levels, seam = (LEVELS, SEAM) if blocks else (PLAIN_LEVELS, PLAIN_SEAM)
    shown = _sample(points, width)
    low, high = min(point.size for point in shown), max(point.size for point in shown)
    heights = [
        _scale(point.size, low, high, len(levels)) if low < high else len(levels) // 2 - 1 for point in shown
    ]
    marks = [levels[height] for height in heights]
    ends = sum(point.from_ is not None for point in shown)
    if ends:
        marks[ends - 1] = seam
    return "".join(marks)


def explain_marks(points: Iterable[HistoryPoint], blocks: bool, *, in_line: bool = False) -> str | None:
    """What the marks of vendors' own sizes mean; None where there are none."""
    if all(point.from_ is None for point in points):
        return None
    if in_line:
        return f"What is left of {SEAM if blocks else PLAIN_SEAM} is the vendor's own record."
    return f"{VENDORS if blocks else PLAIN_VENDORS} is the vendor's own record."


def draw_plot(points: Sequence[HistoryPoint], width: int, blocks: bool) -> list[str]:
    """Draw lines with sizes at the left, and the first and last day below.

    The lowest line is the smallest of these sizes, and not 0.
    """
    mark, vendors = ("•", VENDORS) if blocks else ("*", PLAIN_VENDORS)
    low, high = min(p.size for p in points), max(p.size for p in points)
    rows = ROWS if high > low else 1
    labels = [f"{high - (high - low) * row // max(1, rows - 1):,}" for row in range(rows)]
    margin = max(map(len, labels))
    columns = max(10, width - margin - 2)
    shown = _sample(points, columns)
    heights = [_scale(point.size, low, high, rows) for point in shown]
    marked = [mark if point.from_ is None else vendors for point in shown]
    lines = []
    for row, label in enumerate(labels):
        marks = "".join(
            mark if height == rows - 1 - row else " " for mark, height in zip(marked, heights, strict=True)
        )
        lines.append(f"{label.rjust(margin)}  {marks}".rstrip())
    first, last = points[0].as_of[:10], points[-1].as_of[:10]
    days = first if first == last else f"{first}{last.rjust(max(len(last) + 1, columns - len(first)))}"
    return [*lines, f"{' ' * margin}  {days}"]


def _scale(size: int, low: int, high: int, levels: int) -> int:
    """Return the level, from 0 to `levels` - 1, nearest to a size between `low` and `high`."""
    return round((size - low) * (levels - 1) / max(1, high - low))


def _sample(points: Sequence[HistoryPoint], width: int) -> list[HistoryPoint]:
    """Return the points at `width` evenly spaced moments; each size holds until the next."""
    moments = [_seconds(point.as_of) for point in points]
    first, whole = moments[0], moments[-1] - moments[0]
    shown, place = [], 0
    for column in range(width):
        at = first + whole * (column + 1) / width
        while place + 1 < len(moments) and moments[place + 1] <= at + 1e-6:
            place += 1
        shown.append(points[place])
    return shown


def _seconds(moment: str) -> float:
    when = parse_datetime(moment)
    if isinstance(when, datetime) and len(moment) == _DAY_CHARS:
        when += DAY - TICK  # a day stands for its end
    return when.timestamp() if isinstance(when, datetime) else 0.0
