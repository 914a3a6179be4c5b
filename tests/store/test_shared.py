"""What processes share, over each kind of store; `opened()` is another process."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from audience_mcp.core.audience import Row
from audience_mcp.store.database import new_holder
from audience_mcp.store.guard import Backend
from audience_mcp.store.shared import RENEWED_WITHIN_S
from audience_mcp.store.stored import StoredCount, StoredReading, Turn, from_ms
from tests.store.conftest import HandClock, Open
from tests.store.uses import take_lease

ROWS = [
    Row("a1", "VIP", 1200),
    Row("a2", "Ünïcode 🛍️", None, size_note="not counted", type="dynamic", status="failed"),
    Row("a3", "a range", 10, size_max=20, kind="list", part_of="a1", description="long", created=1795000000),
    Row("a4", "pending", size_pending=True, detail_pairs=("a", [1, {"b": None}], "c", "\ud800 half a pair")),
    Row("a5", "zero", 0, updated="2026-01-01", detail_pairs=("x", 1.5)),
]


def reading(clock: HandClock, rows: list[Row] = ROWS, **ago: float) -> StoredReading:
    times: dict[str, Any] = {"started_ago_s": 4.0, "first_page_ago_s": 3.0, "ended_ago_s": 1.0, **ago}
    as_of = from_ms(int((clock.time - times["first_page_ago_s"]) * 1000))
    return StoredReading(rows, as_of, **times, pages=2, total=9, invalid=1, duplicates=2, notes=["a note"])


def save(store: Backend, key: str, read: StoredReading) -> None:
    store.shared(lambda part: part.save_reading(key, read, key.partition(":")[0]))


def find(store: Backend, key: str, within: float | None = None) -> StoredReading | None:
    return store.shared(lambda part: part.find_reading(key, within))


def take(store: Backend, *limits: tuple[int, float], key: str = "k", kind: str = "") -> Turn:
    return store.shared(lambda part: part.take_turn(key, kind, limits))


def test_another_process_finds_a_reading_just_as_it_was(opened: Open, clock: HandClock) -> None:
    save(opened(), "batch:1", reading(clock))
    clock.time += 10
    found = find(opened(), "batch:1")
    assert found is not None
    assert list(found.rows) == ROWS
    assert found == replace(
        reading(clock), as_of=found.as_of, started_ago_s=14.0, first_page_ago_s=13.0, ended_ago_s=11.0
    )
    assert found.as_of == from_ms(1_794_999_997_000)


def test_a_size_of_one_and_true_stay_what_they_are(store: Backend, clock: HandClock) -> None:
    rows = [Row("a", "a", 1, detail_pairs=("on", True)), Row("b", "b", 1, detail_pairs=("on", 1))]
    save(store, "k", reading(clock, rows))
    found = find(store, "k")
    assert found is not None
    assert [row.size for row in found.rows] == [1, 1]
    assert [row.details and row.details["on"] for row in found.rows] == [True, 1]


def test_a_reading_is_found_under_its_own_key_alone(store: Backend, clock: HandClock) -> None:
    save(store, "batch:1", reading(clock))
    assert find(store, "batch:2") is None


def test_a_reading_that_began_too_long_ago_is_not_loaded(store: Backend, clock: HandClock) -> None:
    save(store, "k", reading(clock, started_ago_s=9.0))
    assert find(store, "k", 10) is not None
    assert find(store, "k", 9) is None


def test_a_reading_that_began_earlier_does_not_take_the_place_of_a_later_one(
    store: Backend, clock: HandClock
) -> None:
    save(store, "k", reading(clock, [Row("new", "new")], started_ago_s=5.0))
    save(store, "k", reading(clock, [Row("old", "old")], started_ago_s=50.0))
    found = find(store, "k")
    assert found is not None
    assert [row.id for row in found.rows] == ["new"]


def test_a_reading_is_gone_after_a_day_and_so_are_its_bytes(store: Backend, clock: HandClock) -> None:
    save(store, "k", reading(clock))
    clock.time += 86_399 - 3
    assert find(store, "k") is not None
    clock.time += 1
    assert find(store, "k") is None
    save(store, "other", reading(clock))
    assert [key for key, _ in store.shared(lambda part: part.readings())] == ["other"]


def test_a_reading_of_the_future_is_of_a_wrong_clock_and_answers_nobody(
    store: Backend, clock: HandClock
) -> None:
    save(store, "k", reading(clock))
    clock.time -= 3600
    assert find(store, "k") is None


def test_turns_are_taken_one_a_second_by_all_together(opened: Open, clock: HandClock) -> None:
    one, other = opened(), opened()
    assert take(one, (1, 1.0)) == Turn(0.0)
    assert take(other, (1, 1.0)).wait_s == pytest.approx(1.0)
    clock.time += 0.75
    assert take(other, (1, 1.0)).wait_s == pytest.approx(0.25)
    clock.time += 0.25
    assert take(other, (1, 1.0)) == Turn(0.0)
    assert take(one, (1, 1.0)).wait_s == pytest.approx(1.0)


def test_of_several_limits_all_are_kept(store: Backend, clock: HandClock) -> None:
    limits = (2, 1.0), (3, 60.0)
    assert [take(store, *limits).wait_s for _ in range(2)] == [0.0, 0.0]
    assert take(store, *limits).wait_s == pytest.approx(1.0)
    clock.time += 1
    assert take(store, *limits) == Turn(0.0)
    clock.time += 1
    assert take(store, *limits).wait_s == pytest.approx(58.0)


def test_kinds_of_requests_and_accounts_have_turns_of_their_own(store: Backend) -> None:
    assert take(store, (1, 1.0)) == Turn(0.0)
    assert take(store, (1, 1.0), kind="count") == Turn(0.0)
    assert take(store, (1, 1.0), key="other") == Turn(0.0)


@pytest.mark.parametrize("back_s", [3600, 0.5, 10**8])
def test_a_clock_set_back_holds_a_turn_no_longer_than_its_pace(
    store: Backend, clock: HandClock, back_s: float
) -> None:
    assert take(store, (1, 1.0)) == Turn(0.0)
    clock.time -= back_s
    assert take(store, (1, 1.0)).wait_s == pytest.approx(1.0)
    clock.time += 0.5
    assert take(store, (1, 1.0)).wait_s == pytest.approx(0.5)
    clock.time += 0.5
    assert take(store, (1, 1.0)) == Turn(0.0)


def test_a_pause_holds_for_every_kind_of_request_until_it_is_over(opened: Open, clock: HandClock) -> None:
    opened().shared(lambda part: part.pause("k", 40))
    store = opened()
    assert take(store, (1, 1.0)) == Turn(40.0, 40.0)
    assert take(store, kind="count") == Turn(40.0, 40.0)
    assert take(store, key="other") == Turn(0.0)
    store.shared(lambda part: part.pause("k", 10))  # a shorter one takes nothing off it
    clock.time += 30
    assert take(store).paused_s == pytest.approx(10)
    clock.time += 10
    assert take(store, (1, 1.0)) == Turn(0.0)


def test_a_clock_set_back_makes_a_pause_no_longer_than_it_was(store: Backend, clock: HandClock) -> None:
    store.shared(lambda part: part.pause("k", 40))
    clock.time -= 10**6
    assert take(store).paused_s == pytest.approx(40)
    clock.time += 40
    assert take(store) == Turn(0.0)


def test_one_alone_reads_a_source_until_it_says_that_it_is_done(opened: Open) -> None:
    one, other = opened(), opened()
    assert one.shared(lambda part: take_lease(part, "k", "one"))
    assert not other.shared(lambda part: take_lease(part, "k", "other"))
    assert other.shared(lambda part: take_lease(part, "another", "other"))
    other.shared(lambda part: part.release_lease("k", "other"))  # not its own: nothing happens
    assert not other.shared(lambda part: take_lease(part, "k", "other"))
    one.shared(lambda part: part.release_lease("k", "one"))
    assert other.shared(lambda part: take_lease(part, "k", "other"))


def test_a_reader_that_stirs_keeps_its_place_and_one_that_does_not_is_replaced(
    opened: Open, clock: HandClock
) -> None:
    one, other = opened(), opened()
    one.shared(lambda part: take_lease(part, "k", "one"))
    for _ in range(3):
        clock.time += RENEWED_WITHIN_S - 1
        assert not other.shared(lambda part: take_lease(part, "k", "other"))
        one.shared(lambda part: part.renew_lease("k", "one"))
    clock.time += RENEWED_WITHIN_S
    assert other.shared(lambda part: take_lease(part, "k", "other"))
    one.shared(lambda part: part.renew_lease("k", "one"))
    one.shared(lambda part: part.release_lease("k", "one"))  # too late: it is the other's now
    assert not one.shared(lambda part: take_lease(part, "k", "one"))


def test_a_reader_whose_process_has_ended_is_replaced_at_once(store: Backend) -> None:
    host, _, _ = new_holder().split(" ")
    assert store.shared(lambda part: take_lease(part, "k", f"{host} 4194305 x"))
    assert store.shared(lambda part: take_lease(part, "k", new_holder()))


def test_a_reader_of_another_host_is_not_taken_for_dead_by_its_process_number(store: Backend) -> None:
    assert store.shared(lambda part: take_lease(part, "k", "elsewhere 4194305 x"))
    assert not store.shared(lambda part: take_lease(part, "k", new_holder()))


def test_whoever_wants_a_newer_reading_waits_only_for_one_that_has_just_begun(
    store: Backend, clock: HandClock
) -> None:
    store.shared(lambda part: take_lease(part, "k", "one"))
    clock.time += 9
    assert not store.shared(lambda part: take_lease(part, "k", "other", 10))
    clock.time += 1
    assert store.shared(lambda part: take_lease(part, "k", "other", 10))


def test_after_a_clock_set_back_a_lease_is_no_obstacle(store: Backend, clock: HandClock) -> None:
    store.shared(lambda part: take_lease(part, "k", "one"))
    clock.time -= 3600
    assert store.shared(lambda part: take_lease(part, "k", "other"))


def test_counted_sizes_are_kept_with_when_they_were_counted(opened: Open, clock: HandClock) -> None:
    at = from_ms(int(clock.time * 1000))
    counts = {
        "a1": StoredCount(7, None, None, at),
        "a2": StoredCount(1, 3, "about", at, ago_s=0.0),
        "a3": StoredCount(None, None, "refused", at),
    }
    opened().shared(lambda part: part.save_counts("k", counts))
    clock.time += 60
    found = opened().shared(lambda part: part.find_counts("k"))
    assert found == {id: replace(count, ago_s=60.0) for id, count in counts.items()}
    assert opened().shared(lambda part: part.find_counts("other")) == {}


def test_a_later_count_takes_the_place_of_an_earlier_one(store: Backend, clock: HandClock) -> None:
    def count(size: int) -> None:
        counts = {"a": StoredCount(size, None, None, from_ms(int(clock.time * 1000)))}
        store.shared(lambda part: part.save_counts("k", counts))

    count(7)
    clock.time += 60
    count(8)
    clock.time += 30
    found = store.shared(lambda part: part.find_counts("k"))
    assert {id: (each.size, each.ago_s) for id, each in found.items()} == {"a": (8, 30.0)}


def test_the_secret_is_the_same_for_all_and_another_in_another_store(opened: Open, store: Backend) -> None:
    key = store.shared(lambda part: part.key_of("a"))
    assert len(key) == 16
    assert opened().shared(lambda part: part.key_of("a")) == key


def test_clearing_some_keys_leaves_the_others(store: Backend, clock: HandClock) -> None:
    for key in ("batch:1", "whop:1"):
        save(store, key, reading(clock))
    assert store.shared(lambda part: part.clear(["batch"])) == 1
    assert [source for source, _ in store.shared(lambda part: part.readings())] == ["whop"]
    store.shared(lambda part: part.clear())
    assert store.shared(lambda part: part.readings()) == []
