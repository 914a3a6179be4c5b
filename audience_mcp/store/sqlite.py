"""The store of one computer: two SQLite files in a folder of the user's.

Not in WAL mode: SQLite before 3.51.3 can corrupt a WAL file under two writers, and WAL corrupts on network
file systems. Every write begins with BEGIN IMMEDIATE, so that none is refused in its middle.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

from audience_mcp.store.database import (
    HISTORY_META,
    HISTORY_TABLES,
    SHARED_TABLES,
    keep_secret,
    secret_of,
    tables_in,
)
from audience_mcp.store.filesystems import network_type
from audience_mcp.store.history import HistoryPart
from audience_mcp.store.series import COLUMNS
from audience_mcp.store.shared import SharedPart
from audience_mcp.store.stored import Fault, Now, StoreError

log = logging.getLogger(__name__)

READINGS = "readings.sqlite3"
HISTORY = "history.sqlite3"
BUSY_S = 5
PAGE_BYTES = 32_768
"""For the file with readings, of which each is one long value."""

WORDS = {
    "blob": "BLOB",
    "packed": "WITHOUT ROWID",
    "vendor": "json_extract(s.key, '$[0]')",
    "audiences": "json_each(CASE WHEN json_valid(CAST(s.state AS TEXT)) THEN CAST(s.state AS TEXT) END)",
    "number": "a.key",
    **{name: f"json_extract(a.value, '$[{place}]')" for place, name in enumerate(COLUMNS)},
    "as_of": "strftime('%Y-%m-%dT%H:%M:%SZ', moment / 1000, 'unixepoch')",
    "now": "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
}
"""What statements say in SQLite's way. A state that cannot be decoded has no audiences."""

T = TypeVar("T")

_FAULTS: Sequence[tuple[str, Fault]] = (
    ("not a database", "damaged"),
    ("malformed", "damaged"),
    ("encrypted", "damaged"),
    ("locked", "locked"),
    ("locking protocol", "locked"),
    ("busy", "locked"),
    ("disk is full", "full"),
    ("readonly", "read_only"),
    ("unable to open", "missing"),
)
"""By words of SQLite's messages: Python 3.10 does not give its codes."""


class SqliteFile:
    """One of the files, as a `Database`. It is made, opened and brought up to date when first used.

    durable: whether what was written must survive a power failure.
    """

    def __init__(
        self,
        path: Path,
        versions: Sequence[Sequence[str]],
        now: Now | None = None,
        told: Callable[[str], None] | None = None,
        *,
        durable: bool,
    ) -> None:
        self.path = path
        self._versions = versions
        self._durable = durable
        self._told = told or (lambda what: None)
        self._now = now or time.time
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._depth = 0
        self._secrets: dict[str, bytes] = {}

    @property
    def secrets(self) -> dict[str, bytes]:
        """The secrets read from the file, as long as it is the same file."""
        with _faults():
            self._open()
        return self._secrets

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows that a statement gives."""
        with _faults():
            connection = self._open()
            return connection.execute(sql.replace("{now}", repr(self._now())), parameters).fetchall()

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement that gives none."""
        with _faults():
            self._open().execute(sql, parameters)

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for each of `rows`."""
        with _faults():
            self._open().executemany(sql, rows)

    @contextmanager
    def transaction(self, key: str) -> Iterator[None]:
        """All or nothing. There is one writer at a time, whatever the key."""
        with self._begun("BEGIN IMMEDIATE"):
            yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Several queries that see the same."""
        with self._begun("BEGIN"):
            yield

    def now(self) -> float:
        """The computer's clock."""
        return self._now()

    def bytes_used(self) -> int:
        """The pages that hold something."""
        pages, free, size = (
            int(self.query(f"PRAGMA {name}")[0][0]) for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    def shrink(self) -> None:
        """Cut the file by its free pages."""
        self.query("PRAGMA incremental_vacuum")

    def note(self, what: str) -> None:
        """Report damage."""
        self._told(what)

    def delete(self) -> None:
        """Delete the file, unless it is another by now."""
        self._put_away(lambda path: path.unlink(missing_ok=True))

    def move_aside(self) -> Path | None:
        """Give the file another name, which is returned, unless it is another file by now."""
        when = datetime.fromtimestamp(self._now(), timezone.utc).strftime("%Y%m%dT%H%M%S")
        aside = self.path.with_name(f"{self.path.stem}-damaged-{when}-{os.getpid()}{self.path.suffix}")

        def move(path: Path) -> None:
            with contextlib.suppress(FileNotFoundError):
                path.rename(path.with_name(path.name.replace(self.path.name, aside.name)))

        return aside if self._put_away(move) else None

    def known_secrets(self) -> dict[str, bytes]:
        """The secrets that were read, also of a file that can no longer be."""
        return dict(self._secrets)

    def interrupt(self) -> None:
        """End the statement that another thread is running."""
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.interrupt()

    def close(self) -> None:
        """Close the file; it is opened again when it is used again."""
        connection, self._connection, self._depth = self._connection, None, 0
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _put_away(self, how: Callable[[Path], None]) -> bool:
        ours = self._identity is None or self._identity == _identity(self.path)
        self.close()
        self._identity = None
        if ours:
            with _faults():
                for suffix in ("", "-journal"):
                    how(self.path.with_name(self.path.name + suffix))
        return ours

    @contextmanager
    def _begun(self, begin: str) -> Iterator[None]:
        if self._depth:
            yield
            return
        with _faults():
            connection = self._open()
            connection.execute(begin)
            self._depth += 1
            try:
                if begin != "BEGIN":
                    self._refuse_newer(connection)  # another process may have brought it up to date meanwhile
                yield
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    if connection.in_transaction:  # a full disk has rolled back already
                        connection.execute("ROLLBACK")
                raise
            finally:
                self._depth = 0

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and (self._depth or self._identity == _identity(self.path)):
            return self._connection
        self.close()  # the file was deleted or replaced while it was open
        self._secrets.clear()
        self._create()
        connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        self._connection, self._identity = connection, _identity(self.path)
        try:
            self._prepare(connection)
        except BaseException:
            self.close()
            raise
        return connection

    def _create(self) -> None:
        """Make the folder and an empty file that nobody else may read, before SQLite makes one itself.

        Others lose their rights to a file that is there already; a folder that they may write to is noted.
        """
        kind = network_type(self.path)
        if kind is not None:
            raise StoreError("network", f"{self.path.parent} is on a network file system ({kind})")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.path.is_symlink() and not self.path.exists():
                raise StoreError("missing", f"{self.path} is a link to nothing")
            if os.name == "posix" and self.path.parent.stat().st_mode & 0o022:
                self._told("open_folder")
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            for suffix in ("", "-journal"):
                _close_to_others(self.path.with_name(self.path.name + suffix))
        except OSError as e:
            raise _fault_of(e) from e

    def _refuse_newer(self, connection: sqlite3.Connection) -> int:
        """The version of the file. Raises StoreError if a newer program has written it."""
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(self._versions):
            raise StoreError(
                "newer", f"{self.path} is of version {version}, newer than {len(self._versions)}"
            )
        return version

    def _missing_tables(self, connection: sqlite3.Connection) -> list[str]:
        """The statements that make the tables which are not there."""
        there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        return [make for name, make in tables_in(self._versions).items() if name not in there]

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA synchronous = {'NORMAL' if self._durable else 'OFF'}")
        connection.execute("PRAGMA journal_mode = TRUNCATE")
        version = self._refuse_newer(connection)
        if version == len(self._versions) and not self._missing_tables(connection):
            return
        if not version:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            if not self._durable:
                connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in self._missing_tables(connection):
                connection.execute(statement.format(**WORDS))
            connection.execute(f"PRAGMA user_version = {len(self._versions)}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


class SqliteStore:
    """Both parts, each in its file. A damaged file is replaced: readings are deleted, history moved aside.

    told: is called with what happened to a damaged file.
    """

    def __init__(
        self, folder: Path, now: Now | None = None, told: Callable[[str], None] | None = None
    ) -> None:
        self.place = str(folder)
        self._folder = folder
        self._told = told or (lambda what: None)
        self._readings = SqliteFile(folder / READINGS, SHARED_TABLES, now, told, durable=False)
        self._history = SqliteFile(folder / HISTORY, HISTORY_TABLES, now, told, durable=True)

    def shared(self, use: Callable[[SharedPart], T]) -> T:
        """Do something with the shared part. Raises StoreError."""
        part = SharedPart(self._readings)
        try:
            return _again_if_told(self._readings, lambda: use(part))
        except StoreError as e:
            if e.fault != "damaged":
                raise
            log.warning("store: %s was damaged, and is replaced: %s", self._readings.path, e)
            self._readings.delete()
            self._told("readings_damaged")
            return use(part)

    def history(self, use: Callable[[HistoryPart], T]) -> T:
        """Do something with the history. Raises StoreError."""
        part = HistoryPart(self._history)
        try:
            return _again_if_told(self._history, lambda: use(part))
        except StoreError as e:
            if e.fault != "damaged":
                raise
            with contextlib.suppress(StoreError):
                secret_of(self._history, HISTORY_META)  # if it can still be read
            secrets = self._history.known_secrets()
            aside = self._history.move_aside()
            if aside is not None:
                # What is named by a secret id stays known by the same name.
                for table, secret in secrets.items():
                    keep_secret(self._history, table, secret)
                log.warning("store: %s was damaged, and is now %s: %s", self._history.path, aside, e)
                self._told("history_damaged")
            return use(part)

    def bytes(self) -> dict[str, int]:
        """How big each file is; damaged histories that were moved aside are one entry."""
        files = {"readings": [self._folder / READINGS], "history": [self._folder / HISTORY]}
        files["damaged"] = list(self._folder.glob("history-damaged-*"))
        sizes = {name: sum(_size(path) for path in paths) for name, paths in files.items()}
        return {name: size for name, size in sizes.items() if size or name != "damaged"}

    def abandon(self) -> None:
        """End what another thread is doing with the files."""
        self._readings.interrupt()
        self._history.interrupt()

    def close(self) -> None:
        """Close the files."""
        self._readings.close()
        self._history.close()


def _again_if_told(file: SqliteFile, use: Callable[[], T]) -> T:
    """Do something, and once more on a new connection if that may help: it makes missing tables."""
    try:
        return use()
    except StoreError as e:
        if not e.again:
            raise
        file.close()
        return use()


def _close_to_others(path: Path) -> None:
    """Take the right to read and write a file away from everyone but its owner."""
    with contextlib.suppress(OSError):
        if os.name == "posix" and path.stat().st_mode & 0o077:
            path.chmod(0o600)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


@contextmanager
def _faults() -> Iterator[None]:
    """SQLite's errors, and those of the file system, as StoreError."""
    try:
        yield
    except (sqlite3.Error, OSError) as e:
        raise _fault_of(e) from e


def _fault_of(e: Exception) -> StoreError:
    text = str(e).lower()
    if isinstance(e, OSError):
        kinds: dict[int | None, Fault] = {
            errno.ENOSPC: "full",
            errno.EDQUOT: "full",
            errno.EROFS: "read_only",
            errno.EACCES: "read_only",
            errno.EPERM: "read_only",
        }
        return StoreError(kinds.get(e.errno, "missing"), str(e))
    again = "no such table" in text
    fault: Fault | None = next((fault for words, fault in _FAULTS if words in text), None)
    return StoreError(fault or "fault", str(e), again=again)
