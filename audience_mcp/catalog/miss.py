"""The error text where no audience matches: what was searched, what was not, and the nearest names."""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter

from audience_mcp.catalog.display import Match, display_name
from audience_mcp.catalog.index import Index
from audience_mcp.catalog.reports import NOTE_CHARS
from audience_mcp.catalog.search import folded_name, signature
from audience_mcp.core.dates import to_rfc3339
from audience_mcp.core.errors import VendorError
from audience_mcp.core.text import clean, fold, to_json
from audience_mcp.sources.reader import SourceReader
from audience_mcp.sources.reading import Snapshot

LISTED = 12
"""Sources that one sentence lists."""
NEAR = 5
"""Names that are suggested."""
SIEVED = 400
"""Names that are looked at, the most promising ones by their signatures."""
COMPARED = 100
"""Of these, names compared in full, by the pairs of letters they share with the text."""
LEAST_LIKENESS = 0.6
BONUS_FOR_PART = 0.3
"""Added to the likeness if one name is part of the other: `VIP` is near to `VIP customers`."""


def explain_miss(
    text: str,
    snapshots: Mapping[SourceReader, Snapshot],
    index: Index,
    failed: Mapping[SourceReader, VendorError],
    known: Collection[str],
    deleted: str | None = None,
) -> str:
    """The error text for `text`, which no audience has as its ref, id or name.

    failed: the look-ups that failed. known: the names of all sources, including those not searched. deleted:
    what the vendor says of an audience that was deleted there.
    """
    sentences = [f"No audience has the ref, id or name {to_json(clean(text, 80))}."]
    sentences += [deleted] if deleted else []
    sentences += _explain_source(text, snapshots, known)
    read = [
        f"{r.name} ({len(s.pager.rows):,} audiences)"
        for r, s in snapshots.items()
        if s.complete and r not in failed
    ]
    old = [
        f"{r.name} as of {to_rfc3339(s.as_of)} ({len(s.pager.rows):,}): {clean(s.error.message, NOTE_CHARS)}"
        for r, s in snapshots.items()
        if s.older and s.as_of and s.error
    ]
    errors = [clean(s.error.message, NOTE_CHARS) for s in snapshots.values() if s.error and not s.older]
    errors += [
        clean(e.message, NOTE_CHARS) for r, e in failed.items() if r in snapshots and not snapshots[r].error
    ]
    notes = [clean(n, NOTE_CHARS) for s in snapshots.values() if not s.older for n in s.notes]
    if read:
        sentences.append(f"Read in full: {_join(read, ', ')}.")
    if old:
        sentences.append(f"Read in full before, but not now: {_join(old, ' ')}")
    if errors:
        sentences.append(f"Not read in full, so it may be there: {_join(errors, ' ')}")
    if notes:
        sentences.append(f"Note: {_join(notes, '; ')}.")
    if near := suggest_names(text, index):
        sentences.append(f"Nearest names: {', '.join(near)}.")
    return " ".join([*sentences, "list_audiences with search finds parts of names."])


def _explain_source(
    text: str, snapshots: Mapping[SourceReader, Snapshot], known: Collection[str]
) -> list[str]:
    """Whether a text that looks like a ref names a source that was not searched or does not exist."""
    name, colon, _ = text.partition(":")
    if not colon or any(reader.name == name for reader in snapshots):
        return []
    there = ", ".join(reader.name for reader in snapshots)
    if name in known:
        return [f"The ref names the source {name}, but only {there} was searched: leave 'source' out."]
    if name.replace("-", "_").isidentifier():
        return [f"There is no source {to_json(clean(name, 40))}; searched were {there}."]
    return []


def _join(texts: Sequence[str], between: str) -> str:
    """The first texts, and the number of further ones."""
    more = f" and {len(texts) - LISTED} more" if len(texts) > LISTED else ""
    return between.join(texts[:LISTED]) + more


def suggest_names(text: str, index: Index) -> list[str]:
    """The nearest names, each with its ref: `"Holiday shoppers" (batch:holiday)`."""
    wanted = fold(clean(text.rpartition(":")[2] or text))
    if not wanted:
        return []
    pairs = {wanted[i : i + 2] for i in range(max(1, len(wanted) - 1))}
    named = [(folded_name(row), reader, row) for reader, row in _sieve(wanted, index)]
    likely = heapq.nlargest(
        COMPARED, named, key=lambda n: sum(map(n[0].__contains__, pairs)) / (len(n[0]) + len(pairs))
    )
    matcher = difflib.SequenceMatcher(autojunk=False, b=wanted)
    scored: list[tuple[float, str, str]] = []
    for folded, reader, row in likely:
        matcher.set_seq1(folded)
        bonus = BONUS_FOR_PART if wanted in folded or folded in wanted else 0
        if matcher.quick_ratio() + bonus >= LEAST_LIKENESS and (
            (score := matcher.ratio() + bonus) >= LEAST_LIKENESS
        ):
            scored.append((-score, f"{reader.name}:{row.id}", display_name(row)))
    return [f"{to_json(clean(name, 80))} ({ref})" for _, ref, name in sorted(scored)[:NEAR]]


def _sieve(wanted: str, index: Index) -> list[Match]:
    """The audiences whose names seem nearest, by a signature that takes no look at the names themselves."""
    bits = signature(wanted)
    count = bits.bit_count()
    likely: list[tuple[float, int, SourceReader]] = []
    for reader, rows in index.rows.items():
        shares = [(each & bits).bit_count() / (each.bit_count() + count) for each in index.signatures(reader)]
        best = heapq.nlargest(SIEVED, zip(shares, range(len(rows)), strict=True))
        likely += [(share, at, reader) for share, at in best]
    likely = heapq.nlargest(SIEVED, likely, key=itemgetter(0))
    return [(reader, index.rows[reader][at]) for _, at, reader in likely]
