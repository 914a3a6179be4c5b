"""Finds the audience that a ref means, or all those that bear a text as their id or name.

A ref, and an id that nobody would choose for a name, are looked up directly where the vendor can; everything
else is searched for in whole readings, so that one vendor's id never hides another's name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from audience_mcp.catalog.budget import fit_match
from audience_mcp.catalog.miss import explain_miss
from audience_mcp.catalog.models import Audience, AudienceMatch, SourceReport
from audience_mcp.catalog.reports import Hit, report_lookup, report_source, to_problem
from audience_mcp.catalog.rows import display_name, to_full
from audience_mcp.core.audience import Row
from audience_mcp.core.errors import ToolError, VendorError
from audience_mcp.core.text import clean, fold
from audience_mcp.sources.call import CallSession, waiting_on
from audience_mcp.sources.lookups import LookUp
from audience_mcp.sources.reader import SourceReader
from audience_mcp.sources.reading import Snapshot

MatchedBy = Literal["ref", "id", "name", "id_or_name"]
AddHistory = Callable[
    [Sequence[tuple[SourceReader, Row, datetime | None, Audience]], int], Awaitable[list[str]]
]
MESSAGES = {
    "empty": "'audience' must not be empty: a ref (source:id), a vendor's id, or a name.",
    "no_answer": "{source} did not answer in time. Ask again.",
    "incomplete": "Not every source was read in full, so others may match too.",
}


@dataclass(slots=True)
class SourceResult:
    """What one source has to say to the question: its reading, or the answer to a look-up, or both.

    snapshot: where the answer, or the size that the look-up lacks, comes from the list.
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
            text = MESSAGES["no_answer"].format(source=self.reader.name)
            return VendorError("timeout", text, retry_after_s=5)
        return self.look_up.error

    @property
    def gone(self) -> bool:
        """Whether the vendor has said that there is no such audience."""
        return self.look_up is not None and self.look_up.ended and not self.error and not self.look_up.row

    @property
    def settled(self) -> bool:
        """Whether the audience is here with all that the vendor says of it, however far a list was read."""
        lacks_size = (
            self.reader.source.vendor.get_lacks_size and self.row is not None and self.row.size is None
        )
        return self.row is not None and not (
            lacks_size and self.snapshot is not None and not self.snapshot.complete
        )

    def report(self) -> SourceReport:
        """How the source stands, as far as it was asked."""
        partial = self.snapshot is not None and not self.snapshot.complete and not self.snapshot.older
        if self.settled and partial:
            return report_lookup(self.reader.source)
        if self.snapshot is not None:
            return report_source(self.reader.source, self.snapshot)
        report = report_lookup(self.reader.source, complete=self.error is None)
        report.error = to_problem(self.error)
        return report


class Finder:
    """One search, in the sources of `readers`, for what `text` means. known: the names of all sources.

    take_note: what else the answer must say. add_history: adds to rows, as they are shown, their sizes over
    time.
    """

    def __init__(
        self,
        readers: Sequence[SourceReader],
        text: str,
        session: CallSession,
        max_chars: int,
        known: Sequence[str] = (),
        take_note: Callable[[], str | None] = lambda: None,
        add_history: AddHistory | None = None,
    ) -> None:
        self._readers = readers
        self._given = text
        self._text = text.strip()
        self._session = session
        self._max_chars = max_chars
        self._known = known
        self._take_note = take_note
        self._add_history = add_history
        # Where a look-up failed: a list that lacks the audience does not say that there is none.
        self._failed: dict[SourceReader, VendorError] = {}

    async def find(self) -> AudienceMatch:
        """The answer. Raises ToolError where nothing matches."""
        if not self._text:
            raise ToolError(MESSAGES["empty"])
        return await self._find_ref() or await self._find_generated_id() or await self._find_in_lists()

    async def _find_ref(self) -> AudienceMatch | None:
        """By ref: it means one audience, and what its vendor says of it is the answer."""
        name, _, id = self._text.partition(":")
        reader = next((r for r in self._readers if r.name == name), None)
        if reader is None or not reader.source.vendor.id_shape.fullmatch(id):
            return None
        listed_before = reader.cached() is not None
        (result,) = await self._look_up([SourceResult(reader, look_up=reader.look_up(id))], id)
        if result.gone and listed_before:  # whatever the older list may hold
            raise ToolError(self._explain_miss(await self._session.read(self._readers)))
        if result.row is None and (result.error or result.gone):
            result.snapshot = (await self._session.read([reader]))[reader]
            result.row = result.snapshot.pager.rows.get(id)
            await self._count([result])
        return await self._answer("ref", [result]) if result.row else None

    async def _find_generated_id(self) -> AudienceMatch | None:
        """By an id that a vendor makes and nobody chooses for a name: from that vendor alone."""
        readers = [
            r
            for r in self._readers
            if r.source.vendor.id_is_generated and r.source.vendor.id_shape.fullmatch(self._text)
        ]
        results = []
        for reader in readers:
            cached = None if self._session.refresh else reader.cached()
            row = cached.pager.rows.get(self._text) if cached else None
            look_up = reader.look_up(self._text) if row is None else None
            results.append(SourceResult(reader, row, cached if row else None, look_up))
        results = await self._look_up(results, self._text)
        if not any(result.row for result in results):
            return None
        # A source that was asked and has it not has nothing to say.
        return await self._answer("id", [r for r in results if r.row or not r.report().complete])

    async def _look_up(self, results: list[SourceResult], id: str) -> list[SourceResult]:
        """Wait for each source's answer: of its look-up, or from its list where it can look up nothing."""
        to_read = [result for result in results if result.row is None and result.look_up is None]
        look_ups = [result.look_up for result in results if result.look_up]
        with waiting_on(look_ups):
            read = await self._session.read([result.reader for result in to_read])
            for result in to_read:
                result.snapshot = read[result.reader]
                result.row = result.snapshot.pager.rows.get(id)
            await self._session.look_up(look_ups)
        for result in results:
            await self._complete(result, id)
        await self._count(results)
        return results

    async def _complete(self, result: SourceResult, id: str) -> None:
        """Take a look-up's row, with the size that it lacks from the list."""
        if result.error is not None:
            self._failed[result.reader] = result.error
        if result.look_up is None or result.look_up.row is None:
            return
        result.row = result.look_up.row
        if result.row.size is not None or not result.reader.source.vendor.get_lacks_size:
            return
        snapshot = (await self._session.read([result.reader]))[result.reader]
        listed = snapshot.pager.rows.get(id)
        if listed is not None:
            # Of the list only what the look-up has not: the list may be of an earlier time.
            result.row = replace(
                result.row,
                size=listed.size,
                size_max=listed.size_max,
                size_note=listed.size_note,
                details=listed.details,
            )
        if snapshot.older or (listed is None and not snapshot.complete):
            result.snapshot = snapshot

    async def _count(self, results: Sequence[SourceResult]) -> None:
        """Ask for sizes that cost a request each; why one is missing stands in its source's report."""
        rows = {r.reader: [r.row] for r in results if r.row is not None and r.row.size_pending}
        problems = await self._session.count(rows)
        for result in results:
            if (error := problems.get(result.reader)) and result.snapshot is not None:
                result.snapshot = replace(result.snapshot, complete=False, error=error)

    async def _find_in_lists(self) -> AudienceMatch:
        """Every audience that has the text as its ref, its id or its name, in everything there is."""
        snapshots = await self._session.read(self._readers)
        for text in dict.fromkeys((self._given, self._text)):
            source, _, own = text.partition(":")
            by_ref = [
                SourceResult(r, s.pager.rows[own], s)
                for r, s in snapshots.items()
                if r.name == source and own in s.pager.rows
            ]
            if by_ref:
                await self._count(by_ref)
                return await self._answer("ref", by_ref)
        by_id, by_name = self._matches(snapshots)
        hits = list({id(row): (reader, row) for reader, row in [*by_id, *by_name]}.values())
        if not hits:
            raise ToolError(self._explain_miss(snapshots))
        results = [SourceResult(r, None, s) for r, s in snapshots.items()]
        problems = await self._session.count(
            {reader: [row for r, row in hits if r is reader] for reader, _ in hits}
        )
        for result in results:
            if (error := problems.get(result.reader)) and result.snapshot is not None:
                result.snapshot = replace(result.snapshot, complete=False, error=error)
        hits.sort(key=lambda hit: (hit[1].size is None, -(hit[1].size or 0), hit[0].name, hit[1].id))
        both = by_id and {id(row) for _, row in by_name} - {id(row) for _, row in by_id}
        by: MatchedBy = "id_or_name" if both else "id" if by_id else "name"
        # A source that was read in full and has none of them has nothing to say.
        there = {reader for reader, _ in hits}
        return await self._answer(
            by, [r for r in results if r.reader in there or not r.report().complete], hits
        )

    def _matches(self, snapshots: Mapping[SourceReader, Snapshot]) -> tuple[list[Hit], list[Hit]]:
        """The audiences that have the text as their id, and those that have it as their name."""
        by_id: list[Hit] = []
        by_name: list[Hit] = []
        name = fold(clean(self._text))
        texts = (self._given, self._text)
        for reader, snapshot in snapshots.items():
            vendor = reader.source.vendor
            for row in snapshot.pager.rows.values():
                if row.id in texts or (row.kind and vendor.bare_id(row.id) in texts):
                    by_id.append((reader, row))
                if name and fold(display_name(row)) == name:
                    by_name.append((reader, row))
        return by_id, by_name

    async def _answer(
        self, by: MatchedBy, results: Sequence[SourceResult], hits: Sequence[Hit] = ()
    ) -> AudienceMatch:
        hits = hits or [(result.reader, result.row) for result in results if result.row]
        reports = [result.report() for result in results]
        notes = [note for result in results if result.snapshot for note in result.snapshot.notes]
        complete = all(report.complete for report in reports)
        if not complete and by != "ref":
            notes.insert(0, MESSAGES["incomplete"])
        shown = [to_full(reader.name, reader.source.vendor, row) for reader, row in hits]
        if self._add_history is not None:
            read = {result.reader: result.snapshot.as_of for result in results if result.snapshot}
            pairs = zip(hits, shown, strict=True)
            rows = [(reader, row, read.get(reader), each) for (reader, row), each in pairs]
            notes += await self._add_history(rows, self._max_chars)
        notes += [trouble] if (trouble := self._take_note()) else []
        answer = AudienceMatch(
            matched_by=by, complete=complete, audiences=[], sources=reports, notes=notes or None
        )
        return fit_match(answer, shown, self._max_chars)

    def _explain_miss(self, snapshots: Mapping[SourceReader, Snapshot]) -> str:
        return explain_miss(self._text, snapshots, self._failed, self._known)
