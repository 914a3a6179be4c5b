"""What the parts of the store need of a database, whichever it is."""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import socket
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from audience_mcp.store.stored import StoreError

SHARED_TABLES: Sequence[Sequence[str]] = (
    (
        "CREATE TABLE audience_mcp_meta (name TEXT PRIMARY KEY, value {blob} NOT NULL)",
        "CREATE TABLE audience_mcp_readings (key TEXT PRIMARY KEY, source TEXT NOT NULL, "
        "as_of BIGINT NOT NULL, started DOUBLE PRECISION NOT NULL, first_page DOUBLE PRECISION NOT NULL, "
        "ended DOUBLE PRECISION NOT NULL, data {blob} NOT NULL)",
        "CREATE TABLE audience_mcp_turns (key TEXT PRIMARY KEY, taken {blob} NOT NULL)",
        "CREATE TABLE audience_mcp_pauses (key TEXT PRIMARY KEY, begun DOUBLE PRECISION NOT NULL, "
        "seconds DOUBLE PRECISION NOT NULL)",
        "CREATE TABLE audience_mcp_leases (key TEXT PRIMARY KEY, holder TEXT NOT NULL, "
        "begun DOUBLE PRECISION NOT NULL, renewed DOUBLE PRECISION NOT NULL)",
        "CREATE TABLE audience_mcp_counts (key TEXT NOT NULL, audience TEXT NOT NULL, size BIGINT, "
        "size_max BIGINT, note TEXT, sized_on TEXT, counted DOUBLE PRECISION NOT NULL, "
        "PRIMARY KEY (key, audience)) {packed}",
    ),
)
"""What can be made again: a list of statements for each version, never changed once released."""

SIZES_VIEW = """
CREATE VIEW sizes AS
WITH audiences AS (
    SELECT s.id AS series, s.source, {vendor} AS vendor, s.client, {number} AS audience, {ids} AS id,
        {names} AS name, COALESCE({kinds}, s.kind) AS kind, {sizes} AS size, {maxima} AS size_max,
        {firsts} AS first
    FROM audience_mcp_series s, {audiences} a
), figures AS (
    SELECT h.series, h.audience, p.moment, h.size, h.size_max FROM audiences h
    JOIN audience_mcp_points p ON p.series = h.series AND p.moment >= h.first
    UNION ALL
    SELECT z.series, z.audience, p.moment, z.size, z.size_max FROM audience_mcp_sizes z
    JOIN audience_mcp_points p ON p.series = z.series AND p.moment BETWEEN z.first AND z.last
    UNION ALL
    SELECT series, audience, moment, size, size_max FROM audience_mcp_counted
), begun AS (
    SELECT series, audience, MIN(moment) AS moment FROM (
        SELECT series, audience, first AS moment FROM audiences WHERE size >= 0 AND first IS NOT NULL
        UNION ALL SELECT series, audience, first FROM audience_mcp_sizes WHERE size >= 0
        UNION ALL SELECT series, audience, moment FROM audience_mcp_counted WHERE size >= 0
    ) known GROUP BY series, audience
), kept AS (
    SELECT a.source, a.vendor, a.kind, a.client, a.id, a.name, f.moment, f.size,
        NULLIF(f.size_max, -1) AS size_max, '' AS origin
    FROM figures f JOIN audiences a ON a.series = f.series AND a.audience = f.audience
    WHERE COALESCE(f.size, 0) >= 0 AND f.moment <= {now} + 60000
    UNION ALL
    SELECT s.source, {vendor}, COALESCE(a.kind, s.kind), s.client, v.audience, COALESCE(a.name, v.audience),
        v.moment, v.size, NULL, 'vendor'
    FROM audience_mcp_vendor_sizes v JOIN audience_mcp_series s ON s.id = v.series
    LEFT JOIN audiences a ON a.series = v.series AND a.id = v.audience
    LEFT JOIN begun b ON b.series = a.series AND b.audience = a.audience
    WHERE {vendor} <> 'damaged' AND COALESCE(v.moment <= b.moment, TRUE)
)
SELECT source || ':' || id AS ref, source, vendor, kind, client, name, {as_of} AS as_of, size, size_max,
    origin
FROM kept
"""
"""For other programs: a row for each reading and each audience that it had, and for each count.

Of what the vendor remembers, what lies before our first known size of the audience. -1 is NOT_COUNTED as a
size, which says only that the audience was there, and OPEN_ENDED as an upper end.
"""

HISTORY_TABLES: Sequence[Sequence[str]] = (
    (
        "CREATE TABLE audience_mcp_history_meta (name TEXT PRIMARY KEY, value {blob} NOT NULL)",
        "CREATE TABLE audience_mcp_series (id BIGINT PRIMARY KEY, key TEXT NOT NULL, source TEXT NOT NULL, "
        "client TEXT, kind TEXT, state {blob} NOT NULL)",
        "CREATE TABLE audience_mcp_points (series BIGINT NOT NULL, moment BIGINT NOT NULL, "
        "PRIMARY KEY (series, moment)) {packed}",
        # A size that is over. Of what still holds, the series' state knows.
        "CREATE TABLE audience_mcp_sizes (series BIGINT NOT NULL, last BIGINT NOT NULL, "
        "audience BIGINT NOT NULL, first BIGINT NOT NULL, size BIGINT, unit TEXT, size_max BIGINT, "
        "PRIMARY KEY (series, last, audience)) {packed}",
        # A size that was counted by itself, at a moment of its own.
        "CREATE TABLE audience_mcp_counted (series BIGINT NOT NULL, audience BIGINT NOT NULL, "
        "moment BIGINT NOT NULL, size BIGINT, size_max BIGINT, PRIMARY KEY (series, audience, moment)) "
        "{packed}",
        # What the vendor itself remembers, and the stretches of time of which it has been asked. They go by
        # the audience's id: one that was looked up may be in no reading.
        "CREATE TABLE audience_mcp_vendor_sizes (series BIGINT NOT NULL, audience TEXT NOT NULL, "
        "moment BIGINT NOT NULL, size BIGINT NOT NULL, of_day INTEGER NOT NULL, "
        "PRIMARY KEY (series, audience, moment)) {packed}",
        "CREATE TABLE audience_mcp_vendor_asked (series BIGINT NOT NULL, audience TEXT NOT NULL, "
        "first BIGINT NOT NULL, last BIGINT NOT NULL, PRIMARY KEY (series, audience, last)) {packed}",
        SIZES_VIEW,
    ),
)
"""What cannot be made again, likewise."""


def tables_in(versions: Sequence[Sequence[str]]) -> dict[str, str]:
    """The statement that makes each table or view, by its name."""
    return {each.split()[2]: each for statements in versions for each in statements}


SECRET_BYTES = 32
SHARED_META = "audience_mcp_meta"
HISTORY_META = "audience_mcp_history_meta"
"""Where each part keeps its secret."""


class Database(Protocol):
    """Runs SQL in which `?` stands for a parameter. Raises StoreError."""

    @property
    def secrets(self) -> dict[str, bytes]:
        """The random secrets read from it, by table, for as long as it is the same database."""
        ...

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows that a statement gives, in which `{now}` stands for `now()`."""
        ...

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement that gives none."""
        ...

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for each of `rows`."""
        ...

    def transaction(self, key: str) -> AbstractContextManager[None]:
        """All or nothing; another writer with the same key waits. May be nested."""
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

    def note(self, what: str) -> None:
        """Report damage to whoever uses the store: see MESSAGES of the guard."""
        ...


def new_holder() -> str:
    """A name for whoever holds a lease: it says where the process can be seen, and which one it is."""
    return f"{place_of_processes()} {os.getpid()} {uuid4().hex}"


@lru_cache(maxsize=1)
def place_of_processes() -> str:
    """Where process numbers mean what they mean here: this computer since its start, this PID namespace.

    Containers may share the name of their host and see other processes.
    """
    boot, namespace = "", ""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    with contextlib.suppress(OSError):
        namespace = os.readlink("/proc/self/ns/pid")
    return f"{socket.gethostname()}/{boot}/{namespace}"


def secret_of(database: Database, table: str) -> bytes | None:
    """The random secret that a table keeps, if it has one."""
    if table not in database.secrets:
        found = database.query(f"SELECT value FROM {table} WHERE name = 'secret'")  # noqa: S608 (a name of ours)
        if not found:
            return None
        database.secrets[table] = bytes(found[0][0])
    return database.secrets[table]


def secret_in(database: Database, table: str) -> bytes:
    """The random secret that a table keeps; it is made at its first use."""
    secret = secret_of(database, table)
    if secret is None:
        with database.transaction("secret"):
            keep_secret(database, table, os.urandom(SECRET_BYTES))
        secret = secret_of(database, table)
    if secret is None:
        raise StoreError("fault", "the secret is gone as soon as it is made", again=True)
    return secret


def keep_secret(database: Database, table: str, secret: bytes) -> None:
    """Make this the secret of a table that has none yet."""
    sql = f"INSERT INTO {table} (name, value) VALUES ('secret', ?) ON CONFLICT (name) DO NOTHING"  # noqa: S608
    database.execute(sql, (secret,))


def hash_parts(secret: bytes, parts: Sequence[str]) -> str:
    """64 bits of an HMAC-SHA-256 of these texts, some of which may be secret, as 16 hexadecimal digits."""
    return hmac.new(secret, json.dumps(parts).encode(), "sha256").hexdigest()[:16]
