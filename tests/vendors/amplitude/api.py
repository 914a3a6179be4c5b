"""Amplitude's list of cohorts, as its page has it, over given rows."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from audience_mcp.testing import Answer, Asked

KEY, SECRET = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
BASIC = "Basic " + base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()


def answer(asked: Asked, rows: Sequence[Any]) -> Answer:
    """`GET /api/3/cohorts`, without the parameter that adds what cohorts are synced to."""
    if asked.headers.get("authorization") != BASIC:
        return Answer(401, None)
    if (asked.method, asked.path) != ("GET", "/api/3/cohorts"):
        return Answer(404, None)
    if asked.query or asked.body:
        return Answer(400, None)
    return Answer(200, {"cohorts": list(rows)})
