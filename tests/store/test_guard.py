"""A store that is busy, hangs or was changed from outside: waiting is no fault, and what went comes back."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from audience_mcp.catalog.query import ListQuery
from audience_mcp.core.audience import Row
from audience_mcp.store import database, guard, open_store
from audience_mcp.store.guard import Backend
from audience_mcp.store.history import HistoryPart
from audience_mcp.store.shared import SharedPart
from audience_mcp.store.sqlite import HISTORY, READINGS, SqliteStore
from audience_mcp.store.store import Store
from audience_mcp.store.stored import StoredReading, StoreError, from_ms
from tests.store.conftest import HandClock, Open
from tests.store.uses import find_baseline, find_reading, key_of, owner, record, save_reading, take_lease
from tests.support.clock import FakeClock
from tests.support.postgres import ADDRESS, schema
from tests.support.relay import relayed
from tests.support.scripted import Script, catalog_of
from tests.support.scripted import rows as listed

pytestmark = pytest.mark.anyio

ROWS = [Row("a", "A", 1), Row("b", "B", 2)]
NOW = 1_795_000_000_000
READING = StoredReading(ROWS, from_ms(NOW), 1, 1, 1)


@pytest.fixture
def address() -> Iterator[str]:
    with schema() as made:
        yield made


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "sqlite":
        return open_store(str(tmp_path))
    return open_store(request.getfixturevalue("address"))


def busily(seconds: float) -> Callable[[Any], bool]:
    def use(part: object) -> bool:
        threading.Event().wait(seconds)
        return True

    return use


@pytest.mark.slow
async def test_waiting_for_a_busy_store_is_no_fault_of_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await store.history(busily(0))
    monkeypatch.setattr(guard, "WITHIN_S", 0.5)
    done: list[bool | None] = []

    async def ask() -> None:
        done.append(await store.history(busily(0.05)))

    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(ask)
    assert done == [True] * 50
    assert store.take_note() is None
    await store.aclose()


async def test_turns_and_leases_wait_for_no_reading(store: Store) -> None:
    held = threading.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(store.shared, lambda part: held.wait(20))
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(5):
            assert await store.pace(lambda shared: take_lease(shared, "k", "me"))
            assert (await store.pace(lambda shared: shared.take_turn("k", "", [(1, 1.0)]))) is not None
        held.set()
    await store.aclose()


async def test_a_call_that_leaves_lets_what_it_began_end_and_others_go_on(store: Store) -> None:
    began, held = threading.Event(), threading.Event()

    def long(part: HistoryPart) -> bool:
        began.set()
        return held.wait(20) and part.record(owner(), ROWS, NOW - 10)

    async with anyio.create_task_group() as calls:
        calls.start_soon(store.history, long)
        assert await anyio.to_thread.run_sync(began.wait, 20)
        calls.cancel_scope.cancel()
    later: list[bool | None] = []

    async def ask() -> None:
        later.append(await record(store, "x", ROWS, from_ms(NOW - 5)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        held.set()
    assert later == [True]
    assert await find_baseline(store, "x", from_ms(NOW - 7), from_ms(NOW)) is not None
    assert store.take_note() is None
    await store.aclose()


async def test_an_operation_that_hangs_is_given_up_and_the_next_one_has_a_new_connection(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "WITHIN_S", 0.5)
    monkeypatch.setattr(guard, "AGAIN_AFTER_S", 0.0)
    with relayed(address) as (through, relay):
        store = open_store(through)
        await save_reading(store, "k", READING)
        assert await find_reading(store, "k") is not None
        relay.freeze()
        assert await find_reading(store, "k") is None
        note = store.take_note()
        assert note is not None
        assert "does not answer in time" in note
        assert await find_reading(store, "k") is not None
        assert relay.connections == 2
        await store.aclose()


async def test_a_store_whose_place_is_there_again_has_no_fault_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "AGAIN_AFTER_S", 0.0)
    place = tmp_path / "store"
    place.write_text("in the way of the folder")
    store = open_store(str(place))
    assert await find_reading(store, "k") is None
    assert set(store.faults) == {"readings", "pace"}
    place.unlink()
    await save_reading(store, "k", READING)
    assert await find_reading(store, "k") is not None
    assert set(store.faults.values()) == {None}
    await store.aclose()


async def test_tables_that_went_under_a_running_server_are_made_again(store: Store, tmp_path: Path) -> None:
    assert await record(store, "x", ROWS, from_ms(NOW - 10))
    await save_reading(store, "k", READING)
    if (tmp_path / HISTORY).exists():
        for name in (READINGS, HISTORY):
            with closing(sqlite3.connect(tmp_path / name)) as other:
                tables = other.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
                for (table,) in tables:
                    other.execute(f"DROP TABLE {table}")
    else:
        await _drop_everything(store)
    assert await find_reading(store, "k") is None
    assert await record(store, "x", ROWS, from_ms(NOW - 5))
    assert await find_baseline(store, "x", from_ms(NOW), from_ms(NOW)) is not None
    assert store.take_note() is None
    await store.aclose()


async def _drop_everything(store: Store) -> None:
    def drop(part: SharedPart) -> bool:
        sql = "SELECT relname FROM pg_class WHERE pg_table_is_visible(oid) AND relname LIKE 'audience%'"
        names = [name for (name,) in part._db.query(f"{sql} AND relkind = 'r'")]
        for name in names:
            part._db.execute(f"DROP TABLE {name} CASCADE")  # the view too
        return True

    assert await store.shared(drop)


async def test_processes_agree_on_keys_again_after_the_store_was_deleted(tmp_path: Path) -> None:
    one, other = open_store(str(tmp_path)), open_store(str(tmp_path))
    before = await key_of(one, "a")
    assert await key_of(other, "a") == before
    for name in (READINGS, f"{READINGS}-journal"):
        os.unlink(tmp_path / name)
    after = await key_of(other, "a")
    assert after != before
    assert await key_of(one, "a") == after


async def test_ids_that_are_secret_keep_their_names_when_history_is_moved_aside(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    secret = database.secret_in
    assert await record(store, "x", ROWS, from_ms(NOW))
    kept = await store.history(lambda part: secret(part._db, database.HISTORY_META))
    (tmp_path / HISTORY).write_bytes(b"no database" * 1000)
    assert await record(store, "x", ROWS, from_ms(NOW + 5))
    assert any(name.startswith("history-damaged-") for name in os.listdir(tmp_path))
    assert await store.history(lambda part: secret(part._db, database.HISTORY_META)) == kept
    await store.aclose()


def test_a_newer_program_may_bring_the_store_up_to_date_under_an_older_one(opened: Open) -> None:
    older = opened()
    older.history(lambda part: part.record(owner(), ROWS, NOW - 10))

    def upgrade(part: HistoryPart) -> None:
        if hasattr(part._db, "path"):
            part._db.execute("PRAGMA user_version = 2")
        else:
            part._db.execute("UPDATE audience_mcp_versions SET version = 2")

    opened().history(upgrade)
    with pytest.raises(StoreError) as raised:
        older.history(lambda part: part.record(owner(), ROWS, NOW - 5))
    assert raised.value.fault == "newer"


def test_a_restored_store_has_another_secret_and_nothing_is_written_under_the_old_one(opened: Open) -> None:
    one = opened()
    before = one.shared(lambda part: part.key_of("a"))

    def replace(part: SharedPart) -> None:
        part._db.execute("UPDATE audience_mcp_meta SET value = ? WHERE name = 'secret'", (b"y" * 32,))

    opened().shared(replace)
    if isinstance(one, SqliteStore):
        one.close()  # a file that is replaced is another file; here it is the same
    one.shared(lambda part: part.take_turn(part.key_of("a"), "", [(1, 1.0)]))
    assert one.shared(lambda part: part.key_of("a")) != before


def test_a_role_that_may_only_read_and_write_rows_can_use_tables_that_are_there(
    address: str, clock: HandClock
) -> None:
    import psycopg

    from audience_mcp.store.postgres import PostgresStore

    name = address.rpartition("%3D")[2]
    made = PostgresStore(address, clock)
    made.history(lambda part: part.record(owner(), ROWS, NOW - 10))
    made.close()
    role = f"rows_{name}"
    with psycopg.connect(ADDRESS, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN".encode())
        try:
            admin.execute(f"GRANT USAGE ON SCHEMA {name} TO {role}".encode())
            admin.execute(
                f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {name} TO {role}".encode()
            )
            theirs = PostgresStore(
                address.replace("postgres@", f"{role}@").replace("root@", f"{role}@"), clock
            )
            assert theirs.history(lambda part: part.record(owner(), ROWS, NOW - 5))
            theirs.shared(lambda part: part.save_reading("k", READING, "acme"))
            assert theirs.shared(lambda part: part.find_reading("k")) is not None
            theirs.close()
        finally:
            admin.execute(f"DROP OWNED BY {role}".encode())
            admin.execute(f"DROP ROLE {role}".encode())


def test_a_process_of_another_namespace_is_not_taken_for_dead(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = f"{database.place_of_processes()}x 999999 abc"
    ours = f"{database.place_of_processes()} 999999 abc"
    assert opened().shared(lambda part: take_lease(part, "k", theirs))
    assert not opened().shared(lambda part: take_lease(part, "k", database.new_holder()))
    assert opened().shared(lambda part: take_lease(part, "dead", ours))
    assert opened().shared(lambda part: take_lease(part, "dead", database.new_holder()))


def test_two_writers_at_the_bound_make_room_and_neither_fails(opened: Open, clock: HandClock) -> None:
    clock.time = NOW / 1000
    faults: list[Exception] = []

    def write(who: str, store: Backend) -> None:
        try:
            for number in range(25):
                rows = [Row(f"a{n}", f"Audience {n}", n * number) for n in range(100)]
                moment = NOW - (25 - number) * 3_600_000
                store.history(
                    lambda part, rows=rows, moment=moment: HistoryPart(part._db, max_bytes=40_000).record(  # type: ignore[misc]
                        owner(who), rows, moment
                    )
                )
        except Exception as e:  # noqa: BLE001 (told to the test, which is another thread)
            faults.append(e)

    writers = [threading.Thread(target=write, args=(f"w{n}", opened())) for n in range(2)]
    for each in writers:
        each.start()
    for each in writers:
        each.join(60)
    assert faults == []


def test_what_is_old_is_deleted_by_the_first_who_opens_the_store(opened: Open, clock: HandClock) -> None:
    clock.time = NOW / 1000
    store = opened()
    store.shared(lambda part: part.save_reading("k", READING, "acme"))
    store.shared(lambda part: part.take_turn("k", "", [(1, 1.0)]))
    store.shared(lambda part: part.pause("k", 5))
    clock.time += 40 * 86_400
    opened().shared(lambda part: part.drop_old())
    left = {
        table: store.shared(lambda part, table=table: part._db.query(f"SELECT 1 FROM audience_mcp_{table}"))  # type: ignore[misc]
        for table in ("readings", "turns", "pauses")
    }
    assert left == {"readings": [], "turns": [], "pauses": []}


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
async def test_files_that_others_could_read_are_closed_to_them(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    assert await record(open_store(str(folder)), "x", ROWS, from_ms(NOW))
    for file in folder.iterdir():
        file.chmod(0o666)
    folder.chmod(0o777)
    store = open_store(str(folder))
    assert await find_baseline(store, "x", from_ms(NOW), from_ms(NOW + 1)) is not None
    assert await find_reading(store, "k") is None
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    note = store.take_note()
    assert note is not None
    assert "Others may write to the folder" in note


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
async def test_a_link_to_nothing_is_not_followed(tmp_path: Path) -> None:
    folder, target = tmp_path / "store", tmp_path / "elsewhere"
    folder.mkdir(mode=0o700)
    (folder / READINGS).symlink_to(target)
    store = open_store(str(folder))
    assert await find_reading(store, "k") is None
    assert not target.exists()
    assert store.take_note() is not None


@pytest.mark.slow
@pytest.mark.parametrize("deadline_s", [6, 12])
async def test_a_locked_store_takes_no_more_than_a_part_of_a_calls_time(
    tmp_path: Path, deadline_s: float
) -> None:
    assert await find_reading(open_store(str(tmp_path)), "k") is None
    store = open_store(str(tmp_path))
    with closing(sqlite3.connect(tmp_path / READINGS)) as other:
        other.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        async with catalog_of(
            FakeClock(), {"acme": Script({"": {"rows": listed(1, 2)}})}, store=store, deadline_s=deadline_s
        ) as catalog:
            answer = await catalog.list_audiences(ListQuery())
            assert time.monotonic() - began < deadline_s / 2
            left = [each for lane in store._lanes.values() for each in lane.connections]
    assert (answer.complete, answer.sum_of_sizes) == (True, 3)
    for connection in left:
        assert connection.idle.wait(20)


@pytest.mark.slow
async def test_twenty_sources_and_a_database_30_ms_away_cost_less_than_a_second(address: str) -> None:
    scripts = {f"s{n}": Script({"": {"rows": listed(1, 2, 3)}}) for n in range(20)}
    values = {name: {"base_url": f"https://{name}.example"} for name in scripts}
    first = open_store(address)
    assert await record(first, "x", ROWS, from_ms(NOW))  # the tables are there
    await first.aclose()
    trips = []
    for _ in range(3):  # the least of three: what is saved beside may be counted, too
        with relayed(address, 0.015) as (through, relay):
            store = open_store(through)
            async with catalog_of(FakeClock(), scripts, values=values, store=store) as catalog:
                answer = await catalog.list_audiences(ListQuery(limit=0, refresh=True))
                trips.append(max(relay.trips))  # connections are waited for side by side
                assert answer.complete
                await store.saved()
            assert store.take_note() is None
            await store.aclose()
    assert 0 < min(trips) * 0.03 < 1, trips
    again = open_store(address)
    contents = await again.contents()
    assert contents is not None
    assert {f"s{n}" for n in range(20)} <= {each.source for each in contents.histories}
    await again.aclose()


@pytest.mark.slow
async def test_what_was_read_is_saved_though_the_command_that_read_it_ends(address: str) -> None:
    script = {"acme": Script({"": {"rows": listed(1, 2)}})}
    with relayed(address, 0.1) as (through, _):
        async with catalog_of(FakeClock(), script, store=open_store(through), saves_within_s=20.0) as catalog:
            assert (await catalog.list_audiences(ListQuery())).complete
    later = open_store(address)
    contents = await later.contents()
    assert contents is not None
    assert [each.source for each in contents.histories] == ["acme"]
    assert [source for source, _ in contents.readings] == ["acme"]
    await later.aclose()


@pytest.mark.slow
async def test_two_hosts_far_from_their_database_read_each_source_once(address: str) -> None:
    """30 ms for a trip there and back."""
    scripts = [{f"s{n}": Script({"": {"rows": listed(1, 2, 3)}}) for n in range(8)} for _ in range(2)]
    values = {name: {"base_url": f"https://{name}.example"} for name in scripts[0]}
    clock = FakeClock()
    sums: list[int] = []
    with relayed(address, 0.015) as (one, _), relayed(address, 0.015) as (other, _):
        stores = [open_store(each) for each in (one, other)]

        async def ask(host: int) -> None:
            async with catalog_of(
                clock, scripts[host], values=values, store=stores[host], saves_within_s=20.0
            ) as catalog:
                answer = await catalog.list_audiences(ListQuery(limit=0))
                assert answer.complete
                sums.append(answer.sum_of_sizes)
                await stores[host].saved()

        with anyio.fail_after(60):
            async with anyio.create_task_group() as hosts:
                hosts.start_soon(ask, 0)
                hosts.start_soon(ask, 1)
        assert [store.take_note() for store in stores] == [None, None]
    assert sums == [48, 48]
    assert {name: sum(len(host[name].asked) for host in scripts) for name in values} == dict.fromkeys(
        values, 1
    )
