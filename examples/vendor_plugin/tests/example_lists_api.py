"""The API as its documents have it: what it refuses, it refuses here too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from audience_mcp.testing import Answer, Asked, Served, serve_api

KEY = "key-of-the-test"


def made_up_lists() -> list[dict[str, object]]:
    """230 lists of every kind and state, enough for three pages."""
    kinds = [("manual", "ready"), ("rule", "ready"), ("manual", "counting"), ("manual", "broken")]
    return [
        {
            "id": f"lst_{4100 + n}",
            "title": f"{('Newsletter', 'Trial users', 'Été à Lyon')[n % 3]} {n}",
            "kind": kinds[n % 4][0],
            "state": kinds[n % 4][1],
            "members": None if kinds[n % 4][1] == "counting" else 37 * n,
            "about": "From the sign-up form",
            "created_at": f"2026-03-{1 + n % 28:02}T09:30:00+01:00",
            "updated_at": f"2026-04-{1 + n % 28:02}T12:00:00Z",
        }
        for n in range(230)
    ]


def answer(asked: Asked, rows: Sequence[object]) -> Answer:
    """What Example Lists answers an account that has these rows."""
    if asked.headers.get("x-api-key") != KEY:
        return Answer(401, {"error": {"code": "bad_key"}})
    if asked.method != "GET":
        return Answer(405, {"error": {"code": "method"}})
    if asked.path == "/v1/lists":
        return page(asked.query, rows)
    wanted = asked.path.removeprefix("/v1/lists/")
    row = next((row for row in rows if isinstance(row, dict) and row.get("id") == wanted), None)
    return Answer(404, {"error": {"code": "no_such_list"}}) if row is None else Answer(200, row)


def page(query: Mapping[str, Sequence[str]], rows: Sequence[object]) -> Answer:
    if not query.keys() <= {"offset", "limit"} or not 1 <= int(query["limit"][0]) <= 100:
        return Answer(400, {"error": {"code": "bad_parameter"}})
    start = int(query["offset"][0])
    return Answer(200, {"items": rows[start : start + int(query["limit"][0])], "total": len(rows)})


@asynccontextmanager
async def serve(rows: Sequence[object]) -> AsyncIterator[Served]:
    """The API on loopback, and the variables that lead there."""
    async with serve_api(lambda asked: answer(asked, rows)) as (origin, asked):
        variables = {"EXAMPLELISTS_API_KEY": KEY, "EXAMPLELISTS_BASE_URL": f"{origin}/v1"}
        yield Served(variables, asked)
