"""The store of servers on several hosts: a PostgreSQL database. Needs the extra `audience-mcp[postgres]`.

The tables lie in the first schema of the connection's search path, so that
`postgresql://.../db?options=-csearch_path%3Daudiences` puts them elsewhere.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict

from audience_mcp.store.database import HISTORY_TABLES, SHARED_TABLES
from audience_mcp.store.history import HistoryPart
from audience_mcp.store.shared import SharedPart
from audience_mcp.store.values import Now, StoreError, Trouble

CONNECT_WITHIN_S = 3
STATEMENT_MS = 4_000
"""A statement, and waiting for a lock, takes no longer: an answer waits for it."""
APPLICATION = "audience-mcp"

T = TypeVar("T")


class PostgresDatabase:
    """A connection as a `Database`. It is made, and the tables brought up to date, when it is first used.

    now: a clock in place of the database's own, for tests.
    """

    def __init__(self, url: str, now: Now | None = None) -> None:
        self._url = url
        self._now = now
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._depth = 0

    @property
    def connected(self) -> bool:
        """Whether there is a connection that was not found broken."""
        return self._connection is not None and not self._connection.closed

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows that a statement gives."""
        with _troubles():
            return self._open().execute(_with_percent(sql), parameters).fetchall()

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement that gives none."""
        with _troubles():
            self._open().execute(_with_percent(sql), parameters)

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for each of `rows`."""
        with _troubles(), self._open().cursor() as cursor:
            cursor.executemany(_with_percent(sql), list(rows))

    @contextmanager
    def transaction(self, subject: str) -> Iterator[None]:
        """All or nothing, for one at a time about a subject: an advisory lock, released at the end."""
        with _troubles(), self._open().transaction():
            self.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", (f"{APPLICATION} {subject}",)
            )
            yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Several queries that see the same."""
        with _troubles(), self._open().transaction():
            self.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield

    def now(self) -> float:
        """The database's clock, which is the same for every host."""
        if self._now is not None:
            return self._now()
        return float(self.query("SELECT EXTRACT(EPOCH FROM clock_timestamp())::float8")[0][0])

    def bytes_used(self) -> int:
        """About how much the history takes, without what is deleted and not yet cleared away."""
        sql = (
            "SELECT COALESCE((SELECT SUM(LENGTH(state)) FROM audience_mcp_series), 0) + "
            "(SELECT COUNT(*) FROM audience_mcp_sizes) * 72 + (SELECT COUNT(*) FROM audience_mcp_points) * 48"
        )
        return int(self.query(sql)[0][0])

    def shrink(self) -> None:
        """Nothing to do: the database gives space back by itself."""

    def close(self) -> None:
        """Close the connection; it is made again when it is used again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                connection.close()

    def _open(self) -> psycopg.Connection[tuple[Any, ...]]:
        if self._connection is not None and not self._connection.closed:
            return self._connection
        connection = psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=CONNECT_WITHIN_S,
            application_name=APPLICATION,
            prepare_threshold=None,  # a pooler between us and the database may not keep what was prepared
            keepalives_idle=30,
            tcp_user_timeout=STATEMENT_MS,
        )
        try:
            for setting in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
                connection.execute("SELECT set_config(%s, %s, false)", (setting, str(STATEMENT_MS)))
            self._connection = connection
            self._prepare()
        except BaseException:
            self.close()
            raise
        return connection

    def _prepare(self) -> None:
        """Bring the tables up to date; of two that come at once, one does it and the other waits."""
        with self.transaction("tables"):
            self.execute(
                "CREATE TABLE IF NOT EXISTS audience_mcp_versions "
                "(part TEXT PRIMARY KEY, version BIGINT NOT NULL)"
            )
            for part, versions in (("shared", SHARED_TABLES), ("history", HISTORY_TABLES)):
                found = self.query("SELECT version FROM audience_mcp_versions WHERE part = ?", (part,))
                version = int(found[0][0]) if found else 0
                if version > len(versions):
                    raise StoreError("newer", f"the {part} tables are of version {version}")
                for statements in versions[version:]:
                    for statement in statements:
                        self.execute(statement.format(blob="BYTEA", packed=""))
                if version < len(versions):
                    self.execute(
                        "INSERT INTO audience_mcp_versions (part, version) VALUES (?, ?) "
                        "ON CONFLICT (part) DO UPDATE SET version = excluded.version",
                        (part, len(versions)),
                    )


class PostgresStore:
    """Both parts over one connection, which is made again once where it was lost."""

    def __init__(self, url: str, now: Now | None = None) -> None:
        self.place = place_of(url)
        self._db = PostgresDatabase(url, now)

    def shared(self, use: Callable[[SharedPart], T]) -> T:
        """Do something with the shared part. Raises StoreError."""
        return self._again_if_lost(lambda: use(SharedPart(self._db)))

    def history(self, use: Callable[[HistoryPart], T]) -> T:
        """Do something with the history. Raises StoreError."""
        return self._again_if_lost(lambda: use(HistoryPart(self._db)))

    def bytes(self) -> dict[str, int]:
        """How much space the history takes; that of readings is not told apart from it."""
        return {"history": self._db.bytes_used()}

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def _again_if_lost(self, use: Callable[[], T]) -> T:
        had_connection = self._db.connected
        try:
            return use()
        except StoreError as e:
            # A database that was restarted closes its connections, which is seen only when one is used.
            if e.trouble != "unreachable" or not had_connection or self._db.connected:
                raise
            return use()


def place_of(url: str) -> str:
    """Where a database is, without user or password."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.Error:
        return "PostgreSQL"
    host, port, name = parts.get("host") or "localhost", parts.get("port"), parts.get("dbname") or ""
    return f"postgresql://{host}{f':{port}' if port else ''}/{name}"


@lru_cache(maxsize=256)
def _with_percent(sql: str) -> bytes:
    return sql.replace("?", "%s").encode()


@contextmanager
def _troubles() -> Iterator[None]:
    """The database's errors as StoreError. Only their class is told: their text may hold a password."""
    try:
        yield
    except psycopg.Error as e:
        raise StoreError(_trouble_of(e), f"{type(e).__name__} ({e.sqlstate or 'no connection'})") from None


def _trouble_of(e: psycopg.Error) -> Trouble:
    state = e.sqlstate or ""
    if state in ("57014", "55P03"):  # a statement, or waiting for a lock, took too long
        return "slow"
    if state.startswith("53"):
        return "full"
    if state in ("25006", "42501"):
        return "read_only"
    if isinstance(e, psycopg.OperationalError):
        return "unreachable"
    return "fault"
