"""Audiences that are gone, as the store last knew them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from audience_mcp.catalog.compare import format_moment
from audience_mcp.catalog.line import most_points, show_moment
from audience_mcp.catalog.models import Audience
from audience_mcp.core.text import clean
from audience_mcp.sources.reader import SourceReader
from audience_mcp.store.retention import thin
from audience_mcp.store.stored import LastSeen

MESSAGES = {
    "last_known": "last known at {when}",
    "never_known": "was never known",
}


async def find_gone(
    reader: SourceReader, texts: Iterable[str], there: Iterable[str], since: datetime | None
) -> list[LastSeen]:
    """The stored audiences of a source with one of these texts as their id or name that are not there now.

    there: the ids of those that are. since: when their sizes over time are to begin.
    """
    if reader.history is None:
        return []
    await reader.recorded()
    found = [id for text in texts for id in await reader.history.find_ids(text) or ()]
    gone = set(found).difference(there)
    ids = [id for id in dict.fromkeys(found) if id in gone]
    return await reader.history.last_seen(ids, since) or [] if ids else []


def show_gone(found: Sequence[tuple[SourceReader, LastSeen]], max_chars: int) -> list[Audience]:
    """Audiences that are gone, as answers show them in full: the biggest first."""
    most = most_points(max_chars, len(found))
    shown = [_show(reader, seen, most) for reader, seen in found]
    return sorted(shown, key=lambda each: (each.size is None, -(each.size or 0), each.ref))


def _show(reader: SourceReader, seen: LastSeen, most: int) -> Audience:
    vendor, last, at = reader.source.vendor, seen.last_size, format_moment(seen.at)
    note = MESSAGES["never_known"] if last is None else None
    if last is not None and (when := format_moment(last.as_of)) != at:
        note = MESSAGES["last_known"].format(when=when)
    line = [seen.line[place] for place in thin(range(len(seen.line)), most)]
    return Audience(
        ref=f"{reader.name}:{seen.id}",
        name=clean(seen.name) or clean(seen.id),
        size=last.size if last is not None else None,
        size_max=last.size_max if last is not None else None,
        size_note=note,
        type="unknown",
        status="unknown",
        kind=seen.kind or vendor.kind,
        part_of=f"{reader.name}:{seen.part_of}" if seen.part_of else None,
        source=reader.name,
        vendor=vendor.name,
        id=seen.id,
        gone=True,
        last_seen_at=at,
        history=list(map(show_moment, line)) or None,
    )
