"""Questions about change, each with the one call and the fact.

What an audience had before is made up by the sandbox, for days it says; which of these days an answer must
compare with, and what came of it, is reckoned here once more.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from audience_mcp.sandbox.history import DAYS, GONE, size_before
from tests.questions.asked import Answer, Question
from tests.questions.records import Record, at, the_one

NOW = datetime.now(timezone.utc)
ONE = "batch:app_users_all"


def ago(days: int) -> str:
    """The day, as a client would give it."""
    return f"{NOW - timedelta(days=days):%Y-%m-%d}"


def compared_with(days: int) -> int:
    """How many days ago the reading is that counts for that day: the last one before it began."""
    return min(d for d in DAYS if d > days)


WEEK, MONTH = compared_with(7), compared_with(28)


def was_there(record: Record, days: int) -> bool:
    return record.created is None or record.created <= NOW - timedelta(days=days)


def size_then(record: Record, days: int) -> int | None:
    return None if record.size is None else size_before(record.id, record.size, days)


def change(record: Record, days: int) -> int | None:
    then = size_then(record, days)
    return record.size - then if record.size is not None and then is not None else None


def changes(records: list[Record], days: int) -> list[tuple[str, int]]:
    """Of each audience that is known both times."""
    known = [(r.ref, change(r, days)) for r in records if was_there(r, days)]
    return [(ref, by) for ref, by in known if by is not None]


def first_by_change(days: int, most: int, sign: int) -> Callable[[list[Record]], Any]:
    return lambda records: sorted(changes(records, days), key=lambda each: (sign * each[1], each[0]))[:most]


def rows_with_change(answer: Answer) -> list[tuple[str, int]]:
    return [(row["ref"], row["change"]) for row in answer["audiences"]]


def sums(days: int) -> Callable[[list[Record]], Any]:
    def fact(records: list[Record]) -> Any:
        there = [r for r in records if was_there(r, days) and r.size is not None]
        refs = {r.ref for r in there}
        known = [r for r in there if r.within not in refs]
        now, then = sum(r.size or 0 for r in known), sum(size_then(r, days) or 0 for r in known)
        return then, now, now - then

    return fact


def told_sums(answer: Answer) -> tuple[int, int, int]:
    compared = answer["compared"]
    return compared["sum_then"], compared["sum_now"], compared["change"]


def gone_since(days: int) -> list[tuple[str, int]]:
    gone = [
        (f"{vendor}:{id}", size)
        for vendor, each in GONE.items()
        for id, _, size, last in each
        if days >= last
    ]
    return sorted(gone, key=lambda each: (-each[1], each[0]))


def line_since(days: int) -> Callable[[list[Record]], Any]:
    """Each size when it was first seen, and the latest."""

    def fact(records: list[Record]) -> Any:
        record = the_one(records, ONE)
        sizes = [size_then(record, d) for d in sorted(DAYS, reverse=True) if d <= compared_with(days)]
        sizes.append(record.size)
        last = len(sizes) - 1
        return [size for n, size in enumerate(sizes) if n in (0, last) or size != sizes[n - 1]]

    return fact


def days_between(answer: Answer) -> set[int]:
    """How far apart the two moments are that each source's report names."""
    return {
        round((_moment(report["as_of"]) - _moment(report["compared_to"])) / timedelta(days=1))
        for report in answer["sources"]
    }


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


QUESTIONS = (
    Question(
        "grew_most",
        "Which audiences grew most since last week?",
        "list_audiences",
        {"compare_to": ago(7), "sort": "growth", "limit": 5},
        first_by_change(WEEK, 5, -1),
        rows_with_change,
        peers="none",
    ),
    Question(
        "shrank_most",
        "And which shrank most?",
        "list_audiences",
        {"compare_to": ago(7), "sort": "decline", "limit": 5},
        first_by_change(WEEK, 5, 1),
        rows_with_change,
        peers="none",
    ),
    Question(
        "net_change",
        "By how much did all my audiences grow in a month?",
        "list_audiences",
        {"compare_to": ago(28), "limit": 0},
        sums(MONTH),
        told_sums,
        peers="none",
    ),
    Question(
        "from_when_to_when",
        "From when to when is that?",
        "list_audiences",
        {"compare_to": ago(28), "limit": 0},
        lambda records: {MONTH},
        days_between,
        peers="none",
    ),
    Question(
        "new_since",
        "How many audiences have we added since last month?",
        "list_audiences",
        {"compare_to": ago(28), "limit": 0},
        lambda records: sum(not was_there(r, MONTH) for r in records),
        lambda answer: answer["compared"]["new"],
        peers="none",
    ),
    Question(
        "gone_since",
        "Which audiences are gone since last month, and how big were they?",
        "list_audiences",
        {"compare_to": ago(28), "limit": 0},
        lambda records: gone_since(MONTH),
        lambda answer: [(each["ref"], each["size_then"]) for each in answer["compared"]["gone_audiences"]],
        peers="none",
    ),
    Question(
        "growth_at_batch",
        "How did Batch develop in a week?",
        "list_audiences",
        {"sources": ["batch"], "compare_to": ago(7), "limit": 0},
        lambda records: sums(WEEK)(at(records, "batch")),
        told_sums,
        vendors=("batch",),
        peers="none",
    ),
    Question(
        "growth_per_vendor",
        "How much did each vendor grow in a week?",
        "list_audiences",
        {"compare_to": ago(7), "group_by": "source", "sort": "growth"},
        lambda records: {
            vendor: sums(WEEK)(at(records, vendor))[2] for vendor in sorted({r.vendor for r in records})
        },
        lambda answer: {group["key"]: group["change"] for group in answer["groups"]},
        peers="none",
    ),
    Question(
        "how_big_was_it",
        "How big was 'All app users' a week ago?",
        "list_audiences",
        {"search": "all app users", "compare_to": ago(7)},
        lambda records: [size_then(the_one(records, ONE), WEEK), change(the_one(records, ONE), WEEK)],
        lambda answer: [answer["audiences"][0]["size_then"], answer["audiences"][0]["change"]],
        peers="none",
    ),
    Question(
        "one_over_time",
        "How did 'All app users' develop over the last four weeks?",
        "get_audience",
        {"audience": ONE, "since": ago(28)},
        line_since(28),
        lambda answer: [point["size"] for point in answer["audiences"][0]["history"]],
        peers="none",
    ),
    Question(
        "growth_without_a_date",
        "Which audiences grow? (asked without saying since when)",
        "list_audiences",
        {"sort": "growth", "limit": 5},
        lambda records: ["sort=growth", "compare_to"],
        is_error=True,
        peers="none",
    ),
)
