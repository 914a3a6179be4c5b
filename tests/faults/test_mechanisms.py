"""Every usual fault at one vendor for each mechanism: the second matrix of docs/reliability.md."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from audience_mcp.catalog.catalog import Catalog, open_catalog
from audience_mcp.catalog.models import AudienceList, SourceReport, to_dict
from audience_mcp.catalog.query import ListQuery
from audience_mcp.config import Account, load_configuration
from audience_mcp.core.errors import PASSING
from audience_mcp.core.secrets import Redactor
from audience_mcp.core.text import to_json
from audience_mcp.sources.client import RETRY_BUDGET, VendorClient
from audience_mcp.sources.connections import Limits, Pool
from audience_mcp.sources.counts import KEPT_S, LASTING
from audience_mcp.sources.talk import Fetch
from audience_mcp.vendors.request import Request
from tests.faults.between import Between, UnderWay, standing_between
from tests.faults.mechanisms import BY_NAME, MECHANISMS, Mechanism, Raw
from tests.faults.outcomes import Exact, Partly
from tests.faults.troubles import CELLS, COUNTS, LONG_S, Cell, Stage
from tests.support.clock import FakeClock
from tests.support.faults import MARKER, Seen

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

LIMITS = Limits(connect_s=10, read_s=10, whole_s=LONG_S)
LATER_S = 120
"""Less than the hour for which sizes are kept."""


@dataclass
class House:
    """All vendors, what stands between them and the server, and the variables that lead there."""

    between: Between
    environments: Mapping[str, Mapping[str, str]]
    secrets: Sequence[str]


@pytest.fixture(scope="module")
async def house(anyio_backend: str) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        between = await stack.enter_async_context(standing_between())
        environments, secrets = {}, []
        for each in MECHANISMS:
            served = await stack.enter_async_context(each.served())
            environments[each.name] = between.lead_through(
                each.name, served.environment, each.kind_of, each.page, each.at_origin
            )
            hidden = {v for setting in each.case.vendor.settings if setting.secret for v in setting.variables}
            secrets += [value for name, value in served.environment.items() if name in hidden]
        yield House(between, environments, secrets)


@dataclass
class Played:
    """A catalog over the vendor at fault and a healthy one."""

    catalog: Catalog
    house: House
    clock: FakeClock

    async def ask(self, mechanism: Mechanism, *, refresh: bool = False) -> tuple[AudienceList, SourceReport]:
        """Everything that there is, and how the vendor at fault stands."""
        with anyio.fail_after(20):
            answer = await self.catalog.list_audiences(
                ListQuery(detail="full", limit=10_000, refresh=refresh)
            )
        text = to_json(to_dict(answer))
        assert MARKER not in text
        tokens = [body["access_token"] for seen, body in self.house.between.delivered if seen.kind == "token"]
        assert not [secret for secret in [*self.house.secrets, *tokens] if secret in text]
        return answer, next(report for report in answer.sources if report.source == mechanism.name)


@asynccontextmanager
async def on_stage(cell: Cell, house: House, healthy: Mechanism) -> AsyncIterator[Played]:
    """A catalog of its own, with the cell's fault ready to be played.

    Each vendor has a clock of its own, so that pauses and silence there do not use up the call's time.
    """
    mechanism, between = BY_NAME[cell.vendor], house.between
    kind, number = mechanism.places[cell.place]
    clock, under_way, redactor = FakeClock(), UnderWay(), Redactor()
    at_fault = FakeClock()
    between.behave()
    fault = cell.trouble.make(Stage(mechanism, at_fault.advance, under_way.wait_for_the_last))
    between.play(fault, cell.vendor, kind=kind, page=number, times=cell.trouble.times)
    environment = {
        **house.environments[cell.vendor],
        **house.environments[healthy.name],
        "AUDIENCE_MCP_MAX_CHARS": "1000000",
        "AUDIENCE_MCP_DEADLINE_S": "3600",
    }
    configured = load_configuration(environment, [mechanism.case.vendor, healthy.case.vendor])
    pool = Pool(LIMITS)

    def connect(account: Account) -> Fetch:
        if account.source != cell.vendor:
            return VendorClient(account, pool, FakeClock(), redactor).fetch
        client = VendorClient(account, pool, at_fault, redactor)

        async def fetch(request: Request) -> object:
            under_way.change(1)
            try:
                return await client.fetch(request)
            finally:
                under_way.change(-1)

        return fetch

    try:
        async with open_catalog(configured, clock=clock, connect=connect, redactor=redactor) as catalog:
            yield Played(catalog, house, clock)
    finally:
        await pool.aclose()


def rows_in(mechanism: Mechanism, delivered: Iterable[Seen]) -> list[Raw]:
    """The rows on the pages that came through whole."""
    pages = [mechanism.page_of(seen.kind, seen.page) for seen in delivered if seen.kind in mechanism.groups]
    return [row for page in pages for row in page]


def sizes_in(mechanism: Mechanism, rows: Iterable[Raw], delivered: Iterable[Seen]) -> dict[str, int | None]:
    """The sizes that came through, with the rows or by requests that name them, by id."""
    case = mechanism.case
    counts = [f"{s.asked.path} {s.asked.body.decode()}" for s in delivered if s.kind.startswith("size")]
    found = {}
    for row in rows:
        came = not case.counts or any(str(row[case.id]) in count for count in counts)
        found[case.id_of(row)] = case.facts(row).size if came else None
    return found


def hold(
    answer: AudienceList, mechanism: Mechanism, rows: Sequence[Raw], sizes: Mapping[str, int | None]
) -> None:
    """Say that an answer has these rows of a vendor and no others, with these sizes and their totals."""
    case = mechanism.case
    audiences = {a.id: a for a in answer.audiences if a.ref.startswith(f"{mechanism.name}:")}
    assert {id: audience.size for id, audience in audiences.items()} == sizes
    for row in rows:
        audience = audiences[case.id_of(row)]
        assert audience.size_max == mechanism.upper(row)
        assert audience.size is not None or audience.size_note
    report = next(report for report in answer.sources if report.source == mechanism.name)
    assert (report.audiences or 0) == len(rows)
    if not rows:
        assert report.sum_of_sizes is None  # nothing read is not "no audiences"
        return
    refs = {audience.ref for audience in audiences.values()}
    nested = {case.id_of(row) for row in rows if case.nested(row)}
    nested = {id for id in nested if audiences[id].part_of in refs}
    alone = [size for id, size in sizes.items() if id not in nested]
    assert report.sum_of_sizes == sum(size or 0 for size in alone)
    uppers = [mechanism.upper(row) for row in rows]
    assert report.sum_max == (None if None in uppers else sum(upper or 0 for upper in uppers))
    assert report.unknown_sizes == sum(size is None for size in sizes.values())


def hold_everything(answer: AudienceList, mechanism: Mechanism) -> None:
    """Say that an answer has all of a vendor."""
    report = next(report for report in answer.sources if report.source == mechanism.name)
    assert report.complete
    assert report.error is None
    sizes = {mechanism.case.id_of(row): mechanism.case.facts(row).size for row in mechanism.rows}
    hold(answer, mechanism, mechanism.rows, sizes)


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_an_answer_is_right_or_says_what_is_missing(
    cell: Cell, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "audience_mcp")
    await play(cell, house)
    assert not [secret for secret in house.secrets if secret in caplog.text]


async def play(cell: Cell, house: House) -> None:
    """Play a cell, and compare the answer with what is expected of it and with what came through."""
    mechanism, between = BY_NAME[cell.vendor], house.between
    healthy = BY_NAME["meta" if cell.vendor == "hubspot" else "hubspot"]
    async with on_stage(cell, house, healthy) as played:
        answer, report = await played.ask(mechanism)
        # A page that fails in passing is tried once more after the rest, and so is a size that is refused;
        # a token that every listing needs may cost each of them as much, and all retries that there are.
        everything_tried = RETRY_BUDGET + 2 * len(mechanism.groups)
        assert between.played in (cell.tries, 2 * cell.tries, everything_tried)
        came = [seen for seen, _ in between.delivered if seen.vendor == cell.vendor]
        rows = rows_in(mechanism, came)
        sizes = sizes_in(mechanism, rows, came)
        hold(answer, mechanism, rows, sizes)
        hold_everything(answer, healthy)
        # Sizes that a vendor refuses are asked for once more. Refused again, they leave an answer complete,
        # with the reason, and are tried again after an hour.
        kind = getattr(cell.expected, "kind", None)
        refused = cell.place in ("size", "sizes") and kind in LASTING and not cell.trouble.foreign
        everything = len(rows) == len(mechanism.rows) and None not in sizes.values()
        if refused and cell.trouble.times:
            assert report.error is None
            assert answer.complete
            assert everything
        elif isinstance(cell.expected, Exact):
            assert report.error is None
            assert answer.complete
            assert everything == (cell.expected.size is not None)
        else:
            assert isinstance(cell.expected, Partly)
            assert answer.complete == refused
            assert not everything
            problem = report.error
            assert problem is not None
            assert problem.kind == cell.expected.kind
            assert problem.message.startswith(f"{cell.vendor}: ")
            assert refused or any(
                note.startswith("Not complete: ") and cell.vendor in note for note in answer.notes or ()
            )
        if everything:
            return
        goes_on = isinstance(cell.expected, Partly) and cell.expected.kind in PASSING
        between.behave()
        if not goes_on:
            unknown = cell.place in COUNTS and cell.trouble.unreadable
            played.clock.advance(KEPT_S if refused or unknown else LATER_S)
        answer, _ = await played.ask(mechanism, refresh=not goes_on)
        assert answer.complete
        hold_everything(answer, mechanism)
        if goes_on:
            asked = [seen for seen in between.asked_of(cell.vendor) if seen.kind != "token"]
            again = {_said(seen) for seen in came} & {_said(seen) for seen in asked}
            assert not again  # what was read is not read again


def _said(seen: Seen) -> Any:
    return seen.kind, seen.target, seen.asked.body
