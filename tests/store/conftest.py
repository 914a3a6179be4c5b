"""Stores to try: what is asked of one is asked of each kind."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from audience_mcp.store.guard import Backend
from audience_mcp.store.sqlite import SqliteStore
from tests.support.postgres import schema

Open = Callable[[], Backend]


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
