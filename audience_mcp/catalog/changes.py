"""Bounds for a change in size, as people give them: a number (`-500`) or a percentage (`-10%`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

_BOUND = re.compile(
    r"([+-]?(?:[0-9]{1,16}|[1-9][0-9]{0,2}(?:(?:,[0-9]{3}){1,5}|(?:\s[0-9]{3}){1,5}))(?:\.[0-9]{1,6})?)\s*(%?)"
)
"""Thousands may be set apart, by commas or by spaces; any other comma may be a decimal one."""
BAD_CHANGE = "must be a whole number such as -500, or a percentage such as -10% or -1.5%"


@dataclass(frozen=True, slots=True)
class ChangeBound:
    """A bound for a change in size. is_percent: whether it is a share of the size before, in percent."""

    amount: Decimal
    is_percent: bool = False

    def __neg__(self) -> ChangeBound:
        """The same bound on the other side of 0."""
        return ChangeBound(-self.amount, self.is_percent)

    def compare(self, change: int | None, before: int | None) -> int | None:
        """Whether a change is below the bound (-1), just it (0), or above it (1), judged exactly.

        before: the size before the change. None where the change is unknown, and for a percentage also where
        `before` is unknown or 0.
        """
        if change is None or (self.is_percent and not before):
            return None
        left, right = (
            (Decimal(change * 100), self.amount * (before or 0))
            if self.is_percent
            else (Decimal(change), self.amount)
        )
        return (left > right) - (left < right)


def parse_change(value: object) -> ChangeBound:
    """Parse a bound: a whole number or a percentage, as text or as a number. Raises ValueError."""
    text = str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
    found = _BOUND.fullmatch(text.strip().replace("−", "-")) if isinstance(text, str) else None
    if found is None:
        raise ValueError(BAD_CHANGE)
    bound = ChangeBound(Decimal(re.sub(r"[,\s]", "", found[1])), bool(found[2]))
    if not bound.is_percent and bound.amount != bound.amount.to_integral_value():
        raise ValueError(BAD_CHANGE)
    return bound


def percent_of(change: int | None, before: int | None) -> float | None:
    """A change in percent of the size before it, to one decimal and never -0.0.

    None where that size is unknown or 0.
    """
    if change is None or not before:
        return None
    return round(change * 100 / before, 1) + 0.0  # a small loss rounds to -0.0
