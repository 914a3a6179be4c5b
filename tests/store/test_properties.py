"""Whatever is recorded, in whatever order and by whatever clock: what is told was really stored."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from audience_mcp.core.audience import Row
from audience_mcp.store.retention import DAY_MS, points_to_drop, thin
from audience_mcp.store.sqlite import SqliteStore
from audience_mcp.store.values import to_ms
from tests.store.conftest import HandClock

START = 1_795_000_000_000
IDS = ["a", "b", "c", "d"]
SIZES = st.one_of(st.none(), st.integers(0, 3))
READINGS = st.dictionaries(st.sampled_from(IDS), SIZES)
HOURS = st.one_of(
    st.integers(1, 30), st.integers(-60, 60), st.sampled_from([24 * 8, 24 * 100, 24 * 500, -24 * 40])
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), HOURS, READINGS),
        st.tuples(st.just("count"), st.integers(0, 20), st.dictionaries(st.sampled_from(IDS), SIZES)),
        st.tuples(st.just("restart"), st.just(0), st.just({})),
    ),
    min_size=1,
    max_size=14,
)


@settings(deadline=None, max_examples=150)
@given(STEPS)
def test_a_change_told_is_the_difference_of_two_sizes_stored_at_the_moments_named(
    steps: list[tuple[str, int, dict[str, int | None]]],
) -> None:
    given_by_vendor: dict[int, dict[str, int | None]] = {}
    clock = HandClock()
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder), clock)
        points: list[int] = []
        for what, number, sizes in steps:
            if what == "restart":
                store.close()
                store = SqliteStore(Path(folder), clock)
            elif what == "read":
                clock.time += number * 3600
                _record(store, sizes, clock)
                if _ms(clock) not in points:  # what was thinned away may be read anew
                    given_by_vendor[_ms(clock)] = dict(sizes)
            elif points:
                moment = points[number % len(points)]
                _count(store, sizes, moment)
                there = given_by_vendor[moment]
                there.update({id: size for id, size in sizes.items() if id in there})
            points = store.history(lambda part: part._tables.points(1))
        now = _ms(clock)
        for at in (now, now - DAY_MS, now - 30 * DAY_MS, START, 0):
            _check(store, given_by_vendor, points, at)
        store.close()


def _ms(clock: HandClock) -> int:
    return round(clock.time * 1000)


def _record(store: SqliteStore, sizes: dict[str, int | None], clock: HandClock) -> None:
    rows = [Row(id, id, size) for id, size in sizes.items()]
    store.history(lambda part: part.record("x", rows, _ms(clock)))


def _count(store: SqliteStore, sizes: dict[str, int | None], moment: int) -> None:
    store.history(lambda part: part.record_counts("x", sizes, moment))


def _check(
    store: SqliteStore, given_by_vendor: dict[int, dict[str, int | None]], points: list[int], at: int
) -> None:
    baseline = store.history(lambda part: part.baseline("x", at, 2**50))
    if not points:
        assert baseline is None
        return
    assert baseline is not None
    moment = to_ms(baseline.as_of)
    assert moment == max((point for point in points if point <= at), default=points[0])
    assert {id: past.size for id, past in baseline.audiences.items()} == given_by_vendor[moment]
    for timeline in store.history(lambda part: part.timelines("x", at)):
        for told in timeline.moments:
            # A moment whose reading has been thinned away is still one that the vendor gave.
            assert given_by_vendor[to_ms(told.as_of)].get(timeline.id) == told.size
        moments = [told.as_of for told in timeline.moments]
        assert moments == sorted(set(moments))


@given(st.lists(st.integers(0, 500 * 24), min_size=1, max_size=300, unique=True))
def test_thinning_keeps_the_newest_and_nothing_of_the_last_week_goes(hours: list[int]) -> None:
    moments = sorted(START + hour * 3_600_000 for hour in hours)
    now = moments[-1]
    dropped = set(points_to_drop(moments, now))
    kept = [moment for moment in moments if moment not in dropped]
    assert kept[-1] == now
    assert all(moment in kept for moment in moments if moment >= now - 7 * DAY_MS)
    assert all(now - moment <= 400 * DAY_MS for moment in kept)
    older = [moment for moment in kept if moment < now - 7 * DAY_MS]
    assert len({moment // DAY_MS for moment in older}) == len(older)
    # Thinned again, nothing more goes.
    assert points_to_drop(kept, now) == []


@given(st.lists(st.integers(), max_size=200), st.integers(2, 60))
def test_a_line_of_too_many_points_keeps_its_first_and_last(values: list[int], most: int) -> None:
    places = thin(values, most)
    assert len(places) == min(len(values), most)
    assert places == sorted(set(places))
    assert not values or (places[0], places[-1]) == (0, len(values) - 1)
