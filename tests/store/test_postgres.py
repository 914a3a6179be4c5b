"""A database that is down, slow, restarted or newer, and what is never told of it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from audience_mcp.core.audience import Row
from audience_mcp.store import guard, open_store
from audience_mcp.store.store import Store
from audience_mcp.store.stored import StoreError, from_ms
from tests.store.uses import find_baseline, find_reading, record
from tests.support.postgres import ADDRESS, schema

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed: pip install -e '.[test]'")
pytestmark = pytest.mark.anyio


@pytest.fixture
def address() -> Iterator[str]:
    with schema() as made:
        yield made


async def test_a_database_that_was_restarted_is_used_again_at_once(address: str) -> None:
    from audience_mcp.store.postgres import PostgresStore

    backend = PostgresStore(address)
    store = Store(lambda told: backend)
    assert await record(store, "x", [Row("a", "a", 1)], from_ms(1000))
    pid = backend._db.query("SELECT pg_backend_pid()")[0][0]
    with psycopg.connect(ADDRESS, autocommit=True) as other:  # a server ends its connections so when it stops
        assert other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,)).fetchone() == (True,)
    assert await record(store, "x", [Row("a", "a", 2)], from_ms(2000))
    assert store.take_note() is None
    baseline = await find_baseline(store, "x", from_ms(1000), from_ms(5000))
    assert baseline is not None
    assert baseline.audiences["a"].size == 1
    await store.aclose()


async def test_a_database_that_is_down_is_given_up_soon_and_its_password_is_told_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        store = open_store(f"postgresql://user:canary-password@127.0.0.1:{closed.getsockname()[1]}/x")
        begun = time.monotonic()
        assert await find_reading(store, "k") is None
        assert await find_reading(store, "k") is None
        assert time.monotonic() - begun < 5
    note = store.take_note()
    assert note is not None
    assert "cannot be reached" in note
    assert "canary" not in note + caplog.text


@pytest.mark.slow
async def test_a_database_that_accepts_and_says_nothing_is_given_up_soon() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = open_store(f"postgresql://u@127.0.0.1:{silent.getsockname()[1]}/x?sslmode=disable")
        begun = time.monotonic()
        assert await find_reading(store, "k") is None
        assert time.monotonic() - begun < guard.WITHIN_S + 1
    assert store.take_note() is not None


@pytest.mark.slow
async def test_a_lock_that_is_held_too_long_is_not_waited_for(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from audience_mcp.store import postgres

    first = open_store(address)
    assert await find_reading(first, "k") is None
    await first.aclose()
    monkeypatch.setattr(postgres, "STATEMENT_MS", 1000)
    store = open_store(address)
    with psycopg.connect(address) as other:
        other.execute("LOCK TABLE audience_mcp_readings")
        assert await find_reading(store, "k") is None
    note = store.take_note()
    assert note is not None
    assert "does not answer in time" in note
    await store.aclose()


async def test_tables_of_a_newer_version_are_left_as_they_are(address: str) -> None:
    first = open_store(address)
    assert await record(first, "x", [Row("a", "a", 1)], from_ms(1000))
    await first.aclose()
    with psycopg.connect(address, autocommit=True) as other:
        other.execute("UPDATE audience_mcp_versions SET version = 99")
    store = open_store(address)
    assert not await record(store, "x", [Row("a", "a", 2)], from_ms(2000))
    note = store.take_note()
    assert note is not None
    assert "newer audience-mcp" in note
    with psycopg.connect(address) as other:
        assert other.execute("SELECT count(*) FROM audience_mcp_points").fetchone() == (1,)


def test_where_it_is_is_told_without_user_and_password(address: str) -> None:
    from audience_mcp.store.postgres import PostgresStore, place_of

    assert place_of("postgresql://user:secret@db.example:5433/audiences?sslmode=require") == (
        "postgresql://db.example:5433/audiences"
    )
    with pytest.raises(StoreError) as raised:
        PostgresStore("postgresql://user:secret@127.0.0.1:1/x").shared(lambda part: part.key_of("a"))
    assert "secret" not in str(raised.value)
