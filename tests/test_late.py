"""A catalog that is opened late: once, when it is needed, and closed at the end and no sooner."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from mcp import Client
from pydantic import BaseModel

from audience_mcp.catalog.catalog import Catalog, open_catalog
from audience_mcp.catalog.query import GetQuery, ListQuery, parse_arguments
from audience_mcp.catalog.schemas import input_schema
from audience_mcp.config import load_configuration
from audience_mcp.server.late import OpenCatalog, open_late
from audience_mcp.server.tools import build_server

pytestmark = pytest.mark.anyio

NOTHING = load_configuration({}, [])


def noting(said: list[str]) -> OpenCatalog:
    """Opens a catalog, and says when it is opened and closed."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Catalog]:
        async with open_catalog(NOTHING) as catalog:
            said.append("opened")
            yield catalog
            said.append("closed")

    return opened


async def until(happened: Callable[[], bool]) -> None:
    with anyio.fail_after(20):
        while not happened():
            await anyio.lowlevel.checkpoint()


async def test_it_is_opened_once_for_all_who_ask_at_once_and_closed_at_the_end() -> None:
    said: list[str] = []
    async with open_late(noting(said)) as late:
        got: list[Catalog] = []

        async def get() -> None:
            async with late.lend() as catalog:
                got.append(catalog)

        async with anyio.create_task_group() as callers:
            for _ in range(5):
                callers.start_soon(get)
        assert len(got) == 5
        assert len(set(map(id, got))) == 1
        assert said == ["opened"]
    assert said == ["opened", "closed"]


async def test_it_is_never_opened_where_nobody_asks() -> None:
    said: list[str] = []
    async with open_late(noting(said)):
        await anyio.lowlevel.checkpoint()
    assert said == []


async def test_it_is_ready_soon_after_the_tools_are_listed() -> None:
    said: list[str] = []
    async with Client(build_server(NOTHING, noting(said))) as client:
        await client.list_tools()
        assert said == []  # not before the answer is out
        await until(lambda: said == ["opened"])
    assert said == ["opened", "closed"]


async def test_once_it_is_open_no_call_waits_for_a_schema_to_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> Any:
        raise AssertionError("a schema is made while a client waits")

    input_schema.cache_clear()
    async with open_late(noting([])) as late:
        await late.get()
        monkeypatch.setattr(BaseModel, "model_json_schema", refuse)
        assert parse_arguments(ListQuery, {"limit": 3}).limit == 3
        assert parse_arguments(GetQuery, {"audience": "VIP"}).audience == "VIP"


async def test_what_fails_while_it_is_opened_ends_the_server() -> None:
    @asynccontextmanager
    async def broken() -> AsyncIterator[Catalog]:
        raise OSError("no room")
        yield

    async def serve() -> None:
        with anyio.fail_after(20):
            async with open_late(broken) as late:
                await late.get()

    with pytest.raises(Exception, match="errors in a TaskGroup") as raised:
        await serve()
    group: Any = raised.value
    assert [str(each) for each in group.exceptions] == ["no room"]
