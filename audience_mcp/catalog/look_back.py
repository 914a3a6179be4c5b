"""Sources as they were: readings of the past, made of what the store keeps. No vendor is asked."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from weakref import ref

import anyio

from audience_mcp.catalog.ask_store import ask_of_each
from audience_mcp.catalog.compare import format_moment
from audience_mcp.catalog.composer import Composer
from audience_mcp.catalog.line import OR_MORE
from audience_mcp.core.audience import Row
from audience_mcp.core.errors import VendorError
from audience_mcp.sources.pager import Pager
from audience_mcp.sources.reader import SourceReader
from audience_mcp.sources.reading import Reading, Snapshot
from audience_mcp.store import SAVED_WITHIN_S
from audience_mcp.store.stored import Baseline, NoBaseline, Past

MOST_KEPT = 5
"""Readings of the past that are kept of each source, for calls that ask for the same."""
AT_ANY_TIME = datetime.max.replace(tzinfo=timezone.utc)

MESSAGES = {
    "none": "{source}: nothing is stored of it, so its sizes then are unknown. audience-mcp record stores "
    "today's.",
    "another": "{source}: nothing is stored of this account; the sizes stored under this name are of another "
    "account, judging by its audiences.",
    "unreadable": "{source}: its stored history cannot be read just now. Ask again.",
    "later": "{source}: nothing is stored at {at} or before; its sizes are those of the first reading after "
    "it.",
    "kept": "Type, status, dates and description are those of the last reading: history keeps none.",
    "lost": "{count:,} of the audiences then are in no reading that is still kept: their type, status, "
    "dates and description are unknown.",
    "size_unknown": "unknown then",
    "counted_at": "counted at {when}",
}


@dataclass(frozen=True, slots=True)
class _PastReading:
    """A reading of the past. lost: how many audiences of it the last reading does not have any more."""

    pager: Pager
    lost: int


class LookBack:
    """Makes readings of the past, and keeps some for calls that ask for the same."""

    def __init__(self, composer: Composer) -> None:
        self._composer = composer
        self._kept: dict[SourceReader, OrderedDict[Hashable, _PastReading]] = {}

    async def read(
        self, at: datetime, readers: Sequence[SourceReader], seconds: float
    ) -> tuple[dict[SourceReader, Snapshot], list[str]]:
        """What there was of each source at a moment, with notes. seconds: that the store may take."""
        found: dict[SourceReader, Baseline | NoBaseline | None] = {}
        last: dict[SourceReader, Reading | None] = {}

        async def find(reader: SourceReader) -> None:
            if reader.history is not None:
                with anyio.move_on_after(SAVED_WITHIN_S):
                    await reader.recorded()  # so that what was just answered is part of it
                found[reader] = await reader.history.baseline(at, AT_ANY_TIME)
                last[reader] = await reader.recall()

        await ask_of_each(readers, find, seconds)
        read: dict[SourceReader, Snapshot] = {}
        lost = kept = 0
        for reader in readers:
            baseline = found.get(reader)
            if not isinstance(baseline, Baseline):
                read[reader] = Snapshot(reader.new_pager(), False, None, _why(reader, baseline))
                continue
            past = await self._make(reader, baseline, last.get(reader))
            lost, kept = lost + past.lost, kept + len(past.pager.rows) - past.lost
            notes = []
            if baseline.as_of > at:
                notes.append(MESSAGES["later"].format(source=reader.name, at=format_moment(at)))
            read[reader] = Snapshot(past.pager, True, baseline.as_of, notes=notes)
        said = [MESSAGES["kept"]] if kept else []
        said += [MESSAGES["lost"].format(count=lost)] if lost else []
        return read, said

    async def _make(self, reader: SourceReader, baseline: Baseline, last: Reading | None) -> _PastReading:
        """The reading that a baseline was, with what only the last reading says of its audiences."""
        key = baseline.serial, None if last is None else ref(last.pager)
        kept = self._kept.setdefault(reader, OrderedDict())

        def make() -> _PastReading:
            rows = last.pager.rows if last is not None else {}
            made = [
                _as_it_was(reader, baseline, id, past, rows.get(id))
                for id, past in baseline.audiences.items()
            ]
            pager = reader.new_pager()
            pager.restore(made, pages=1, total=None, invalid=0, duplicates=0, notes=())
            return _PastReading(pager, sum(id not in rows for id in baseline.audiences))

        if key not in kept:
            past = await self._composer.run(len(baseline.audiences), make, lambda: kept.get(key))
            kept[key] = past
            if len(kept) > MOST_KEPT:
                kept.popitem(last=False)
        return kept[key]


def _why(reader: SourceReader, found: NoBaseline | None) -> VendorError:
    if found is None:
        return VendorError("unavailable", MESSAGES["unreadable"].format(source=reader.name), retry_after_s=5)
    message = MESSAGES["another" if found.another else "none"]
    return VendorError("not_found", message.format(source=reader.name))


def _as_it_was(reader: SourceReader, baseline: Baseline, id: str, past: Past, last: Row | None) -> Row:
    """An audience of the past. last: the same one in the last reading, for what history does not keep."""
    row = Row(
        id,
        past.name,
        past.size,
        type="unknown" if last is None else last.type,
        status="unknown" if last is None else last.status,
        size_max=past.size_max,
        open_ended=past.open_ended,
        kind=past.kind,
        part_of=past.part_of,
        unit=past.unit,
    )
    if last is not None:
        row.description, row.created, row.updated = last.description, last.created, last.updated
    if past.counts:
        count = past.counts[0]
        row.size, row.size_max, row.counted_at = count.size, count.size_max, count.as_of
        if (when := format_moment(count.as_of)) != format_moment(baseline.as_of):
            row.size_note = MESSAGES["counted_at"].format(when=when)
    if row.open_ended:
        row.size_note = OR_MORE.format(size=row.size)
    if row.size is None:
        row.size_note = last.size_note if last is not None and last.size is None else MESSAGES["size_unknown"]
    return row
