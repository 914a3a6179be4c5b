"""A vendor whose answers a test writes down, page by page, and a catalog over it that needs no network."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio

from audience_mcp.catalog.catalog import Catalog, open_catalog
from audience_mcp.config import Account, Configuration, Settings, Source
from audience_mcp.core.audience import Row
from audience_mcp.core.errors import VendorError
from audience_mcp.core.values import as_count
from audience_mcp.sources.pager import Fetch
from audience_mcp.store.store import Store
from audience_mcp.vendors import Page, Request, Setting, Values, Vendor, array_at, as_object, cursor_at
from tests.support.clock import FakeClock


class Acme(Vendor):
    """Pages of `{"rows": [...], "next": cursor, "count": n}`; one row by its id."""

    name = "acme"
    title = "Acme"
    settings = (Setting("base_url", ("ACME_BASE_URL",), "Base URL", default="https://acme.example"),)
    size_counts = "people"
    id_shape = re.compile(r"a[0-9]+")

    def list_request(self, values: Values) -> Request:
        return Request("list")

    def page(self, body: object, request: Request) -> Page:
        body = as_object(body)
        cursor = cursor_at(body, "next")
        following = Request("list", {"after": cursor}) if cursor else None
        return Page(array_at(body, "rows"), bool(cursor), following, body.get("count"))

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        name, size = str(raw.get("name") or id), as_count(raw.get("size"))
        return Row(id, name, size, created=raw.get("created"), updated=raw.get("updated"))


class Direct(Acme):
    """The same, with a way to ask for one audience, whose answer lacks its size."""

    name = "direct"
    title = "Direct"
    id_is_generated = True
    get_lacks_size = True

    def get_request(self, id: str, values: Values) -> Request | None:
        return Request(f"one/{id}")

    def parse_one(self, body: object) -> list[object]:
        return [body]


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
    async with open_catalog(configured, clock=clock, connect=connect, store=store) as catalog:
        yield catalog


async def settled() -> None:
    """Let every task run until it waits for something that is not there yet."""
    await anyio.wait_all_tasks_blocked()
