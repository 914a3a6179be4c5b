"""Forty pages whose places are known after the first: read side by side, and one after the other."""

from __future__ import annotations

import asyncio
import statistics
import time

from audience_mcp.sources.pager import Pager
from audience_mcp.vendors import Fields, Listing, Offset, Request, Setting, Vendor

PAGES = 40
ROWS = 100
DELAY_S = 0.1
TURNS = 3


class Many(Vendor):
    """A vendor that says how many audiences it has."""

    name = "many"
    title = "Many"
    settings = (Setting("base_url", ("MANY_BASE_URL",), "Base URL", default="https://many.example"),)
    listings = (
        Listing(
            "lists",
            rows="rows",
            paging=Offset(),
            params={"limit": str(ROWS)},
            total="total",
            fields=Fields("size", name="id"),
            counts="people",
            ids="[0-9]+",
        ),
    )


async def fetch(request: Request) -> object:
    """A page, after as long as a request takes."""
    await asyncio.sleep(DELAY_S)
    start = int(request.params["offset"])
    rows = [{"id": str(n), "size": n} for n in range(start, start + ROWS)]
    return {"rows": rows, "total": PAGES * ROWS}


async def read(at_once: int) -> float:
    """Seconds until everything is read, so many pages at the same time."""
    vendor = Many()
    vendor.at_once = at_once  # type: ignore[misc]
    pager = Pager("many", vendor, {}, fetch)
    began = time.perf_counter()
    while not pager.done:
        await pager.next_page()
    assert len(pager.rows) == PAGES * ROWS
    return time.perf_counter() - began


def rows() -> list[str]:
    """The table."""
    beside = [asyncio.run(read(Many.at_once)) for _ in range(TURNS)]
    after = [asyncio.run(read(1)) for _ in range(TURNS)]
    ratio = statistics.median(beside) / statistics.median(after)
    return [
        f"| {PAGES} pages at {DELAY_S * 1000:.0f} ms each | seconds | to one after the other |",
        "|---|---|---|",
        f"| side by side, {Many.at_once} at once | {statistics.median(beside):.2f} | {ratio:.2f} |",
        f"| one after the other | {statistics.median(after):.2f} | 1.00 |",
    ]


if __name__ == "__main__":
    print("\n".join(rows()))
