"""A store with a made-up history, for made-up audiences. It is in memory, and ends with the process."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from audience_mcp.core.audience import Row
from audience_mcp.core.dates import parse_datetime
from audience_mcp.store.database import HISTORY_TABLES
from audience_mcp.store.history import HistoryPart
from audience_mcp.store.retention import DAY_MS
from audience_mcp.store.shared import SharedPart
from audience_mcp.store.sqlite import SqliteFile
from audience_mcp.store.values import StoreError, to_ms

T = TypeVar("T")
SizeBefore = Callable[[str, int, int], int]
"""The size of an audience so many days ago: its id, its size now, the days."""
Gone = Mapping[str, Sequence[tuple[str, str, int, int]]]
"""By vendor, audiences that are gone: id, name, last size, how many days ago they were last there."""


class _Memory(SqliteFile):
    """A database in memory."""

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            self._prepare(self._connection)
        return self._connection


class _MadeUpHistory(HistoryPart):
    """A history whose past is made up when an account is read for the first time."""

    def __init__(self, database: _Memory, days: Sequence[int], before: SizeBefore, gone: Gone) -> None:
        super().__init__(database)
        self._days = days
        self._before = before
        self._gone = gone
        self._began: dict[str, int] = {}

    def record(self, account: str, rows: Sequence[Row], moment: int, *, may_be_another: bool = False) -> None:
        """Keep the sizes of a reading, and before the first one what came before it."""
        if self.span(account) is None:
            self._began[account] = moment
            for days in sorted(self._days, reverse=True):
                super().record(account, self._past(account, rows, moment, days), moment - days * DAY_MS)
        super().record(account, rows, moment)

    def record_counts(self, account: str, sizes: Mapping[str, int | None], moment: int) -> None:
        """Keep sizes that were asked for one by one, and what they were before."""
        for days in self._days if account in self._began else ():
            before = {
                id: None if size is None else self._before(id, size, days) for id, size in sizes.items()
            }
            super().record_counts(account, before, self._began[account] - days * DAY_MS)
        super().record_counts(account, sizes, moment)

    def _past(self, account: str, rows: Sequence[Row], moment: int, days: int) -> list[Row]:
        then = moment - days * DAY_MS
        vendor = json.loads(account)[0]
        gone = [Row(id, name, size) for id, name, size, last in self._gone.get(vendor, ()) if days >= last]
        return gone + [
            self._as_it_was(row, days)
            for row in rows
            if (created := parse_datetime(row.created)) is None or to_ms(created) <= then
        ]

    def _as_it_was(self, row: Row, days: int) -> Row:
        """A row with its size, or both ends of its range, of so many days ago."""
        if row.size is None:
            return row
        size = self._before(row.id, row.size, days)
        highest = row.size_max and max(size, round(row.size_max * (size / max(1, row.size))))
        return replace(row, size=size, size_max=highest)


class MadeUpBackend:
    """A store that has a history and shares nothing."""

    place = "made up, in memory"

    def __init__(self, days: Sequence[int], before: SizeBefore, gone: Gone) -> None:
        self._file = _Memory(Path("made-up"), HISTORY_TABLES, durable=True)
        self._history = _MadeUpHistory(self._file, days, before, gone)

    def shared(self, use: Callable[[SharedPart], T]) -> T:
        """There is none. Raises StoreError."""
        raise StoreError("missing", "made-up readings are not shared")

    def history(self, use: Callable[[HistoryPart], T]) -> T:
        """Do something with the history."""
        return use(self._history)

    def bytes(self) -> dict[str, int]:
        """How much memory the history takes."""
        return {"history": self._file.bytes_used()}

    def close(self) -> None:
        """Forget everything."""
        self._file.close()
