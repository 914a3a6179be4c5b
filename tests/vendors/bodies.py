"""Vendors' raw bytes, read and shown as in an answer: by the real parts, without HTTP."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from audience_mcp.catalog.models import to_dict
from audience_mcp.catalog.rows import to_concise, to_full
from audience_mcp.config import Account, load_configuration
from audience_mcp.sources.responses import describe_status, parse_body, parse_wait
from audience_mcp.sources.rows import row_of
from audience_mcp.vendors import Page, Request, Vendor

HERE = Path(__file__).parent
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=timezone.utc)
ANY = Request("any")


def body(vendor: Vendor, case: str) -> Any:
    """The JSON in a vendor's file of that name."""
    value, readable = parse_body((HERE / vendor.name / f"{case}.json").read_bytes())
    assert readable
    return value


def page(vendor: Vendor, case: str, request: Request = ANY) -> Page:
    return vendor.page(body(vendor, case), request)


def shown(vendor: Vendor, raw: object) -> dict[str, Any]:
    """A row as `detail=full` shows it, without what is the same in all rows of a vendor."""
    row = row_of(vendor, raw)
    assert row is not None, f"dropped: {raw}"
    audience = to_dict(to_full(vendor.name, vendor, row))
    assert audience.pop("ref") == f"{vendor.name}:{audience['id']}"
    assert (audience.pop("source"), audience.pop("vendor")) == (vendor.name, vendor.name)
    if row.kind is None:
        assert audience.pop("kind") == vendor.kind
    return audience


def all_shown(vendor: Vendor, case: str) -> list[dict[str, Any]]:
    return [shown(vendor, raw) for raw in page(vendor, case).rows]


def shown_concisely(vendor: Vendor, raw: object) -> dict[str, Any]:
    row = row_of(vendor, raw)
    assert row is not None
    return to_dict(to_concise(vendor.name, vendor, row))


def account(vendor: Vendor, **variables: str) -> Account:
    """An account with a value for every variable that it needs, and with `variables`."""
    needed = {role for group in vendor.needs_one_of[:1] for role in group}
    required = {
        s.variables[0]: s.example or f"the-{s.role}"
        for s in vendor.settings
        if s.required or s.role in needed or (s.example and not s.default)
    }
    (source,) = load_configuration({**required, **variables}, [vendor]).sources
    assert source.account is not None, source.problem
    return source.account


def error(vendor: Vendor, status: int, answer: object) -> tuple[str, str]:
    """The kind of a failed answer, and what is said of it."""
    return describe_status(vendor.effective_status(status, answer), account(vendor))


def wait(vendor: Vendor, case: str) -> float | None:
    """The seconds that an error's body asks to wait."""
    return parse_wait(None, vendor.retry_after(body(vendor, case)), NOW)
