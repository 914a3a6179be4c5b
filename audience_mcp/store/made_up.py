"""A store with a made-up history, for made-up audiences. It is in memory, and ends with the process."""

from __future__ import annotations

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
from audience_mcp.store.stored import Owner, StoredCount, StoreError, from_ms, to_ms

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
    """A history whose past is made up when it is recorded for the first time."""

    def __init__(self, database: _Memory, days: Sequence[int], before: SizeBefore, gone: Gone) -> None:
        super().__init__(database)
        self._days = days
        self._before = before
        self._gone = gone
        self._began: dict[str, int] = {}

    def record(self, owner: Owner, rows: Sequence[Row], moment: int) -> bool:
        """Keep the sizes of a reading, and before the first one what came before it."""
        if owner.source not in self._began:
            self._began[owner.source] = moment
            for days in sorted(self._days, reverse=True):
                super().record(owner, self._past(owner, rows, moment, days), moment - days * DAY_MS)
        return super().record(owner, rows, moment)

    def record_counts(self, owner: Owner, counts: Mapping[str, StoredCount]) -> None:
        """Keep sizes that were counted one by one, and what they were before."""
        for days in self._days if owner.source in self._began else ():
            at = from_ms(self._began[owner.source] - days * DAY_MS)
            before = {
                id: replace(count, size=self._before(id, count.size, days), at=at)
                for id, count in counts.items()
                if count.size is not None
            }
            super().record_counts(owner, before)
        super().record_counts(owner, counts)

    def _past(self, owner: Owner, rows: Sequence[Row], moment: int, days: int) -> list[Row]:
        then = moment - days * DAY_MS
        gone = [
            Row(id, name, size) for id, name, size, last in self._gone.get(owner.vendor, ()) if days >= last
        ]
        return gone + [
            self._as_it_was(row, days, then)
            for row in rows
            if (created := parse_datetime(row.created)) is None or to_ms(created) <= then
        ]

    def _as_it_was(self, row: Row, days: int, then: int) -> Row:
        """A row with its size, or both ends of its range, of so many days ago."""
        if row.size is None:
            return row
        size = self._before(row.id, row.size, days)
        highest = row.size_max and max(size, round(row.size_max * (size / max(1, row.size))))
        counted_at = from_ms(then) if row.counted_at is not None else None
        return replace(row, size=size, size_max=highest, counted_at=counted_at)


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

    def abandon(self) -> None:
        """Nothing to do: it never hangs."""

    def close(self) -> None:
        """Forget everything."""
        self._file.close()
