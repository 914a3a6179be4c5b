"""How long a reading is good: which call it serves, and when it may be gone on with."""

from __future__ import annotations

from dataclasses import dataclass

from audience_mcp.core.errors import VendorError

UNUSED_FOR_S = 600
"""A reading that ended behind an answer serves the next call for so long."""
RESUME_AFTER_PAGE_S = 600
"""A reading that broke off is gone on with if its last page came within so long."""
RESUME_AFTER_FIRST_S = 3600
"""And if its first page came within so long: what it begins with must not be older."""
JOINED_BY_REFRESH_S = 10
"""`refresh` is content with a reading that began within so long before."""
LAST_COMPLETE_S = 86_400
"""For so long the last complete reading answers where newer ones fail."""


@dataclass(frozen=True, slots=True)
class Times:
    """When a reading began, got its first and last page, ended and was first used; in a clock's seconds."""

    started_at: float
    first_page_at: float | None = None
    last_page_at: float | None = None
    ended_at: float | None = None
    used_at: float | None = None


def serves(times: Times, error: VendorError | None, now: float, cache_s: float, *, refresh: bool) -> bool:
    """Whether an ended reading answers a call that comes now."""
    if times.ended_at is None or (error is not None and not error.final):
        return False
    if refresh:
        return now - times.started_at < JOINED_BY_REFRESH_S
    if times.used_at is None:
        return now - times.ended_at < UNUSED_FOR_S
    return now - times.used_at < cache_s


def can_resume(times: Times, error: VendorError | None, now: float, *, refresh: bool) -> bool:
    """Whether a reading that broke off goes on at the page that failed."""
    if error is None or not error.passing or times.first_page_at is None or times.last_page_at is None:
        return False
    if refresh and now - times.started_at >= JOINED_BY_REFRESH_S:
        return False
    return now - times.last_page_at < RESUME_AFTER_PAGE_S and now - times.first_page_at < RESUME_AFTER_FIRST_S
