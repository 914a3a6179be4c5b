"""Pages of answers in the very bytes of each vendor's form, and what a user is shown of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from audience_mcp.catalog.models import to_dict
from audience_mcp.catalog.rows import to_full
from audience_mcp.sources.rows import row_of
from audience_mcp.vendors import Request
from audience_mcp.vendors.registry import built_in_vendors
from tests.vendors.bodies import account, body

HERE = Path(__file__).parent
VENDORS = built_in_vendors()
SHOWN: dict[str, Any] = json.loads((HERE / "shown.json").read_text(encoding="utf-8"))
"""By `vendor/file`: whether more follow, the vendor's total of the listing, and its audiences in full."""


def listing(vendor: str, file: str) -> Request:
    """The request that such a file answers: of the kind that it is named after, else the first."""
    kind = VENDORS[vendor]
    values = account(kind).values
    nested = [each.request(values, "0a1b2c3d4e") for each in kind.listings if each.within is not None]
    requests = [*kind.list_requests(values), *nested]
    named = [each for each in requests if each.listing and f"{each.listing.kind}s" == file]
    return named[0] if named else requests[0]


def shown(vendor: str, file: str) -> dict[str, Any]:
    """What is read from a file."""
    kind, request = VENDORS[vendor], listing(vendor, file)
    page = kind.page(body(kind, file), request)
    audiences = []
    for raw in page.rows:
        row = row_of(kind, raw, request)
        assert row is not None, f"dropped: {raw}"
        audiences.append(to_dict(to_full(vendor, kind, row)))
    return {"more": page.more, "total": page.total, "audiences": audiences}


@pytest.mark.parametrize("case", SHOWN)
def test_a_page_in_the_vendors_own_form_is_shown_as_it_should_be(case: str) -> None:
    vendor, file = case.split("/")
    assert shown(vendor, file) == SHOWN[case]


def test_every_vendor_has_a_page_in_its_own_form() -> None:
    assert {path.parent.name for path in HERE.glob("*/*.json")} == set(VENDORS)
