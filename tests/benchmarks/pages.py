"""Forty pages whose places are known after the first: read side by side, and one after the other."""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections.abc import Mapping

from audience_mcp.sources.pager import Pager
from audience_mcp.vendors import Listing, Offset, Request, Row, Setting, Vendor, as_count

PAGES = 40
ROWS = 100
DELAY_S = 0.1
TURNS = 3


class Many(Vendor):
    """A vendor that says how many audiences it has."""

    name = "many"
    title = "Many"
    settings = (Setting("base_url", ("MANY_BASE_URL",), "Base URL", default="https://many.example"),)
    size_counts = "people"
    id_shape = re.compile(r"[0-9]+")
    listings = (Listing("lists", "rows", Offset(), {"limit": str(ROWS)}, total="total"),)

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """An audience."""
        return Row(id, id, as_count(raw.get("size")))


async def fetch(request: Request) -> object:
    """A page, after as long as a request takes."""
    await asyncio.sleep(DELAY_S)
    start = int(request.params["offset"])
    rows = [{"id": str(n), "size": n} for n in range(start, start + ROWS)]
    return {"rows": rows, "total": PAGES * ROWS}


async def read(at_once: int) -> float:
    """Seconds until everything is read, so many pages at the same time."""
    vendor = Many()
    pager = Pager("many", vendor, lambda: vendor.list_requests({}), fetch, at_once=at_once)
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
