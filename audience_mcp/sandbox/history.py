"""How big the made-up audiences were before: eight weeks, the same in every process for the same day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from zlib import crc32

WEEKS = 8
DAYS: Sequence[int] = (*range(1, 14), *range(14, 7 * WEEKS + 1, 7))
"""How many days ago something was read: daily for two weeks, weekly before."""
GONE: Mapping[str, Sequence[tuple[str, str, int, int]]] = {
    "commbox": (("31099", "Summer raffle 2026", 4_310, 5), ("31101", "Import test 3", 12, 30)),
    "batch": (("back_to_school_2026", "Back to school 2026", 61_400, 3),),
    "smallest": (("68e00000c0ffee0000000001", "Warranty calls September", 2_840, 9),),
    "whop": (("adaud_gone0summer26", "Summer pass holders", 8_120, 4),),
}
"""Audiences that were deleted: id, name, last size, and how many days ago they were last there."""

_STILL = 0.55
"""So many of them are lists that nobody changes."""
_HIGHEST = 2**53


def size_before(id: str, size: int, days: int) -> int:
    """The size of an audience so many days ago, that has this size now."""
    draw = Random(crc32(id.encode()))  # noqa: S311 (made up, and the same every time)
    if draw.random() < _STILL or size < 20:
        return size
    weekly: float = draw.choice((-0.08, -0.03, -0.01, 0.01, 0.02, 0.03, 0.05, 0.12, 0.3))
    before = size * float((1 + weekly) ** (-days / 7))
    wiggle = Random(crc32(f"{id} {days}".encode())).uniform(-0.004, 0.004)  # noqa: S311
    return min(_HIGHEST, max(0, round(before * (1 + wiggle))))
