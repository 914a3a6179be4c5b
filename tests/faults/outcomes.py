"""What is expected of an answer, in three words: all of it, a part of it, or none of it."""

from __future__ import annotations

from dataclasses import dataclass

from audience_mcp.core.errors import Kind

SAME = "same"
"""A size is what it would be without the fault."""


@dataclass(frozen=True, slots=True)
class Exact:
    """Every total is right and the answer is called complete; for one audience: it is found, as it is.

    size: what the audience at fault then counts as (None: unknown). dropped: it is left out. told: words
    of the note that must be there.
    """

    size: int | str | None = SAME
    dropped: bool = False
    told: str = ""

    def __str__(self) -> str:
        if self.dropped:
            return "exact without the row, told"
        if self.size is None:
            return "exact, its size unknown"
        return f"exact{', told' if self.told else ''}"


@dataclass(frozen=True, slots=True)
class Partly:
    """Not complete, for a reason of this kind; the totals are those of the pages that were read.

    read: the pages `before` the one at fault, up to and `with` it, or `all`. lost: rows of those that
    never came. wait: the seconds in `retry_after_s`.
    """

    kind: Kind
    read: str = "before"
    lost: int = 0
    wait: int | None = None

    def __str__(self) -> str:
        return f"`{self.kind}`"


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """One audience cannot be told: a tool error that says why, in these words of ours."""

    kind: Kind
    says: str

    def __str__(self) -> str:
        return f"error: `{self.kind}`"


Outcome = Exact | Partly | NoAnswer

SAYS: dict[Kind, str] = {
    "unauthorized": "refused the key",
    "forbidden": "does not let this key read audiences",
    "not_found": "returned 404 Not Found",
    "rate_limited": "is rate limiting requests",
    "unavailable": "Try again later",
    "timeout": "Try again later",
    "bad_response": "commbox: ",
    "invalid_request": "rejected the request",
}


def unread(outcome: Outcome) -> NoAnswer:
    """What a question for one audience gets where nothing at all could be read."""
    assert isinstance(outcome, Partly)
    return NoAnswer(outcome.kind, SAYS[outcome.kind])
