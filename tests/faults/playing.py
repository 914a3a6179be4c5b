"""Plays one cell of the matrix: a real client, the real server, real HTTP to vendors that misbehave."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
from mcp import Client

from audience_mcp.catalog.catalog import Catalog, open_catalog
from audience_mcp.config import Account, Configuration, Settings, load_configuration
from audience_mcp.sandbox import Sandbox
from audience_mcp.server.tools import build_server
from audience_mcp.sources.client import VendorClient
from audience_mcp.sources.connections import Limits, Pool
from audience_mcp.sources.talk import Fetch
from audience_mcp.vendors.registry import built_in_vendors
from tests.faults.data import (
    BESIDE,
    PER_PAGE,
    ROWS,
    Totals,
    all_of,
    id_of,
    page_number,
    pages,
    sizes,
    target,
    totals,
)
from tests.faults.matrix import Cell, Stage
from tests.faults.outcomes import SAME, Exact, NoAnswer, Partly
from tests.support.clock import FakeClock
from tests.support.faults import IDS, LISTS, MARKER, MEBIBYTE, SIZES, FaultServer, serving
from tests.support.served import FOUR

Answer = dict[str, Any]
PATIENT = Limits(connect_s=10, read_s=10, whole_s=60, body=MEBIBYTE)
HASTY = Limits(connect_s=10, read_s=0.1, whole_s=60, body=MEBIBYTE)
LATER_S = 7_200
KEYS = [v for k, v in Sandbox({}, FOUR).environment("").items() if k.endswith(("_API_KEY", "_PROJECT_KEY"))]


class Stand:
    """Stands where the server's catalog is, for whichever catalog is at hand: each cell has its own."""

    def __init__(self) -> None:
        self.catalog: Catalog | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.catalog, name)


@asynccontextmanager
async def one_server(stand: Stand) -> AsyncIterator[Client]:
    """The server under test and a client of it; one for all cells, since faults must not wear it out."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Any]:
        yield stand

    nothing = Configuration(Settings(), (), {})
    async with Client(build_server(nothing, opened)) as client:
        yield client


@dataclass
class House:
    """What all cells share: vendors that can misbehave, another host, the server and a client of it."""

    vendors: FaultServer
    elsewhere: FaultServer
    stand: Stand
    client: Client


@asynccontextmanager
async def opened_house() -> AsyncIterator[House]:
    """The vendors hold `ROWS`, and what is beside them."""
    stand, rows = Stand(), {vendor: all_of(vendor) for vendor in ROWS}
    async with (
        serving(FaultServer(Sandbox(rows, FOUR), per_page=PER_PAGE)) as vendors,
        serving(FaultServer(Sandbox({}, FOUR))) as elsewhere,
        one_server(stand) as client,
    ):
        yield House(vendors, elsewhere, stand, client)


@dataclass
class Played:
    """One catalog over the vendor at fault and a healthy one."""

    client: Client
    server: FaultServer
    vendor: str
    healthy: str
    clocks: tuple[FakeClock, ...]

    async def ask(self, tool: str, **arguments: Any) -> tuple[Answer | None, str]:
        """The structured answer (None for a tool error) and the text, checked for what is true of all."""
        with anyio.fail_after(30):
            result = await self.client.call_tool(tool, arguments)
        (content,) = result.content
        text = content.text  # type: ignore[union-attr]
        assert MARKER not in text
        assert not any(key in text for key in KEYS)
        assert "in audience-mcp" not in text  # a fault of ours
        if result.is_error:
            assert result.structured_content is None
            return None, text
        answer = result.structured_content
        assert answer is not None
        assert json.loads(text) == answer
        self._never_more_than_served(answer)
        return answer, text

    def _never_more_than_served(self, answer: Answer) -> None:
        """No total is above what the vendors have sent."""
        sent: dict[str, dict[str, int]] = {}
        for seen, body in self.server.delivered:
            if seen.kind != "one":
                for row in _rows(seen.vendor, body):
                    size = _plausible(row.get(SIZES[seen.vendor]))
                    of = sent.setdefault(seen.vendor, {})
                    id = repr(row.get("code", row.get(IDS[seen.vendor])))
                    of[id] = max(size, of.get(id, 0))
        for report in answer["sources"]:
            of = sent.get(report["source"], {})
            assert report.get("audiences", 0) <= len(of)
            assert report.get("sum_of_sizes", 0) <= sum(of.values())
        if "matched" in answer:
            assert answer["matched"] == sum(r.get("audiences", 0) for r in answer["sources"])
            assert answer["sum_of_sizes"] == sum(r.get("sum_of_sizes", 0) for r in answer["sources"])
        assert not answer["complete"] or all(r["complete"] for r in answer["sources"])

    def later(self) -> None:
        """The vendor is well again, and time has gone by."""
        self.server.behave()
        for clock in self.clocks:
            clock.advance(LATER_S)


def _rows(vendor: str, body: Any) -> list[Answer]:
    rows = body.get("segments", body.get(LISTS[vendor])) if isinstance(body, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _plausible(size: object) -> int:
    """The most that a vendor's size can mean."""
    if isinstance(size, str) and size.isascii() and size.isdigit():
        size = int(size)
    if isinstance(size, bool) or not isinstance(size, (int, float)):
        return 0
    return int(size) if 0 <= size <= 2**53 else 0


@asynccontextmanager
async def on_stage(cell: Cell, house: House) -> AsyncIterator[Played]:
    """A catalog of its own, with the cell's fault ready to be played."""
    server, vendor, place = house.vendors, cell.vendor, cell.place
    healthy = "commbox" if vendor == "smallest" else "smallest"
    at_fault, other, of_catalog = FakeClock(), FakeClock(), FakeClock()
    server.behave()
    if place == "one" and vendor != "commbox":
        where: Answer = {"kind": "one"}
    else:
        where = {"kind": "list", "page": page_number(vendor, place)}
    elsewhere = f"http://localhost:{house.elsewhere.port}"
    fault = cell.case.make(Stage(vendor, place, at_fault, elsewhere))
    server.play(fault, vendor, times=cell.case.times, **where)

    kinds = [built_in_vendors()[name] for name in (vendor, healthy)]
    configured = load_configuration(server.sandbox.environment(server.origin), kinds)
    pool = Pool(HASTY if cell.case.slow else PATIENT)

    def connect(account: Account) -> Fetch:
        return VendorClient(account, pool, at_fault if account.source == vendor else other).fetch

    try:
        async with open_catalog(configured, clock=of_catalog, connect=connect) as catalog:
            house.stand.catalog = catalog
            yield Played(house.client, server, vendor, healthy, (at_fault, other, of_catalog))
    finally:
        await pool.aclose()


async def play(cell: Cell, house: House) -> None:
    """Play a cell and compare the answer with what is expected of it."""
    async with on_stage(cell, house) as played:
        if cell.place == "one":
            await _ask_for_one(cell, played)
        else:
            await _ask_for_all(cell, played)
        faults_played = house.vendors.played
        assert faults_played >= (cell.case.times or 1)
        played.later()
        answer, text = await played.ask("list_audiences", sources=[cell.vendor], limit=0, refresh=True)
        assert answer is not None, text
        _is_exactly(answer["sources"][0], totals(sizes(cell.vendor, all_of(cell.vendor))))
    assert house.elsewhere.connections == 0


async def _ask_for_all(cell: Cell, played: Played) -> None:
    """The list of the vendor at fault and of a healthy one, in one question."""
    answer, text = await played.ask(
        "list_audiences", sources=[played.vendor, played.healthy], limit=3, detail="full"
    )
    assert answer is not None, text
    report, other = answer["sources"]
    _is_exactly(other, totals(sizes(played.healthy, ROWS[played.healthy])))
    expected = cell.expected
    notes = "\n".join(note for note in answer.get("notes", []) if not note.startswith("Units differ"))
    if isinstance(expected, Exact):
        _is_exactly(report, _totals_with(cell, expected))
        assert answer["complete"]
        assert expected.told in notes
        assert bool(notes) == bool(expected.told or "and are left out here" in notes), notes
        return
    assert isinstance(expected, Partly)
    assert not answer["complete"]
    assert not report["complete"]
    assert notes.startswith(f"Not complete: {cell.vendor} not read in full")
    error = report["error"]
    assert error["kind"] == expected.kind, error
    assert error.get("retry_after_s") == expected.wait, error
    assert error["message"].startswith(f"{cell.vendor}: ")
    read = _read(cell, expected)
    beside = BESIDE.get(cell.vendor, [])
    # A pause holds for all listings, and so does a refused key, if it is the vendor that refuses it.
    refused = expected.kind == "unauthorized" and "a web page" not in error["message"]
    of_all = expected.wait is not None or expected.kind == "rate_limited" or refused
    if read == 0 and (not beside or of_all):
        assert "audiences" not in report  # nothing read is not "no audiences"
    else:
        rows = [row for page in pages(cell.vendor)[:read] for row in page] + beside
        if expected.lost:
            start = (page_number(cell.vendor, cell.place) - 1) * len(pages(cell.vendor)[0])
            del rows[start : start + expected.lost]
        assert _told(report) == totals(sizes(cell.vendor, rows))


def _read(cell: Cell, expected: Partly) -> int:
    """How many pages were read."""
    number = page_number(cell.vendor, cell.place)
    return {"before": number - 1, "with": number, "all": len(pages(cell.vendor))}[expected.read]


async def _ask_for_one(cell: Cell, played: Played) -> None:
    """One audience of the vendor at fault, by its ref; then the list of a healthy one."""
    row = target(cell.vendor, cell.place)
    ref = f"{cell.vendor}:{id_of(cell.vendor, row)}"
    answer, text = await played.ask("get_audience", audience=ref)
    expected = cell.expected
    if isinstance(expected, NoAnswer):
        assert answer is None
        assert expected.says in text, text
        assert expected.kind == "not_found" or "Not read in full, so it may be there" in text, text
    else:
        assert isinstance(expected, Exact)
        assert answer is not None, text
        (found,) = answer["audiences"]
        size = sizes(cell.vendor, [row])[0] if expected.size == SAME else expected.size
        assert (found["ref"], found.get("size")) == (ref, size)
        assert answer["complete"]
        assert ("size_note" in found) == (size is None)
    answer, text = await played.ask("list_audiences", sources=[played.healthy], limit=0)
    assert answer is not None, text
    _is_exactly(answer["sources"][0], totals(sizes(played.healthy, ROWS[played.healthy])))


def _totals_with(cell: Cell, expected: Exact) -> Totals:
    """The totals of everything, with the audience at fault as it is expected to count."""
    every: list[Any] = list(sizes(cell.vendor, all_of(cell.vendor)))
    place = ROWS[cell.vendor].index(target(cell.vendor, cell.place))
    if expected.dropped:
        del every[place]
    elif expected.size != SAME:
        every[place] = expected.size
    return totals(every)


def _told(report: Answer) -> Totals:
    return Totals(report["audiences"], report["sum_of_sizes"], report["unknown_sizes"])


def _is_exactly(report: Answer, expected: Totals) -> None:
    assert report["complete"], report
    assert "error" not in report
    assert _told(report) == expected
