"""One audience as it is held, and the words for how it is made and how it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

AudienceType = Literal["static", "dynamic", "lookalike", "unknown"]
"""How membership is decided: a list, a rule, likeness to another audience, or not known."""


Status = Literal["ready", "processing", "partial", "failed", "unknown"]
"""Where an audience stands in its vendor's processing."""


@dataclass(slots=True)
class Row:
    """One audience as it is held: light, because a source may have a hundred thousand.

    Dates are the vendor's own values and are read when asked for; `details` are the vendor's further
    facts under its own names and are cleaned when shown. size_max: the upper end where the vendor gives a
    range, of which `size` is then the lower end. kind: the vendor's word for this sort of audience, where
    it has several. part_of: the id, at the same source, of the audience that this one lies within.
    size_pending: whether the size costs a request that has not been answered yet. last_size: what it was when
    it was last counted, and when, for as long as it is pending.
    folded: what is searched, once made.
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
    folded: str | None = field(default=None, repr=False, compare=False)
    description: str | None = None
    created: object = None
    updated: object = None
    details: Mapping[str, object] | None = None
    last_size: tuple[int, datetime] | None = field(default=None, compare=False)
