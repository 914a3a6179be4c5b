"""A vendor whose answers a test writes down, page by page, and a catalog over it that needs no network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, ClassVar

import anyio

from audience_mcp.catalog.catalog import Catalog, open_catalog
from audience_mcp.config import Account, Configuration, Settings, Source
from audience_mcp.core.errors import VendorError
from audience_mcp.sources.talk import Fetch
from audience_mcp.store import SAVED_WITHIN_S
from audience_mcp.store.store import Store
from audience_mcp.vendors import Cursor, Fields, Header, Listing, One, Request, Setting, Vendor
from tests.support.clock import FakeClock


class Acme(Vendor):
    """Pages of `{"rows": [...], "next": cursor, "count": n}`; one row by its id."""

    name = "acme"
    title = "Acme"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("base_url", ("ACME_BASE_URL",), "Base URL", default="https://acme.example"),
    )
    auth = Header("X-Acme", "open to all")
    listings = (
        Listing(
            "list",
            rows="rows",
            total="count",
            paging=Cursor("next", "after", absent_is_end=True),
            fields=Fields("size", created="created", updated="updated"),
            counts="people",
            ids="a[0-9]+",
        ),
    )


class Direct(Acme):
    """The same, with a way to request one audience, whose answer lacks its size."""

    name = "direct"
    title = "Direct"
    ids_are = "unmistakable"
    listings = (replace(Acme.listings[0], one=One("one/{id}", lacks_size=True)),)


class Script:
    """What a source answers. A page may be a body, a VendorError, or an Event to wait for before the body.

    pages: by cursor ("" is the first). ones: by id. asked: every request that came, as a cursor or an id.
    """

    def __init__(self, pages: Mapping[str, Any] | None = None, ones: Mapping[str, Any] | None = None) -> None:
        self.pages = dict(pages or {})
        self.ones = dict(ones or {})
        self.asked: list[str] = []

    async def fetch(self, request: Request) -> object:
        if request.path == "list":
            key = request.params.get("after", "")
            answers = self.pages
        else:
            key = request.path.removeprefix("one/")
            answers = self.ones
        self.asked.append(key)
        return await _played(answers, key)


async def _played(answers: dict[str, Any], key: str) -> object:
    if key not in answers:
        raise VendorError("not_found", "no such thing")
    answer = answers[key]
    if isinstance(answer, list):
        answer = answer.pop(0) if len(answer) > 1 else answer[0]
    if isinstance(answer, tuple):
        event, answer = answer
        await event.wait()
    if isinstance(answer, Exception):
        raise answer
    await anyio.lowlevel.checkpoint()
    return answer


def rows(*sizes: int | None, start: int = 1) -> list[dict[str, Any]]:
    """Rows a1, a2, … of these sizes."""
    return [
        {"id": f"a{n}", "name": f"Audience {n}", **({} if size is None else {"size": size})}
        for n, size in enumerate(sizes, start)
    ]


@asynccontextmanager
async def catalog_of(
    clock: FakeClock,
    scripts: Mapping[str, Script],
    *,
    kind: Callable[[], Vendor] = Acme,
    kinds: Mapping[str, Vendor] | None = None,
    values: Mapping[str, Mapping[str, str]] | None = None,
    store: Store | None = None,
    saves_within_s: float = SAVED_WITHIN_S,
    **settings: Any,
) -> AsyncIterator[Catalog]:
    """A catalog with one source a script: all of one kind, or of `kinds` by name."""
    one = kind()

    def source(name: str) -> Source:
        vendor = (kinds or {}).get(name, one)
        given = {"base_url": "https://acme.example", **(values or {}).get(name, {})}
        return Source(name, vendor, Account(name, vendor, given, {}))

    def connect(account: Account) -> Fetch:
        return scripts[account.source].fetch

    configured = Configuration(Settings(**settings), tuple(map(source, scripts)), {one.name: one})
    async with open_catalog(
        configured, clock=clock, connect=connect, store=store, saves_within_s=saves_within_s
    ) as catalog:
        yield catalog


async def settled() -> None:
    """Let every task run until it waits for something that is not there yet."""
    await anyio.wait_all_tasks_blocked()
