"""The real program as a subprocess, spoken to line by line as a client does."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream

ENDS_WITHIN_S = 2 + 4
"""Two seconds are promised; the rest is for a machine with more processes than processors.

What is caught here is an end that waits for a vendor: those waits are 15 seconds and more.
"""

PASSED_ON = (
    "PATH",
    "HOME",
    "SYSTEMROOT",
    "TMPDIR",
    "TEMP",
    "TMP",
    "AUDIENCE_MCP_STORE",
    "XDG_STATE_HOME",
    "XDG_CONFIG_HOME",
    "PYTHONSAFEPATH",
    "COVERAGE_PROCESS_START",
)


ROOT = Path(__file__).resolve().parents[2]


def with_tests(code: str) -> str:
    """Code for `python -c` that can import the tests, wherever the package itself comes from."""
    return f"import sys\nsys.path.append({str(ROOT)!r})\n{code}"


def environment(**variables: str) -> dict[str, str]:
    """An environment with nothing of the tester's own but what a process needs."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ} | variables


class Spoken:
    """A running server: `ask` sends a request and gives the response to it."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self._next = 0
        assert process.stdout is not None
        self._incoming = _lines(TextReceiveStream(process.stdout))

    async def send(self, **message: Any) -> None:
        assert self.process.stdin is not None
        await self.process.stdin.send(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    async def request(self, method: str, **params: Any) -> int:
        self._next += 1
        await self.send(id=self._next, method=method, params=params)
        return self._next

    async def response(self, id: int) -> dict[str, Any]:
        """The response to that request; everything that came before it is in `lines`."""
        for line in self.lines:
            if json.loads(line).get("id") == id:
                return dict(json.loads(line))
        async for line in self._incoming:
            self.lines.append(line)
            message = json.loads(line)
            if message.get("id") == id and "method" not in message:
                return dict(message)
        raise AssertionError(f"stdout ended without a response to request {id}")

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        return await self.response(await self.request(method, **params))

    async def initialize(self, version: str = "2025-11-25") -> dict[str, Any]:
        answer = await self.ask(
            "initialize",
            protocolVersion=version,
            capabilities={},
            clientInfo={"name": "test", "version": "1"},
        )
        await self.send(method="notifications/initialized")
        return dict(answer["result"])

    async def end(self) -> int:
        """Close stdin and wait for the process; what it still wrote is in `lines`."""
        assert self.process.stdin is not None
        await self.process.stdin.aclose()
        async for line in self._incoming:
            self.lines.append(line)
        return await self.process.wait()


async def _lines(stream: TextReceiveStream) -> AsyncIterator[str]:
    rest = ""
    async for text in stream:
        *whole, rest = (rest + text).split("\n")
        for line in whole:
            yield line
    if rest:
        yield rest


@asynccontextmanager
async def program(*arguments: str, **variables: str) -> AsyncIterator[Spoken]:
    """`python -m audience_mcp` with these arguments and, besides the bare necessities, these variables."""
    command = [sys.executable, "-m", "audience_mcp", *arguments]
    with anyio.fail_after(60):
        async with await anyio.open_process(command, env=environment(**variables)) as process:
            try:
                yield Spoken(process)
            finally:
                if process.returncode is None:
                    process.kill()
