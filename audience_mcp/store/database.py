"""The little that the parts of the store need of a database, whichever it is."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol
from uuid import uuid4

SHARED_TABLES: Sequence[Sequence[str]] = (
    (
        "CREATE TABLE audience_mcp_meta (name TEXT PRIMARY KEY, value {blob} NOT NULL)",
        "CREATE TABLE audience_mcp_readings (key TEXT PRIMARY KEY, as_of BIGINT NOT NULL, "
        "started DOUBLE PRECISION NOT NULL, first_page DOUBLE PRECISION NOT NULL, "
        "ended DOUBLE PRECISION NOT NULL, data {blob} NOT NULL)",
        "CREATE TABLE audience_mcp_turns (key TEXT PRIMARY KEY, taken {blob} NOT NULL)",
        "CREATE TABLE audience_mcp_pauses (key TEXT PRIMARY KEY, begun DOUBLE PRECISION NOT NULL, "
        "seconds DOUBLE PRECISION NOT NULL)",
        "CREATE TABLE audience_mcp_leases (key TEXT PRIMARY KEY, holder TEXT NOT NULL, "
        "begun DOUBLE PRECISION NOT NULL, stirred DOUBLE PRECISION NOT NULL)",
        "CREATE TABLE audience_mcp_counts (key TEXT NOT NULL, audience TEXT NOT NULL, size BIGINT, "
        "size_max BIGINT, note TEXT, counted DOUBLE PRECISION NOT NULL, "
        "PRIMARY KEY (key, audience)) {packed}",
    ),
)
"""What can be made anew: a list of statements for each version, never changed once released."""

HISTORY_TABLES: Sequence[Sequence[str]] = (
    (
        "CREATE TABLE audience_mcp_history_meta (name TEXT PRIMARY KEY, value {blob} NOT NULL)",
        "CREATE TABLE audience_mcp_series (id BIGINT PRIMARY KEY, account TEXT NOT NULL, "
        "state {blob} NOT NULL)",
        "CREATE TABLE audience_mcp_points (series BIGINT NOT NULL, moment BIGINT NOT NULL, "
        "PRIMARY KEY (series, moment)) {packed}",
        # A size that is over. Of what still holds, the series' state knows.
        "CREATE TABLE audience_mcp_sizes (series BIGINT NOT NULL, last BIGINT NOT NULL, "
        "audience BIGINT NOT NULL, first BIGINT NOT NULL, size BIGINT, "
        "PRIMARY KEY (series, last, audience)) {packed}",
    ),
)
"""What cannot be made anew, likewise."""


SECRET_BYTES = 32


class Database(Protocol):
    """Runs SQL in which `?` stands for a parameter. Raises StoreError."""

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows that a statement gives."""
        ...

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement that gives none."""
        ...

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for each of `rows`."""
        ...

    def transaction(self, subject: str) -> AbstractContextManager[None]:
        """All or nothing, and for one at a time: who else writes about `subject` waits. May be nested."""
        ...

    def snapshot(self) -> AbstractContextManager[None]:
        """Several queries that see the same, whatever is written meanwhile."""
        ...

    def now(self) -> float:
        """The wall clock that everyone who shares this database goes by, in seconds since 1970."""
        ...

    def bytes_used(self) -> int:
        """How much space the data takes."""
        ...

    def shrink(self) -> None:
        """Give space that is no longer used back."""
        ...


def new_holder() -> str:
    """A name for one who reads: it says on which computer, and in which process."""
    return f"{socket.gethostname()} {os.getpid()} {uuid4().hex}"


def secret_in(database: Database, table: str) -> bytes:
    """The random secret that a table keeps, made when it is first asked for."""
    sql = f"SELECT value FROM {table} WHERE name = 'secret'"  # noqa: S608 (a name of ours)
    found = database.query(sql)
    if not found:
        with database.transaction("secret"):
            found = database.query(sql)
            if not found:
                found = [(os.urandom(SECRET_BYTES),)]
                insert = f"INSERT INTO {table} (name, value) VALUES ('secret', ?)"  # noqa: S608
                database.execute(insert, found[0])
    return bytes(found[0][0])
