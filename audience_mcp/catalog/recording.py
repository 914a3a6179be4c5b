"""`record` and `history`: sizes stored now, and those stored before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import anyio
from pydantic import BaseModel, ConfigDict, Field

from audience_mcp.catalog.line import note_open_ended, show_moment
from audience_mcp.catalog.models import AudienceList, HistoryPoint, Problem, SourceReport
from audience_mcp.catalog.over_time import By, GroupHistory, Groups, StoredSource
from audience_mcp.core.errors import PASSING, ToolError
from audience_mcp.core.text import clean, fold
from audience_mcp.sources.reader import SourceReader
from audience_mcp.store.stored import Timeline

if TYPE_CHECKING:
    from audience_mcp.store.store import Store

MESSAGES = {
    "no_history_of": "No stored audience has the ref, id or name '{name}'. audience-mcp history lists "
    "the stored ones.",
    "no_history_yet": "No sizes are stored yet. audience-mcp record stores today's.",
    "unreadable": "{source}: its stored history cannot be read just now.",
}
NOT_TAKEN = (
    "the store has no reading of that moment: another process may still be storing it, or the clock of this "
    "computer is ahead. Check the clock and try again."
)
RECORD_WITHIN_S = 3_600.0
"""Seconds for which recording continues while every call gets further."""
STORED_WITHIN_S = 3.0
"""Seconds to wait for another process to store the reading that it has made."""
LOOK_AGAIN_S = 0.1
"""Seconds between looks."""


class Recorded(BaseModel):
    """What recording one source came to. What is unknown is absent: dump with `exclude_none`."""

    model_config = ConfigDict(extra="forbid")

    source: str
    stored: bool = Field(description="whether this reading is now in the history")
    as_of: str | None = Field(default=None, description="the moment of the reading")
    audiences: int | None = Field(default=None, ge=0, description="that it has")
    unknown_sizes: int | None = Field(default=None, ge=0, description="of those, without a size")
    error: Problem | None = None
    why: str | None = Field(default=None, description="why the store has not taken what was read")


class SizeHistory(BaseModel):
    """One audience's sizes over time: when each other size was first seen, and the last reading of it."""

    model_config = ConfigDict(extra="forbid")

    ref: str
    name: str
    source: str
    vendor: str
    kind: str | None = Field(default=None, description="the vendor's word for it")
    history: list[HistoryPoint]
    has_change: bool = Field(
        default=True, exclude=True, description="whether the first and the last size are counted alike"
    )


@dataclass(frozen=True, slots=True)
class Histories:
    """What was stored, biggest last size first.

    unreadable: which sources are missing from it. notes: what some of its sizes mean.
    """

    audiences: list[SizeHistory]
    unreadable: list[str]
    notes: list[str]


@dataclass(frozen=True, slots=True)
class GroupHistories:
    """Totals over time, biggest last one first.

    unreadable: which sources are missing. notes: since when, or until when, the others are part of a total.
    """

    groups: list[GroupHistory]
    unreadable: list[str]
    notes: list[str]


def goes_further(before: AudienceList | None, now: AudienceList) -> bool:
    """Whether asking again may complete the answer: something passing stopped it, and it has got further."""
    stopped = any(not r.complete and r.error and r.error.kind in PASSING for r in now.sources)
    waits = stopped or _pending_records(now) > 0
    return waits and (before is None or _progress(now) > _progress(before))


def _pending_records(answer: AudienceList) -> int:
    """How many sizes of vendors' own records are still to come."""
    return (answer.compared.pending or 0) if answer.compared is not None else 0


def _progress(answer: AudienceList) -> int:
    """How far the readings of an answer have got: audiences listed, and sizes asked for, of now and then."""
    listed = sum(r.audiences or 0 for r in answer.sources)
    pending = (answer.sizes_pending or 0) + _pending_records(answer)
    return 3 * listed - pending + sum(r.complete for r in answer.sources)


async def confirm_stored(store: Store, reader: SourceReader, report: SourceReport) -> Recorded:
    """Whether the reading that a report tells of is in the history, once it is, or after a while."""
    made = Recorded(
        source=reader.name,
        stored=False,
        as_of=report.as_of,
        audiences=report.audiences,
        unknown_sizes=report.unknown_sizes,
        error=report.error,
    )
    if report.as_of is None or (not report.complete and not report.sizes_pending):
        return made
    # What is saved here is waited for; another process may be the one that saves it.
    until = anyio.current_time() + STORED_WITHIN_S
    recorded = await reader.find_recorded()
    while recorded is None and store.remembers and anyio.current_time() < until:
        await anyio.sleep(LOOK_AGAIN_S)
        recorded = await reader.find_recorded()
    if recorded is not None:
        made.stored, made.audiences = True, recorded.audiences
        made.unknown_sizes = recorded.audiences - recorded.known_sizes
    else:
        made.why = store.why_not or NOT_TAKEN
    return made


async def find_histories(
    sources: Sequence[StoredSource], text: str | None, since: datetime, *, daily: bool = False
) -> Histories:
    """The stored sizes of all audiences of these sources, or of those that `text` names by ref, id or name.

    daily: only the last size of each day. Raises ToolError where nothing is stored of any.
    """
    found: list[SizeHistory] = []
    unreadable = []
    notes: list[str] = []
    for of in sources:
        lines = await of.history.timelines(since, daily=daily) if of.history is not None else None
        if lines is None:
            unreadable.append(MESSAGES["unreadable"].format(source=of.source))
            continue
        meant = [line for line in lines if _is_meant(of, text, line.id, line.name)]
        found += [_show(of, line) for line in meant]
        notes += note_open_ended((of.source, line.name or line.id, line.moments) for line in meant)
    found.sort(key=lambda each: (-each.history[-1].size, each.ref))
    if not found:
        raise _explain_nothing(text, unreadable)
    return Histories(found, unreadable, notes)


async def find_totals(
    sources: Sequence[StoredSource], text: str | None, since: datetime, by: By | None, *, daily: bool = False
) -> GroupHistories:
    """The totals over time of all audiences of these sources, or of those that `text` names.

    by: None for one total of all. daily: only the last total of each day. Raises ToolError where nothing is
    stored of any.
    """
    groups = Groups(by)
    unreadable = []
    for of in sources:
        wanted = partial(_is_meant, of, text) if text is not None else None
        totals = (
            await of.history.totals(since, wanted, by_kind=by == "kind") if of.history is not None else None
        )
        if totals is None:
            unreadable.append(MESSAGES["unreadable"].format(source=of.source))
        else:
            groups.add(of, totals)
    found, notes = groups.over_time(since, daily=daily)
    if not found:
        raise _explain_nothing(text, unreadable)
    return GroupHistories(found, unreadable, notes)


def _explain_nothing(text: str | None, unreadable: Sequence[str]) -> ToolError:
    said = MESSAGES["no_history_of"].format(name=clean(text, 120)) if text else MESSAGES["no_history_yet"]
    return ToolError(" ".join([*unreadable, said]))


def _show(of: StoredSource, line: Timeline) -> SizeHistory:
    return SizeHistory(
        ref=f"{of.source}:{line.id}",
        name=clean(line.name) or clean(line.id),
        source=of.source,
        vendor=of.vendor,
        kind=line.kind,
        history=list(map(show_moment, line.moments)),
        has_change=line.moments[0].counts_like(line.moments[-1]),
    )


def _is_meant(of: StoredSource, text: str | None, id: str, name: str) -> bool:
    """Whether a text is the ref, the id, the vendor's own id or the name of an audience."""
    if text is None:
        return True
    given = text.strip()
    return given in (f"{of.source}:{id}", id, of.own_id(id)) or fold(given) == fold(name)
