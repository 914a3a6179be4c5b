"""What all made-up rows are drawn with: fixed seeds, a fixed range of dates, a lifelike spread of sizes."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from random import Random

Row = dict[str, object]

START = datetime(2024, 1, 8, 8, 0, tzinfo=timezone.utc)
END = datetime(2026, 11, 16, 18, 0, tzinfo=timezone.utc)


def seed_random(seed: int) -> Random:
    """The same numbers in every process."""
    return Random(seed)  # noqa: S311 - nothing made up here is a secret


def size(draw: Random, largest: int) -> int:
    """Most audiences are small and a few are large: the logarithm is spread evenly."""
    return int(largest ** draw.uniform(0.2, 1.0))


def moment(draw: Random, start: datetime, end: datetime) -> datetime:
    """A whole second from `start` to before `end`."""
    return start + timedelta(seconds=draw.randrange(int((end - start).total_seconds())))


def iso(when: datetime, fraction: str = "") -> str:
    """RFC 3339 in UTC."""
    return f"{when:%Y-%m-%dT%H:%M:%S}{fraction}Z"
