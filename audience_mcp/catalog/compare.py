"""Compares sizes now with stored ones: what changed, what is new and what is gone."""

from __future__ import annotations

import heapq
import operator
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from audience_mcp.catalog.arguments import FILTERS
from audience_mcp.catalog.ask_store import ask_of_each
from audience_mcp.catalog.changes import percent_of
from audience_mcp.catalog.index import Index
from audience_mcp.catalog.models import Audience, Compared, GoneAudience
from audience_mcp.catalog.query import ListQuery
from audience_mcp.catalog.search import parse_search
from audience_mcp.catalog.totals import nesting_ids
from audience_mcp.core.audience import Row
from audience_mcp.core.dates import to_rfc3339
from audience_mcp.core.errors import InvalidArgument
from audience_mcp.core.points import VendorPoint
from audience_mcp.core.text import clean, to_json
from audience_mcp.sources.reader import SourceReader
from audience_mcp.sources.reading import Snapshot
from audience_mcp.store.stored import Baseline, NoBaseline, Past

if TYPE_CHECKING:
    from audience_mcp.store.store import Store

MAX_GONE = 20
"""Audiences that are named as gone; the others are counted."""
GONE_SHARE = 5
"""What is gone takes at most one in this many characters of an answer."""
OTHER_FILTERS = FILTERS - {"sources", "search"}
"""Filters by what is not stored, so that it is unknown whether what is gone would have passed them."""

MESSAGES = {
    "off": "There is no history: AUDIENCE_MCP_STORE is off. Leave out {argument}, or ask the user to set "
    "AUDIENCE_MCP_STORE to a folder and to restart this MCP server.",
    "unreadable": "{source}: its stored history cannot be read just now, so no reading of ours is compared.",
    "none": "{source}: nothing is stored before this reading, so no reading of ours is compared; its history "
    "begins {since}.",
    "begins": "with it",
    "another": "{source}: nothing is stored of this account before this reading, so no reading of ours is "
    "compared; the sizes stored under this name before are of another account, judging by its audiences.",
    "other_unit": "{source}: {count:,} audiences were counted in another unit then, so their sizes are not "
    "compared.",
    "other_kind": "{source}: {count:,} audiences have a range at one of the two moments and a number, or a "
    "range without an upper end, at the other, so their sizes are not compared.",
    "gone_described": "Which audiences are gone is unknown with a search at sources whose audiences have "
    "descriptions, which are not stored: {sources}.",
    "later": "{source}: nothing is stored at {at} or before; compared with the first reading after it.",
    "gone_filtered": "Which audiences are gone is said only where sources and search are the only filters.",
    "gone_partial": "Which audiences are gone is unknown for sources that were not read in full now: "
    "{sources}.",
}


@dataclass(slots=True)
class Comparison:
    """The stored sizes that each source is compared with, and notes for the reader.

    whole: the sources that were read in full now, so that an audience that is missing there is gone.
    lacking: by source, a note that there is no baseline, or a later one than was asked for. points: by source
    and id, what the vendor itself remembers and is compared with in place of a reading of ours. born: ids of
    audiences that were created after the moment, and waiting: of those of which the vendor's record is still
    to come. filled: sources of which all that matched is compared with the vendor's record or is new, so that
    what is lacking does not matter. recalled: stands for all that vendors were asked to remember; None where
    none was.
    """

    baselines: dict[SourceReader, Baseline] = field(default_factory=dict)
    whole: frozenset[SourceReader] = frozenset()
    notes: list[str] = field(default_factory=list)
    lacking: dict[SourceReader, str] = field(default_factory=dict)
    points: dict[SourceReader, dict[str, VendorPoint]] = field(default_factory=dict)
    born: dict[SourceReader, set[str]] = field(default_factory=dict)
    waiting: dict[SourceReader, set[str]] = field(default_factory=dict)
    filled: set[SourceReader] = field(default_factory=set)
    recalled: Hashable = None

    @property
    def moments(self) -> Hashable:
        """Which baseline of each source it is, which stands for its contents."""
        baselines = tuple((reader.name, baseline.serial) for reader, baseline in self.baselines.items())
        return baselines, self.recalled

    @property
    def key(self) -> Hashable:
        """All that an answer depends on because of the comparison."""
        return self.moments, tuple(self.all_notes), frozenset(reader.name for reader in self.whole)

    @property
    def all_notes(self) -> list[str]:
        """What the reader must know of what is compared."""
        return [*(note for reader, note in self.lacking.items() if reader not in self.filled), *self.notes]

    @property
    def readers(self) -> list[SourceReader]:
        """The sources of which anything is compared."""
        recalled = (
            r for each in (self.points, self.born, self.waiting) for r, found in each.items() if found
        )
        return list(dict.fromkeys([*self.baselines, *recalled]))

    @property
    def size(self) -> int:
        """How many audiences of the past there are."""
        return sum(len(baseline.audiences) for baseline in self.baselines.values())

    def past(self, reader: SourceReader, row: Row) -> Past | None:
        """The audience as it was, if it was there."""
        if self.recalled is not None:
            if row.id in self.waiting.get(reader, ()):
                return None
            if (point := self.point(reader, row)) is not None:
                return Past(row.name, row.kind, point.size, row.unit)
        baseline = self.baselines.get(reader)
        return None if baseline is None else baseline.audiences.get(row.id)

    def point(self, reader: SourceReader, row: Row) -> VendorPoint | None:
        """The vendor's own size that the audience is compared with, if it is."""
        return self.points.get(reader, {}).get(row.id)

    def is_new(self, reader: SourceReader, row: Row) -> bool:
        """Whether the audience was not there."""
        if row.id in self.born.get(reader, ()):
            return True
        is_waiting = row.id in self.waiting.get(reader, ())
        return reader in self.baselines and not is_waiting and self.past(reader, row) is None

    def change(self, reader: SourceReader, row: Row) -> int | None:
        """The change in size, if the size is known both times, and by figures of one unit and kind."""
        return self.difference(reader, row)[0]

    def difference(self, reader: SourceReader, row: Row) -> tuple[int | None, int | None]:
        """The change in size and the size then, where both are known, by figures of one unit and kind."""
        past = self.past(reader, row)
        size = past.size_for(row) if past is not None else None
        if past is None or size is None or row.size is None:
            return None, None
        if past.is_other_unit(row) or past.is_other_kind(row):
            return None, None
        return row.size - size, size

    def describe(self, reader: SourceReader, row: Row, shown: Audience) -> Audience:
        """Add the size then and the change to an audience of the answer."""
        past, point = self.past(reader, row), self.point(reader, row)
        shown.new = True if self.is_new(reader, row) else None
        if past is not None:
            shown.size_then = past.size_for(row)
            at: str | None = None
            if point is not None:
                at, shown.then_from = point.as_of, "vendor"
            elif (count := past.count_for(row)) is not None:
                at = format_moment(count.as_of)
            shown.then_as_of = at if at != self.moment(reader) else None
            shown.change = self.change(reader, row)
            shown.change_pct = percent_of(shown.change, shown.size_then)
        return shown

    def moment(self, reader: SourceReader) -> str | None:
        """The time of a source's baseline; without one, that of all its vendor's points, if it is one."""
        baseline = self.baselines.get(reader)
        if baseline is not None:
            return format_moment(baseline.as_of)
        moments = {point.as_of for point in self.points.get(reader, {}).values()}
        return moments.pop() if len(moments) == 1 else None


def require_history(store: Store | None, argument: str) -> Store:
    """The store, which `argument` needs. Raises ToolError if it is off."""
    if store is None:
        raise InvalidArgument(MESSAGES["off"].format(argument=argument))
    return store


async def compare(at: datetime, snapshots: Mapping[SourceReader, Snapshot], seconds: float) -> Comparison:
    """Find the baseline of each source. seconds: that the store may take."""
    comparison = Comparison(whole=frozenset(r for r, s in snapshots.items() if s.pager.done and not s.older))
    asked = {reader: s.as_of for reader, s in snapshots.items() if s.as_of is not None}
    found: dict[SourceReader, Baseline | NoBaseline | None] = {}

    async def find(reader: SourceReader) -> None:
        if reader.history is not None:
            found[reader] = await reader.history.baseline(at, asked[reader])

    await ask_of_each(asked, find, seconds)
    for reader in asked:
        _take(reader, at, found.get(reader), comparison)
    return comparison


def _take(
    reader: SourceReader, at: datetime, found: Baseline | NoBaseline | None, comparison: Comparison
) -> None:
    """Take a source's baseline into the comparison, or say why there is none."""
    if isinstance(found, Baseline):
        comparison.baselines[reader] = found
    note = describe_lack(reader.name, at, found)
    if note is None:
        return
    if found is None or (isinstance(found, NoBaseline) and found.another):
        comparison.notes.append(note)
    else:
        comparison.lacking[reader] = note


def describe_lack(source: str, at: datetime, found: Baseline | NoBaseline | None) -> str | None:
    """Why a source's baseline is missing, or is not what was asked for; None if it is.

    found: None where what is stored cannot be read.
    """
    if isinstance(found, Baseline):
        return MESSAGES["later"].format(source=source, at=to_rfc3339(at)) if found.as_of > at else None
    if found is None:
        return MESSAGES["unreadable"].format(source=source)
    if found.another:
        return MESSAGES["another"].format(source=source)
    since = MESSAGES["begins"] if found.first is None else f"at {format_moment(found.first)}"
    return MESSAGES["none"].format(source=source, since=since)


@dataclass(slots=True)
class _Changes:
    """What changed over rows of one source.

    now, then: sums of the sizes that are known both times, with nested audiences counted once. new, unknown:
    audiences that were not there, and those of which the change is not known. other_unit, other_kind: of the
    unknown ones, those with figures that cannot be compared. from_vendor: those compared with the vendor's
    own record.
    """

    now: int = 0
    then: int = 0
    new: int = 0
    unknown: int = 0
    other_unit: int = 0
    other_kind: int = 0
    from_vendor: int = 0


def sum_up(
    query: ListQuery,
    matches: Mapping[SourceReader, Sequence[Row]],
    snapshots: Mapping[SourceReader, Snapshot],
    index: Index,
    comparison: Comparison,
    max_chars: int,
) -> tuple[Compared, list[str]]:
    """What changed over everything that matched, with notes for the reader."""
    notes: list[str] = []
    compared = Compared(sum_now=0, sum_then=0, change=0, new=0, unknown=0)
    from_vendor = 0
    for reader in comparison.readers:
        find = partial(_find_changes, comparison, reader)
        found = index.over(reader, matches[reader], "changes", find, comparison.moments)
        compared.sum_now += found.now
        compared.sum_then += found.then
        compared.new += found.new
        compared.unknown += found.unknown
        from_vendor += found.from_vendor
        if found.other_unit:
            notes.append(MESSAGES["other_unit"].format(source=reader.name, count=found.other_unit))
        if found.other_kind:
            notes.append(MESSAGES["other_kind"].format(source=reader.name, count=found.other_kind))
    compared.change = compared.sum_now - compared.sum_then
    compared.from_vendor = from_vendor or None
    compared.pending = sum(map(len, comparison.waiting.values())) or None
    notes += _add_gone(query, snapshots, index, comparison, compared, max_chars)
    return compared, notes


def _find_changes(comparison: Comparison, reader: SourceReader, rows: Sequence[Row]) -> _Changes:
    found = _Changes()
    nesting = nesting_ids(rows)
    for row in rows:
        past = comparison.past(reader, row)
        size = past.size_for(row) if past is not None else None
        if past is None and comparison.is_new(reader, row):
            found.new += 1
        elif past is None or size is None or row.size is None:
            found.unknown += 1
        elif past.is_other_unit(row):
            found.unknown += 1
            found.other_unit += 1
        elif past.is_other_kind(row):
            found.unknown += 1
            found.other_kind += 1
        else:
            if comparison.recalled is not None and comparison.point(reader, row) is not None:
                found.from_vendor += 1
            if row.part_of is None or row.part_of not in nesting:
                found.now += row.size
                found.then += size
    return found


def _add_gone(
    query: ListQuery,
    snapshots: Mapping[SourceReader, Snapshot],
    index: Index,
    comparison: Comparison,
    compared: Compared,
    max_chars: int,
) -> list[str]:
    """Add what is gone. The notes say why that is unknown, where it is."""
    if not comparison.baselines:
        return []
    if any(getattr(query, name) is not None for name in OTHER_FILTERS):
        return [MESSAGES["gone_filtered"]]
    told: list[SourceReader] = []
    unsure: dict[str, list[str]] = {}
    for reader in comparison.baselines:
        if reader not in comparison.whole:
            unsure.setdefault("gone_partial", []).append(reader.name)
        elif query.search is not None and _has_descriptions(snapshots[reader]):
            unsure.setdefault("gone_described", []).append(reader.name)
        else:
            told.append(reader)
    notes = [MESSAGES[why].format(sources=", ".join(names)) for why, names in unsure.items()]
    if not told:
        return notes
    search = parse_search(query.search) if query.search is not None else None
    gone: list[tuple[str, str, Past]] = []
    for reader in told:
        audiences = comparison.baselines[reader].audiences
        there = snapshots[reader].pager.rows.keys()
        missing = index.once(
            ("gone", reader), partial(operator.sub, audiences.keys(), there), comparison.moments
        )
        rows: Sequence[Row] = [Row(id, audiences[id].name) for id in missing]
        rows = rows if search is None else search.among(rows, reader.source.vendor)
        gone += [(reader.name, row.id, audiences[row.id]) for row in rows]
    compared.gone = len(gone)
    biggest = heapq.nsmallest(
        MAX_GONE,
        gone,
        key=lambda each: (each[2].last_size is None, -(each[2].last_size or 0), each[0], each[1]),
    )
    room, named = max_chars // GONE_SHARE, []
    for source, id, past in biggest:
        name = clean(past.name) or clean(id)
        one = GoneAudience(ref=f"{source}:{id}", name=name, size_then=past.last_size)
        room -= len(to_json(one.model_dump(exclude_none=True))) + 1
        if room < 0:
            break
        named.append(one)
    compared.gone_audiences = named or None
    return notes


def _has_descriptions(snapshot: Snapshot) -> bool:
    return any(row.description for row in snapshot.pager.rows.values())


def format_moment(when: datetime) -> str:
    """A time as answers show it, to the second."""
    return to_rfc3339(when.replace(microsecond=0))
