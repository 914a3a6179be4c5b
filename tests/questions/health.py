"""Questions of people who look after many audiences: health, parity, hygiene, months, clients, and filters
together; each with the one call and the fact."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from statistics import median
from typing import Any

from tests.questions.asked import Answer, created_in, grouped_by, groups_of, refs_and_sizes, those, totals_of
from tests.questions.asked import Question as AnyQuestion
from tests.questions.asked import totals as told_totals
from tests.questions.over_time import now
from tests.questions.records import VENDORS, Record, at, date, plain

Question = partial(AnyQuestion, tool="list_audiences", peers="none")
Keep = Callable[[Record], bool]
MARKS = {
    "test",
    "tests",
    "testing",
    "copy",
    "dummy",
    "essai",
    "copie",
    "testliste",
    "kopie",
    "prueba",
    "pruebas",
    "copia",
    "teste",
    "testes",
    "deneme",
    "kopya",
    "тест",
    "тестовая",
    "тестовыи",
    "копия",
    "テスト",
}
"""Words of tests and copies, as `plain` writes them."""


def is_empty(record: Record) -> bool:
    nobody = record.size == 0 and record.size_max in (None, 0) and record.status == "ready"
    return nobody and record.vendor != "linkedin"  # whose 0 may be a few


def has_failed(record: Record) -> bool:
    return record.status in ("failed", "partial")


def is_test_or_copy(record: Record) -> bool:
    return not MARKS.isdisjoint(re.findall(r"[^\W_]+", plain(record.name)))


def code_of(record: Record, fact: str) -> Any:
    return record.raw.get(fact, {}).get("code")


def is_flagged(record: Record) -> bool:
    if record.vendor == "linkedin":
        return record.raw["status"] in ("ARCHIVED", "EXPIRED")
    if record.vendor == "whop":
        return has_failed(record) and bool(record.raw.get("error_message"))
    return record.vendor == "meta" and code_of(record, "operation_status") in (100, 471)


def is_too_small(record: Record) -> bool:
    ready = record.vendor == "linkedin" and record.status == "ready"
    few = ready and record.size is not None and record.size < 300
    return few or (record.vendor == "meta" and code_of(record, "delivery_status") == 300)


def is_unused(record: Record) -> bool:
    return record.raw.get("hasCampaigns") is False


def is_stale(record: Record) -> bool:
    return record.updated is not None and record.updated < now() - timedelta(days=365)


def of(keep: Keep, *vendors: str) -> Keep:
    """Those at these vendors alone."""
    return lambda record: record.vendor in vendors and keep(record)


def both(*keeps: Keep) -> Keep:
    return lambda record: all(keep(record) for keep in keeps)


def big(least: int) -> Keep:
    return lambda record: record.size is not None and record.size >= least


def missing(here: str, there: str) -> Callable[[list[Record]], Any]:
    """The audiences here whose name no audience there has."""

    def fact(records: list[Record]) -> Any:
        names = {plain(record.name) for record in at(records, there)}
        return those(lambda record: record.vendor == here and plain(record.name) not in names)(records)

    return fact


def number_missing(here: str, there: str) -> Callable[[list[Record]], Any]:
    return lambda records: len(missing(here, there)(records))


def kind_at_mailchimp(record: Record) -> str:
    return "list" if record.within is None else "tag" if record.raw["type"] == "static" else "segment"


def month(record: Record) -> str:
    assert record.created is not None
    return f"{record.created:%Y-%m}"


def dated(records: list[Record], *vendors: str) -> list[Record]:
    return [record for record in at(records, *vendors) if record.created is not None]


def matched(answer: Answer) -> Any:
    return answer["matched"]


def refs(answer: Answer) -> list[str]:
    return [row["ref"] for row in answer["audiences"]]


def sizes_of_issues(records: list[Record]) -> Mapping[str, int]:
    """How many have each of the issues that raw rows alone tell."""
    names = Counter((record.vendor, plain(record.name)) for record in records)
    keeps: Mapping[str, Keep] = {
        "failed": has_failed,
        "flagged": is_flagged,
        "empty": is_empty,
        "too_small": is_too_small,
        "stale": is_stale,
        "duplicate_name": lambda record: names[record.vendor, plain(record.name)] > 1,
    }
    return {issue: sum(map(keep, records)) for issue, keep in keeps.items() if any(map(keep, records))}


def told_issues(answer: Answer) -> Mapping[str, int]:
    others = ("unused", "stalled", "test_or_copy")
    return {group["key"]: group["matched"] for group in answer["groups"] if group["key"] not in others}


def averages(records: list[Record]) -> Any:
    known = {v: [r.size for r in at(records, v) if r.size is not None] for v in VENDORS}
    return {v: (round(sum(sizes) / len(sizes)), round(median(sizes))) for v, sizes in known.items() if sizes}


def told_averages(answer: Answer) -> Any:
    return {group["key"]: (group["mean_size"], group["median_size"]) for group in answer["groups"]}


def first_unchanged(records: list[Record]) -> list[str]:
    known = [record for record in at(records, "batch") if record.updated is not None]
    known.sort(key=lambda record: (record.updated or now(), record.ref))
    return [record.ref for record in known[:5]]


QUESTIONS = (
    # --- health -----------------------------------------------------------------------------------------
    Question(
        "needs_attention",
        "What needs attention?",
        arguments={"group_by": "issue", "sort": "name"},
        fact=sizes_of_issues,
        told=told_issues,
    ),
    Question(
        "broken_or_partial",
        "Which are broken, or were made in part only?",
        arguments={"issue": ["failed"]},
        fact=those(has_failed),
        told=refs_and_sizes,
    ),
    Question(
        "restricted",
        "Which audiences has a vendor flagged?",
        arguments={"issue": ["flagged"]},
        fact=those(is_flagged),
        told=refs_and_sizes,
    ),
    Question(
        "too_small_for_ads",
        "Which are too small to be used for ads?",
        arguments={"issue": ["too_small"]},
        fact=those(is_too_small),
        told=refs_and_sizes,
    ),
    Question(
        "empty_and_ready",
        "How many have nobody in them, per vendor?",
        arguments={"issue": ["empty"], "group_by": "source"},
        fact=lambda records: grouped_by(lambda r: r.vendor)([r for r in records if is_empty(r)]),
        told=groups_of,
    ),
    # --- hygiene ----------------------------------------------------------------------------------------
    Question(
        "call_lists_in_no_campaign",
        "Which call lists does no campaign use?",
        arguments={"sources": ["smallest"], "issue": ["unused"]},
        fact=those(of(is_unused, "smallest")),
        told=refs_and_sizes,
    ),
    Question(
        "untouched_for_a_year",
        "How many has nobody changed for a year?",
        arguments={"issue": ["stale"], "limit": 0},
        fact=totals_of(is_stale),
        told=told_totals,
    ),
    Question(
        "tests_and_copies",
        "Which audiences are tests or copies?",
        arguments={"issue": ["test_or_copy"]},
        fact=those(is_test_or_copy),
        told=refs_and_sizes,
    ),
    Question(
        "longest_unchanged",
        "Which five lists at Batch have been unchanged for longest?",
        arguments={"sources": ["batch"], "sort": "updated_asc", "limit": 5},
        fact=first_unchanged,
        told=refs,
    ),
    Question(
        "tests_that_are_empty",
        "Which are empty, or tests, at Whop?",
        arguments={"sources": ["whop"], "issue": ["empty", "test_or_copy"]},
        fact=those(of(lambda r: is_empty(r) or is_test_or_copy(r), "whop")),
        told=refs_and_sizes,
    ),
    # --- parity -----------------------------------------------------------------------------------------
    Question(
        "missing_at_klaviyo",
        "Which Mailchimp audiences does Klaviyo lack?",
        arguments={"sources": ["mailchimp"], "missing_in": ["klaviyo"], "limit": 0},
        fact=number_missing("mailchimp", "klaviyo"),
        told=matched,
    ),
    Question(
        "missing_at_meta",
        "Which HubSpot lists were never sent to Meta?",
        arguments={"sources": ["hubspot"], "missing_in": ["meta"]},
        fact=missing("hubspot", "meta"),
        told=refs_and_sizes,
    ),
    Question(
        "missing_at_linkedin",
        "How many of Meta's audiences does LinkedIn lack?",
        arguments={"sources": ["meta"], "missing_in": ["linkedin"], "limit": 0},
        fact=number_missing("meta", "linkedin"),
        told=matched,
    ),
    # --- months and clients -----------------------------------------------------------------------------
    Question(
        "per_month",
        "How many lists did we make at Batch in each month?",
        arguments={"sources": ["batch"], "group_by": "month", "sort": "name"},
        fact=lambda records: grouped_by(month)(dated(records, "batch")),
        told=groups_of,
    ),
    Question(
        "october_per_vendor",
        "How many were made in October 2026, per vendor?",
        arguments={"created_since": "2026-10-01", "created_before": "2026-11-01", "group_by": "source"},
        fact=lambda records: grouped_by(lambda r: r.vendor)(
            [r for r in records if created_in("2026-10-01", "2026-11-01")(r)]
        ),
        told=groups_of,
    ),
    Question(
        "per_client",
        "How much does each of my clients have at Whop?",
        arguments={"sources": ["whop"], "group_by": "client"},
        fact=lambda records: grouped_by(lambda r: "-")(at(records, "whop")),
        told=groups_of,
    ),
    # --- filters together -------------------------------------------------------------------------------
    Question(
        "big_and_by_a_rule",
        "Which of more than 50,000 follow a rule?",
        arguments={"type": ["dynamic"], "min_size": 50_000},
        fact=those(both(big(50_000), lambda r: r.type == "dynamic")),
        told=refs_and_sizes,
    ),
    Question(
        "old_and_big",
        "Which lists from before 2025 still have over 20,000, and are ready?",
        arguments={"created_before": "2025-01-01", "min_size": 20_000, "status": ["ready"], "limit": 5},
        fact=lambda records: those(
            both(
                big(20_000),
                lambda r: r.status == "ready" and r.created is not None and r.created < date("2025-01-01"),
            )
        )(records)[:5],
        told=refs_and_sizes,
    ),
    Question(
        "kinds_at_mailchimp",
        "How many lists, segments and tags are there at Mailchimp?",
        arguments={"sources": ["mailchimp"], "group_by": "kind"},
        fact=lambda records: grouped_by(kind_at_mailchimp)(at(records, "mailchimp")),
        told=groups_of,
    ),
    Question(
        "average_per_vendor",
        "How big is an audience on average, per vendor?",
        arguments={"group_by": "source"},
        fact=averages,
        told=told_averages,
    ),
)
