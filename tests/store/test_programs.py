"""The real program in several processes at once, on one store, against vendors on loopback."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from audience_mcp.sandbox import Answer, Asked, Sandbox
from audience_mcp.sandbox.app import serve
from tests.support.postgres import schema
from tests.support.process import Spoken, program
from tests.support.served import FOUR

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


class Vendors(Sandbox):
    """The sandbox, with what it was asked and when. begun: set once Batch has been asked for a page."""

    def __init__(self) -> None:
        super().__init__(vendors=FOUR)
        self.asked: list[tuple[float, str]] = []
        self.begun = anyio.Event()

    def answer(self, asked: Asked) -> Answer:
        query = json.dumps(asked.query, sort_keys=True)
        self.asked.append((time.monotonic(), f"{asked.path} {query}"))
        if asked.path.startswith("/batch"):
            self.begun.set()
        return super().answer(asked)

    def batch_times(self) -> list[float]:
        return [when for when, what in self.asked if what.startswith("/batch")]


@asynccontextmanager
async def vendors() -> AsyncIterator[tuple[Vendors, dict[str, str]]]:
    served = Vendors()
    async with serve(served) as origin:
        yield served, served.environment(origin)


@pytest.fixture(params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield str(tmp_path / "store")
    else:
        with schema() as address:
            yield address


async def ask(server: Spoken, **arguments: Any) -> dict[str, Any]:
    answer = await server.ask("tools/call", name="list_audiences", arguments=arguments)
    assert not answer["result"].get("isError"), answer
    return dict(answer["result"]["structuredContent"])


async def started(stack: AsyncExitStack, where: str, variables: Mapping[str, str]) -> Spoken:
    server = await stack.enter_async_context(program(AUDIENCE_MCP_STORE=where, **variables))
    await server.initialize()
    return server


async def test_a_hundred_calls_of_four_processes_are_one_walk(where: str) -> None:
    async with vendors() as (served, variables), AsyncExitStack() as stack:
        servers = [await started(stack, where, variables) for _ in range(4)]
        answers: list[dict[str, Any]] = []

        async def ask_often(server: Spoken) -> None:
            asked = [
                await server.request("tools/call", name="list_audiences", arguments={"limit": 0})
                for _ in range(25)
            ]
            answers.extend([(await server.response(id))["result"]["structuredContent"] for id in asked])

        async with anyio.create_task_group() as tasks:
            for server in servers:
                tasks.start_soon(ask_often, server)
    assert len(answers) == 100
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["complete"]
    assert set(Counter(what for _, what in served.asked).values()) == {1}


async def test_a_restarted_server_asks_vendors_nothing_while_its_last_reading_is_fresh(where: str) -> None:
    async with vendors() as (served, variables):
        answers, requests = [], []
        for _ in range(2):
            async with AsyncExitStack() as stack:
                server = await started(stack, where, variables)
                answers.append(await ask(server, detail="full", limit=50))
                requests.append(len(served.asked))
                assert await server.end() == 0
    assert answers[0] == answers[1]
    assert requests[0] == requests[1] > 0
    assert set(Counter(what for _, what in served.asked).values()) == {1}


async def test_a_reader_killed_in_mid_reading_is_replaced_and_the_others_are_answered(where: str) -> None:
    async with vendors() as (served, variables), AsyncExitStack() as stack:
        variables |= {"BATCH_MAX_RPS": "1"}
        reader, waiter = [await started(stack, where, variables) for _ in range(2)]
        await reader.request("tools/call", name="list_audiences", arguments={"sources": ["batch"]})
        await served.begun.wait()
        reader.process.kill()
        answer = await ask(waiter, sources=["batch"], limit=0)
    assert (answer["matched"], answer["complete"]) == (235, True)


async def test_processes_that_read_side_by_side_keep_to_one_pace(where: str) -> None:
    async with vendors() as (served, variables), AsyncExitStack() as stack:
        # The same project, and settings that differ: none can use another's reading.
        paces = ("4", "4.0", "4.00")
        servers = [await started(stack, where, variables | {"BATCH_MAX_RPS": pace}) for pace in paces]
        async with anyio.create_task_group() as tasks:
            for server in servers:
                tasks.start_soon(_ask_batch, server)
    times = sorted(served.batch_times())
    assert len(times) >= 9
    # A quarter of a second lies between two turns. A computer under load delays arrivals, but three paces
    # side by side would still be over in a third of the time.
    assert times[-1] - times[0] >= (len(times) - 1) * 0.25 * 0.7


async def _ask_batch(server: Spoken) -> None:
    await server.ask("tools/call", name="list_audiences", arguments={"sources": ["batch"], "limit": 0})


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


async def test_the_sandbox_touches_no_store(tmp_path: Path) -> None:
    async with program("--sandbox", AUDIENCE_MCP_STORE=str(tmp_path / "store")) as server:
        await server.initialize()
        await ask(server, limit=0)
        assert await server.end() == 0
    assert names_in(tmp_path) == set()


async def test_by_default_what_was_read_is_kept_in_the_users_state_folder(tmp_path: Path) -> None:
    async with (
        vendors() as (_, variables),
        program(AUDIENCE_MCP_STORE="", XDG_STATE_HOME=str(tmp_path), **variables) as server,
    ):
        await server.initialize()
        assert names_in(tmp_path) == set()  # nothing is made at start
        await ask(server, limit=0)
        assert await server.end() == 0
    folder = tmp_path / "audience-mcp"
    assert names_in(folder) >= {"readings.sqlite3", "history.sqlite3"}
    for name in names_in(folder):
        raw = (folder / name).read_bytes()
        assert not any(value.encode() in raw for key, value in variables.items() if "KEY" in key)
