"""Finds the one audience that a ref, an id or a name means.

A ref or an id is looked up directly where the vendor can; only what is left over is searched for in
whole readings. The first of ref, id and name that matches is the answer.
"""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from audience_mcp.catalog.budget import fit_match
from audience_mcp.catalog.models import AudienceMatch, SourceReport
from audience_mcp.catalog.reports import NOTE_CHARS, Hit, report_lookup, report_source, to_problem
from audience_mcp.catalog.rows import display_name, to_full
from audience_mcp.core.audience import Row
from audience_mcp.core.dates import to_rfc3339
from audience_mcp.core.errors import ToolError, VendorError
from audience_mcp.core.text import clean, fold, to_json
from audience_mcp.sources.call import CallSession, waiting_on
from audience_mcp.sources.lookups import LookUp
from audience_mcp.sources.reader import Snapshot, SourceReader

MatchedBy = Literal["ref", "id", "name"]
NEAR = 5
NEAR_AMONG = 100
"""Names compared in full for likeness, after a quick sieve over all of them."""


@dataclass(slots=True)
class SourceResult:
    """What one source has to say to the question: its reading, or the answer to a look-up, or both.

    held: where the answer, or the size that the look-up lacks, comes from the list.
    """

    reader: SourceReader
    row: Row | None = None
    snapshot: Snapshot | None = None
    look_up: LookUp | None = None

    @property
    def error(self) -> VendorError | None:
        """Why a look-up says nothing."""
        if self.look_up is None or self.look_up.row is not None:
            return None
        if not self.look_up.ended:
            text = f"{self.reader.name} did not answer in time. Ask again."
            return VendorError("timeout", text, retry_after_s=5)
        return self.look_up.error

    @property
    def settled(self) -> bool:
        """Whether the audience is here with all that the vendor says of it, however far a list was read."""
        lacks_size = (
            self.reader.source.vendor.get_lacks_size and self.row is not None and self.row.size is None
        )
        return self.row is not None and not (
            lacks_size and self.snapshot is not None and not self.snapshot.complete
        )

    def report(self, by: MatchedBy) -> SourceReport:
        """How the source stands, as far as it was asked. A ref means one audience: then no list matters."""
        if by == "ref" and self.settled and self.snapshot is not None and not self.snapshot.complete:
            return report_lookup(self.reader.source)
        if self.snapshot is not None:
            return report_source(self.reader.source, self.snapshot)
        told = report_lookup(self.reader.source, complete=self.error is None)
        told.error = to_problem(self.error)
        return told


class Finder:
    """One search, in the sources of `readers`, for what `text` means."""

    def __init__(
        self, readers: Sequence[SourceReader], text: str, session: CallSession, max_chars: int
    ) -> None:
        self._readers = readers
        self._given = text
        self._text = text.strip()
        self._open_session = session
        self._max_chars = max_chars
        # Where a look-up failed: a list that lacks the audience does not say that there is none.
        self._not_asked: dict[SourceReader, VendorError] = {}

    async def found(self) -> AudienceMatch:
        """The answer. Raises ToolError where nothing matches."""
        if not self._text:
            raise ToolError("'audience' must not be empty: A ref (source:id), a vendor's id, or a name.")
        return await self._by_ref() or await self._by_id() or await self._in_lists()

    async def _by_ref(self) -> AudienceMatch | None:
        name, _, id = self._text.partition(":")
        reader = next((r for r in self._readers if r.name == name), None)
        if reader is None or not reader.source.vendor.id_shape.fullmatch(id):
            return None
        part = SourceResult(reader, look_up=reader.look_up(id))
        with waiting_on([part.look_up] if part.look_up else []):
            await self._look_up([part], id)
        if part.row is None and (part.look_up is None or part.error):
            part.snapshot = (await self._open_session.read([reader]))[reader]
            part.row = part.snapshot.pager.rows.get(id)
        return self._answer("ref", [part]) if part.row else None

    async def _by_id(self) -> AudienceMatch | None:
        """Where the text looks like an id: from a fresh reading, or by asking for that one audience."""
        parts: list[SourceResult] = []
        for reader in self._readers:
            part = SourceResult(reader, snapshot=None if self._open_session.refresh else reader.cached())
            if part.snapshot is None or self._text not in part.snapshot.pager.rows:
                part.snapshot, part.look_up = None, reader.look_up(self._text)
                if part.look_up is None and not reader.source.vendor.id_shape.fullmatch(self._text):
                    continue
            parts.append(part)
        to_read = [part.reader for part in parts if part.look_up is None and part.snapshot is None]
        with waiting_on([part.look_up for part in parts if part.look_up]):
            read = await self._open_session.read(to_read) if to_read else {}
            for part in parts:
                part.snapshot = part.snapshot or read.get(part.reader)
                part.row = part.snapshot.pager.rows.get(self._text) if part.snapshot else None
            await self._look_up([part for part in parts if part.look_up], self._text)
        return self._answer("id", parts) if any(part.row for part in parts) else None

    async def _look_up(self, parts: Sequence[SourceResult], id: str) -> None:
        """Wait for the parts' look-ups; a size that one lacks comes from the list."""
        await self._open_session.look_up([part.look_up for part in parts if part.look_up])
        for part in parts:
            if part.error is not None:
                self._not_asked[part.reader] = part.error
            if part.look_up is None or part.look_up.row is None:
                continue
            part.row = part.look_up.row
            if part.row.size is None and part.reader.source.vendor.get_lacks_size:
                snapshot = (await self._open_session.read([part.reader]))[part.reader]
                listed = snapshot.pager.rows.get(id)
                if listed is not None:
                    # Of the list only what the look-up has not: the list may be of an earlier time.
                    part.row = replace(
                        part.row, size=listed.size, size_note=listed.size_note, details=listed.details
                    )
                if snapshot.newer_error or (listed is None and not snapshot.complete):
                    part.snapshot = snapshot

    async def _in_lists(self) -> AudienceMatch:
        """By ref and id once more (an id may not look like one), then by name, in everything there is."""
        snapshot = await self._open_session.read(self._readers)
        for text in dict.fromkeys((self._given, self._text)):
            source, _, id = text.partition(":")
            by_ref = [
                SourceResult(r, h.pager.rows[id], h)
                for r, h in snapshot.items()
                if r.name == source and id in h.pager.rows
            ]
            if by_ref:
                return self._answer("ref", by_ref)
            if any(text in h.pager.rows for h in snapshot.values()):
                return self._answer(
                    "id", [SourceResult(r, h.pager.rows.get(text), h) for r, h in snapshot.items()]
                )
        name = fold(clean(self._text))
        names = [
            (fold(display_name(row)), r, row) for r, h in snapshot.items() for row in h.pager.rows.values()
        ]
        rows = [(reader, row) for folded, reader, row in names if folded == name]
        if not name or not rows:
            raise ToolError(self._missed(snapshot, names))
        rows.sort(key=lambda f: (f[1].size is None, -(f[1].size or 0), f[0].name, f[1].id))
        return self._answer("name", [SourceResult(r, snapshot=h) for r, h in snapshot.items()], rows)

    def _answer(
        self, by: MatchedBy, parts: Sequence[SourceResult], rows: Sequence[Hit] = ()
    ) -> AudienceMatch:
        if by == "id":  # who was asked and has it not has nothing to say
            parts = [part for part in parts if part.row or not part.report(by).complete]
        rows = rows or [(part.reader, part.row) for part in parts if part.row]
        reports = [part.report(by) for part in parts]
        notes = [note for part in parts if part.snapshot for note in part.snapshot.notes]
        complete = all(told.complete for told in reports)
        if not complete and by != "ref":
            notes.insert(0, "Not every source was read in full, so others may match too.")
        if by == "id" and any(reader.source.vendor.id_is_name for reader, _ in rows):
            notes.append(
                "Matched as an id. For others that have it as their name, use list_audiences with search."
            )
        answer = AudienceMatch(
            matched_by=by, complete=complete, audiences=[], sources=reports, notes=notes or None
        )
        shown = [to_full(reader.name, reader.source.vendor, row) for reader, row in rows]
        return fit_match(answer, shown, self._max_chars)

    def _missed(
        self, snapshot: Mapping[SourceReader, Snapshot], names: Iterable[tuple[str, SourceReader, Row]]
    ) -> str:
        """What to say where nothing matches: what was searched, what was not, and what is near."""
        said = [f"No audience has the ref, id or name {to_json(clean(self._text, 80))}."]
        source, colon, _ = self._text.partition(":")
        if colon and source.isidentifier() and not any(r.name == source for r in snapshot):
            there = ", ".join(r.name for r in snapshot)
            said.append(f"There is no source {to_json(clean(source, 40))}; asked were {there}.")
        read = [
            f"{r.name} ({len(h.pager.rows):,} audiences)"
            for r, h in snapshot.items()
            if h.complete and not h.newer_error and r not in self._not_asked
        ]
        old = [
            f"{r.name} as of {to_rfc3339(h.as_of)} ({len(h.pager.rows):,}): "
            f"{clean(h.newer_error.message, 400)}"
            for r, h in snapshot.items()
            if h.newer_error and h.as_of
        ]
        not_read = [clean(h.error.message, 400) for h in snapshot.values() if h.error]
        not_read += [
            clean(self._not_asked[r].message, 400)
            for r, h in snapshot.items()
            if r in self._not_asked and not h.error
        ]
        if read:
            said.append(f"Read in full: {_listed(read, ', ')}.")
        if old:
            said.append(f"Read in full before, but not now: {_listed(old, ' ')}")
        if not_read:
            said.append(f"Not read in full, so it may be there: {_listed(not_read, ' ')}")
        notes = [clean(note, NOTE_CHARS) for h in snapshot.values() if not h.newer_error for note in h.notes]
        if notes:
            said.append(f"Note: {_listed(notes, '; ')}.")
        near = self._near(names)
        if near:
            said.append(f"Nearest names: {', '.join(near)}.")
        said.append("list_audiences with search finds parts of names.")
        return " ".join(said)

    def _near(self, names: Iterable[tuple[str, SourceReader, Row]]) -> list[str]:
        wanted = fold(clean(self._text.rpartition(":")[2] or self._text))
        if not wanted:
            return []
        pairs = {wanted[i : i + 2] for i in range(max(1, len(wanted) - 1))}
        likely = heapq.nlargest(
            NEAR_AMONG, names, key=lambda n: sum(p in n[0] for p in pairs) / (len(n[0]) + len(pairs))
        )
        matcher = difflib.SequenceMatcher(autojunk=False, b=wanted)
        scored: list[tuple[float, str, str]] = []
        for folded, reader, row in likely:
            matcher.set_seq1(folded)
            more = 0.3 if wanted in folded or folded in wanted else 0
            if matcher.quick_ratio() + more >= 0.6 and (score := matcher.ratio() + more) >= 0.6:
                scored.append((-score, f"{reader.name}:{row.id}", display_name(row)))
        return [f"{to_json(clean(name, 80))} ({ref})" for _, ref, name in sorted(scored)[:NEAR]]


def _listed(told: Sequence[str], between: str) -> str:
    """The first of what there is to tell, and how much more there is."""
    more = f" and {len(told) - 12} more" if len(told) > 12 else ""
    return between.join(told[:12]) + more
