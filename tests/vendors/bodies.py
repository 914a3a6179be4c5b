"""Vendors' raw bytes, read and shown as in an answer: by the real parts, without HTTP."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from audience_mcp.answers import dumped
from audience_mcp.config import configuration
from audience_mcp.paging import row_of
from audience_mcp.replies import asked_wait, parsed, sentence
from audience_mcp.rows import concise, full
from audience_mcp.vendors.base import Account, Page, Request, Vendor

HERE = Path(__file__).parent
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=timezone.utc)
ANY = Request("any")


def body(vendor: Vendor, case: str) -> Any:
    """The JSON in a vendor's file of that name."""
    value, readable = parsed((HERE / vendor.name / f"{case}.json").read_bytes())
    assert readable
    return value


def page(vendor: Vendor, case: str, request: Request = ANY) -> Page:
    return vendor.page(body(vendor, case), request)


def shown(vendor: Vendor, raw: object) -> dict[str, Any]:
    """A row as `detail=full` shows it, without what is the same in all rows of a vendor."""
    row = row_of(vendor, raw)
    assert row is not None, f"dropped: {raw}"
    audience = dumped(full(vendor.name, vendor, row))
    assert audience.pop("ref") == f"{vendor.name}:{audience['id']}"
    assert (audience.pop("source"), audience.pop("vendor")) == (vendor.name, vendor.name)
    return audience


def all_shown(vendor: Vendor, case: str) -> list[dict[str, Any]]:
    return [shown(vendor, raw) for raw in page(vendor, case).rows]


def shown_concisely(vendor: Vendor, raw: object) -> dict[str, Any]:
    row = row_of(vendor, raw)
    assert row is not None
    return dumped(concise(vendor.name, vendor, row))


def account(vendor: Vendor, **variables: str) -> Account:
    """An account with a value for every required variable, and with `variables`."""
    required = {s.variables[0]: f"the-{s.role}" for s in vendor.settings if s.required}
    (source,) = configuration({**required, **variables}, [vendor]).sources
    assert source.account is not None
    return source.account


def error(vendor: Vendor, status: int, answer: object) -> tuple[str, str]:
    """The kind of a failed answer, and what is said of it."""
    return sentence(vendor.outcome(status, answer), account(vendor))


def wait(vendor: Vendor, case: str) -> float | None:
    """The seconds that an error's body asks to wait."""
    return asked_wait(None, vendor.wait(body(vendor, case)), NOW)
