"""Questions about change, each with the one call and the fact.

What an audience had before is made up by the sandbox, for days it says; which of these days an answer must
compare with, and what came of it, is reckoned here once more.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import cache
from itertools import groupby
from typing import Any

from audience_mcp.sandbox.history import DAYS, GONE, size_before
from tests.questions.asked import Answer, Question, refs_and_sizes
from tests.questions.records import Record, at, the_one


@cache
def now() -> datetime:
    """When the questions are asked: the first of them that names a day sets it for all."""
    return datetime.now(timezone.utc)


ONE = "batch:app_users_all"


def ago(days: int) -> str:
    """The day, as a client would give it."""
    return f"{now() - timedelta(days=days):%Y-%m-%d}"


def compared_with(days: int) -> int:
    """How many days ago the reading is that counts for that day: the last one before it ended."""
    return min(d for d in DAYS if d >= days)


def begun_with(days: int) -> int:
    """How many days ago the reading is with which a line since that day begins: the last one before it."""
    return min(d for d in DAYS if d > days)


WEEK, MONTH = compared_with(7), compared_with(28)


def was_there(record: Record, days: int) -> bool:
    return record.created is None or record.created <= now() - timedelta(days=days)


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
        sizes = [size_then(record, d) for d in sorted(DAYS, reverse=True) if d <= begun_with(days)]
        sizes.append(record.size)
        last = len(sizes) - 1
        return [size for n, size in enumerate(sizes) if n in (0, last) or size != sizes[n - 1]]

    return fact


def there_then(records: list[Record], days: int) -> dict[str, tuple[int | None, str | None]]:
    """What there was so many days ago: sizes, and what each lay within, by ref."""
    there = {r.ref: (size_then(r, days), r.within) for r in records if was_there(r, days)}
    return {**there, **{ref: (size, None) for ref, size in gone_since(days)}}


def total_then(days: int) -> Callable[[list[Record]], Any]:
    """How many there were, and the sum of their sizes, none counted twice."""

    def fact(records: list[Record]) -> Any:
        there = there_then(records, days)
        return len(there), sum(size or 0 for size, within in there.values() if within not in there)

    return fact


def biggest_then(days: int, most: int) -> Callable[[list[Record]], Any]:
    def fact(records: list[Record]) -> Any:
        there = there_then(records, days)
        known = [(ref, size) for ref, (size, _) in there.items() if size is not None]
        return sorted(known, key=lambda each: (-each[1], each[0]))[:most]

    return fact


def between(before: int, after: int) -> Callable[[list[Record]], Any]:
    """The sums of the earlier and the later moment, over audiences known both times."""

    def fact(records: list[Record]) -> Any:
        first, second = there_then(records, before), there_then(records, after)
        known = [
            (first[ref][0] or 0, size or 0)
            for ref, (size, within) in second.items()
            if size is not None and within not in second and first.get(ref, (None, None))[0] is not None
        ]
        then, now = sum(a for a, _ in known), sum(b for _, b in known)
        return then, now, now - then

    return fact


def percentages(records: list[Record], days: int) -> list[tuple[str, float]]:
    """Of each audience that was known and not empty then."""
    known = [(r.ref, change(r, days), size_then(r, days)) for r in records if was_there(r, days)]
    return [(ref, by * 100 / then) for ref, by, then in known if by is not None and then]


def first_by_percentage(days: int, most: int, sign: int) -> Callable[[list[Record]], Any]:
    def fact(records: list[Record]) -> Any:
        ordered = sorted(percentages(records, days), key=lambda each: (sign * each[1], each[0]))
        return [(ref, round(by, 1)) for ref, by in ordered[:most]]

    return fact


def rows_with_percentage(answer: Answer) -> list[tuple[str, float]]:
    return [(row["ref"], row["change_pct"]) for row in answer["audiences"]]


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
        lambda _: {"compare_to": ago(7), "sort": "growth", "limit": 5},
        first_by_change(WEEK, 5, -1),
        rows_with_change,
        peers="none",
    ),
    Question(
        "shrank_most",
        "And which shrank most?",
        "list_audiences",
        lambda _: {"compare_to": ago(7), "sort": "decline", "limit": 5},
        first_by_change(WEEK, 5, 1),
        rows_with_change,
        peers="none",
    ),
    Question(
        "net_change",
        "By how much did all my audiences grow in a month?",
        "list_audiences",
        lambda _: {"compare_to": ago(28), "limit": 0},
        sums(MONTH),
        told_sums,
        peers="none",
    ),
    Question(
        "from_when_to_when",
        "From when to when is that?",
        "list_audiences",
        lambda _: {"compare_to": ago(28), "limit": 0},
        lambda records: {MONTH},
        days_between,
        peers="none",
    ),
    Question(
        "new_since",
        "How many audiences have we added since last month?",
        "list_audiences",
        lambda _: {"compare_to": ago(28), "limit": 0},
        lambda records: sum(not was_there(r, MONTH) for r in records),
        lambda answer: answer["compared"]["new"],
        peers="none",
    ),
    Question(
        "gone_since",
        "Which audiences are gone since last month, and how big were they?",
        "list_audiences",
        lambda _: {"compare_to": ago(28), "limit": 0},
        lambda records: gone_since(MONTH),
        lambda answer: [(each["ref"], each["size_then"]) for each in answer["compared"]["gone_audiences"]],
        peers="none",
    ),
    Question(
        "growth_at_batch",
        "How did Batch develop in a week?",
        "list_audiences",
        lambda _: {"sources": ["batch"], "compare_to": ago(7), "limit": 0},
        lambda records: sums(WEEK)(at(records, "batch")),
        told_sums,
        vendors=("batch",),
        peers="none",
    ),
    Question(
        "growth_per_vendor",
        "How much did each vendor grow in a week?",
        "list_audiences",
        lambda _: {"compare_to": ago(7), "group_by": "source", "sort": "growth"},
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
        lambda _: {"search": "all app users", "compare_to": ago(7)},
        lambda records: [size_then(the_one(records, ONE), WEEK), change(the_one(records, ONE), WEEK)],
        lambda answer: [answer["audiences"][0]["size_then"], answer["audiences"][0]["change"]],
        peers="none",
    ),
    Question(
        "one_over_time",
        "How did 'All app users' develop over the last four weeks?",
        "get_audience",
        lambda _: {"audience": ONE, "since": ago(28)},
        line_since(28),
        lambda answer: [size for size, _ in groupby(p["size"] for p in answer["audiences"][0]["history"])],
        peers="none",
    ),
    Question(
        "total_a_month_ago",
        "How many audiences did we have four weeks ago, and how big were they together?",
        "list_audiences",
        lambda _: {"as_of": ago(28), "limit": 0},
        total_then(28),
        lambda answer: (answer["matched"], answer["sum_of_sizes"]),
        peers="none",
    ),
    Question(
        "biggest_a_month_ago",
        "Which five were the biggest four weeks ago?",
        "list_audiences",
        lambda _: {"as_of": ago(28), "limit": 5},
        biggest_then(28, 5),
        refs_and_sizes,
        peers="none",
    ),
    Question(
        "month_against_month",
        "The month before last against last month: how did the total develop?",
        "list_audiences",
        lambda _: {"as_of": ago(28), "compare_to": ago(56), "limit": 0},
        between(56, 28),
        told_sums,
        peers="none",
    ),
    Question(
        "month_against_month_per_vendor",
        "And at which vendor did it grow most?",
        "list_audiences",
        lambda _: {
            "as_of": ago(28),
            "compare_to": ago(56),
            "group_by": "source",
            "sort": "growth",
            "limit": 1,
        },
        lambda records: max(
            (between(56, 28)(at(records, vendor))[2], vendor)
            for vendor in sorted({r.vendor for r in records})
        ),
        lambda answer: (answer["groups"][0]["change"], answer["groups"][0]["key"]),
        peers="none",
    ),
    Question(
        "gone_between_two_moments",
        "Which went away between six weeks ago and two weeks ago?",
        "list_audiences",
        lambda _: {"as_of": ago(14), "compare_to": ago(42), "limit": 0},
        lambda records: [each for each in gone_since(42) if each not in gone_since(14)],
        lambda answer: [(each["ref"], each["size_then"]) for each in answer["compared"]["gone_audiences"]],
        peers="none",
    ),
    Question(
        "one_at_a_past_moment",
        "How big was 'All app users' five weeks ago?",
        "list_audiences",
        lambda _: {"search": "all app users", "as_of": ago(35)},
        lambda records: [(ONE, size_then(the_one(records, ONE), 35))],
        refs_and_sizes,
        peers="none",
    ),
    Question(
        "grew_most_in_percent",
        "Which grew most in percent in a week?",
        "list_audiences",
        lambda _: {"compare_to": ago(7), "sort": "growth_pct", "limit": 5},
        first_by_percentage(WEEK, 5, -1),
        rows_with_percentage,
        peers="none",
    ),
    Question(
        "lost_a_tenth",
        "How many lost a tenth or more in four weeks, and which lost most?",
        "list_audiences",
        lambda _: {"compare_to": ago(28), "max_change": "-10%", "sort": "decline_pct", "limit": 5},
        lambda records: (
            sum(by <= -10 for _, by in percentages(records, MONTH)),
            first_by_percentage(MONTH, 5, 1)(records),
        ),
        lambda answer: (answer["matched"], rows_with_percentage(answer)),
        peers="none",
    ),
    Question(
        "never_moved",
        "How many have not changed at all in two weeks?",
        "list_audiences",
        lambda _: {"compare_to": ago(14), "min_change": "0", "max_change": "0", "limit": 0},
        lambda records: sum(by == 0 for _, by in changes(records, compared_with(14))),
        lambda answer: answer["matched"],
        peers="none",
    ),
    Question(
        "how_big_was_one_that_is_gone",
        "How big was 'Summer pass holders', which somebody deleted, and when was it last there?",
        "get_audience",
        {"audience": "summer pass holders"},
        lambda records: [(f"whop:{id}", size, last) for id, _, size, last in GONE["whop"]],
        lambda answer: [
            (row["ref"], row["size"], round((now() - _moment(row["last_seen_at"])) / timedelta(days=1)))
            for row in answer["audiences"]
            if row["gone"]
        ],
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
