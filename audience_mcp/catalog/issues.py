"""What deserves attention about audiences, as codes with reasons. What cannot be known is not claimed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from audience_mcp.catalog.ask_store import ask_of_each
from audience_mcp.catalog.index import Index
from audience_mcp.catalog.search import folded_name
from audience_mcp.core.audience import IssueCode, Row
from audience_mcp.core.dates import earlier, parse_datetime
from audience_mcp.core.text import fold
from audience_mcp.core.values import as_count
from audience_mcp.sources.reader import SourceReader
from audience_mcp.store.stored import Unchanged

STALE_AFTER = timedelta(days=365)
STALLED_AFTER = timedelta(days=30)
READ_ON_DAYS = 5
"""Days on which a size must have been read at least, for it to be known that it has not changed."""

TEST_WORDS: Mapping[str, Sequence[str]] = {
    "English": ("test", "tests", "testing", "copy", "dummy"),
    "French": ("test", "essai", "copie"),
    "German": ("Test", "Testliste", "Kopie"),
    "Spanish": ("prueba", "pruebas", "copia"),
    "Portuguese": ("teste", "testes", "cópia"),
    "Turkish": ("deneme", "kopya"),
    "Russian": ("тест", "тестовая", "тестовый", "копия"),
    "Arabic": ("اختبار", "تجربة", "نسخة"),
    "Japanese": ("テスト", "コピー"),
    "Korean": ("테스트", "복사본", "사본"),
}
"""Whole words of a name that mark tests and copies, in the languages of the sandbox."""

_KATAKANA = "ァ-ヺー-ヿㇰ-ㇿ"
_WORD = re.compile(f"[{_KATAKANA}]+|[^\\W_{_KATAKANA}]+")
"""A word of a folded name. Japanese has no spaces: a run of katakana, with its long vowels, is a word."""
_MARKS = frozenset(fold(word) for words in TEST_WORDS.values() for word in words)

Stalled = Mapping[SourceReader, Mapping[str, Unchanged]]
"""By source and by the audience's id, the sizes that have not changed for 30 days."""

Reasons = Mapping[IssueCode, str]
"""The reason of each issue, empty where the code says it all."""


class IssueFinder:
    """Finds the issues of audiences as of `now`. index: all audiences that were read, for duplicate names.

    unchanged: what is stored of sizes that stay the same, by source; none where it is not known. basis: what
    the issues depend on besides the readings.
    """

    def __init__(self, index: Index, now: datetime, unchanged: Stalled | None = None) -> None:
        self._index = index
        self._stale_before = earlier(now, STALE_AFTER)
        self._unchanged = unchanged or {}
        self.basis = basis_of(now, self._unchanged)

    def find(self, reader: SourceReader, row: Row) -> Reasons:
        """The issues of one audience, in the order of `ISSUE_CODES`."""
        found: dict[IssueCode, str] = {}
        if row.status in ("failed", "partial"):
            found["failed"] = f"status {row.status}"
        if reason := _facts(reader, row, FLAGGED):
            found["flagged"] = reason
        if row.status == "ready" and _is_empty(reader, row):
            found["empty"] = ""
        if reason := _too_small(reader, row):
            found["too_small"] = reason
        if reason := _facts(reader, row, UNUSED):
            found["unused"] = reason
        updated = parse_datetime(row.updated)
        if updated is not None and updated < self._stale_before:
            found["stale"] = f"not updated since {updated.date().isoformat()}"
        same = self._unchanged.get(reader, {}).get(row.id) if row.type == "dynamic" else None
        if same is not None and same.size == row.size:
            found["stalled"] = f"the same size since {same.since.date().isoformat()} or longer"
        name = folded_name(row)
        if (count := self._names(reader)[name]) > 1:
            found["duplicate_name"] = f"{count:,} of this name at {reader.name}"
        if not _MARKS.isdisjoint(_WORD.findall(name)):
            found["test_or_copy"] = ""
        return found

    def codes(self, reader: SourceReader) -> Mapping[int, Sequence[IssueCode]]:
        """The codes of each audience of a source that has issues, by `id(row)`."""

        def find_all() -> Mapping[int, Sequence[IssueCode]]:
            every = ((row, self.find(reader, row)) for row in self._index.rows[reader])
            return {id(row): tuple(found) for row, found in every if found}

        if not self._index.settled:
            return find_all()
        return self._index.once(("issues", reader, self.basis), find_all)

    def _names(self, reader: SourceReader) -> Counter[str]:
        rows = self._index.rows.get(reader, ())
        return self._index.once(("names", reader), lambda: Counter(map(folded_name, rows)))


def basis_of(now: datetime, unchanged: Stalled) -> Hashable:
    """What issues depend on besides the readings."""
    stored = ((reader.name, frozenset(same.items())) for reader, same in unchanged.items() if same)
    return now.date(), frozenset(stored)


async def find_stalled(readers: Iterable[SourceReader], now: datetime, seconds: float) -> Stalled:
    """What is stored of sizes that have stayed the same for 30 days. seconds: that the store may take."""
    found: dict[SourceReader, Mapping[str, Unchanged]] = {}

    async def find(reader: SourceReader) -> None:
        if reader.history is not None:
            found[reader] = await reader.history.find_unchanged(now - STALLED_AFTER, READ_ON_DAYS)

    await ask_of_each(readers, find, seconds)
    return found


def write_issues(reasons: Reasons) -> list[str] | None:
    """Issues as a full row has them: `too_small: under 100 people`."""
    return [f"{code}: {reason}" if reason else code for code, reason in reasons.items()] or None


def _code_of(value: object) -> int | None:
    return as_count(value.get("code")) if isinstance(value, Mapping) else None


Fact = Callable[[Row, Mapping[str, object]], "str | None"]
"""The reason for an issue by an audience and its further facts, or None."""


def _by_google(row: Row, facts: Mapping[str, object], access: object) -> str | None:
    """Why Google uses a list nowhere, if it says so. A list without an estimate is eligible for nothing
    yet."""
    if facts.get("membershipStatus") == "CLOSED" and facts.get("closingReason") == "UNUSED":
        return "closed by Google: unused"
    if access == "DISABLED":
        return "its access was withdrawn by the account that shares it"
    if (
        row.size is not None
        and facts.get("eligibleForDisplay") is False
        and facts.get("eligibleForSearch") is False
    ):
        return "eligible neither for Display nor for Search, says Google"
    return None


def _by_whop(row: Row, facts: Mapping[str, object]) -> str | None:
    if row.status in ("failed", "partial") and facts.get("error_message"):
        return "Whop reports an error: see its details"
    return None


FLAGGED: Mapping[str, Fact] = {
    "meta": lambda row, facts: {
        471: "flagged by Meta for its name or source",
        100: "will be deleted by Meta: unused for two years",
    }.get(_code_of(facts.get("operation_status")) or 0),
    "googleads": lambda row, facts: _by_google(row, facts, facts.get("accountUserListStatus")),
    "datamanager": lambda row, facts: _by_google(row, facts, facts.get("accountAccessStatus")),
    "linkedin": lambda row, facts: {
        "ARCHIVED": "archived by LinkedIn: unused for 30 days",
        "EXPIRED": "expired at LinkedIn: unused for 90 days",
    }.get(str(facts.get("status"))),
    "whop": _by_whop,
}
"""By vendor: what its documents say of restricted audiences."""

UNUSED: Mapping[str, Fact] = {
    "smallest": lambda row, facts: "in no campaign" if facts.get("hasCampaigns") is False else None,
    "mailchimp": lambda row, facts: "in no campaign" if as_count(facts.get("campaign_count")) == 0 else None,
    "hubspot": lambda row, facts: (
        "used nowhere in HubSpot" if as_count(facts.get("hs_list_reference_count")) == 0 else None
    ),
    "meta": lambda row, facts: (
        "Meta says: out of date and unused" if _code_of(facts.get("operation_status")) == 450 else None
    ),
}
"""By vendor: what its documents say of audiences that nothing uses."""

TOO_SMALL: Mapping[str, Fact] = {
    "pinterest": lambda row, facts: "under 100 people" if facts.get("status") == "TOO_SMALL" else None,
    "meta": lambda row, facts: (
        "Meta says: too small or inactive" if _code_of(facts.get("delivery_status")) == 300 else None
    ),
    "openaiads": lambda row, facts: (
        "OpenAI says: too small to be used" if facts.get("status") == "too_small" else None
    ),
    "snapchat": lambda row, facts: (
        "Snapchat says: too few users" if facts.get("targetable_status") == "TOO_FEW_USERS" else None
    ),
}
"""By vendor: its own word that an audience is too small to be used."""

LEAST_SIZES: Mapping[str, tuple[int, str]] = {
    "linkedin": (300, "members, the least for a campaign"),
    "openaiads": (25_000, "matched users, the least for an audience that a campaign includes"),
}
"""By vendor: the least size that its documents require, and what it counts."""

MAY_BE_FEW: Mapping[str, Callable[[Row], bool]] = {
    "linkedin": lambda row: True,
    # Where it is eligible is not stored, so it is not known of the past.
    "googleads": lambda row: not row.detail_pairs or row.details.get(f"eligibleFor{row.unit}") is False,
}
"""By vendor: whether a size of 0 of an audience may hide a few people."""


def _facts(reader: SourceReader, row: Row, facts: Mapping[str, Fact]) -> str | None:
    fact = facts.get(reader.source.vendor.name)
    return fact(row, row.details) if fact is not None and row.detail_pairs else None


def _is_empty(reader: SourceReader, row: Row) -> bool:
    """Whether nobody is in it, as far as a ready one says."""
    if row.size != 0 or row.size_max not in (None, 0) or row.open_ended:
        return False
    may_be_few = MAY_BE_FEW.get(reader.source.vendor.name)
    return may_be_few is None or not may_be_few(row)


def _too_small(reader: SourceReader, row: Row) -> str | None:
    """The vendor's own word, or its least size; a size is measured against that only in a ready audience."""
    if reason := _facts(reader, row, TOO_SMALL):
        return reason
    if row.status != "ready":
        return None
    least, of_what = LEAST_SIZES.get(reader.source.vendor.name, (0, ""))
    upper = None if row.open_ended else row.size if row.size_max is None else row.size_max
    return f"under {least:,} {of_what}" if upper is not None and upper < least else None
