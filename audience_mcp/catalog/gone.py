"""Audiences that are gone, as the store last knew them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from audience_mcp.catalog.compare import format_moment
from audience_mcp.catalog.line import OR_MORE, most_points, note_open_ended, show_moment
from audience_mcp.catalog.models import Audience
from audience_mcp.core.text import clean
from audience_mcp.sources.reader import SourceReader
from audience_mcp.store.retention import thin
from audience_mcp.store.stored import LastSeen, Moment

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


def note_ranges(found: Sequence[tuple[SourceReader, LastSeen]], max_chars: int) -> list[str]:
    """What the reader of their sizes over time must know of those without an upper end."""
    most = most_points(max_chars, len(found))
    return note_open_ended((r.name, seen.name or seen.id, _thinned(seen, most)) for r, seen in found)


def _thinned(seen: LastSeen, most: int) -> list[Moment]:
    return [seen.line[place] for place in thin(range(len(seen.line)), most)]


def _show(reader: SourceReader, seen: LastSeen, most: int) -> Audience:
    vendor, last, at = reader.source.vendor, seen.last_size, format_moment(seen.at)
    notes = [MESSAGES["never_known"]] if last is None else []
    if last is not None and (when := format_moment(last.as_of)) != at:
        notes.append(MESSAGES["last_known"].format(when=when))
    if last is not None and last.open_ended:
        notes.append(OR_MORE.format(size=last.size))
    return Audience(
        ref=f"{reader.name}:{seen.id}",
        name=clean(seen.name) or clean(seen.id),
        size=last.size if last is not None else None,
        size_max=last.size_max if last is not None else None,
        size_note="; ".join(notes) or None,
        type="unknown",
        status="unknown",
        kind=seen.kind or vendor.kind,
        part_of=f"{reader.name}:{seen.part_of}" if seen.part_of else None,
        source=reader.name,
        vendor=vendor.name,
        id=seen.id,
        gone=True,
        last_seen_at=at,
        history=list(map(show_moment, _thinned(seen, most))) or None,
    )
