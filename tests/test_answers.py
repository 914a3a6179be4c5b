"""Answers cut to the size that a client takes: no total and no promise depends on the cut."""

import re
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audience_mcp.catalog.budget import MESSAGES, fit_list, fit_match
from audience_mcp.catalog.display import to_concise, to_full
from audience_mcp.catalog.models import Audience, AudienceList, AudienceMatch, Problem, SourceReport, to_dict
from audience_mcp.catalog.reports import NOTE_CHARS, report_lookup, report_source
from audience_mcp.catalog.totals import Totals
from audience_mcp.config import Source
from audience_mcp.core.audience import Row
from audience_mcp.core.errors import VendorError
from audience_mcp.core.text import to_json
from audience_mcp.core.values import as_id
from audience_mcp.sources.pager import Pager
from audience_mcp.sources.reading import Snapshot
from audience_mcp.vendors import Fields, Listing, Request, Vendor
from audience_mcp.vendors.batch import Batch
from audience_mcp.vendors.smallest import Smallest
from tests.support.examples import examples

LEAST = 4_000
"""The smallest budget that can be set."""


class Longest(Vendor):
    """A vendor of another package with everything as long as it may be."""

    name = "v" * 40
    title = "Longest"
    listings = (Listing("list", rows="rows", fields=Fields(), counts="people " * 100, ids=".*"),)
    size_unknown = "unknown, " * 100


BATCH = Batch()
SOURCE = f"{Longest.name}-{'s' * 40}"
LONGEST = Row(
    '"' * 255,
    '"' * 300,
    2**53,
    "lookalike",
    "processing",
    size_note='"' * 300,
    size_max=2**53,
    description="\\" * 300,
    created="2026-11-20T12:00:00.123456Z",
    updated="2026-11-20T12:00:00.123456Z",
    detail_pairs=tuple(each for n in range(12) for each in (f"k{n}", '"' * 200)),
)


def a_report(n: int, *, error: str | None = None) -> SourceReport:
    return SourceReport(
        source=f"batch-{n}",
        vendor="batch",
        audiences=10**6,
        sum_of_sizes=10**15,
        unknown_sizes=10**6,
        complete=error is None,
        as_of="2026-11-20T12:00:00Z",
        size_counts=str(BATCH.size_counts),
        error=Problem(kind="timeout", message=error, retry_after_s=300) if error else None,
    )


def a_list(reports: list[SourceReport], notes: list[str] | None = None, *, matched: int = 0) -> AudienceList:
    return AudienceList(
        matched=matched,
        returned=0,
        sum_of_sizes=10**18,
        unknown_sizes=0,
        complete=False,
        audiences=[],
        sources=reports,
        notes=notes,
    )


def rows(count: int, name: str = "A") -> list[Audience]:
    return [to_concise("batch", BATCH, Row(f"a{n}", name, n)) for n in range(count)]


def fitted(
    answer: AudienceList, shown: list[Audience], *, following: int | None = None, offset: int = 0, **more: Any
) -> AudienceList:
    known = {"chosen": False, "max_chars": LEAST, **more}
    following = len(shown) if following is None else following
    return fit_list(answer, shown, following=following, offset=offset, **known)


def test_rows_that_fit_are_all_shown_and_nothing_is_said() -> None:
    answer = fitted(a_list([a_report(1)], matched=3), rows(3))

    assert answer.returned == len(answer.audiences) == 3
    assert answer.next_offset is None
    assert answer.notes is None


def test_rows_that_do_not_fit_are_told_with_the_offset_to_go_on_at() -> None:
    answer = fitted(a_list([a_report(1)], matched=500), rows(400), following=500, offset=100)

    assert 0 < answer.returned < 400
    assert answer.next_offset == 100 + answer.returned
    assert answer.notes is not None
    assert answer.notes[-1].startswith(
        f"{500 - answer.returned:,} more match and are left out here: ask with offset="
    )
    assert f"offset={answer.next_offset}," in answer.notes[-1]


def test_a_limit_that_was_asked_for_is_no_surprise_but_has_a_next_offset() -> None:
    answer = fitted(a_list([a_report(1)], matched=10), rows(4), following=10, chosen=True)

    assert (answer.returned, answer.next_offset, answer.notes) == (4, 4, None)


def test_the_default_limit_is_told_where_it_leaves_rows_out() -> None:
    answer = fitted(a_list([a_report(1)], matched=10), rows(4), following=10, chosen=False)

    assert (answer.returned, answer.next_offset) == (4, 4)
    assert answer.notes is not None
    assert answer.notes[0].startswith("6 more match")


def test_totals_alone_have_no_next_offset() -> None:
    answer = fitted(a_list([a_report(1)], matched=10), [], following=10, chosen=True)

    assert (answer.returned, answer.next_offset, answer.notes) == (0, None, None)


def test_an_offset_past_the_end_has_no_next_offset() -> None:
    answer = fitted(a_list([a_report(1)], matched=10), [], following=0, offset=2**53)

    assert (answer.returned, answer.next_offset, answer.notes) == (0, None, None)


def test_reports_with_errors_come_first_where_not_all_fit_and_the_rest_is_counted() -> None:
    reports = [a_report(n, error="broken" if n in (17, 29) else None) for n in range(40)]

    answer = fitted(a_list(reports, matched=3), rows(3))

    shown = [r.source for r in answer.sources]
    assert shown[:2] == ["batch-17", "batch-29"]
    assert shown[2:] == [f"batch-{n}" for n in range(len(shown) - 2)]
    assert answer.notes == [
        f"{40 - len(shown)} more source reports do not fit. Ask for fewer sources to see them."
    ]
    assert answer.returned == 3


def test_reports_stay_in_their_order_where_all_fit() -> None:
    reports = [a_report(1), a_report(2, error="broken"), a_report(3)]

    assert fitted(a_list(reports), []).sources == reports


def test_a_long_note_is_cut_and_notes_that_do_not_fit_are_counted() -> None:
    answer = fitted(a_list([a_report(1)], [f"{n}" + "x" * 1000 for n in range(20)], matched=3), rows(3))

    assert answer.notes is not None
    assert all(len(note) <= NOTE_CHARS for note in answer.notes)
    assert any(
        note.startswith("20 more notes do not fit") or " more notes do not fit" in note
        for note in answer.notes
    )
    assert answer.returned == 3


@pytest.mark.parametrize("show", [to_full, to_concise])
@pytest.mark.parametrize("reports", [1, 2, 200])
@pytest.mark.parametrize("notes", [0, 1, 50])
def test_the_longest_possible_row_is_shown_in_the_smallest_answer(
    show: Any, reports: int, notes: int
) -> None:
    told = [a_report(n, error='"' * NOTE_CHARS) for n in range(reports)]
    longest = [show(SOURCE, Longest(), LONGEST)] * 3

    answer = fitted(a_list(told, ['"' * 1000] * notes, matched=10**7), longest, following=10**7, offset=10**6)
    assert answer.returned >= 1
    assert len(to_json(to_dict(answer))) <= LEAST

    match = AudienceMatch(
        matched_by="name", complete=False, audiences=[], sources=told, notes=['"' * 1000] * notes
    )
    found = fit_match(match, longest, LEAST)
    assert len(found.audiences) >= 1
    assert len(to_json(to_dict(found))) <= LEAST


def test_a_row_is_what_comes_first_even_before_reports_of_errors() -> None:
    answer = fitted(
        a_list([a_report(1, error="x" * NOTE_CHARS)], matched=1), [to_full("whop", BATCH, LONGEST)]
    )

    assert answer.returned == 1
    assert answer.audiences[0].details
    assert answer.sources == []
    assert answer.notes == ["1 more source reports do not fit. Ask for fewer sources to see them."]


def test_a_row_that_fits_only_without_its_details_is_shown_so_and_that_is_told() -> None:
    longest = to_full(SOURCE, Longest(), LONGEST)

    before = a_list([a_report(1, error="x" * NOTE_CHARS)], ["x" * NOTE_CHARS], matched=10**8)
    answer = fitted(before, [longest] * 2, following=10**7, offset=10**6)

    assert answer.audiences == [longest.model_copy(update={"details": None})]
    assert answer.next_offset == 10**6 + 1
    assert answer.notes is not None
    assert "The details of this audience do not fit and are left out." in answer.notes


def test_several_of_one_name_that_do_not_all_fit_are_counted() -> None:
    match = AudienceMatch(matched_by="name", complete=True, audiences=[], sources=[a_report(1)])

    answer = fit_match(match, [to_full("batch", BATCH, Row(f"a{n}", "VIP", n)) for n in range(60)], LEAST)

    hidden = 60 - len(answer.audiences)
    assert answer.notes == [f"{hidden} more match and do not fit: use list_audiences with search."]


# Reports


async def nothing(request: Request) -> object:
    raise AssertionError("not asked")


def held(*found: Row, pages: int = 1, error: VendorError | None = None) -> Snapshot:
    walk = Pager("batch", BATCH, {}, nothing)
    walk.pages = pages
    walk.rows = {row.id: row for row in found}
    walk.sum_of_sizes = sum(row.size or 0 for row in found)
    walk.unknown_sizes = sum(row.size is None for row in found)
    when = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=timezone.utc) if pages else None
    return Snapshot(walk, error is None, when, error)


ASKED = Source("batch-fr", BATCH, None)


def test_a_report_says_how_much_was_read_and_the_totals_of_what_matched() -> None:
    rows = Row("a", "A", 5), Row("b", "B", 7), Row("c", "C")
    totals = Totals.over(rows)
    assert to_dict(report_source(ASKED, held(*rows, Row("d", "D", 9)), totals)) == {
        "source": "batch-fr",
        "vendor": "batch",
        "audiences": 4,
        "matched": 3,
        "sum_of_sizes": 12,
        "unknown_sizes": 1,
        "complete": True,
        "as_of": "2026-11-20T12:00:00Z",
        "size_counts": BATCH.size_counts,
    }


def test_a_source_of_which_no_page_came_has_no_figures_that_look_like_an_empty_one() -> None:
    error = VendorError("rate_limited", "batch-fr: asks to be left alone.", retry_after_s=60)

    assert to_dict(report_source(ASKED, held(pages=0, error=error))) == {
        "source": "batch-fr",
        "vendor": "batch",
        "complete": False,
        "size_counts": BATCH.size_counts,
        "error": {"kind": "rate_limited", "message": "batch-fr: asks to be left alone.", "retry_after_s": 60},
    }


def test_a_source_asked_directly_has_no_figures_at_all() -> None:
    assert to_dict(report_lookup(ASKED)).keys() == {"source", "vendor", "complete", "size_counts"}


# Whatever is put in

texts = st.text(st.sampled_from('a"\\é空🎄 \u202e\n') | st.characters(), max_size=300)
counts = st.integers(0, 2**53)
ids = st.text(st.sampled_from('a"\\é空'), min_size=1, max_size=255).filter(lambda id: as_id(id) is not None)
held_rows = st.builds(
    Row,
    id=ids,
    name=texts,
    size=st.none() | counts,
    type=st.sampled_from(["static", "dynamic", "lookalike", "unknown"]),
    status=st.sampled_from(["ready", "processing", "partial", "failed", "unknown"]),
    size_note=st.none() | texts,
    size_max=st.none() | counts,
    description=st.none() | texts,
    created=st.none() | counts,
    updated=st.none() | st.just("2026-11-20T12:00:00.123456Z"),
    detail_pairs=st.dictionaries(texts, texts | st.lists(texts, max_size=6) | counts, max_size=14).map(
        lambda facts: tuple(each for pair in facts.items() for each in pair)
    ),
)
shown_rows = st.builds(
    lambda show, source, row: show(*source, row),
    st.sampled_from([to_full, to_concise]),
    st.sampled_from([("batch", BATCH), ("smallest-in", Smallest()), (SOURCE, Longest())]),
    held_rows,
)
problems = st.none() | st.builds(
    Problem,
    kind=st.sampled_from(["timeout", "unauthorized"]),
    message=texts.map(lambda text: text[:NOTE_CHARS]) | st.just('"' * NOTE_CHARS),
    retry_after_s=st.none() | counts,
)
reports = st.builds(
    SourceReport,
    source=st.from_regex(r"[a-z]{1,40}-[a-z0-9-]{1,40}", fullmatch=True),
    vendor=st.from_regex(r"[a-z]{1,40}", fullmatch=True),
    audiences=st.none() | counts,
    sum_of_sizes=st.none() | st.integers(0, 10**22),
    unknown_sizes=st.none() | counts,
    complete=st.booleans(),
    as_of=st.none() | st.just("2026-11-20T12:00:00Z"),
    size_counts=st.sampled_from([str(BATCH.size_counts), str(Smallest().size_counts)]),
    error=problems,
)
notes = st.lists(texts | st.just("x" * 1000), max_size=12)


def check_rows(before: list[Audience], after: AudienceList | AudienceMatch) -> None:
    """The first rows are shown whole; a lone one may lack its details, which is told."""
    if before:
        assert after.audiences
    if MESSAGES["no_details"] in (after.notes or []):
        assert after.audiences == [before[0].model_copy(update={"details": None})]
        assert before[0].details
    else:
        assert after.audiences == before[: len(after.audiences)]


def check_told(before: list[SourceReport], after: AudienceList | AudienceMatch) -> None:
    """Which reports are left, in which order, and that the rest is counted."""
    hidden = len(before) - len(after.sources)
    if not hidden:
        assert after.sources == before
        return
    assert after.sources == sorted(before, key=lambda r: r.error is None)[: len(after.sources)]
    told = [re.match(r"([\d,]+) more source reports do not fit", note) for note in after.notes or []]
    assert [int(found[1].replace(",", "")) for found in told if found] == [hidden]


@pytest.mark.slow
@examples
@given(
    st.lists(shown_rows, max_size=12),
    st.lists(reports, min_size=1, max_size=30),
    notes,
    st.integers(0, 2**53) | st.integers(0, 500),
    st.integers(0, 10**7),
    st.integers(LEAST, 12_000) | st.just(LEAST),
    st.booleans(),
)
def test_a_list_never_outgrows_its_budget_nor_hides_what_it_left_out(
    shown: list[Audience],
    told: list[SourceReport],
    noted: list[str],
    offset: int,
    beyond: int,
    max_chars: int,
    chosen: bool,
) -> None:
    following = len(shown) + (beyond if shown else 0)
    before = a_list(list(told), list(noted) or None, matched=offset + following)
    totals = before.matched, before.sum_of_sizes, before.unknown_sizes, before.complete

    answer = fit_list(before, shown, following=following, offset=offset, chosen=chosen, max_chars=max_chars)

    assert len(to_json(to_dict(answer))) <= max_chars
    assert (answer.matched, answer.sum_of_sizes, answer.unknown_sizes, answer.complete) == totals
    check_rows(shown, answer)
    assert answer.returned == len(answer.audiences)
    goes_on = 0 < answer.returned < following
    assert answer.next_offset == (offset + answer.returned if goes_on else None)
    left_out = answer.returned < len(shown) or (answer.returned < following and not chosen)
    assert (
        any(note.startswith(f"{following - answer.returned:,} more match") for note in answer.notes or [])
        == left_out
    )
    check_told(told, answer)


@pytest.mark.slow
@examples
@given(
    st.lists(shown_rows, min_size=1, max_size=12),
    st.lists(reports, min_size=1, max_size=30),
    notes,
    st.integers(LEAST, 12_000) | st.just(LEAST),
)
def test_a_match_never_outgrows_its_budget_nor_hides_what_it_left_out(
    shown: list[Audience], told: list[SourceReport], noted: list[str], max_chars: int
) -> None:
    before = AudienceMatch(
        matched_by="name", complete=True, audiences=[], sources=list(told), notes=list(noted) or None
    )

    answer = fit_match(before, shown, max_chars)

    assert len(to_json(to_dict(answer))) <= max_chars
    check_rows(shown, answer)
    hidden = len(shown) - len(answer.audiences)
    assert any(note.startswith(f"{hidden} more match and do not fit") for note in answer.notes or []) == (
        hidden > 0
    )
    check_told(told, answer)
