"""Sizes now beside those stored then: what is the baseline, what changed, what is new and what is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import anyio

from audience_mcp.catalog.models import Audience, Compared, GoneAudience, HistoryPoint
from audience_mcp.catalog.query import ListQuery
from audience_mcp.catalog.search import parse_search
from audience_mcp.catalog.totals import nesting_ids
from audience_mcp.core.audience import Row
from audience_mcp.core.dates import to_rfc3339
from audience_mcp.core.errors import ToolError
from audience_mcp.core.text import clean, to_json
from audience_mcp.sources.reader import SourceReader
from audience_mcp.sources.reading import Snapshot
from audience_mcp.sources.sharing import history_account
from audience_mcp.store.retention import thin
from audience_mcp.store.values import Baseline, Past, Timeline, from_ms, to_ms

if TYPE_CHECKING:
    from audience_mcp.store.store import Store

MAX_GONE = 20
"""Audiences that are gone and named; the rest is counted."""
GONE_SHARE = 5
"""What is gone takes no more than this part of an answer."""
MAX_POINTS = 60
"""Of one audience's sizes over time."""
POINT_CHARS = 48
"""Characters of one of them."""
LEAST_WAIT_S = 1.0
"""The store is waited for so long, also where a call's time is over."""
OTHER_FILTERS = (
    "type", "status", "min_size", "max_size", "created_since", "created_before", "updated_since",
    "updated_before",
)  # fmt: skip
"""Filters by what was not stored, so that nobody knows whether what is gone would have passed them."""

MESSAGES = {
    "off": "There is no history: AUDIENCE_MCP_STORE is off. Leave out {argument}, or ask the user to set "
    "AUDIENCE_MCP_STORE to a folder and to restart this MCP server.",
    "unreadable": "{source}: its stored history cannot be read just now, so nothing is compared.",
    "none": "{source}: nothing is stored before this reading, so nothing is compared; its history begins "
    "{since}.",
    "begins": "with it",
    "later": "{source}: nothing is stored at {at} or before; compared with the first reading after it.",
    "gone_filtered": "Which audiences are gone is said only where sources and search are the only filters.",
    "gone_partial": "Which audiences are gone is unknown for sources that were not read in full now: "
    "{sources}.",
    "unreadable_history": "{source}: its stored history cannot be read just now.",
    "no_history": "{source}: no size of this audience is stored.",
}


@dataclass(slots=True)
class Comparison:
    """What each source is compared with. notes: what the reader must know of it.

    whole: the sources that were read in full now, so that what is not there is gone.
    """

    baselines: dict[SourceReader, Baseline] = field(default_factory=dict)
    whole: frozenset[SourceReader] = frozenset()
    notes: list[str] = field(default_factory=list)

    def past(self, reader: SourceReader, row: Row) -> Past | None:
        """The audience as it was, if it was there."""
        baseline = self.baselines.get(reader)
        return None if baseline is None else baseline.audiences.get(row.id)

    def change(self, reader: SourceReader, row: Row) -> int | None:
        """By how much its size has changed, where it is known both times."""
        past = self.past(reader, row)
        return None if past is None or past.size is None or row.size is None else row.size - past.size

    def describe(self, reader: SourceReader, row: Row, shown: Audience) -> Audience:
        """Add to a row as it is shown what it was, and what has changed."""
        if reader in self.baselines:
            past = self.past(reader, row)
            shown.new = True if past is None else None
            shown.size_then = past.size if past is not None else None
            shown.change = self.change(reader, row)
        return shown

    def moment(self, reader: SourceReader) -> str | None:
        """The moment of a source's baseline."""
        baseline = self.baselines.get(reader)
        return format_moment(baseline.as_of) if baseline is not None else None


def require_history(store: Store | None, argument: str) -> Store:
    """The store, which an argument needs. Raises ToolError where there is none."""
    if store is None:
        raise ToolError(MESSAGES["off"].format(argument=argument))
    return store


async def compare(
    store: Store, at: datetime, snapshots: Mapping[SourceReader, Snapshot], seconds: float
) -> Comparison:
    """The baseline of each source. seconds: how long the store may take."""
    comparison = Comparison(whole=frozenset(r for r, s in snapshots.items() if s.pager.done and not s.older))
    with anyio.move_on_after(max(seconds, LEAST_WAIT_S)):
        for reader, snapshot in snapshots.items():
            if snapshot.as_of is not None:
                await _find_baseline(store, at, reader, snapshot.as_of, comparison)
    missing = [r for r, s in snapshots.items() if s.as_of is not None and r not in comparison.baselines]
    noted = {note.partition(":")[0] for note in comparison.notes}
    comparison.notes += [MESSAGES["unreadable"].format(source=r.name) for r in missing if r.name not in noted]
    return comparison


async def _find_baseline(
    store: Store, at: datetime, reader: SourceReader, as_of: datetime, comparison: Comparison
) -> None:
    series = await history_account(reader.source, store)
    baseline = await store.baseline(series[0], at, as_of) if series is not None else None
    if baseline is not None:
        comparison.baselines[reader] = baseline
        if baseline.as_of > at:
            note = MESSAGES["later"].format(source=reader.name, at=to_rfc3339(at))
            comparison.notes.append(note)
    elif series is not None and store.remembers:
        span = await store.span(series[0])
        since = MESSAGES["begins"] if span is None else f"at {format_moment(span.first)}"
        comparison.notes.append(MESSAGES["none"].format(source=reader.name, since=since))


def sum_up(
    query: ListQuery,
    hits: Mapping[SourceReader, Sequence[Row]],
    snapshots: Mapping[SourceReader, Snapshot],
    comparison: Comparison,
    max_chars: int,
) -> tuple[Compared, list[str]]:
    """What changed over everything that matched, and what the reader must know of that."""
    compared = Compared(sum_now=0, sum_then=0, change=0, new=0, unknown=0)
    for reader in comparison.baselines:
        rows = hits.get(reader, ())
        nesting = nesting_ids(rows)
        for row in rows:
            past = comparison.past(reader, row)
            if past is None:
                compared.new += 1
            elif past.size is None or row.size is None:
                compared.unknown += 1
            elif row.part_of is None or row.part_of not in nesting:
                compared.sum_now += row.size
                compared.sum_then += past.size
    compared.change = compared.sum_now - compared.sum_then
    notes = _add_gone(query, snapshots, comparison, compared, max_chars)
    return compared, notes


def _add_gone(
    query: ListQuery,
    snapshots: Mapping[SourceReader, Snapshot],
    comparison: Comparison,
    compared: Compared,
    max_chars: int,
) -> list[str]:
    """Add what is gone, as far as that can be known; why not, where it cannot."""
    if not comparison.baselines:
        return []
    if any(getattr(query, name) is not None for name in OTHER_FILTERS):
        return [MESSAGES["gone_filtered"]]
    partial = [reader.name for reader in comparison.baselines if reader not in comparison.whole]
    notes = [MESSAGES["gone_partial"].format(sources=", ".join(partial))] if partial else []
    if len(partial) == len(comparison.baselines):
        return notes
    search = parse_search(query.search) if query.search is not None else None
    gone = [
        (reader.name, id, past)
        for reader, baseline in comparison.baselines.items()
        if reader in comparison.whole
        for id, past in baseline.audiences.items()
        if id not in snapshots[reader].pager.rows and (search is None or search.matches(Row(id, past.name)))
    ]
    compared.gone = len(gone)
    gone.sort(key=lambda each: (each[2].size is None, -(each[2].size or 0), each[0], each[1]))
    room, named = max_chars // GONE_SHARE, []
    for source, id, past in gone[:MAX_GONE]:
        one = GoneAudience(ref=f"{source}:{id}", name=clean(past.name) or clean(id), size_then=past.size)
        room -= len(to_json(one.model_dump(exclude_none=True))) + 1
        if room < 0:
            break
        named.append(one)
    compared.gone_audiences = named or None
    return notes


async def add_history(
    store: Store,
    since: datetime,
    shown: Sequence[tuple[SourceReader, Row, datetime | None, Audience]],
    max_chars: int,
) -> list[str]:
    """Add to rows, as they are shown, their sizes over time; what the reader must know of that.

    Each row comes with the moment of its reading, where it is of one. What is stored and what is shown are
    one line, which ends with the latest reading.
    """
    most = max(2, min(MAX_POINTS, max_chars // 2 // POINT_CHARS // max(1, len(shown))))
    notes: dict[str, None] = {}
    with anyio.move_on_after(2 * LEAST_WAIT_S):
        for reader, row, as_of, audience in shown:
            series = await history_account(reader.source, store)
            found = await store.timelines(series[0], since, [row.id]) if series is not None else None
            if found is None:
                notes[MESSAGES["unreadable_history"].format(source=reader.name)] = None
                continue
            audience.history = _points(found, row, as_of, most)
            if not audience.history:
                audience.history = None
                notes[MESSAGES["no_history"].format(source=reader.name)] = None
    return list(notes)


def _points(found: Sequence[Timeline], row: Row, as_of: datetime | None, most: int) -> list[HistoryPoint]:
    """At most so many points: those stored, and the latest reading, which may not have been stored yet."""
    sizes = {to_ms(each.as_of): each.size for line in found for each in line.moments}
    if as_of is not None and row.size is not None and not row.size_pending:
        sizes[to_ms(as_of)] = row.size
    moments = sorted(sizes)
    # The last moment of a size that goes on is told once, at the end.
    steps = [
        m for n, m in enumerate(moments) if n in (0, len(moments) - 1) or sizes[m] != sizes[moments[n - 1]]
    ]
    return [
        HistoryPoint(as_of=format_moment(from_ms(steps[place])), size=sizes[steps[place]])
        for place in thin(steps, most)
    ]


def format_moment(when: datetime) -> str:
    """A moment as answers tell it: to the second."""
    return to_rfc3339(when.replace(microsecond=0))
