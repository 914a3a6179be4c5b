"""What is remembered of every source: sizes recorded now, and those recorded before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import anyio
from pydantic import BaseModel, ConfigDict, Field

from audience_mcp.catalog.history import format_moment
from audience_mcp.catalog.models import AudienceList, HistoryPoint, Problem, SourceReport
from audience_mcp.config import Source
from audience_mcp.core.errors import PASSING, ToolError
from audience_mcp.core.text import clean, fold
from audience_mcp.sources.sharing import history_account
from audience_mcp.store.values import Timeline

if TYPE_CHECKING:
    from audience_mcp.store.store import Store

MESSAGES = {
    "no_history_of": "No stored audience has the ref, id or name '{name}'. audience-mcp history lists "
    "the stored ones.",
    "no_history_yet": "No sizes are stored yet. audience-mcp record stores today's.",
    "unreadable": "{source}: its stored history cannot be read just now.",
}
RECORD_WITHIN_S = 3_600.0
"""How long recording goes on where every call gets further."""
STORED_WITHIN_S = 3.0
"""How long is waited for a reading to be in the store; another process may be the one that stores it."""
LOOK_AGAIN_S = 0.1


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
    history: list[HistoryPoint]


@dataclass(frozen=True, slots=True)
class Histories:
    """What was stored, biggest last size first. notes: what the reader must know of it."""

    audiences: list[SizeHistory]
    notes: list[str]


def goes_further(before: AudienceList | None, now: AudienceList) -> bool:
    """Whether asking again may complete the answer: something passing stopped it, and it has got further."""
    stopped = any(not r.complete and r.error and r.error.kind in PASSING for r in now.sources)
    return stopped and (before is None or _progress(now) > _progress(before))


def _progress(answer: AudienceList) -> int:
    """How far the readings of an answer have got: audiences listed, and sizes asked for."""
    listed = sum(r.audiences or 0 for r in answer.sources)
    return 2 * listed - (answer.sizes_pending or 0) + sum(r.complete for r in answer.sources)


async def confirm_stored(store: Store, source: Source, report: SourceReport) -> Recorded:
    """Whether the reading that a report tells of is in the history, once it is, or after a while."""
    made = Recorded(
        source=source.name,
        stored=False,
        as_of=report.as_of,
        audiences=report.audiences,
        unknown_sizes=report.unknown_sizes,
        error=report.error,
    )
    if report.as_of is None or (not report.complete and not report.sizes_pending):
        return made
    with anyio.move_on_after(STORED_WITHIN_S):
        while store.remembers:
            series = await history_account(source, store)
            span = await store.span(series[0]) if series is not None else None
            if span is not None and format_moment(span.last) >= report.as_of:
                made.stored = True
                break
            await anyio.sleep(LOOK_AGAIN_S)
    made.why = None if made.stored else store.why_not
    return made


async def find_histories(
    store: Store, sources: Sequence[Source], text: str | None, since: datetime
) -> Histories:
    """The stored sizes of all audiences, or of those that `text` names by ref, id or name.

    Raises ToolError where nothing is stored of any.
    """
    found: list[SizeHistory] = []
    notes = []
    for source in sources:
        series = await history_account(source, store)
        lines = await store.timelines(series[0], since) if series is not None else None
        if lines is None:
            notes.append(MESSAGES["unreadable"].format(source=source.name))
            continue
        found += [_show(source, line) for line in lines if text is None or _is_meant(source, line, text)]
    found.sort(key=lambda each: (-each.history[-1].size, each.ref))
    if not found:
        said = MESSAGES["no_history_of"].format(name=clean(text, 120)) if text else MESSAGES["no_history_yet"]
        raise ToolError(" ".join([*notes, said]))
    return Histories(found, notes)


def _show(source: Source, line: Timeline) -> SizeHistory:
    points = [HistoryPoint(as_of=format_moment(each.as_of), size=each.size) for each in line.moments]
    return SizeHistory(
        ref=f"{source.name}:{line.id}", name=clean(line.name) or clean(line.id), history=points
    )


def _is_meant(source: Source, line: Timeline, text: str) -> bool:
    given = text.strip()
    return given in (f"{source.name}:{line.id}", line.id) or fold(given) == fold(line.name)
