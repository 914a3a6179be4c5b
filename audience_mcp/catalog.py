"""The two questions, over all sources: how big are the audiences, and which one is this?

The catalog chooses the sources, waits for their readings to its deadline, and answers from what is
there. `open_catalog` makes one together with the task group in which readings run.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio

from audience_mcp.answers import fit_list, report
from audience_mcp.changes import Changes
from audience_mcp.clock import Clock
from audience_mcp.config import Configuration, required_variables
from audience_mcp.dates import moment
from audience_mcp.errors import ToolError
from audience_mcp.finding import Finder, Found
from audience_mcp.gathering import Gathering, Progress
from audience_mcp.models import AudienceList, AudienceMatch
from audience_mcp.paging import Fetch
from audience_mcp.questions import GetQuestion, ListQuestion
from audience_mcp.reading import Connect, Held, SourceReader
from audience_mcp.rows import concise, full, shown_name
from audience_mcp.text import MAX_LOOKED_AT, clean, fold, visible
from audience_mcp.vendors.base import Account, Row

if TYPE_CHECKING:
    from audience_mcp.http import Pool

CLOSE_WITHIN_S = 0.5


class Catalog:
    """All sources, and the answers over them."""

    def __init__(
        self, configuration: Configuration, readers: Sequence[SourceReader], changes: Changes, clock: Clock
    ) -> None:
        self._configuration = configuration
        self._settings = configuration.settings
        self._readers = {reader.name: reader for reader in readers}
        self._changes = changes
        self._clock = clock

    async def list_audiences(self, question: ListQuestion, progress: Progress | None = None) -> AudienceList:
        """Every audience that matches, with totals over all of them. Raises ToolError."""
        readers = self._scope(question.sources)
        held = await self._gathering(refresh=question.refresh, progress=progress).read(readers)
        if not any(h.walk.begun for h in held.values()):
            raise ToolError(_nothing_read(held))
        matched = list(_matched(question, held))
        known = [row.size for _, row in matched if row.size is not None]
        rows = _sorted(question, matched, self._most_rows(question))[question.offset :]
        show = full if question.detail == "full" else concise
        notes = [note for h in held.values() for note in h.notes]
        short = [reader.name for reader, h in held.items() if not h.complete]
        if short:
            notes.insert(
                0, f"Not complete: {', '.join(short)} not read in full; the totals cover only what was read."
            )
        if not matched and not short and any(h.walk.rows for h in held.values()):
            notes.append("Nothing matches all of these filters: use fewer, or fewer words in search.")
        if matched and question.offset >= len(matched):
            notes.append(
                f"offset {question.offset:,} is past the last of {len(matched):,} matching audiences."
            )
        return fit_list(
            AudienceList(
                matched=len(matched),
                returned=0,
                sum_of_sizes=sum(known),
                unknown_sizes=len(matched) - len(known),
                complete=not short,
                audiences=[],
                sources=[report(reader.source, h) for reader, h in held.items()],
                notes=notes or None,
            ),
            [show(reader.name, reader.source.vendor, row) for reader, row in rows],
            following=max(0, len(matched) - question.offset),
            offset=question.offset,
            chosen="limit" in question.model_fields_set,
            max_chars=self._settings.max_chars,
        )

    async def get_audience(self, question: GetQuestion, progress: Progress | None = None) -> AudienceMatch:
        """The audience that a ref, an id or a name means. Raises ToolError."""
        readers = self._scope([question.source] if question.source else None)
        gathering = self._gathering(refresh=question.refresh, progress=progress)
        return await Finder(readers, question.audience, gathering, self._settings.max_chars).found()

    def _gathering(self, *, refresh: bool, progress: Progress | None) -> Gathering:
        seconds = self._settings.deadline_s
        return Gathering(self._changes, self._clock, seconds, refresh=refresh, progress=progress)

    def _most_rows(self, question: ListQuestion) -> int:
        """How many rows, from the first on, could be shown: no row is shorter than 30 characters."""
        return question.offset + min(question.limit, self._settings.max_chars // 30)

    def _scope(self, names: Sequence[str] | None) -> list[SourceReader]:
        """The sources a call is about. Raises ToolError, naming what exists."""
        if not self._readers:
            lines = [f"{v.title}: {' and '.join(required_variables(v))}" for v in self._configuration.vendors]
            raise ToolError(
                "No vendor is configured yet. Ask the user to set the variables of at least one in the "
                f"configuration of this MCP server, and to restart it. {'; '.join(lines)}."
            )
        if not names:
            return list(self._readers.values())
        chosen: dict[str, SourceReader] = {}
        for given in names:
            name = given.strip().lower()
            found = [r for r in self._readers.values() if name in (r.name, r.source.vendor.name)]
            chosen |= {reader.name: reader for reader in found}
            if not found:
                raise ToolError(self._no_such_source(given))
        return list(chosen.values())

    def _no_such_source(self, given: str) -> str:
        there = f"Configured: {', '.join(self._readers)}."
        for vendor in self._configuration.vendors:
            if vendor.name == given.strip().lower():
                needs = " and ".join(required_variables(vendor))
                return f"{vendor.title} is not configured: set {needs} and restart this MCP server. {there}"
        return f"There is no source '{clean(given, 60)}'. {there}"


def _nothing_read(held: dict[SourceReader, Held]) -> str:
    errors = [h.error for h in held.values() if h.error]
    if len(errors) == 1:
        return errors[0].message
    told = "\n".join(f"- {clean(e.message, 600)}" for e in errors[:12])
    more = f"\n- and {len(errors) - 12} more" if len(errors) > 12 else ""
    return f"No source could be read, so nothing is known of any audience:\n{told}{more}"


def _matched(question: ListQuestion, held: dict[SourceReader, Held]) -> Iterator[Found]:
    words = fold(clean(question.search, 500)).split() if question.search else []
    low, high = question.min_size, question.max_size
    sized = low is not None or high is not None
    for reader, h in held.items():
        for row in h.walk.rows.values():
            if question.type and row.type != question.type:
                continue
            if question.status and row.status != question.status:
                continue
            if sized and (
                row.size is None or row.size < (low or 0) or (high is not None and row.size > high)
            ):
                continue
            if words:
                text = fold(f"{visible(row.name[:MAX_LOOKED_AT])}\n{row.id}")
                if not all(word in text for word in words):
                    text += "\n" + fold(clean(row.description))
                    if not all(word in text for word in words):
                        continue
            if question.created_since and not _since(row.created, question.created_since):
                continue
            if question.updated_since and not _since(row.updated, question.updated_since):
                continue
            yield reader, row


def _since(value: object, since: Any) -> bool:
    when = moment(value)
    return when is not None and when >= since


def _sorted(question: ListQuestion, matched: list[Found], most: int) -> list[Found]:
    """The first `most` in the order asked for: unknown values last, ties by ref."""
    worst = math.inf

    def by_size(row: Row) -> Any:
        return worst if row.size is None else -row.size

    def by_smallest(row: Row) -> Any:
        return worst if row.size is None else row.size

    def by_name(row: Row) -> Any:
        return fold(shown_name(row))

    def latest(value: object) -> Any:
        when = moment(value)
        return worst if when is None else -when.timestamp()

    orders: dict[str, Callable[[Row], Any]] = {
        "size": by_size,
        "smallest": by_smallest,
        "name": by_name,
        "newest": lambda row: latest(row.created),
        "updated": lambda row: latest(row.updated),
    }
    order = orders[question.sort]
    prefix = {reader: f"{reader.name}:" for reader, _ in matched}
    return heapq.nsmallest(most, matched, key=lambda f: (order(f[1]), prefix[f[0]], f[1].id))


@asynccontextmanager
async def open_catalog(
    configuration: Configuration, *, clock: Clock | None = None, connect: Connect | None = None
) -> AsyncIterator[Catalog]:
    """A catalog whose readings run until this is left; connections are made at the first question."""
    clock = clock or Clock()
    over_http = _OverHttp(clock)
    async with aclosing(over_http), anyio.create_task_group() as tasks:
        changes = Changes(clock)
        readers = [
            SourceReader(source, connect or over_http, tasks, changes, clock, configuration.settings.cache_s)
            for source in configuration.sources
        ]
        try:
            yield Catalog(configuration, readers, changes, clock)
        finally:
            tasks.cancel_scope.cancel()


class _OverHttp:
    """The ways to vendors, over one pool of connections; both are made when first needed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pool: Pool | None = None

    def __call__(self, account: Account) -> Fetch:
        from audience_mcp.http import Api, Pool  # httpx is loaded when a vendor is first asked, not at start

        self._pool = self._pool or Pool()
        return Api(account, self._pool, self._clock).fetch

    async def aclose(self) -> None:
        """Close every connection; one that will not say good-bye is left to the operating system."""
        if self._pool is not None:
            with anyio.move_on_after(CLOSE_WITHIN_S, shield=True):
                await self._pool.aclose()
