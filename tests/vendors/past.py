"""Questions about the past of a vendor that remembers it, asked over real HTTP of an imitation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from audience_mcp.catalog.catalog import Catalog, open_catalog
from audience_mcp.catalog.models import AudienceList
from audience_mcp.catalog.query import ListQuery, parse_arguments
from audience_mcp.config import load_configuration
from audience_mcp.core.points import Span
from audience_mcp.sandbox import Answer, Asked
from audience_mcp.store import open_store
from audience_mcp.testing import serve_api
from audience_mcp.vendors import Past, Request, Row, Values, Vendor
from tests.support.clock import START, FakeClock
from tests.vendors.bodies import result_of

SPAN = Span(START - timedelta(days=10), START - timedelta(days=2))
"""From 2026-11-10 to 2026-11-18, at noon."""


@dataclass
class Asking:
    """A catalog that remembers, and the requests that its vendor got."""

    catalog: Catalog
    asked: Sequence[Asked]
    clock: FakeClock

    async def compare(self, to: str, **query: object) -> AudienceList:
        """What changed since a day."""
        return await self.catalog.list_audiences(parse_arguments(ListQuery, {"compare_to": to, **query}))

    def paths(self, part: str) -> list[str]:
        """The paths of the requests in whose path a text is."""
        return [each.path for each in self.asked if part in each.path]


@asynccontextmanager
async def asking(
    vendor: Vendor,
    folder: Path,
    answer: Callable[[Asked], Answer],
    variables: Callable[[str], Mapping[str, str]],
) -> AsyncIterator[Asking]:
    """A catalog over an imitation of a vendor, on the day of the fake clock: 2026-11-20."""
    clock = FakeClock()
    async with serve_api(answer) as (origin, asked):
        configured = load_configuration({**variables(origin), "AUDIENCE_MCP_DEADLINE_S": "3600"}, [vendor])
        store = open_store(str(folder), clock)
        async with open_catalog(configured, clock=clock, store=store) as catalog:
            yield Asking(catalog, asked, clock)
            await store.saved()


def request_for(vendor: Vendor, rows: list[Row], values: Values, span: Span = SPAN) -> Request:
    """What is sent for the past of these rows."""
    listing = vendor.listing_of(rows[0].id)
    assert listing.history is not None
    return next(listing.history.talk({listing.split_id(row.id)[0]: row for row in rows}, span, values))


def past_in(vendor: Vendor, rows: list[Row], body: object, values: Values) -> dict[str, Past]:
    """When and how many, by the vendor's own ids, as one answer gives it."""
    listing = vendor.listing_of(rows[0].id)
    assert listing.history is not None
    talk = listing.history.talk({listing.split_id(row.id)[0]: row for row in rows}, SPAN, values)
    return {id: list(past) for id, past in result_of(talk, body).items()}


def sizes_then(answer: AudienceList) -> dict[str, tuple[int | None, str | None, str | None]]:
    """By id, the size then, whose it is, and of when where it is told."""
    return {
        row.ref.partition(":")[2]: (row.size_then, row.then_from, row.then_as_of) for row in answer.audiences
    }
