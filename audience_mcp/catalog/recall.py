"""Fills what our own readings lack from what the vendors themselves remember, audience by audience."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from audience_mcp.catalog.compare import Comparison
from audience_mcp.core.audience import Row
from audience_mcp.core.dates import earlier, parse_datetime
from audience_mcp.core.points import DAY, VendorPoint, start_of_day
from audience_mcp.sources.call import CallSession
from audience_mcp.sources.past import Need, PastSizes
from audience_mcp.sources.reader import SourceReader
from audience_mcp.vendors.history import EARLIEST

MESSAGES = {
    "filled": "{source}: {count:,} of {all:,} sizes then are {title}'s own record, {span}, and not readings "
    "of ours{more}.",
    "edited": "; {count:,} of these audiences were edited since, which may be part of their change",
    "far": "{source}: {title}'s own record has nothing near enough to compare {count:,} audiences with; its "
    "last before is of {day}.",
    "begins": "{source}: {title}'s own record has nothing of before {day}.",
    "unmeasured": "{source}: {count:,} sizes of now are themselves of then or before, so {title}'s own "
    "record cannot tell a change since.",
    "refused": "{source}: {title} does not give its own record of sizes to this key ({kind}), so nothing is "
    "filled in from it. Check the key's permissions and the plan; the sizes of now are not affected.",
    "failed": "{source}: {title}'s own record of sizes could not be read just now ({kind}). Ask again.",
    "pending": "{source}: the sizes then of {count:,} audiences are still to come from {title}'s own record. "
    "Ask again.",
}


@dataclass(slots=True)
class _Asked:
    """The rows of a source that the vendor's record may fill, and what it is asked of them.

    unmeasured: how many rows have a size of now that is of the moment or before. early: rows for which the
    moment lies before the first day of the record.
    """

    past: PastSizes
    rows: list[Row] = field(default_factory=list)
    needs: dict[str, Need] = field(default_factory=dict)
    unmeasured: int = 0
    early: list[Row] = field(default_factory=list)


async def recall(
    at: datetime,
    now: datetime,
    matches: Mapping[SourceReader, Sequence[Row]],
    comparison: Comparison,
    session: CallSession,
) -> None:
    """Take into the comparison what vendors remember of the rows that have no near reading of ours.

    Near is what lies no further before the moment than that lies before now. A point after the moment is
    never compared with.
    """
    asked: dict[SourceReader, _Asked] = {}
    for reader, rows in matches.items():
        if reader.past is not None and at < now:
            asked[reader] = _choose(reader, reader.past, rows, at, now, comparison)
    await session.recall([(each.past, each.rows, each.needs) for each in asked.values() if each.needs])
    for reader, each in asked.items():
        _take(reader, each, len(matches[reader]), at, now, comparison)
        known = comparison.points[reader].keys() | comparison.born.get(reader, set())
        if known and known.issuperset(row.id for row in matches[reader]):
            comparison.filled.add(reader)
    if asked:
        points, waiting = comparison.points, comparison.waiting
        comparison.recalled = tuple(
            (reader.name, frozenset(points[reader].items()), frozenset(waiting[reader])) for reader in asked
        )


def _choose(
    reader: SourceReader,
    past: PastSizes,
    rows: Sequence[Row],
    at: datetime,
    now: datetime,
    comparison: Comparison,
) -> _Asked:
    """The rows without a near reading of ours, with what is needed of them."""
    asked = _Asked(past)
    own = comparison.baselines.get(reader)
    is_near = own is not None and own.as_of <= at and at - own.as_of <= now - at
    since = _begin(at, now)
    for row in rows:
        history = past.history_of(row)
        before = own.audiences.get(row.id) if own is not None else None
        created = parse_datetime(row.created)
        if history is None or (is_near and (before is None or before.size_for(row) is not None)):
            continue
        if created is not None and created > at:
            if before is None:
                comparison.born.setdefault(reader, set()).add(row.id)
        elif row.size_pending:
            comparison.waiting.setdefault(reader, set()).add(row.id)
        elif past.is_measured_by(row, at):
            asked.unmeasured += 1
        elif (need := past.need(row, since, at)) is not None:
            asked.rows.append(row)
            asked.needs[row.id] = need
        elif at < history.begins_at:
            asked.early.append(row)
    return asked


def _begin(at: datetime, now: datetime) -> datetime:
    """A day before which nothing is near.

    So many days ago are a power of two, that like questions need the same days and nothing is asked twice.
    """
    days = max(1.0, 2 * (now - at) / DAY)
    return start_of_day(earlier(now, (1 << math.ceil(math.log2(days))) * DAY))


def _take(
    reader: SourceReader, asked: _Asked, count: int, at: datetime, now: datetime, comparison: Comparison
) -> None:
    past, title = asked.past, reader.source.vendor.title
    waiting = {row.id for row in past.pending(asked.rows, asked.needs)}
    found: list[tuple[Row, VendorPoint]] = []
    far: list[VendorPoint] = []
    for row in asked.rows:
        before = [point for point in past.points(row) if point.moment <= at]
        if row.id in waiting or not before:
            continue
        if at - before[-1].moment <= now - at:
            found.append((row, before[-1]))
        else:
            far.append(before[-1])
    comparison.points[reader] = {row.id: point for row, point in found}
    waiting |= comparison.waiting.get(reader, set())
    comparison.waiting[reader] = waiting
    if found:
        comparison.notes.append(note_recalled(MESSAGES["filled"], reader, past, found, count))
    if far:
        day = max(far, key=lambda point: point.moment).as_of
        text = MESSAGES["far"]
        comparison.notes.append(text.format(source=reader.name, title=title, count=len(far), day=day))
    if asked.unmeasured:
        text = MESSAGES["unmeasured"]
        comparison.notes.append(text.format(source=reader.name, title=title, count=asked.unmeasured))
    comparison.notes += note_trouble(reader, past, at, [*asked.rows, *asked.early], len(waiting))


def note_trouble(
    reader: SourceReader, past: PastSizes, since: datetime, rows: Sequence[Row], waiting: int
) -> list[str]:
    """Why something of the vendor's record is missing that could be there since a moment.

    rows: those that it was to be asked for. waiting: of how many of them it is still to come.
    """
    title, notes = reader.source.vendor.title, []
    histories = {row.id: history for row in rows if (history := past.history_of(row)) is not None}
    begins = max((each.begins_at for each in histories.values()), default=None)
    if begins is not None and since < begins != EARLIEST:
        notes.append(MESSAGES["begins"].format(source=reader.name, title=title, day=begins.date()))
    if histories and past.refusal is not None:
        text = MESSAGES["refused"]
        notes.append(text.format(source=reader.name, title=title, kind=past.refusal.kind))
    elif waiting and past.error is not None:
        notes.append(MESSAGES["failed"].format(source=reader.name, title=title, kind=past.error.kind))
    if waiting:
        notes.append(MESSAGES["pending"].format(source=reader.name, title=title, count=waiting))
    return notes


def note_recalled(
    text: str,
    reader: SourceReader,
    past: PastSizes,
    found: Sequence[tuple[Row, VendorPoint]],
    count: int = 0,
) -> str:
    """How many sizes are the vendor's, from when to when, and what a reader must know of them.

    count: how many sizes there are in all.
    """
    moments = sorted({(point.moment, point.as_of) for _, point in found})
    first, last = moments[0][1], moments[-1][1]
    edited = {
        row.id
        for row, point in found
        if (updated := parse_datetime(row.updated)) is not None and updated > point.moment
    }
    notes = dict.fromkeys(
        history.note for row, _ in found if (history := past.history_of(row)) and history.note
    )
    more = "".join(f"; {note}" for note in notes)
    more += MESSAGES["edited"].format(count=len(edited)) if edited else ""
    return text.format(
        source=reader.name,
        count=len(found),
        all=count,
        title=reader.source.vendor.title,
        span=f"of {first}" if first == last else f"from {first} to {last}",
        more=more,
    )
