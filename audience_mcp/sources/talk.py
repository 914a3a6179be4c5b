"""Runs talks: what a vendor's file says about one audience or sizes becomes requests and answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from audience_mcp.vendors.request import Request
from audience_mcp.vendors.talk import Talk

T = TypeVar("T")

Fetch = Callable[[Request], Awaitable[object]]
"""Answers a request with parsed JSON or raises VendorError."""


async def converse(talk: Talk[T], fetch: Fetch) -> T:
    """Run a talk to its end. Raises VendorError, and what the talk raises: UnexpectedShape, say."""
    try:
        request = next(talk)
        while True:
            request = talk.send(await fetch(request))
    except StopIteration as end:
        result: T = end.value
        return result
