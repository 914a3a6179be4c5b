"""One audience's sizes over time as answers show them: a line with at most one seam.

Before our first known size of the audience stands what its vendor remembers, from then on ours alone, so that
a line never zigzags between two ways of counting.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import anyio

from audience_mcp.catalog.ask_store import LEAST_WAIT_S
from audience_mcp.catalog.compare import format_moment
from audience_mcp.catalog.models import Audience, HistoryPoint
from audience_mcp.catalog.recall import note_recalled, note_trouble
from audience_mcp.core.audience import Row
from audience_mcp.core.points import DAY, TICK, VendorPoint, differ_at_seam, points_since, start_of_day
from audience_mcp.core.text import clean
from audience_mcp.sources.call import CallSession
from audience_mcp.sources.past import Need, PastSizes
from audience_mcp.sources.reader import SourceReader
from audience_mcp.store.retention import thin
from audience_mcp.store.stored import Moment, from_ms, to_ms

MAX_POINTS = 60
"""Points shown of one audience's sizes over time."""
NAME_CHARS = 60
"""Characters of an audience's name in a note."""
MOST_NAMED = 5
"""Audiences, and sizes, that one note names."""
POINT_CHARS = 48
"""Characters of one such point."""
OR_MORE = "{size:,} or more: no upper end is given"
"""The size note of an audience whose size was the lower end of a range without an upper one."""
MESSAGES = {
    "unreadable": "{source}: its stored history cannot be read just now.",
    "nothing": "{source}: no size of this audience is stored.",
    "recalled": "{source}: {count:,} sizes over time are {title}'s own record, {span}, and not readings of "
    "ours{more}.",
    "seam": "{source}: on {day}, when ours begin, {title}'s own size was {theirs:,} and ours {ours:,}: more "
    "than a tenth apart.",
    "open_ended": "{source}: these sizes over time are the lower ends of ranges without an upper one, and "
    "mean that many or more: {named}.",
}

Shown = tuple[SourceReader, Row, "datetime | None", Audience]
"""A row with its source, when the vendor gave it (None if unknown), and the audience made of it."""


@dataclass(slots=True)
class _Line:
    """Sizes of ours over time, up to the one that is shown; begins: when the first of all was known.

    need: what of the vendor's record goes before it. vendors: what is known of that.
    """

    past: PastSizes | None
    row: Row
    ours: list[Moment] = field(default_factory=list)
    begins: datetime | None = None
    is_readable: bool = False
    need: Need | None = None
    vendors: Sequence[VendorPoint] = ()

    def shown(self, most: int) -> list[Moment | VendorPoint]:
        """At most `most` sizes; of one of ours that stays the same the first moment, and the last one."""
        last = len(self.ours) - 1
        steps = [
            each
            for n, each in enumerate(self.ours)
            if n in (0, last) or _figures(each) != _figures(self.ours[n - 1])
        ]
        found: list[Moment | VendorPoint] = [*self.vendors, *steps]
        return [found[place] for place in thin(range(len(found)), most)]


def most_points(max_chars: int, lines: int) -> int:
    """How many points each of so many lines may have, in at most half of an answer's characters."""
    return max(2, min(MAX_POINTS, max_chars // 2 // POINT_CHARS // max(1, lines)))


def _figures(moment: Moment) -> tuple[int, int | None, bool]:
    return moment.size, moment.size_max, moment.open_ended


def show_moment(moment: Moment | VendorPoint) -> HistoryPoint:
    """A stored size, or one of a vendor's own record, as answers show it."""
    if isinstance(moment, VendorPoint):
        return HistoryPoint(as_of=moment.as_of, size=moment.size, from_="vendor")
    if moment.vendors is not None:
        return show_moment(moment.vendors)
    return HistoryPoint(as_of=format_moment(moment.as_of), size=moment.size, size_max=moment.size_max)


def note_open_ended(lines: Iterable[tuple[str, str, Iterable[Moment | VendorPoint]]]) -> list[str]:
    """What the reader of sizes over time must know of those that are ranges without an upper end, by source.

    lines: sources and names of audiences, each with its sizes.
    """
    opened: dict[str, dict[str, dict[str, None]]] = {}
    for source, name, line in lines:
        for each in line:
            if isinstance(each, Moment) and each.open_ended:
                sizes = opened.setdefault(source, {}).setdefault(clean(name, NAME_CHARS), {})
                sizes[f"{each.size:,}"] = None
    return [
        MESSAGES["open_ended"].format(
            source=source, named=_list([f"'{name}' ({_list([*sizes])})" for name, sizes in named.items()])
        )
        for source, named in opened.items()
    ]


def _list(words: Sequence[str]) -> str:
    """The first of some words, and how many more there are."""
    more = len(words) - MOST_NAMED
    return ", ".join(words[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")


async def add_history(
    since: datetime, now: datetime, session: CallSession, shown: Sequence[Shown], max_chars: int
) -> list[str]:
    """Add the sizes since a time to audiences of the answer; returns notes for the reader.

    Vendors are asked for what they remember of the time before our first size. The latest reading ends the
    line.
    """
    most = most_points(max_chars, len(shown))
    lines = [_Line(reader.past, row) for reader, row, _, _ in shown]
    with anyio.move_on_after(2 * LEAST_WAIT_S):
        for line, (reader, _, _, _) in zip(lines, shown, strict=True):
            await _find_ours(line, reader, since)
    for line, (_, row, as_of, _) in zip(lines, shown, strict=True):
        _end_with(line, row, row.counted_at or as_of, now)
        if line.past is not None and line.begins is not None and line.begins > since:
            until = start_of_day(line.begins) + DAY - TICK  # the day of the seam comes along
            line.need = line.past.need(row, since, until, whole=True)
    notes = await _recall(since, session, lines, [reader for reader, _, _, _ in shown])
    told: list[tuple[str, str, Sequence[Moment | VendorPoint]]] = []
    for line, (reader, _, _, audience) in zip(lines, shown, strict=True):
        sizes = line.shown(most)
        audience.history = list(map(show_moment, sizes)) or None
        told.append((reader.name, audience.name, sizes))
        if not line.is_readable:
            notes.append(MESSAGES["unreadable"].format(source=reader.name))
        elif audience.history is None:
            notes.append(MESSAGES["nothing"].format(source=reader.name))
    return list(dict.fromkeys([*notes, *note_open_ended(told)]))


async def _find_ours(line: _Line, reader: SourceReader, since: datetime) -> None:
    """What is stored of ours: the size at or before `since`, each other one after it, and when it began."""
    history = reader.history
    found = await history.timelines(since, [line.row.id]) if history is not None else None
    if history is None or found is None:
        return
    line.is_readable = True
    line.ours = _ours(moment for each in found for moment in each.moments)
    if line.past is not None and line.ours and line.ours[0].as_of > since:
        whole = await history.timelines(from_ms(0), [line.row.id]) or found
        line.begins = _ours(moment for each in whole for moment in each.moments)[0].as_of
    elif line.ours:
        line.begins = line.ours[0].as_of


def _ours(moments: Iterable[Moment]) -> list[Moment]:
    return [moment for moment in moments if moment.vendors is None]


def _end_with(line: _Line, row: Row, as_of: datetime | None, now: datetime) -> None:
    """End the line with the size that is shown, which may not be stored yet."""
    if as_of is not None and row.size is not None and not row.size_pending:
        before = [each for each in line.ours if to_ms(each.as_of) < to_ms(as_of)]
        after = [each for each in line.ours if to_ms(each.as_of) > to_ms(as_of)]
        now_is = Moment(as_of, row.size, row.size_max, open_ended=row.open_ended)
        line.ours = [*before, now_is, *after]
    line.begins = line.begins or (line.ours[0].as_of if line.ours else now)


async def _recall(
    since: datetime, session: CallSession, lines: Sequence[_Line], readers: Sequence[SourceReader]
) -> list[str]:
    """Take what vendors remember into the lines; returns notes for the reader."""
    asked: dict[SourceReader, tuple[PastSizes, list[Row], dict[str, Need]]] = {}
    for line, reader in zip(lines, readers, strict=True):
        if line.past is not None and line.need is not None:
            _, rows, needs = asked.setdefault(reader, (line.past, [], {}))
            rows.append(line.row)
            needs[line.row.id] = line.need
    await session.recall([*asked.values()])
    notes: list[str] = []
    for line, reader in zip(lines, readers, strict=True):
        if line.past is not None and line.need is not None and line.begins is not None:
            known, begins = line.past.points(line.row), line.begins
            line.vendors = points_since([each for each in known if each.moment < begins], since)
            seam = differ_at_seam(known, begins, line.ours[0].size) if line.ours else None
            if seam is not None and line.vendors:
                notes.append(
                    MESSAGES["seam"].format(
                        source=reader.name,
                        day=begins.date(),
                        title=reader.source.vendor.title,
                        theirs=seam.size,
                        ours=line.ours[0].size,
                    )
                )
    for reader, (past, rows, needs) in asked.items():
        own = zip(lines, readers, strict=True)
        found = [(line.row, point) for line, its in own if its is reader for point in line.vendors]
        if found:
            notes.insert(0, note_recalled(MESSAGES["recalled"], reader, past, found))
        notes += note_trouble(reader, past, since, rows, len(past.pending(rows, needs)))
    return notes
