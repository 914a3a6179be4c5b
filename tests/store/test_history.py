"""Sizes over time, over each kind of store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from audience_mcp.core.audience import Row
from audience_mcp.core.secrets import Redactor
from audience_mcp.store.guard import Backend
from audience_mcp.store.history import HistoryPart
from audience_mcp.store.stored import Baseline, NoBaseline, Owner, Span, StoredCount, from_ms, to_ms
from tests.store.conftest import HandClock, Open
from tests.store.uses import found, owner

HOUR = 3_600_000
DAY = 24 * HOUR
START = to_ms(datetime(2026, 11, 2, 12, tzinfo=timezone.utc))  # a Monday
LATER = 2**50
ACME = owner("acme")


def rows(**sizes: int | None) -> list[Row]:
    return [Row(id, f"Name of {id}", size) for id, size in sizes.items()]


def record(store: Backend, moment: int, **sizes: int | None) -> None:
    store.history(lambda part: part.record(ACME, rows(**sizes), moment))


def sizes_of(baseline: Baseline | NoBaseline) -> tuple[int, Mapping[str, int | None]] | None:
    if isinstance(baseline, NoBaseline):
        return None
    return to_ms(baseline.as_of), {id: past.size for id, past in baseline.audiences.items()}


def then(store: Backend, at: int, before: int = LATER) -> tuple[int, Mapping[str, int | None]] | None:
    return sizes_of(store.history(lambda part: part.baseline(ACME, at, before)))


def line(store: Backend, id: str, since: int = 0) -> list[tuple[int, int]]:
    lines = store.history(lambda part: part.timelines(ACME, since, [id]))
    return [(to_ms(moment.as_of), moment.size) for each in lines for moment in each.moments]


def span_of(store: Backend, name: str = "acme") -> Span | None:
    stored = store.history(lambda part: part.contents())
    return next((each.span for each in stored if each.source == name), None)


@pytest.fixture(autouse=True)
def now(clock: HandClock) -> None:
    """Some days after what is recorded, of which nothing is later than now."""
    clock.time = (START + 10 * DAY) / 1000


def test_the_baseline_is_the_last_reading_at_or_before_the_moment(opened: Open) -> None:
    store = opened()
    record(store, START, a=1, b=10)
    record(store, START + DAY, a=2, b=10)
    record(store, START + 2 * DAY, a=3, b=10)
    other = opened()
    assert then(other, START + DAY) == (START + DAY, {"a": 2, "b": 10})
    assert then(other, START + DAY - 1) == (START, {"a": 1, "b": 10})
    assert then(other, LATER) == (START + 2 * DAY, {"a": 3, "b": 10})


def test_where_nothing_is_that_old_the_first_reading_is_the_baseline(store: Backend) -> None:
    record(store, START, a=1)
    record(store, START + DAY, a=2)
    assert then(store, 0) == (START, {"a": 1})


def test_a_reading_is_never_compared_with_itself_or_a_later_one(store: Backend) -> None:
    record(store, START, a=1)
    record(store, START + DAY, a=2)
    assert then(store, LATER, before=START + DAY) == (START, {"a": 1})
    assert then(store, LATER, before=START) is None


def test_an_account_without_history_has_no_baseline(store: Backend) -> None:
    record(store, START, a=1)
    nothing = store.history(lambda part: part.baseline(owner("other"), LATER, LATER))
    assert nothing == NoBaseline(None, another=False)
    assert span_of(store, "other") is None
    assert store.history(lambda part: part.timelines(owner("other"), 0)) == []


def test_what_came_and_went_is_there_only_in_between(store: Backend) -> None:
    record(store, START, a=1)
    record(store, START + DAY, a=1, b=5)
    record(store, START + 2 * DAY, b=5)
    record(store, START + 3 * DAY, a=1, b=5)
    assert [then(store, START + n * DAY) for n in range(4)] == [
        (START, {"a": 1}),
        (START + DAY, {"a": 1, "b": 5}),
        (START + 2 * DAY, {"b": 5}),
        (START + 3 * DAY, {"a": 1, "b": 5}),
    ]


def test_a_size_that_was_not_known_is_not_taken_for_zero_or_for_the_last_known(store: Backend) -> None:
    record(store, START, a=7)
    record(store, START + DAY, a=None)
    record(store, START + 2 * DAY, a=0)
    assert [then(store, START + n * DAY) for n in range(3)] == [
        (START, {"a": 7}),
        (START + DAY, {"a": None}),
        (START + 2 * DAY, {"a": 0}),
    ]


def test_an_audience_has_the_name_and_kind_that_it_had_last(store: Backend) -> None:
    record(store, START, a=1)
    store.history(lambda part: part.record(ACME, [Row("a", "New name", 1, kind="list")], START + DAY))
    baseline = found(store.history(lambda part: part.baseline(ACME, START, LATER)))
    assert (baseline.audiences["a"].name, baseline.audiences["a"].kind) == ("New name", "list")


def test_a_reading_that_comes_late_falls_into_its_place(store: Backend) -> None:
    record(store, START, a=1, b=1, gone=1)
    record(store, START + 2 * DAY, a=1, b=3, new=1)
    record(store, START + DAY, a=2, b=1, between=9)
    assert [then(store, START + n * DAY) for n in range(3)] == [
        (START, {"a": 1, "b": 1, "gone": 1}),
        (START + DAY, {"a": 2, "b": 1, "between": 9}),
        (START + 2 * DAY, {"a": 1, "b": 3, "new": 1}),
    ]
    record(store, START - DAY, b=1)
    assert then(store, START - DAY) == (START - DAY, {"b": 1})
    assert then(store, START) == (START, {"a": 1, "b": 1, "gone": 1})


def test_the_same_reading_recorded_twice_is_one_point(store: Backend) -> None:
    record(store, START, a=1)
    record(store, START, a=2)
    assert then(store, START) == (START, {"a": 1})
    span = span_of(store)
    assert span is not None
    assert span.readings == 1


def test_a_timeline_tells_when_each_size_was_first_seen_and_when_the_last_one_was_last(
    store: Backend,
) -> None:
    for hours, size in enumerate([5, 5, 6, 6, 6, 4, 4]):
        record(store, START + hours * HOUR, a=size, b=1)
    assert line(store, "a") == [
        (START, 5),
        (START + 2 * HOUR, 6),
        (START + 5 * HOUR, 4),
        (START + 6 * HOUR, 4),
    ]
    assert line(store, "b") == [(START, 1), (START + 6 * HOUR, 1)]


def test_a_timeline_since_a_moment_begins_with_the_reading_at_or_before_it(store: Backend) -> None:
    for hours, size in enumerate([5, 5, 6, 7]):
        record(store, START + hours * HOUR, a=size)
    since = START + 2 * HOUR - 1
    assert line(store, "a", since) == [(START + HOUR, 5), (START + 2 * HOUR, 6), (START + 3 * HOUR, 7)]
    assert line(store, "a", LATER) == [(START + 3 * HOUR, 7)]


def test_a_timeline_leaves_out_when_the_size_was_not_known(store: Backend) -> None:
    for hours, size in enumerate([5, None, 5, 8, None]):
        record(store, START + hours * HOUR, a=size)
    assert line(store, "a") == [(START, 5), (START + 3 * HOUR, 8)]


def pending(store: Backend, moment: int, *ids: str) -> None:
    listed = [Row(id, id, size_pending=True) for id in ids]
    store.history(lambda part: part.record(ACME, listed, moment))


def count(store: Backend, moment: int, **sizes: int | None) -> None:
    counts = {id: StoredCount(size, None, None, from_ms(moment)) for id, size in sizes.items()}
    store.history(lambda part: part.record_counts(ACME, counts))


def then_counted(store: Backend, at: int, before: int = LATER) -> dict[str, tuple[int, int] | None]:
    """The last count of each audience for a moment, by its size and its own moment."""
    baseline = found(store.history(lambda part: part.baseline(ACME, at, before)))
    last = {id: next(iter(past.counts), None) for id, past in baseline.audiences.items()}
    return {id: (each.size, to_ms(each.as_of)) if each else None for id, each in last.items()}


def test_a_size_that_is_counted_by_itself_has_a_moment_of_its_own(store: Backend) -> None:
    pending(store, START, "a", "b")
    assert then_counted(store, LATER) == {"a": None, "b": None}
    count(store, START + 60_000, a=3, unheard_of=1)
    assert then_counted(store, LATER) == {"a": (3, START + 60_000), "b": None}
    assert then_counted(store, START + 59_999) == {"a": None, "b": None}
    count(store, START + HOUR, a=4, b=5)
    assert then_counted(store, LATER) == {"a": (4, START + HOUR), "b": (5, START + HOUR)}
    assert then_counted(store, START + HOUR - 1) == {"a": (3, START + 60_000), "b": None}
    assert line(store, "a") == [(START + 60_000, 3), (START + HOUR, 4)]


def test_a_narrow_question_makes_no_size_of_the_day_unknown(store: Backend) -> None:
    pending(store, START, "a", "b")
    count(store, START + 1, a=1, b=2)
    pending(store, START + 6 * HOUR, "a", "b")  # a question about none of them
    count(store, START + 6 * HOUR + 1, b=3)
    assert then_counted(store, LATER) == {"a": (1, START + 1), "b": (3, START + 6 * HOUR + 1)}


def test_counts_more_than_a_day_before_the_baseline_say_nothing_of_it(store: Backend) -> None:
    pending(store, START, "a", "b")
    count(store, START + 1, a=1, b=1)
    pending(store, START + DAY, "a", "b")
    assert then_counted(store, START + DAY) == {"a": (1, START + 1), "b": (1, START + 1)}
    pending(store, START + DAY + 2, "a", "b")  # 24 h and a moment after the count
    assert then_counted(store, START + DAY + 2) == {"a": None, "b": None}
    pending(store, START + 3 * DAY, "a", "b")
    assert then_counted(store, START + 3 * DAY) == {"a": None, "b": None}


def test_a_count_that_was_refused_at_the_baseline_stays_unknown(store: Backend) -> None:
    pending(store, START - HOUR, "a")
    count(store, START - HOUR, a=1)
    pending(store, START, "a")
    count(store, START + 1, a=None)
    assert then_counted(store, LATER) == {"a": None}
    assert then_counted(store, START) == {"a": (1, START - HOUR)}
    count(store, START + 2, a=2)
    assert then_counted(store, LATER) == {"a": (2, START + 2)}


def test_what_is_counted_or_refused_on_a_later_day_says_nothing_of_the_baseline(store: Backend) -> None:
    pending(store, START, "a", "b")
    count(store, START + HOUR, a=1)
    midnight = START + 12 * HOUR
    count(store, midnight - 1, b=2)
    expected = {"a": (1, START + HOUR), "b": (2, midnight - 1)}
    count(store, midnight, a=7, b=7)  # the rule of the day holds before and after the baseline
    count(store, START + 5 * DAY, a=170, b=170)
    assert then_counted(store, LATER) == expected
    assert then_counted(store, START - 1) == {"a": (1, START + HOUR), "b": (2, midnight - 1)}
    count(store, START + 6 * DAY, a=None, b=None)
    assert then_counted(store, LATER) == expected


def test_what_was_counted_before_a_reading_keeps_the_moment_at_which_it_was(store: Backend) -> None:
    counted = [
        Row("a", "a", 7, counted_at=from_ms(START - HOUR)),
        Row("b", "b", None, counted_at=from_ms(START)),
    ]
    for moment in (START, START + HOUR, START + 2 * HOUR):
        store.history(lambda part, moment=moment: part.record(ACME, counted, moment))  # type: ignore[misc]
    assert then_counted(store, LATER) == {"a": (7, START - HOUR), "b": None}
    assert line(store, "a") == [(START - HOUR, 7)]


def test_the_last_known_count_of_a_day_is_kept_and_so_is_a_listed_size(
    store: Backend, clock: HandClock
) -> None:
    def read(moment: int, listed: int | None) -> None:
        rows = [Row("a", "a", size_pending=True), Row("b", "b", listed)]
        store.history(lambda part: part.record(ACME, rows, moment))

    for hour, (counted, listed) in enumerate([(1, 10), (2, 20), (None, None)]):
        read(START + hour * HOUR, listed)
        if counted is not None:
            count(store, START + hour * HOUR + 1, a=counted)
    for day in range(1, 10):
        clock.time = (START + day * DAY) / 1000
        read(START + day * DAY, 99)
    assert [p for p in store.history(lambda part: part._tables.points(1)) if p < START + DAY] == [
        START + 2 * HOUR
    ]
    assert line(store, "a") == [(START + HOUR + 1, 2)]
    assert line(store, "b")[:2] == [(START + HOUR, 20), (START + DAY, 99)]
    assert then(store, START + 2 * HOUR) == (START + 2 * HOUR, {"a": None, "b": None})
    assert then_counted(store, START + 2 * HOUR)["a"] == (2, START + HOUR + 1)


def test_another_unit_is_another_size_though_the_number_is_the_same(store: Backend) -> None:
    for hour, unit in enumerate(("Display", "Search", "Search")):
        row = Row("a", "a", 5, unit=unit)
        store.history(lambda part, row=row, hour=hour: part.record(ACME, [row], START + hour * HOUR))  # type: ignore[misc]
    units = [
        found(store.history(lambda part, at=at: part.baseline(ACME, at, LATER))).audiences["a"].unit  # type: ignore[misc]
        for at in (START, START + HOUR, LATER)
    ]
    assert units == ["Display", "Search", "Search"]


@pytest.mark.slow
def test_every_reading_stays_for_a_week_one_a_day_for_ninety_days_and_one_a_week_for_400(
    store: Backend, clock: HandClock
) -> None:
    moment = START
    for number in range(4 * 440):
        moment = START + number * 6 * HOUR
        clock.time = moment / 1000
        record(store, moment, a=number)
    points = store.history(lambda part: part._tables.points(1))
    ages = [moment - point for point in points]
    assert sum(age <= 7 * DAY for age in ages) in (28, 29)
    assert sum(7 * DAY < age <= 90 * DAY for age in ages) in (82, 83, 84)
    assert sum(age > 90 * DAY for age in ages) in (44, 45, 46)
    assert max(ages) <= 401 * DAY
    # The last one of its day, and of its week; what they said is still there.
    assert all(from_ms(point).hour == 18 for point, age in zip(points, ages, strict=True) if age > 8 * DAY)
    assert all(
        from_ms(point).weekday() == 6 for point, age in zip(points, ages, strict=True) if age > 97 * DAY
    )
    for point in points:
        assert then(store, point) == (point, {"a": (point - START) // (6 * HOUR)})


def test_a_reading_of_a_clock_that_was_ahead_is_no_point_and_loses_nothing(
    store: Backend, clock: HandClock
) -> None:
    for day in range(3):
        record(store, START + day * DAY, a=day, gone=7)
    ahead = START + 3650 * DAY
    clock.time = ahead / 1000
    record(store, ahead, a=99, new=1)
    clock.time = (START + 3 * DAY) / 1000
    told = [(START, 0), (START + DAY, 1), (START + 2 * DAY, 2)]
    assert line(store, "a") == told
    assert line(store, "new") == []
    assert then(store, LATER) == (START + 2 * DAY, {"a": 2, "gone": 7})
    span = span_of(store)
    assert span is not None
    assert span.last == from_ms(START + 2 * DAY)
    record(store, START + 3 * DAY, a=3, gone=7)
    assert line(store, "a") == [*told, (START + 3 * DAY, 3)]
    assert line(store, "gone") == [(START, 7), (START + 3 * DAY, 7)]
    assert store.history(lambda part: part._tables.points(1))[-1] == START + 3 * DAY


def test_a_reading_later_than_now_is_not_stored_and_that_is_said(store: Backend, clock: HandClock) -> None:
    now = round(clock.time * 1000)
    assert store.history(lambda part: part.record(ACME, rows(a=1), now + 59_000))
    assert not store.history(lambda part: part.record(ACME, rows(a=2), now + 61_000))
    assert then(store, LATER) == (now + 59_000, {"a": 1})


def keyed(key: str, source: str = "brevo", **further: Any) -> Owner:
    """An account that is known by its key alone."""
    return Owner("brevo", "", source, (("api_key", key, True),), by_key=True, **further)


def record_as(store: Backend, who: Owner, moment: int, *audiences: Row) -> None:
    store.history(lambda part: part.record(who, audiences, moment))


def then_as(
    store: Backend, who: Owner, *present: Row, before: int = LATER
) -> Mapping[str, int | None] | NoBaseline:
    """What an account that has these audiences now is compared with."""
    baseline = store.history(lambda part: part.baseline(who, LATER, before, lambda: present))
    if isinstance(baseline, NoBaseline):
        return baseline
    return {id: past.size for id, past in baseline.audiences.items()}


A, B = keyed("key-a"), keyed("key-b")
OF_A = [Row("1", "Acme secret list", 10), Row("2", "Acme buyers", 20)]
OF_B = [Row("1", "Bravo list", 44), Row("2", "Bravo buyers", 55)]


def test_two_keys_at_once_keep_two_histories_and_neither_sees_the_other(opened: Open) -> None:
    one, other = opened(), opened()
    for hour in range(3):
        record_as(one, A, START + hour * HOUR, *OF_A)
        assert then_as(other, B, *OF_B, before=START) == NoBaseline(
            None if not hour else from_ms(START + 1), another=True
        )
        record_as(other, B, START + hour * HOUR + 1, *OF_B)
    assert then_as(one, A, *OF_A) == {"1": 10, "2": 20}
    assert then_as(other, B, *OF_B) == {"1": 44, "2": 55}
    for each in (one, other):
        lines = each.history(lambda part: part.timelines(B, 0, None, lambda: OF_B))
        assert [line.name for line in lines] == ["Bravo list", "Bravo buyers"]
        assert len(each.history(lambda part: part.contents())) == 2


def test_a_new_key_of_the_same_account_takes_its_history_over(store: Backend) -> None:
    record_as(store, A, START, *OF_A)
    grown = [*OF_A, *(Row(f"9{n}", f"New {n}", n) for n in range(50))]
    assert then_as(store, B, *grown) == {"1": 10, "2": 20}
    lines = store.history(lambda part: part.timelines(B, 0, None, lambda: grown))
    assert [line.name for line in lines] == ["Acme secret list", "Acme buyers"]
    record_as(store, B, START + HOUR, *grown)
    assert len(store.history(lambda part: part.contents())) == 1
    assert then_as(store, B) == {row.id: row.size for row in grown}
    assert then_as(store, A) == NoBaseline(None, another=True)  # by the old key alone nothing is seen


@pytest.mark.parametrize(
    ("present", "same"),
    [
        (OF_B, False),  # ids alike, names not: ids that count up say nothing
        ([], False),
        ([Row("7", "Acme buyers", 1), *OF_B, *OF_B], True),
        ([Row("1", "Active", 1), Row("2", "New", 1)], False),
    ],
)
def test_whose_history_it_is_goes_by_names_that_only_this_account_would_have(
    store: Backend, present: Sequence[Row], same: bool
) -> None:
    everyones = frozenset({"Active", "New"})
    a, b = keyed("a", made_for_all=everyones), keyed("b", made_for_all=everyones)
    record_as(store, a, START, *OF_A, Row("8", "Active", 5), Row("9", "New", 5))
    found = then_as(store, b, *present)
    assert (found == NoBaseline(None, another=True)) is not same


def test_ids_that_no_other_account_has_say_whose_it_is_though_all_was_renamed(store: Backend) -> None:
    record_as(store, A, START, *OF_A)
    renamed = [Row(row.id, f"2027 - {row.name}", 1) for row in OF_A]
    assert then_as(store, B, *renamed) == NoBaseline(None, another=True)
    assert then_as(store, keyed("key-b", unique_ids=True), *renamed) == {"1": 10, "2": 20}


def test_with_the_same_key_growth_and_renaming_and_emptiness_end_no_history(store: Backend) -> None:
    record_as(store, A, START, OF_A[0])
    record_as(store, A, START + HOUR)
    record_as(store, A, START + 2 * HOUR, *OF_B, *(Row(f"9{n}", f"New {n}", n) for n in range(9)))
    assert span_of(store, "brevo") == Span(from_ms(START), from_ms(START + 2 * HOUR), 3)


def test_a_source_under_another_name_keeps_the_history_of_its_key(store: Backend) -> None:
    record_as(store, A, START, *OF_A)
    renamed = keyed("key-a", "brevo-acme")
    assert then_as(store, renamed) == {"1": 10, "2": 20}
    record_as(store, renamed, START + HOUR, *OF_A)
    assert [each.source for each in store.history(lambda part: part.contents())] == ["brevo-acme"]


def test_a_source_that_is_not_set_in_full_is_known_by_its_name(store: Backend) -> None:
    record_as(store, A, START, *OF_A)
    unset = Owner("brevo", "", "brevo")
    assert [line.id for line in store.history(lambda part: part.timelines(unset, 0))] == ["1", "2"]
    assert store.history(lambda part: part.timelines(Owner("whop", "", "brevo"), 0)) == []


def test_no_secret_is_stored_and_none_that_another_process_stored_comes_out(store: Backend) -> None:
    record_as(
        store, A, START, Row("1", "pasted cbx-live-5f3e9a7c1d here", 1), Row("cbx-live-5f3e9a7c1d", "x", 2)
    )
    clean = Redactor(["cbx-live-5f3e9a7c1d"]).body
    baseline = found(store.history(lambda part: part.baseline(A, LATER, LATER, clean=clean)))
    assert [(id, past.name) for id, past in baseline.audiences.items()] == [("1", "pasted **** here")]
    lines = store.history(lambda part: part.timelines(A, 0, clean=clean))
    assert [each.name for each in lines] == ["pasted **** here"]
    record_as(store, A, START + HOUR, Row("1", "pasted cbx-live-5f3e9a7c1d here", 1))
    (series,) = store.history(lambda part: part.contents())
    assert "key-a" not in series.key


def test_a_series_that_cannot_be_decoded_costs_itself_alone(store: Backend) -> None:
    record(store, START, a=1)
    store.history(lambda part: part.record(owner("other"), rows(a=1), START))
    store.history(
        lambda part: part._db.execute("UPDATE audience_mcp_series SET state = ? WHERE id = 1", (b"no state",))
    )
    assert isinstance(store.history(lambda part: part.baseline(ACME, LATER, LATER)), NoBaseline)
    assert sizes_of(store.history(lambda part: part.baseline(owner("other"), LATER, LATER))) is not None
    record(store, START + HOUR, a=2)
    assert then(store, LATER) == (START + HOUR, {"a": 2})


def test_an_account_that_is_known_by_its_own_id_keeps_its_series_whatever_it_holds(store: Backend) -> None:
    record(store, START, a=1)
    record(store, START + DAY, z=1)
    assert then(store, START, START + DAY) == (START, {"a": 1})


def test_the_span_tells_since_when_there_is_history(store: Backend) -> None:
    for day in range(3):
        record(store, START + day * DAY, a=day)
    span = span_of(store)
    assert span is not None
    assert (span.first, span.last, span.readings) == (from_ms(START), from_ms(START) + timedelta(days=2), 3)


def test_clearing_one_account_leaves_the_others(store: Backend) -> None:
    record(store, START, a=1)
    store.history(lambda part: part.record(owner("other"), rows(a=1), START))
    key = store.history(lambda part: part.key_of(ACME))
    assert store.history(lambda part: part.clear([key])) == 1
    assert [each.source for each in store.history(lambda part: part.contents())] == ["other"]
    assert store.history(lambda part: part.clear()) == 1
    assert store.history(lambda part: part.contents()) == []


@pytest.mark.slow
def test_what_is_too_much_goes_the_oldest_first(store: Backend, clock: HandClock) -> None:
    def record_within(day: int) -> None:
        each = [Row(f"a{n}", f"Audience {n}", n + day) for n in range(300)]
        store.history(
            lambda part: HistoryPart(part._db, max_bytes=300_000).record(ACME, each, START + day * DAY)
        )

    for day in range(60):
        clock.time = (START + day * DAY) / 1000
        record_within(day)
        assert store.history(lambda part: part._db.bytes_used()) <= 400_000
    span = span_of(store)
    assert span is not None
    assert span.first > from_ms(START + DAY)
    assert span.last == from_ms(START + 59 * DAY)
    found = then(store, to_ms(span.first))
    day = (to_ms(span.first) - START) // DAY
    assert found == (to_ms(span.first), {f"a{n}": n + day for n in range(300)})
