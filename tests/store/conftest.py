"""Stores to try: what is asked of one is asked of each kind."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import anyio
import pytest

from audience_mcp.config import load_configuration
from audience_mcp.core.audience import Row
from audience_mcp.core.secrets import Redactor
from audience_mcp.sources.source_history import SourceHistory
from audience_mcp.store import open_store
from audience_mcp.store.guard import Backend
from audience_mcp.store.sqlite import SqliteStore
from audience_mcp.vendors.registry import built_in_vendors
from tests.support.apart import apart
from tests.support.commands import Switched
from tests.support.postgres import schema

Open = Callable[[], Backend]
Keep = Callable[..., None]


class HandClock:
    """The wall clock, moved by hand, also backwards."""

    def __init__(self) -> None:
        self.time = 1_795_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture(autouse=True)
def _closes_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test leaves open as a killed process would is closed after it."""
    left: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def remembered(*arguments: Any, **options: Any) -> sqlite3.Connection:
        left.append(connect(*arguments, **options))
        return left[-1]

    monkeypatch.setattr("audience_mcp.store.sqlite.sqlite3.connect", remembered)
    yield
    for connection in left:
        connection.close()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(params=["sqlite", "postgres"])
def opened(request: pytest.FixtureRequest, tmp_path: Path, clock: HandClock) -> Iterator[Open]:
    """Opens the same store once more, as another process would."""
    backends: list[Backend] = []
    if request.param == "sqlite":

        def on_files() -> Backend:
            backends.append(SqliteStore(tmp_path / "store", clock))
            return backends[-1]

        yield on_files
    else:
        with schema() as address:
            from audience_mcp.store.postgres import PostgresStore

            def on_a_database() -> Backend:
                backends.append(PostgresStore(address, clock))
                return backends[-1]

            yield on_a_database
            for backend in backends:
                backend.close()
            return
    for backend in backends:
        backend.close()


@pytest.fixture
def store(opened: Open) -> Backend:
    return opened()


def days_before(days: int) -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0) - timedelta(days=days)


@pytest.fixture
def folder(sandbox: Switched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where sizes are stored, beside vendors that can be asked."""
    monkeypatch.setenv("AUDIENCE_MCP_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def keep(folder: Path) -> Keep:
    """Stores what a source had so many days ago."""

    def keep_it(source: str, days_ago: int, sizes: Mapping[str, tuple[str, int | None] | Row]) -> None:
        async def record() -> None:
            found = load_configuration(os.environ, built_in_vendors()).sources
            (meant,) = (each for each in found if each.name == source)
            store = open_store(str(folder))
            rows = [each if isinstance(each, Row) else Row(id, *each) for id, each in sizes.items()]
            assert await SourceHistory(meant, store, Redactor()).record(rows, days_before(days_ago))
            await store.aclose()

        apart(anyio.run, record)

    return keep_it
