"""An API written as one function, served on loopback, so that a case needs no web framework."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from audience_mcp.sandbox import Answer, Asked, Sandbox
from audience_mcp.sandbox.app import serve


class Recorded(Sandbox):
    """Answers by `answers` alone, and remembers what was asked."""

    def __init__(self, answers: Callable[[Asked], Answer]) -> None:
        super().__init__(vendors=())
        self.answers = answers
        self.asked: list[Asked] = []

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        return self.answers(asked)


@asynccontextmanager
async def serve_api(answer: Callable[[Asked], Answer]) -> AsyncIterator[tuple[str, Sequence[Asked]]]:
    """Serve an API on a free port of 127.0.0.1: its origin, and every request it gets, as they come.

    Bodies go out as JSON with everything in them that Python can write, also what no JSON should hold
    (infinite numbers, half a character): vendors send such things, and the suite does.
    """
    recorded = Recorded(answer)
    async with serve(recorded) as origin:
        yield origin, recorded.asked
