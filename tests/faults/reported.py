"""Vendors' imitations that answer some requests otherwise, as people reported of the real ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from audience_mcp.catalog.catalog import Catalog, open_catalog
from audience_mcp.catalog.models import AudienceList, AudienceMatch, SourceReport
from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.config import Account, Configuration, load_configuration
from audience_mcp.sandbox import Answer, Asked
from audience_mcp.sources.client import VendorClient
from audience_mcp.sources.connections import Pool
from audience_mcp.sources.talk import Fetch
from audience_mcp.testing import Case, serving
from tests.support.clock import FakeClock
from tests.support.served import Recording

Otherwise = Callable[[Asked], Answer | None]
"""What is answered in place of the imitation's answer; None leaves that as it is."""
Altered = Callable[[Asked, Answer], Answer]
"""What becomes of the imitation's answer."""


@dataclass
class Reported:
    """A catalog of one vendor, whose imitation answers some requests otherwise. asked: every request."""

    catalog: Catalog
    case: Case
    asked: Sequence[Asked]
    clock: FakeClock
    configured: Configuration
    marks: list[int] = field(default_factory=list)

    async def list(self, **arguments: Any) -> AudienceList:
        """Ask for all, in full."""
        self.marks.append(len(self.asked))
        with anyio.fail_after(60):
            return await self.catalog.list_audiences(
                ListQuery(**{"detail": "full", "limit": 10_000, **arguments})
            )

    async def get(self, id: str, **arguments: Any) -> AudienceMatch:
        """Ask for one by its ref."""
        self.marks.append(len(self.asked))
        with anyio.fail_after(60):
            query = GetQuery(audience=f"{self.case.vendor.name}:{id}", **arguments)
            return await self.catalog.get_audience(query)

    def since(self, count: int = 1) -> Sequence[Asked]:
        """The requests of the last so many questions."""
        return self.asked[self.marks[-count] :]


@asynccontextmanager
async def reported(
    case: Case,
    rows: Sequence[object],
    otherwise: Otherwise = lambda asked: None,
    altered: Altered = lambda asked, answer: answer,
    **variables: str,
) -> AsyncIterator[Reported]:
    """A vendor with these rows, over real HTTP, at a clock that a test moves."""
    clock, pool = FakeClock(dice=0), Pool()

    def answering(kind: type[serving.Recorded] | type[Recording]) -> Callable[[Any, Asked], Answer]:
        """How such an imitation answers here: otherwise, or as it does, altered."""
        answer = kind.answer

        def answered(recorded: Any, asked: Asked) -> Answer:
            other = otherwise(asked)
            if other is None:
                return altered(asked, answer(recorded, asked))
            recorded.asked.append(asked)
            return other

        return answered

    def connect(account: Account) -> Fetch:
        return VendorClient(account, pool, clock).fetch

    try:
        with pytest.MonkeyPatch.context() as patch:
            for kind in (serving.Recorded, Recording):
                patch.setattr(kind, "answer", answering(kind))
            async with case.serve(rows) as served:
                environment = {**served.environment, "AUDIENCE_MCP_MAX_CHARS": "1000000", **variables}
                configured = load_configuration(environment, [case.vendor])
                async with open_catalog(configured, clock=clock, connect=connect) as catalog:
                    yield Reported(catalog, case, served.asked, clock, configured)
    finally:
        await pool.aclose()


def report_of(answer: AudienceList | AudienceMatch) -> SourceReport:
    """The report of the one source."""
    (report,) = answer.sources
    return report
