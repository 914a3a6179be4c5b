"""This package's vendors as cases: the sandbox serves the first four, a vendor's own tests the others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from typing import Any

from audience_mcp.sandbox.app import serve
from audience_mcp.sandbox.batch import is_segment
from audience_mcp.sandbox.data import made_up
from audience_mcp.testing import Case, Facts, Served
from audience_mcp.vendors.registry import BUILT_IN, load_vendors
from tests.support.served import Recording


def in_the_sandbox(vendor: str) -> Callable[[Sequence[object]], AbstractAsyncContextManager[Served]]:
    """Serves rows in the vendor's part of the sandbox, and gives the variables of that vendor alone."""

    @asynccontextmanager
    async def serving(rows: Sequence[object]) -> AsyncIterator[Served]:
        sandbox = Recording({vendor: rows}, [vendor])
        async with serve(sandbox) as origin:
            prefix = f"{vendor.upper()}_"
            variables = sandbox.environment(origin).items()
            yield Served({k: v for k, v in variables if k.startswith(prefix)}, sandbox.asked)

    return serving


def commbox_facts(raw: Any) -> Facts:
    dynamic = raw["type"] == "Dynamic"
    size = None if dynamic else raw["user_count"]
    return Facts(raw["name"] or raw["id"], size, "dynamic" if dynamic else "static")


def batch_facts(raw: Any) -> Facts:
    if is_segment(raw):
        return Facts(raw["display_name"] or raw["code"], None, "dynamic")
    status = "processing" if raw["indexing_state"] == "IN_PROGRESS" else "ready"
    size = None if status == "processing" and raw["nb_ids"] == 0 else raw["nb_ids"]
    return Facts(raw.get("display_name") or raw["name"], size, status=status)


def batch_id(raw: Mapping[str, Any]) -> str:
    return f"segment-{raw['code']}" if is_segment(raw) else str(raw["name"])


def batch_requests(rows: Sequence[object]) -> int:
    """Pages of a hundred audiences, and of a hundred segments."""
    segments = sum(map(is_segment, rows))
    return max(1, -(-(len(rows) - segments) // 100)) + max(1, -(-segments // 100))


def smallest_facts(raw: Any) -> Facts:
    return Facts(raw["name"], raw["memberCount"])


def whop_facts(raw: Any) -> Facts:
    not_yet = raw["status"] in ("pending", "processing", "syncing")
    not_applicable = raw["audience_type"] == "lookalike" or raw["source_type"] == "engagement"
    unknown = not_applicable or (not_yet and raw["total_rows"] == 0)
    dynamic = raw["source_type"] in ("engagement", "people_filter") or raw["auto_refresh"]
    return Facts(
        raw["name"],
        None if unknown else raw["total_rows"],
        "lookalike" if raw["audience_type"] == "lookalike" else "dynamic" if dynamic else "static",
        "processing" if not_yet else raw["status"],
    )


def _cases() -> dict[str, Case]:
    known, rows = load_vendors(), made_up()

    def sample(vendor: str, **like: object) -> dict[str, object]:
        return next(row for row in rows[vendor] if like.items() <= row.items())

    return {
        "commbox": Case(
            vendor=known["commbox"],
            serve=in_the_sandbox("commbox"),
            rows=rows["commbox"],
            sample=sample("commbox", name="VIP"),
            facts=commbox_facts,
            dates=("created_time",),
            new_id=lambda n: str(70_000 + n),
            unknown_id="99999",
        ),
        "batch": Case(
            vendor=known["batch"],
            serve=in_the_sandbox("batch"),
            rows=rows["batch"],
            sample=sample("batch", display_name="Newsletter"),
            facts=batch_facts,
            dates=("created", "updated"),
            new_id=lambda n: f"segment_{n}",
            unknown_id="no_such_segment",
            largest_page=("limit", "100"),
            full_id=batch_id,
            requests=batch_requests,
        ),
        "smallest": Case(
            vendor=known["smallest"],
            serve=in_the_sandbox("smallest"),
            rows=rows["smallest"],
            sample=sample("smallest", name="VIP"),
            facts=smallest_facts,
            dates=("createdAt", "updatedAt"),
            new_id=lambda n: f"{n:024x}",
            unknown_id="f" * 24,
        ),
        "whop": Case(
            vendor=known["whop"],
            serve=in_the_sandbox("whop"),
            rows=rows["whop"],
            sample=sample("whop", name="VIP"),
            facts=whop_facts,
            dates=("created_at", "updated_at"),
            new_id=lambda n: f"adaud_made{n}",
            unknown_id="adaud_nobody",
            largest_page=("first", "100"),
        ),
    }


def _own(vendor: str) -> Case:
    case = import_module(f"tests.vendors.{vendor}.case").CASE
    assert isinstance(case, Case)
    return case


CASES = _cases()
CASES |= {name: _own(name) for name in BUILT_IN if name not in CASES}
