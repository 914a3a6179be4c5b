"""What to say where nothing matches: the names that are near to the one asked for."""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Iterable

from audience_mcp.catalog.reports import Hit
from audience_mcp.catalog.rows import display_name
from audience_mcp.core.text import clean, fold, to_json

NEAR = 5
"""Names that are suggested."""
COMPARED = 100
"""Names compared in full for likeness, after a quick sieve over all of them."""
LEAST_LIKENESS = 0.6
BONUS_FOR_PART = 0.3
"""Likeness added where one name is a part of the other: `VIP` is near to `VIP customers`."""


def suggest_names(text: str, hits: Iterable[Hit]) -> list[str]:
    """The nearest names, each with its ref: `"Holiday shoppers" (batch:holiday)`."""
    wanted = fold(clean(text.rpartition(":")[2] or text))
    if not wanted:
        return []
    pairs = {wanted[i : i + 2] for i in range(max(1, len(wanted) - 1))}
    named = ((fold(display_name(row)), reader, row) for reader, row in hits)
    likely = heapq.nlargest(
        COMPARED, named, key=lambda n: sum(pair in n[0] for pair in pairs) / (len(n[0]) + len(pairs))
    )
    matcher = difflib.SequenceMatcher(autojunk=False, b=wanted)
    scored: list[tuple[float, str, str]] = []
    for folded, reader, row in likely:
        matcher.set_seq1(folded)
        bonus = BONUS_FOR_PART if wanted in folded or folded in wanted else 0
        if matcher.quick_ratio() + bonus >= LEAST_LIKENESS and (
            (score := matcher.ratio() + bonus) >= LEAST_LIKENESS
        ):
            scored.append((-score, f"{reader.name}:{row.id}", display_name(row)))
    return [f"{to_json(clean(name, 80))} ({ref})" for _, ref, name in sorted(scored)[:NEAR]]
