"""What is said where no audience matches: an error that a reader can act on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from audience_mcp.catalog.reports import NOTE_CHARS
from audience_mcp.catalog.suggest import suggest_names
from audience_mcp.core.dates import to_rfc3339
from audience_mcp.core.errors import VendorError
from audience_mcp.core.text import clean, to_json
from audience_mcp.sources.reader import SourceReader
from audience_mcp.sources.reading import Snapshot

LISTED = 12
"""Sources that one sentence lists."""

MESSAGES = {
    "missed": "No audience has the ref, id or name {text}.",
    "no_source": "There is no source {name}; asked were {there}.",
    "not_asked": "The ref names the source {name}, but only {there} was asked: leave 'source' out.",
    "read": "Read in full: {sources}.",
    "old": "Read in full before, but not now: {sources}",
    "not_read": "Not read in full, so it may be there: {errors}",
    "note": "Note: {notes}.",
    "near": "Nearest names: {names}.",
    "search": "list_audiences with search finds parts of names.",
}


def explain_miss(
    text: str,
    snapshots: Mapping[SourceReader, Snapshot],
    failed: Mapping[SourceReader, VendorError],
    known: Collection[str],
) -> str:
    """What to say where nothing matches: what was searched, what was not, and what is near.

    failed: where a look-up failed, and why. known: the names of all sources, also of those not asked.
    """
    sentences = [MESSAGES["missed"].format(text=to_json(clean(text, 80)))]
    sentences += _explain_source(text, snapshots, known)
    read = [
        f"{r.name} ({len(s.pager.rows):,} audiences)"
        for r, s in snapshots.items()
        if s.complete and r not in failed
    ]
    old = [
        f"{r.name} as of {to_rfc3339(s.as_of)} ({len(s.pager.rows):,}): {clean(s.error.message, 400)}"
        for r, s in snapshots.items()
        if s.older and s.as_of and s.error
    ]
    errors = [clean(s.error.message, 400) for s in snapshots.values() if s.error and not s.older]
    errors += [clean(e.message, 400) for r, e in failed.items() if r in snapshots and not snapshots[r].error]
    notes = [clean(n, NOTE_CHARS) for s in snapshots.values() if not s.older for n in s.notes]
    if read:
        sentences.append(MESSAGES["read"].format(sources=_join(read, ", ")))
    if old:
        sentences.append(MESSAGES["old"].format(sources=_join(old, " ")))
    if errors:
        sentences.append(MESSAGES["not_read"].format(errors=_join(errors, " ")))
    if notes:
        sentences.append(MESSAGES["note"].format(notes=_join(notes, "; ")))
    every = ((reader, row) for reader, s in snapshots.items() for row in s.pager.rows.values())
    if near := suggest_names(text, every):
        sentences.append(MESSAGES["near"].format(names=", ".join(near)))
    return " ".join([*sentences, MESSAGES["search"]])


def _explain_source(
    text: str, snapshots: Mapping[SourceReader, Snapshot], known: Collection[str]
) -> list[str]:
    """Whether what looks like a ref names a source that was not asked, or that does not exist."""
    name, colon, _ = text.partition(":")
    if not colon or any(reader.name == name for reader in snapshots):
        return []
    there = ", ".join(reader.name for reader in snapshots)
    if name in known:
        return [MESSAGES["not_asked"].format(name=name, there=there)]
    if name.replace("-", "_").isidentifier():
        return [MESSAGES["no_source"].format(name=to_json(clean(name, 40)), there=there)]
    return []


def _join(texts: Sequence[str], between: str) -> str:
    """The first of the texts, and how many more there are."""
    more = f" and {len(texts) - LISTED} more" if len(texts) > LISTED else ""
    return between.join(texts[:LISTED]) + more
