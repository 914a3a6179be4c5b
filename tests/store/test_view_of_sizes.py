"""The view `sizes`, read as other programs read it: with plain SQL, over a connection of their own."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from audience_mcp.core.audience import Row
from audience_mcp.core.points import VendorPoint
from audience_mcp.store.guard import Backend
from audience_mcp.store.sqlite import HISTORY, SqliteStore
from audience_mcp.store.stored import Owner, StoredCount, VendorRecord, from_ms, to_ms
from tests.store.conftest import HandClock
from tests.support.postgres import schema

HOUR = 3_600_000
DAY = 24 * HOUR
START = to_ms(datetime(2026, 11, 2, 6, 10, tzinfo=timezone.utc))
BATCH = Owner(
    "batch", "https://api.batch.com", "batch-acme", (("project", "p", False),), client="acme", kind="base"
)
KLAVIYO = Owner("klaviyo", "https://a.klaviyo.com", "klaviyo", (("account", "k", False),))
COLUMNS = ["ref", "source", "vendor", "kind", "client", "name", "as_of", "size", "size_max", "origin"]

Read = Callable[[str], list[dict[str, Any]]]


@pytest.fixture(params=["sqlite", "postgres"])
def kept(request: pytest.FixtureRequest, tmp_path: Path, clock: HandClock) -> Iterator[tuple[Backend, Read]]:
    """A store, and how another program asks its database."""
    clock.time = (START + 10 * DAY) / 1000

    def as_dicts(names: list[str], rows: list[Any]) -> list[dict[str, Any]]:
        return [dict(zip(names, map(as_text, row), strict=True)) for row in rows]

    if request.param == "sqlite":
        files = SqliteStore(tmp_path / "store", clock)

        def read_file(sql: str) -> list[dict[str, Any]]:
            with closing(sqlite3.connect(f"file:{tmp_path / 'store' / HISTORY}?mode=ro", uri=True)) as other:
                found = other.execute(sql)
                return as_dicts([each[0] for each in found.description], found.fetchall())

        yield files, read_file
        files.close()
        return
    with schema() as address:
        import psycopg

        from audience_mcp.store.postgres import PostgresStore

        database = PostgresStore(address, clock)

        def read_database(sql: str) -> list[dict[str, Any]]:
            with psycopg.connect(address) as other:
                other.execute("SET TIME ZONE 'UTC'")
                found = other.execute(sql.encode())
                return as_dicts([each.name for each in found.description or ()], found.fetchall())

        yield database, read_database
        database.close()


def record(store: Backend, owner: Owner, moment: int, *rows: Row) -> None:
    assert store.history(lambda part: part.record(owner, rows, moment))


def sizes(read: Read) -> list[tuple[str, str, int | None, int | None]]:
    rows = read("SELECT * FROM sizes ORDER BY ref, as_of")
    return [(row["ref"], row["as_of"], row["size"], row["size_max"]) for row in rows]


def as_text(value: object) -> object:
    """A moment as SQLite has it, which knows none."""
    return f"{value:%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else value


def at(moment: int) -> str:
    return f"{from_ms(moment):%Y-%m-%dT%H:%M:%SZ}"


def test_a_row_has_the_columns_of_the_contract(kept: tuple[Backend, Read]) -> None:
    store, read = kept
    record(store, BATCH, START, Row("vip", "VIP\u202e \x00Club", 1_000, size_max=1_200))
    record(store, KLAVIYO, START, Row("list-1", "News", 7, kind="list"))
    vip, news = read("SELECT * FROM sizes ORDER BY ref")
    assert list(vip) == COLUMNS
    assert {**vip, "as_of": 0} == {
        "ref": "batch-acme:vip",
        "source": "batch-acme",
        "vendor": "batch",
        "kind": "base",
        "client": "acme",
        "name": "VIP Club",
        "as_of": 0,
        "size": 1_000,
        "size_max": 1_200,
        "origin": "",
    }
    assert (news["ref"], news["kind"], news["client"], news["size_max"]) == (
        "klaviyo:list-1",
        "list",
        None,
        None,
    )


def test_every_reading_has_a_row_for_each_audience_that_it_had(kept: tuple[Backend, Read]) -> None:
    store, read = kept
    record(store, BATCH, START, Row("a", "A", 10), Row("b", "B", 5))
    record(store, BATCH, START + DAY, Row("a", "A", 10), Row("b", "B", None))
    record(store, BATCH, START + 2 * DAY, Row("a", "A", 12))
    record(store, BATCH, START + 3 * DAY, Row("a", "A", 12), Row("b", "B", 0))
    assert sizes(read) == [
        ("batch-acme:a", at(START), 10, None),
        ("batch-acme:a", at(START + DAY), 10, None),
        ("batch-acme:a", at(START + 2 * DAY), 12, None),
        ("batch-acme:a", at(START + 3 * DAY), 12, None),
        ("batch-acme:b", at(START), 5, None),
        ("batch-acme:b", at(START + DAY), None, None),
        ("batch-acme:b", at(START + 3 * DAY), 0, None),
    ]
    by_day = read("SELECT as_of, SUM(size) AS total FROM sizes GROUP BY source, as_of ORDER BY as_of")
    assert [int(each["total"]) for each in by_day] == [15, 10, 12, 12]


def test_a_range_that_moves_at_its_upper_end_alone_is_another_size(kept: tuple[Backend, Read]) -> None:
    store, read = kept
    record(store, BATCH, START, Row("a", "A", 100, size_max=200), Row("b", "B", 100, open_ended=True))
    record(store, BATCH, START + DAY, Row("a", "A", 100, size_max=300), Row("b", "B", 100))
    assert sizes(read) == [
        ("batch-acme:a", at(START), 100, 200),
        ("batch-acme:a", at(START + DAY), 100, 300),
        ("batch-acme:b", at(START), 100, None),
        ("batch-acme:b", at(START + DAY), 100, None),
    ]
    (line,) = store.history(lambda part: part.timelines(BATCH, 0, ["a"]))
    assert [(each.size, each.size_max) for each in line.moments] == [(100, 200), (100, 300)]


def test_a_size_that_is_counted_by_itself_stands_at_its_own_moment(kept: tuple[Backend, Read]) -> None:
    store, read = kept
    counted_at = from_ms(START + HOUR)
    pending = Row("s", "S", kind="segment", size_pending=True)
    record(store, KLAVIYO, START, pending, Row("l", "L", 3, kind="list"))
    counts = {"s": StoredCount(40, 44, None, counted_at)}
    store.history(lambda part: part.record_counts(KLAVIYO, counts))
    assert sizes(read) == [("klaviyo:l", at(START), 3, None), ("klaviyo:s", at(START + HOUR), 40, 44)]


def test_what_a_clock_that_was_ahead_has_stored_is_not_shown(
    kept: tuple[Backend, Read], clock: HandClock
) -> None:
    store, read = kept
    ahead = to_ms(datetime.now(timezone.utc) + timedelta(days=400))
    clock.time = ahead / 1000
    record(store, BATCH, START, Row("a", "A", 1))
    record(store, BATCH, ahead, Row("a", "A", 2))
    assert sizes(read) == [("batch-acme:a", at(START), 1, None)]


def test_before_our_first_size_the_vendors_own_stand_and_after_it_none(kept: tuple[Backend, Read]) -> None:
    store, read = kept
    midnight = START - START % DAY
    record(store, KLAVIYO, START, Row("l", "List", 30, kind="list"))
    points = [
        VendorPoint(from_ms(midnight - DAY - 1), 10, of_day=True),
        VendorPoint(from_ms(START - HOUR), 20),
        VendorPoint(from_ms(START + HOUR), 40),
    ]
    remembered = {"l": VendorRecord(points), "unread": VendorRecord(points[:1])}
    store.history(lambda part: part.record_vendor(KLAVIYO, remembered))
    rows = read("SELECT * FROM sizes ORDER BY ref, as_of")
    assert [(row["ref"], row["name"], row["as_of"], row["size"], row["origin"]) for row in rows] == [
        ("klaviyo:l", "List", "2026-10-31T23:59:59Z", 10, "vendor"),
        ("klaviyo:l", "List", at(START - HOUR), 20, "vendor"),
        ("klaviyo:l", "List", at(START), 30, ""),
        ("klaviyo:unread", "unread", "2026-10-31T23:59:59Z", 10, "vendor"),
    ]


def test_a_series_that_was_set_aside_as_damaged_hides_no_other(kept: tuple[Backend, Read]) -> None:
    store, read = kept
    record(store, BATCH, START, Row("a", "A", 1))
    record(store, KLAVIYO, START, Row("l", "L", 3, kind="list"))
    damage = "UPDATE audience_mcp_series SET state = ? WHERE source = 'batch-acme'"
    store.history(lambda part: part._db.execute(damage, (b"no state",)))
    record(store, BATCH, START + DAY, Row("a", "A", 2))
    assert sizes(read) == [("batch-acme:a", at(START + DAY), 2, None), ("klaviyo:l", at(START), 3, None)]


def test_what_else_is_called_sizes_in_a_database_is_left_alone(clock: HandClock) -> None:
    with schema() as address:
        import psycopg

        from audience_mcp.store.postgres import PostgresStore

        with psycopg.connect(address) as other:
            other.execute("CREATE TABLE sizes (shoe INTEGER)")
        clock.time = (START + DAY) / 1000
        database = PostgresStore(address, clock)
        record(database, BATCH, START, Row("a", "A", 1))
        database.close()
        with psycopg.connect(address) as other:
            assert other.execute("SELECT * FROM sizes").fetchall() == []
