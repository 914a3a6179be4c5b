"""Finds the one audience that a ref, an id or a name means.

A ref or an id is looked up directly where the vendor can; only what is left over is searched for in
whole readings. The first of ref, id and name that matches is the answer.
"""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from audience_mcp.answers import asked_directly, fit_match, report
from audience_mcp.errors import ToolError, VendorError
from audience_mcp.models import AudienceMatch, Problem, SourceReport
from audience_mcp.questions import GetQuestion
from audience_mcp.reading import Held, LookUp, SourceReader
from audience_mcp.rows import compact, full, shown_name
from audience_mcp.text import clean, fold
from audience_mcp.vendors.base import Row

if TYPE_CHECKING:
    from audience_mcp.catalog import Catalog, Progress

Found = tuple[SourceReader, Row]
NEAR = 5
NEAR_AMONG = 400
"""Names compared in full for likeness, after a quick sieve: the whole takes well under a second."""


class Finder:
    """One search: which sources, for what, and until when."""

    def __init__(
        self,
        catalog: Catalog,
        readers: Sequence[SourceReader],
        question: GetQuestion,
        deadline: float,
        progress: Progress | None,
    ) -> None:
        self._catalog = catalog
        self._readers = readers
        self._text = question.audience.strip()
        self._refresh = question.refresh
        self._deadline = deadline
        self._progress = progress

    async def found(self) -> AudienceMatch:
        """The answer. Raises ToolError where nothing matches."""
        if not self._text:
            raise ToolError("'audience' must not be empty: a ref (source:id), a vendor's id, or a name.")
        return await self._by_ref() or await self._by_id() or await self._in_lists()

    async def _by_ref(self) -> AudienceMatch | None:
        name, _, id = self._text.partition(":")
        reader = self._catalog.reader(name)
        if reader is None or reader not in self._readers or not id:
            return None
        look_up = reader.look_up(id)
        if look_up is not None:
            await self._catalog.until(lambda: look_up.ended, self._deadline)
            if look_up.row is not None:
                return await self._directly({reader: look_up}, "ref")
            if look_up.ended and look_up.error is None:
                return None
        elif not reader.source.vendor.id_shape.fullmatch(id):
            return None
        return self._listed(await self._read([reader]), id, "ref")

    async def _by_id(self) -> AudienceMatch | None:
        """Where the text looks like an id: from a fresh reading, or by asking for that one audience."""
        at_hand: dict[SourceReader, Held] = {}
        look_ups: dict[SourceReader, LookUp] = {}
        to_read: list[SourceReader] = []
        for reader in self._readers:
            held = None if self._refresh else reader.at_hand()
            if held is not None and self._text in held.walk.rows:
                at_hand[reader] = held
            elif look_up := reader.look_up(self._text):
                look_ups[reader] = look_up
            elif reader.source.vendor.id_shape.fullmatch(self._text):
                to_read.append(reader)
        if to_read:
            at_hand |= await self._read(to_read)
        await self._catalog.until(lambda: all(x.ended for x in look_ups.values()), self._deadline)
        if any(x.row for x in look_ups.values()):
            return await self._directly(look_ups, "id", at_hand)
        return self._listed(at_hand, self._text, "id")

    async def _in_lists(self) -> AudienceMatch:
        """By ref and id once more (an id may not look like one), then by name, in everything there is."""
        held = await self._read(self._readers)
        source, _, id = self._text.partition(":")
        of_source = {r: h for r, h in held.items() if r.name == source}
        if exact := self._listed(of_source, id, "ref") or self._listed(held, self._text, "id"):
            return exact
        name = fold(clean(self._text))
        rows = [
            (r, row) for r, h in held.items() for row in h.walk.rows.values() if fold(shown_name(row)) == name
        ]
        if not name or not rows:
            raise ToolError(self._missed(held))
        rows.sort(key=lambda f: (f[1].size is None, -(f[1].size or 0), f[0].name, f[1].id))
        return self._match("name", rows, held)

    async def _read(self, readers: Sequence[SourceReader]) -> dict[SourceReader, Held]:
        return await self._catalog.read(
            readers, self._deadline, refresh=self._refresh, progress=self._progress
        )

    def _listed(
        self, held: Mapping[SourceReader, Held], id: str, by: Literal["ref", "id"]
    ) -> AudienceMatch | None:
        rows = [(r, h.walk.rows[id]) for r, h in held.items() if id in h.walk.rows]
        return self._match(by, rows, held) if rows else None

    async def _directly(
        self,
        look_ups: Mapping[SourceReader, LookUp],
        by: Literal["ref", "id"],
        at_hand: Mapping[SourceReader, Held] | None = None,
    ) -> AudienceMatch:
        """From direct look-ups, at least one of which found something; a missing size comes from the list."""
        at_hand = at_hand or {}
        rows = [(r, h.walk.rows[self._text]) for r, h in at_hand.items() if self._text in h.walk.rows]
        reports = [report(reader.source, h) for reader, h in at_hand.items()]
        notes = [note for h in at_hand.values() for note in h.notes]
        for reader, look_up in look_ups.items():
            told = asked_directly(reader.source, complete=look_up.ended and look_up.error is None)
            error = look_up.error
            if look_up.row is not None:
                row = look_up.row
                if row.size is None and reader.source.vendor.one_lacks_size:
                    held = (await self._read([reader]))[reader]
                    if not held.complete:
                        told.complete, error = False, held.error
                    row = held.walk.rows.get(row.id, row)
                rows.append((reader, row))
            elif not look_up.ended:
                error = VendorError(
                    "timeout", f"{reader.name} did not answer in time. Ask again.", retry_after_s=5
                )
            if error is not None:
                told.error = Problem(
                    kind=error.kind, message=clean(error.message, 600), retry_after_s=error.retry_after_s
                )
            reports.append(told)
        return self._answer(by, rows, reports, notes)

    def _match(
        self, by: Literal["ref", "id", "name"], rows: Sequence[Found], held: Mapping[SourceReader, Held]
    ) -> AudienceMatch:
        notes = [note for h in held.values() for note in h.notes]
        return self._answer(by, rows, [report(r.source, h) for r, h in held.items()], notes)

    def _answer(
        self,
        by: Literal["ref", "id", "name"],
        rows: Sequence[Found],
        reports: list[SourceReport],
        notes: list[str],
    ) -> AudienceMatch:
        complete = all(r.complete for r in reports)
        if not complete:
            notes.insert(0, "Not every source was read in full, so others may match too.")
        if by == "id" and any(reader.source.vendor.id_is_name for reader, _ in rows):
            notes.append(
                "Matched as an id; other audiences may have it as their name: list_audiences with search finds those."
            )
        answer = AudienceMatch(
            matched_by=by, complete=complete, audiences=[], sources=reports, notes=notes or None
        )
        shown = [full(reader.name, reader.source.vendor, row) for reader, row in rows]
        return fit_match(answer, shown, self._catalog.max_chars)

    def _missed(self, held: Mapping[SourceReader, Held]) -> str:
        """What to say where nothing matches: what was searched, what was not, and what is near."""
        read = [f"{r.name} ({len(h.walk.rows):,} audiences)" for r, h in held.items() if h.complete]
        not_read = [clean(h.error.message, 400) for h in held.values() if not h.complete and h.error]
        said = [f"No audience has the ref, id or name {compact(clean(self._text, 80))}."]
        if read:
            said.append(f"Read in full: {', '.join(read[:20])}{_and_more(read, 20)}.")
        if not_read:
            said.append(
                f"Not read in full, so it may be there: {' '.join(not_read[:8])}{_and_more(not_read, 8)}"
            )
        near = self._near(held)
        if near:
            said.append(f"Nearest names: {', '.join(near)}.")
        said.append("list_audiences with search finds parts of names.")
        return " ".join(said)

    def _near(self, held: Mapping[SourceReader, Held]) -> list[str]:
        wanted = fold(clean(self._text.rpartition(":")[2] or self._text))
        if not wanted:
            return []
        pairs = {wanted[i : i + 2] for i in range(max(1, len(wanted) - 1))}
        names = ((fold(shown_name(row)), r, row) for r, h in held.items() for row in h.walk.rows.values())
        likely = heapq.nlargest(
            NEAR_AMONG, names, key=lambda n: sum(p in n[0] for p in pairs) / (len(n[0]) + len(pairs))
        )
        matcher = difflib.SequenceMatcher(autojunk=False, b=wanted)
        scored: list[tuple[float, str, str]] = []
        for folded, reader, row in likely:
            matcher.set_seq1(folded)
            score = matcher.ratio() + (0.3 if wanted in folded or folded in wanted else 0)
            if score >= 0.6:
                scored.append((-score, f"{reader.name}:{row.id}", shown_name(row)))
        return [f"{compact(clean(name, 80))} ({ref})" for _, ref, name in sorted(scored)[:NEAR]]


def _and_more(told: Sequence[str], shown: int) -> str:
    return f" and {len(told) - shown} more" if len(told) > shown else ""
