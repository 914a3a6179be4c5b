"""The store of servers on several hosts: a PostgreSQL database. Needs the extra `audience-mcp[postgres]`.

The tables lie in the first schema of the connection's search path, so that
`postgresql://.../db?options=-csearch_path%3Daudiences` puts them elsewhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict

from audience_mcp.store.database import HISTORY_META, HISTORY_TABLES, SHARED_META, SHARED_TABLES, tables_in
from audience_mcp.store.history import HistoryPart
from audience_mcp.store.series import COLUMNS
from audience_mcp.store.shared import SharedPart
from audience_mcp.store.stored import Fault, Now, StoreError

CONNECT_WITHIN_S = 3
STATEMENT_MS = 4_000
"""A statement, and waiting for a lock, takes no longer: an answer waits for it."""
APPLICATION = "audience-mcp"
FEW = 50
"""Rows that are sent as statements of their own, with the next trip."""
VERSIONS = "audience_mcp_versions"
CLOCK = "SELECT EXTRACT(EPOCH FROM clock_timestamp())::float8"
CHECK = (
    "SELECT EXTRACT(EPOCH FROM clock_timestamp())::float8, "
    "(SELECT version FROM audience_mcp_versions WHERE part = 'shared'), "
    "(SELECT version FROM audience_mcp_versions WHERE part = 'history'), "
    "(SELECT value FROM audience_mcp_meta WHERE name = 'secret'), "
    "(SELECT value FROM audience_mcp_history_meta WHERE name = 'secret')"
)
THERE = (
    "SELECT relname FROM pg_catalog.pg_class WHERE (relkind IN ('r', 'p') "
    "AND pg_catalog.pg_table_is_visible(oid) AND relname LIKE 'audience\\_mcp\\_%') "
    "OR (relname = 'sizes' AND relnamespace = COALESCE("
    "(SELECT relnamespace FROM pg_catalog.pg_class WHERE oid = to_regclass('audience_mcp_series')), "
    "to_regnamespace(quote_ident(current_schema()))))"
)
"""Our tables, and what is called as our view where they are: whatever else it is, it is left alone."""
WORDS = {
    "blob": "BYTEA",
    "packed": "",
    "vendor": "(s.key::jsonb ->> 0)",
    "audiences": (
        "jsonb_array_elements(CASE WHEN s.key::jsonb ->> 0 <> 'damaged' "
        "THEN convert_from(s.state, 'UTF8')::jsonb END) WITH ORDINALITY"
    ),
    "number": "(a.ordinality - 1)",
    **{
        name: f"(a.value ->> {place}){'::bigint' if name in ('sizes', 'maxima', 'firsts') else ''}"
        for place, name in enumerate(COLUMNS)
    },
    "as_of": "to_timestamp(moment / 1000)",
    "now": "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000)",
}
"""What statements say in PostgreSQL's way. A series that was set aside as damaged has no audiences."""
_TABLES_LOCK = 0x41756469656E6365 & 0x7FFFFFFFFFFFFFFF

Connection = psycopg.Connection[tuple[Any, ...]]
Rows = list[tuple[Any, ...]]

T = TypeVar("T")


class PostgresDatabase:
    """A connection as a `Database`. It is made, and the tables brought up to date, when it is first used.

    The database may be far away, so trips to it are few: a transaction begins with its first query, and what
    it writes is sent with its next query or its end. now: a clock in place of the database's own, for tests.
    """

    def __init__(self, url: str, now: Now | None = None, told: Callable[[str], None] | None = None) -> None:
        self._url = url
        self._told = told or (lambda what: None)
        self._now = now
        self._connection: Connection | None = None
        self._depth = 0
        self._pending: list[tuple[str, Callable[[Rows], None] | None]] = []
        self._clock: float | None = None
        self._secrets: dict[str, bytes] = {}

    @property
    def secrets(self) -> dict[str, bytes]:
        """The secrets read by this connection; each transaction that writes compares them."""
        return self._secrets

    @property
    def connected(self) -> bool:
        """Whether there is a connection that was not found broken."""
        return self._connection is not None and not self._connection.closed

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> Rows:
        """The rows that a statement gives."""
        with _faults():
            connection = self._open()
            now = f"{self._now()!r}::float8" if self._now is not None else CLOCK.removeprefix("SELECT ")
            return self._send(self._with(connection, sql.replace("{now}", now), parameters))

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement that gives none; in a transaction, with its next query or its end."""
        with _faults():
            connection = self._open()
            self._pending.append((self._with(connection, sql, parameters), None))
            if not self._depth:
                self._send()

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for each of `rows`."""
        given = list(rows)
        if len(given) <= FEW:
            for each in given:
                self.execute(sql, each)
            return
        with _faults():
            connection = self._open()
            self._send()
            with psycopg.Cursor(connection) as cursor:
                cursor.executemany(_with_percent(sql), given)

    @contextmanager
    def transaction(self, key: str) -> Iterator[None]:
        """All or nothing, one at a time for each key: an advisory lock, released at the end."""
        lock = int.from_bytes(
            hashlib.sha256(f"{APPLICATION} {key}".encode()).digest()[:8], "big", signed=True
        )
        with self._begun("BEGIN", f"SELECT pg_advisory_xact_lock({lock})", checked=True):
            yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Several queries that see the same."""
        with self._begun("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"):
            yield

    def now(self) -> float:
        """The database's clock, the same for every host; in a transaction, as it was at its beginning."""
        if self._now is not None:
            return self._now()
        if self._depth and self._clock is None and self._pending:
            with _faults():
                self._send()
        if self._depth and self._clock is not None:
            return self._clock
        return float(self.query(CLOCK)[0][0])

    def bytes_used(self) -> int:
        """About how much the history takes, without what is deleted and not yet cleared away."""
        sql = (
            "SELECT COALESCE((SELECT SUM(LENGTH(state)) FROM audience_mcp_series), 0) + "
            "(SELECT COUNT(*) FROM audience_mcp_sizes) * 72 + "
            "(SELECT COUNT(*) FROM audience_mcp_counted) * 60 + "
            "(SELECT COUNT(*) FROM audience_mcp_points) * 48 + "
            "(SELECT COUNT(*) FROM audience_mcp_vendor_sizes) * 80 + "
            "(SELECT COUNT(*) FROM audience_mcp_vendor_asked) * 80"
        )
        return int(self.query(sql)[0][0])

    def shrink(self) -> None:
        """Nothing to do: the database gives space back by itself."""

    def note(self, what: str) -> None:
        """Report damage."""
        self._told(what)

    def interrupt(self) -> None:
        """End what another thread is waiting for: the socket is shut, whatever is at its other end."""
        connection = self._connection
        if connection is not None:
            with (
                contextlib.suppress(psycopg.Error, OSError),
                socket.socket(fileno=os.dup(connection.fileno())) as other,
            ):
                other.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection; it is made again when it is used again."""
        connection, self._connection, self._depth = self._connection, None, 0
        self._pending.clear()
        self._secrets.clear()
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                connection.close()

    def _with(self, connection: Connection, sql: str, parameters: Sequence[Any]) -> str:
        with psycopg.ClientCursor(connection) as cursor:
            return cursor.mogrify(_with_percent(sql), parameters) if parameters else sql

    def _send(self, last: str | None = None) -> Rows:
        """Send what is pending, and one more statement, in one trip; the rows of that one."""
        pending, self._pending = self._pending, []
        if last is not None:
            pending.append((last, None))
        if not pending:
            return []
        found: Rows = []
        with psycopg.ClientCursor(self._open()) as cursor:
            cursor.execute(_as_query("; ".join(sql for sql, _ in pending)))
            for _, take in pending:
                found = cursor.fetchall() if cursor.description is not None else []
                if take is not None:
                    take(found)
                cursor.nextset()
        return found if last is not None else []

    @contextmanager
    def _begun(self, *begin: str, checked: bool = False) -> Iterator[None]:
        if self._depth:  # within another one, only the lock is more
            self._pending += [(sql, None) for sql in begin[1:]]
            yield
            return
        with _faults():
            self._open()
            self._depth, self._clock = 1, None
            self._pending += [(sql, None) for sql in begin]
            self._pending.append((CHECK, self._check) if checked else (CLOCK, self._take_clock))
            try:
                yield
                self._pending.append(("COMMIT", None))
                self._send()
            except BaseException:
                self._pending.clear()
                if self.connected:
                    with contextlib.suppress(psycopg.Error, StoreError):
                        self._send("ROLLBACK")
                raise
            finally:
                self._depth, self._clock = 0, None

    def _take_clock(self, found: Rows) -> None:
        self._clock = float(found[0][0])

    def _check(self, found: Rows) -> None:
        """Look again, in each transaction that writes, at what another program may have changed meanwhile."""
        clock, shared, history, *secrets = found[0]
        self._clock = float(clock)
        for version, part, versions in (
            (shared, "shared", SHARED_TABLES),
            (history, "history", HISTORY_TABLES),
        ):
            if version is not None and version > len(versions):
                raise StoreError("newer", f"the {part} tables are of version {version}")
        for table, secret in zip((SHARED_META, HISTORY_META), secrets, strict=True):
            known = self._secrets.get(table)
            if known is not None and (secret is None or bytes(secret) != known):
                raise StoreError("fault", "the store was replaced by another one", again=True)

    def _open(self) -> Connection:
        if self._connection is not None and not self._connection.closed:
            return self._connection
        self.close()
        connection = psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=CONNECT_WITHIN_S,
            application_name=APPLICATION,
            prepare_threshold=None,  # a pooler between us and the database may not keep what was prepared
            keepalives_idle=30,
            tcp_user_timeout=STATEMENT_MS,
        )
        self._connection = connection
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise
        return connection

    def _prepare(self) -> None:
        """Set time limits, and bring the tables up to date; a role that may not change them needs not to."""
        for setting in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            self._pending.append((f"SET {setting} = {STATEMENT_MS}", None))
        made = {
            part: tables_in(versions)
            for part, versions in (("shared", SHARED_TABLES), ("history", HISTORY_TABLES))
        }
        there = {name for (name,) in self.query(THERE)}
        if there.issuperset({VERSIONS, *made["shared"], *made["history"]}):
            self._refuse_newer()
            return
        with self._begun("BEGIN", f"SELECT pg_advisory_xact_lock({_TABLES_LOCK})"):
            there = {name for (name,) in self.query(THERE)}
            if VERSIONS not in there:
                self.execute(f"CREATE TABLE {VERSIONS} (part TEXT PRIMARY KEY, version BIGINT NOT NULL)")
            self._refuse_newer()
            for part, tables in made.items():
                for name, statement in tables.items():
                    if name not in there:
                        self.execute(statement.format(**WORDS))
                version = len(SHARED_TABLES if part == "shared" else HISTORY_TABLES)
                self.execute(
                    f"INSERT INTO {VERSIONS} (part, version) VALUES (?, ?) "  # noqa: S608 (a name of ours)
                    "ON CONFLICT (part) DO UPDATE SET version = excluded.version",
                    (part, version),
                )

    def _refuse_newer(self) -> None:
        """Raise StoreError if a newer program has made the tables."""
        for part, version in self.query(f"SELECT part, version FROM {VERSIONS}"):  # noqa: S608 (a name of ours)
            if version > len(SHARED_TABLES if part == "shared" else HISTORY_TABLES):
                raise StoreError("newer", f"the {part} tables are of version {version}")


class PostgresStore:
    """Both parts over one connection, which is made again once where it was lost."""

    def __init__(self, url: str, now: Now | None = None, told: Callable[[str], None] | None = None) -> None:
        self.place = place_of(url)
        self._db = PostgresDatabase(url, now, told)
        self._abandoned = False

    def shared(self, use: Callable[[SharedPart], T]) -> T:
        """Do something with the shared part. Raises StoreError."""
        return self._again_if_lost(lambda: use(SharedPart(self._db)))

    def history(self, use: Callable[[HistoryPart], T]) -> T:
        """Do something with the history. Raises StoreError."""
        return self._again_if_lost(lambda: use(HistoryPart(self._db)))

    def bytes(self) -> dict[str, int]:
        """How much space the history takes; that of readings is not told apart from it."""
        return {"history": self._db.bytes_used()}

    def abandon(self) -> None:
        """End what another thread is doing with the connection."""
        self._abandoned = True
        self._db.interrupt()

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def _again_if_lost(self, use: Callable[[], T]) -> T:
        had_connection = self._db.connected
        try:
            return use()
        except StoreError as e:
            # A database that was restarted closes its connections, which is seen only when one is used; and
            # a new connection sees tables that went, and a store that was replaced.
            lost = e.fault == "unreachable" and had_connection and not self._db.connected
            if self._abandoned or (not lost and not e.again):
                raise
            self._db.close()
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


def _as_query(sql: str) -> bytes:
    return sql.encode()


@contextmanager
def _faults() -> Iterator[None]:
    """The database's errors as StoreError. Only their class is given: their text may hold a password."""
    try:
        yield
    except psycopg.Error as e:
        text = f"{type(e).__name__} ({e.sqlstate or 'no connection'})"
        raise StoreError(_fault_of(e), text, again=e.sqlstate in ("42P01", "3F000")) from None


def _fault_of(e: psycopg.Error) -> Fault:
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
