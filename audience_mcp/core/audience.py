"""One audience as it is held, and the words for how it is made and how it stands."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

AudienceType = Literal["static", "dynamic", "lookalike", "unknown"]
"""How membership is decided: a list, a rule, likeness to another audience, or not known."""


Status = Literal["ready", "processing", "partial", "failed", "unknown"]
"""Where an audience stands in its vendor's processing."""

IssueCode = Literal[
    "failed", "flagged", "empty", "too_small", "unused", "stale", "stalled", "duplicate_name", "test_or_copy"
]
"""What deserves attention about an audience."""
ISSUE_CODES: Sequence[IssueCode] = get_args(IssueCode)
"""All codes, in the order in which an audience's issues are listed."""


@dataclass(slots=True)
class Row:
    """One audience as it is held: light, because a source may have a hundred thousand.

    Dates are the vendor's own values and are read when asked for. detail_pairs: the vendor's further facts,
    a name and its value in turn, which take a third of a dict's bytes; they are cleaned when shown.
    size_max: the upper end where the vendor gives a range, of which `size` is then the lower end. open_ended:
    whether it gives a range without an upper end. kind: the vendor's word for this sort of audience, where it
    has several. part_of: the id, at the same source, of the audience that this one lies within.
    size_pending: whether the size costs a request that has not been answered yet. last_size: what it was when
    it was last counted, and when, for as long as it is pending. counted_at: when the size was counted, for
    one that costs a request of its own. unit: what one unit of the size is, where that may differ from one
    reading to the next. sized_on: the day (`2026-02-01`) that the size is of, where that is not the reading's
    and the vendor says so. folded: the searchable text; empty until the first search.
    """

    id: str
    name: str
    size: int | None = None
    type: AudienceType = "static"
    status: Status = "ready"
    size_note: str | None = None
    size_max: int | None = None
    kind: str | None = None
    part_of: str | None = None
    size_pending: bool = False
    folded: str = field(default="", repr=False, compare=False)
    description: str | None = None
    created: object = None
    updated: object = None
    detail_pairs: Sequence[object] = ()
    open_ended: bool = False
    last_size: tuple[int, datetime] | None = field(default=None, compare=False)
    counted_at: datetime | None = field(default=None, compare=False)
    unit: str | None = None
    sized_on: str | None = None

    @property
    def details(self) -> dict[str, object]:
        """The vendor's further facts by the vendor's own names; a copy."""
        pairs = iter(self.detail_pairs)
        return {str(name): value for name, value in zip(pairs, pairs, strict=True)}

    @details.setter
    def details(self, facts: Mapping[str, object] | None) -> None:
        pairs = facts.items() if isinstance(facts, Mapping) else ()
        self.detail_pairs = tuple(each for pair in pairs for each in pair)

    def add_detail(self, name: str, value: object) -> None:
        """Add one of the vendor's further facts, or replace it."""
        pairs = self.detail_pairs
        for at in range(0, len(pairs), 2):
            if pairs[at] == name:
                self.detail_pairs = (*pairs[: at + 1], value, *pairs[at + 2 :])
                return
        self.detail_pairs = (*pairs, name, value)

    def drop_details(self, names: Collection[str]) -> None:
        """Remove those of the vendor's further facts that have these names."""
        pairs = self.detail_pairs
        kept = [at for at in range(0, len(pairs), 2) if pairs[at] not in names]
        self.detail_pairs = tuple(each for at in kept for each in pairs[at : at + 2])
