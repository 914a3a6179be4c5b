"""Faults between the server and any vendor that can be served: over HTTP, on this computer, on both sides.

`Between` passes on every request to the vendor's own imitation and hands back what that answers, unless it
was told to `play` a fault. Where the vendor is, it takes from the variables that lead there.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import quote

import anyio
import httpx

from audience_mcp.sandbox import Answer, Asked
from tests.support.faults import FaultServer, Seen, serving

ORIGIN = re.compile(r"http://127\.0\.0\.1:\d+")
Kinds = Callable[[Asked], str]
"""What a request asks for, in one word: one listing, a size, a token."""


@dataclass
class _Vendor:
    """A vendor, or a part of it with an origin of its own.

    page: the parameter of a page's length, what is sent for it, and what is passed on in its place.
    """

    name: str
    origin: str
    kind_of: Kinds
    page: tuple[str, str, str]


@dataclass
class Between(FaultServer):
    """Stands before any number of vendors, each under a path of its own.

    The requests of a kind are numbered as they come, from 1; one that is sent again keeps its number. Pages
    that are asked for side by side come in any order, so the number follows from the offset or is the page's.
    """

    _vendors: list[_Vendor] = field(default_factory=list)
    _at_origin: dict[str, int] = field(default_factory=dict)
    _numbers: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    _client: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(trust_env=False))

    def lead_through(
        self,
        name: str,
        environment: Mapping[str, str],
        kind_of: Kinds,
        page: tuple[str, str, str],
        at_origin: Sequence[str] = (),
    ) -> dict[str, str]:
        """The variables that lead to a vendor, leading here instead.

        page: see `_Vendor`. at_origin: paths that it has at the root of its origin, outside its base URL.
        """
        self._at_origin |= dict.fromkeys(at_origin, len(self._vendors))

        def here(found: re.Match[str]) -> str:
            self._vendors.append(_Vendor(name, found[0], kind_of, page))
            return f"{self.origin}/{len(self._vendors) - 1}"

        return {variable: ORIGIN.sub(here, value) for variable, value in environment.items()}

    def behave(self) -> None:
        super().behave()
        self._numbers.clear()

    async def _honest(self, asked: Asked, target: str, connection: int) -> tuple[Seen, Answer]:
        """What the vendor says, with the place of the request among those of its kind."""
        if asked.path in self._at_origin:
            vendor, rest = self._vendors[self._at_origin[asked.path]], target[1:]
        else:
            _, place, rest = target.split("/", 2)
            vendor, asked = self._vendors[int(place)], _without_first(asked)
        kind = vendor.kind_of(asked)
        name, sent, short = vendor.page
        url = httpx.URL(f"{vendor.origin}/{rest}")
        if url.params.get(name) == sent:
            # As text: taken apart and put together again, a query may lose a structure of its own.
            key = quote(name, safe="")
            query = re.sub(rf"(?<![^&]){re.escape(key)}={sent}(?![^&])", f"{key}={short}", url.query.decode())
            url = url.copy_with(query=query.encode())
        body = re.sub(rf'("{re.escape(name)}":\s*){sent}\b'.encode(), rf"\g<1>{short}".encode(), asked.body)
        headers = {k: v for k, v in asked.headers.items() if k not in ("host", "content-length")}
        got = await self._client.request(asked.method, url, headers=headers, content=body)
        seen = Seen(vendor.name, kind, self._number(vendor, kind, asked, target), asked, target, connection)
        return seen, Answer(got.status_code, got.json())

    def _number(self, vendor: _Vendor, kind: str, asked: Asked, target: str) -> int:
        offset = asked.query.get("offset")
        if offset is not None:
            return int(offset[0]) // int(vendor.page[2]) + 1
        if "page" in asked.query:
            return int(asked.query["page"][0])
        before = self._numbers.setdefault((vendor.name, kind), [])
        said = f"{target} {asked.body.decode()}"
        if said not in before:
            before.append(said)
        return before.index(said) + 1

    async def close(self) -> None:
        await super().close()
        await self._client.aclose()


def _without_first(asked: Asked) -> Asked:
    """The request without the part of its path that says which vendor it is for."""
    path = asked.path.partition("/")[2].partition("/")[2]
    return replace(asked, path=f"/{path}")


@asynccontextmanager
async def standing_between() -> AsyncIterator[Between]:
    """On a free port of 127.0.0.1."""
    between = Between()
    async with serving(between):
        yield between


class UnderWay:
    """How many questions to a vendor are under way, and a wait until there is but one."""

    def __init__(self) -> None:
        self._number = 0
        self._changed = anyio.Event()

    def change(self, by: int) -> None:
        self._number += by
        self._changed.set()
        self._changed = anyio.Event()

    async def wait_for_the_last(self) -> None:
        """Until all others have been answered."""
        while self._number > 1:
            await self._changed.wait()
