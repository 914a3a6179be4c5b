"""Values as vendors write them: counts and identifiers."""

from __future__ import annotations

import math

from audience_mcp.core.text import _IGNORABLE

MAX_ID = 255
"""Characters of an audience's id."""


WHOLE_MAX = 2**53
"""Sizes above this are not sizes: JSON readers would round them."""


def as_id(value: object) -> str | None:
    """A vendor's id as text, or None where it is not one printable line of 1 to 255 characters.

    A whole number is an id too: some vendors send the same id now as number, now as text.
    """
    if type(value) is str and value.isascii() and value.isprintable() and 1 <= len(value) <= MAX_ID:
        return None if value.isspace() else value  # as almost all are
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**MAX_ID else None
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_ID or not value.isprintable():
        return None
    return None if value.isspace() or (not value.isascii() and _IGNORABLE.search(value)) else value


def as_count(value: object) -> int | None:
    """A count as a vendor may write it (7, 7.0, "7"), or None for anything that is not one.

    Negative, fractional, non-finite, boolean or over 2**53 is not a count.
    """
    if type(value) is int:  # as almost all are
        return value if 0 <= value <= WHOLE_MAX else None
    if (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 16) or (
        isinstance(value, float) and math.isfinite(value) and value.is_integer()
    ):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= WHOLE_MAX:
        return value
    return None
