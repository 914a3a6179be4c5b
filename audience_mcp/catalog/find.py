"""Finds the audience that a ref means, or all audiences that have a text as their id or name.

A ref, and a generated id that nobody would choose for a name, are looked up directly if the vendor can do
that. Everything else is searched for in whole readings, so that one vendor's id never hides another's name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from audience_mcp.catalog.ask_store import ask_of_each
from audience_mcp.catalog.budget import fit_match
from audience_mcp.catalog.composer import Composer
from audience_mcp.catalog.display import Match, to_full
from audience_mcp.catalog.gone import find_gone, note_ranges, show_gone
from audience_mcp.catalog.index import Index, Indexes
from audience_mcp.catalog.issues import IssueFinder, Reasons, find_stalled, write_issues
from audience_mcp.catalog.miss import explain_miss
from audience_mcp.catalog.models import Audience, AudienceMatch, SourceReport
from audience_mcp.catalog.reports import name_sources_once, report_lookup, report_source, to_problem
from audience_mcp.core.audience import Row
from audience_mcp.core.dates import parse_datetime, to_rfc3339
from audience_mcp.core.errors import ToolError, VendorError
from audience_mcp.core.text import clean, fold
from audience_mcp.sources.call import CallSession, waiting_on
from audience_mcp.sources.lookups import LookUp
from audience_mcp.sources.reader import SourceReader
from audience_mcp.sources.reading import Snapshot
from audience_mcp.sources.rows import DELETED
from audience_mcp.store.stored import LastSeen

MatchedBy = Literal["ref", "id", "name", "id_or_name"]
AddHistory = Callable[
    [Sequence[tuple[SourceReader, Row, datetime | None, Audience]], int], Awaitable[list[str]]
]
MESSAGES = {
    "incomplete": "Not every source was read in full, so others may match too.",
}


@dataclass(slots=True)
class SourceResult:
    """What one source answered: its reading, a look-up, or both.

    snapshot: set if the row, or the size that the look-up lacks, is from the reading. listed_at: when that
    size was listed.
    """

    reader: SourceReader
    row: Row | None = None
    snapshot: Snapshot | None = None
    look_up: LookUp | None = None
    listed_at: datetime | None = None

    @property
    def size_as_of(self) -> datetime | None:
        """When the vendor gave the size that is shown."""
        if self.listed_at is not None or self.look_up is None or self.look_up.row is None:
            return self.listed_at or (self.snapshot.as_of if self.snapshot is not None else None)
        return self.look_up.as_of

    @property
    def error(self) -> VendorError | None:
        """Why a look-up has no result."""
        if self.look_up is None or self.look_up.row is not None:
            return None
        if not self.look_up.ended:
            return VendorError(
                "timeout", f"{self.reader.name} did not answer in time. Ask again.", retry_after_s=5
            )
        return self.look_up.error

    @property
    def size_error(self) -> VendorError | None:
        """Why the size of a row that was looked up could not be counted."""
        return self.look_up.size_error if self.look_up is not None and self.look_up.row is not None else None

    @property
    def lacks_sizes(self) -> bool:
        """Whether the listing was read in full and only sizes are missing that cost a request each."""
        return self.snapshot is not None and self.snapshot.pager.done and self.snapshot.error is not None

    @property
    def deleted(self) -> str | None:
        """A sentence that says that the audience was deleted, and when, if the vendor says so."""
        if self.look_up is None or self.look_up.deleted_at is None:
            return None
        when = parse_datetime(self.look_up.deleted_at)
        on = f" on {to_rfc3339(when)[:10]}" if when else ""
        return f"{self.reader.source.vendor.title} says that it was deleted{on}."

    @property
    def gone(self) -> bool:
        """Whether the vendor answered that the audience does not exist."""
        return self.look_up is not None and self.look_up.ended and not self.error and not self.look_up.row

    @property
    def settled(self) -> bool:
        """Whether the row is as complete as the vendor can make it, however far its listing was read."""
        lacks_size = (
            self.reader.source.vendor.one_lacks_size and self.row is not None and self.row.size is None
        )
        return self.row is not None and not (
            lacks_size and self.snapshot is not None and not self.snapshot.complete
        )

    def report(self) -> SourceReport:
        """The source's report, as far as the source was used."""
        partial = self.snapshot is not None and not self.snapshot.complete and not self.snapshot.older
        if self.settled and partial and not self.lacks_sizes:
            return report_lookup(self.reader.source)
        if self.snapshot is not None:
            return report_source(self.reader.source, self.snapshot)
        error = self.error or self.size_error
        report = report_lookup(self.reader.source, complete=error is None or error.final)
        report.error = to_problem(error)
        return report


class Finder:
    """Finds what `text` means in the sources of `readers`.

    known: the names of all sources. take_note: gives a further note for the answer. add_history: adds stored
    sizes to the audiences of the answer. since: when those of audiences that are gone are to begin.
    """

    def __init__(
        self,
        readers: Sequence[SourceReader],
        text: str,
        session: CallSession,
        max_chars: int,
        indexes: Indexes,
        composer: Composer,
        now: datetime,
        known: Sequence[str] = (),
        take_note: Callable[[], str | None] = lambda: None,
        add_history: AddHistory | None = None,
        notes: Sequence[str] = (),
        since: datetime | None = None,
    ) -> None:
        self._readers = readers
        self._notes = notes
        self._since = since
        self._given = text
        self._text = text.strip()
        self._session = session
        self._max_chars = max_chars
        self._indexes = indexes
        self._composer = composer
        self._now = now
        self._known = known
        self._take_note = take_note
        self._add_history = add_history
        # Failed look-ups. An audience that is missing from such a source's reading may still exist.
        self._failed: dict[SourceReader, VendorError] = {}
        self._deleted: str | None = None

    async def find(self) -> AudienceMatch:
        """The answer. Raises ToolError where nothing matches."""
        if not self._text:
            raise ToolError("'audience' must not be empty: a ref (source:id), a vendor's id, or a name.")
        return await self._find_ref() or await self._find_generated_id() or await self._find_in_lists()

    async def _find_ref(self) -> AudienceMatch | None:
        """By ref, which means one audience at one source."""
        name, _, id = self._text.partition(":")
        reader = next((r for r in self._readers if r.name == name), None)
        if reader is None or not reader.source.vendor.id_shape.fullmatch(id):
            return None
        listed_before = reader.cached() is not None
        (result,) = await self._look_up([SourceResult(reader, look_up=reader.look_up(id))], id)
        self._deleted = result.deleted
        if result.gone and listed_before and not self._deleted:  # the look-up is newer than the reading
            return await self._find_gone_by_ref(result, id)
        if result.row is None and (result.error or result.gone):
            result.snapshot = (await self._session.read([reader]))[reader]
            listed = result.snapshot.pager.rows.get(id)
            # One that was deleted is answered only where the listing says so too.
            result.row = listed if not self._deleted or (listed and listed.size_note == DELETED) else None
            await self._count([result])
        if result.row is None and self._deleted:
            return await self._find_gone_by_ref(result, id)
        return await self._answer("ref", [result]) if result.row else None

    async def _find_gone_by_ref(self, result: SourceResult, id: str) -> AudienceMatch:
        """The audience as it was last stored, where the vendor says that it does not exist any more.

        Raises ToolError where it was never stored.
        """
        gone = await find_gone(result.reader, [id], (), self._since)
        if not gone:
            raise ToolError(await self._explain_miss(await self._session.read(self._readers)))
        return self._answer_gone("ref", [(result.reader, each) for each in gone], [result.report()])

    async def _find_gone_in_lists(self, snapshots: Mapping[SourceReader, Snapshot]) -> AudienceMatch | None:
        """Stored audiences with the text as their ref, id or name that their sources have no more."""
        texts = dict.fromkeys((self._given, self._text))
        by_ref: list[tuple[SourceReader, LastSeen]] = []
        others: list[tuple[SourceReader, LastSeen]] = []

        async def find(reader: SourceReader) -> None:
            there = snapshots[reader].pager.rows
            own = [text.partition(":")[2] for text in texts if text.startswith(f"{reader.name}:")]
            meant = [each for each in await find_gone(reader, own, there, self._since) if each.id in own]
            by_ref.extend((reader, each) for each in meant)
            others.extend([(reader, each) for each in await find_gone(reader, texts, there, self._since)])

        whole = [reader for reader, each in snapshots.items() if each.pager.done and not each.older]
        await ask_of_each(whole, find, self._session.seconds_left)
        found = by_ref or others
        if not found:
            return None
        ids = [bool({seen.id, r.source.vendor.own_id(seen.id)} & texts.keys()) for r, seen in others]
        by: MatchedBy = "ref" if by_ref else "id" if all(ids) else "id_or_name" if any(ids) else "name"
        all_reports = {r: SourceResult(r, None, snapshot).report() for r, snapshot in snapshots.items()}
        there = {reader for reader, _ in found}
        reports = [each for reader, each in all_reports.items() if reader in there or not each.complete]
        return self._answer_gone(by, found, reports)

    def _answer_gone(
        self, by: MatchedBy, found: Sequence[tuple[SourceReader, LastSeen]], reports: list[SourceReport]
    ) -> AudienceMatch:
        complete = all(report.complete for report in reports)
        notes = [MESSAGES["incomplete"]] if not complete and by != "ref" else []
        notes += [*self._notes, *([self._deleted] if self._deleted else [])]
        notes += [trouble] if (trouble := self._take_note()) else []
        notes += note_ranges(found, self._max_chars)
        answer = AudienceMatch(
            matched_by=by, complete=complete, audiences=[], sources=reports, notes=notes or None
        )
        return fit_match(answer, show_gone(found, self._max_chars), self._max_chars)

    async def _find_generated_id(self) -> AudienceMatch | None:
        """By a generated id that nobody would choose for a name, from its vendor alone."""
        readers = [
            r
            for r in self._readers
            if r.source.vendor.ids_are == "unmistakable" and r.source.vendor.id_shape.fullmatch(self._text)
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
        # Complete sources without the audience are left out.
        return await self._answer("id", [r for r in results if r.row or not r.report().complete])

    async def _look_up(self, results: list[SourceResult], id: str) -> list[SourceResult]:
        """Wait for each look-up, or for the reading of a source that has no look-up."""
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
        """Take a look-up's row, with the size that it lacks from the reading."""
        if result.error is not None:
            self._failed[result.reader] = result.error
        if result.look_up is None or result.look_up.row is None:
            return
        result.row = result.look_up.row
        if result.row.size is not None or not result.reader.source.vendor.one_lacks_size:
            return
        snapshot = (await self._session.read([result.reader]))[result.reader]
        listed = snapshot.pager.rows.get(id)
        if listed is not None:
            result.listed_at = snapshot.as_of
            # Only what the look-up lacks: the reading may be older.
            result.row = replace(
                result.row,
                size=listed.size,
                size_max=listed.size_max,
                open_ended=listed.open_ended,
                size_note=listed.size_note,
                detail_pairs=listed.detail_pairs,
            )
        if snapshot.older or (listed is None and not snapshot.complete):
            result.snapshot = snapshot

    async def _count(self, results: Sequence[SourceResult]) -> None:
        """Request sizes that cost a request each. A source's report says why one is missing."""
        rows = {
            r.reader: [r.row]
            for r in results
            if r.row is not None and r.row.size is None and not (r.look_up and r.look_up.size_error)
        }
        problems = await self._session.count(rows)
        for result in results:
            if (error := problems.get(result.reader)) and result.snapshot is not None:
                result.snapshot = result.snapshot.without_sizes(error)

    async def _find_in_lists(self) -> AudienceMatch:
        """By ref, id or name, in the readings of all sources."""
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
        index = self._indexes.of(snapshots)
        by_id, by_name = await self._composer.run(index.count, lambda: self._search_rows(index))
        matches = list({id(row): (reader, row) for reader, row in [*by_id, *by_name]}.values())
        if not matches:
            gone = await self._find_gone_in_lists(snapshots)
            if gone is not None:
                return gone
            raise ToolError(await self._explain_miss(snapshots))
        results = [SourceResult(r, None, s) for r, s in snapshots.items()]
        problems = await self._session.count(
            {reader: [row for r, row in matches if r is reader] for reader, _ in matches}
        )
        for result in results:
            if (error := problems.get(result.reader)) and result.snapshot is not None:
                result.snapshot = result.snapshot.without_sizes(error)
        matches.sort(
            key=lambda match: (match[1].size is None, -(match[1].size or 0), match[0].name, match[1].id)
        )
        both = by_id and {id(row) for _, row in by_name} - {id(row) for _, row in by_id}
        by: MatchedBy = "id_or_name" if both else "id" if by_id else "name"
        # Complete sources without a match are left out.
        there = {reader for reader, _ in matches}
        return await self._answer(
            by, [r for r in results if r.reader in there or not r.report().complete], matches
        )

    def _search_rows(self, index: Index) -> tuple[list[Match], list[Match]]:
        """The audiences with the text as their id, and those with it as their name."""
        by_id: list[Match] = []
        name = fold(clean(self._text))
        texts = (self._given, self._text)
        for reader, rows in index.rows.items():
            own_id = reader.source.vendor.own_id
            # A vendor's own id ends the whole one, so ids with another end need no further look.
            ends = [row for row in rows if row.id.endswith(texts)]
            by_id += [
                (reader, row) for row in ends if row.id in texts or (row.kind and own_id(row.id) in texts)
            ]
        by_name = index.named(name) if name else []
        return by_id, by_name

    async def _answer(
        self, by: MatchedBy, results: Sequence[SourceResult], matches: Sequence[Match] = ()
    ) -> AudienceMatch:
        matches = matches or [(result.reader, result.row) for result in results if result.row]
        reports = [result.report() for result in results]
        notes = [*self._notes]
        notes += [note for result in results if result.snapshot for note in result.snapshot.notes]
        complete = all(report.complete for report in reports)
        unread = [r for r in results if not r.report().complete and not r.lacks_sizes]
        if unread and by != "ref":
            notes.insert(0, MESSAGES["incomplete"])
        shown = [to_full(reader.name, reader.source.vendor, row) for reader, row in matches]
        await self._add_issues(matches, shown)
        if self._add_history is not None:
            read = {result.reader: result.size_as_of for result in results}
            pairs = zip(matches, shown, strict=True)
            rows = [(reader, row, read.get(reader), each) for (reader, row), each in pairs]
            notes += await self._add_history(rows, self._max_chars)
        notes = name_sources_once(notes, {reader.name for reader in self._readers})
        notes += [trouble] if (trouble := self._take_note()) else []
        answer = AudienceMatch(
            matched_by=by, complete=complete, audiences=[], sources=reports, notes=notes or None
        )
        return fit_match(answer, shown, self._max_chars)

    async def _add_issues(self, matches: Sequence[Match], shown: Sequence[Audience]) -> None:
        """Add the audiences' issues. A name is known to be there twice only if a reading is at hand."""
        cached = {reader: reader.cached() for reader, _ in matches}
        index = self._indexes.covering(
            {r: snapshot for r, snapshot in cached.items() if snapshot is not None}
        )
        dynamic = {reader for reader, row in matches if row.type == "dynamic"}
        stalled = await find_stalled(dynamic, self._now, self._session.seconds_left)
        finder = IssueFinder(index, self._now, stalled)

        def find() -> list[Reasons]:
            return [finder.find(reader, row) for reader, row in matches]

        for audience, reasons in zip(shown, await self._composer.run(index.count, find), strict=True):
            audience.issues = write_issues(reasons)

    async def _explain_miss(self, snapshots: Mapping[SourceReader, Snapshot]) -> str:
        index = self._indexes.of(snapshots)
        return await self._composer.run(
            index.count,
            lambda: explain_miss(self._text, snapshots, index, self._failed, self._known, self._deleted),
        )
