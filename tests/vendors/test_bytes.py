"""Pages of answers in the very bytes of each vendor's form, and what a user is shown of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from audience_mcp.catalog.display import to_full
from audience_mcp.catalog.models import to_dict
from audience_mcp.vendors import Listing
from audience_mcp.vendors.registry import built_in_vendors
from tests.vendors.bodies import account, page, row

HERE = Path(__file__).parent
VENDORS = built_in_vendors()
SHOWN: dict[str, Any] = json.loads((HERE / "shown.json").read_text(encoding="utf-8"))
"""By `vendor/file`: whether more follow, the vendor's total of the listing, and its audiences in full."""


PARENT = "0a1b2c3d4e"


def listing_of(vendor: str, file: str) -> Listing:
    """The listing that such a file is of: of the kind that it is named after, else the first."""
    listings = VENDORS[vendor].listings
    return next((each for each in listings if f"{each.kind}s" == file), listings[0])


def shown(vendor: str, file: str) -> dict[str, Any]:
    """What is read from a file."""
    kind, listing = VENDORS[vendor], listing_of(vendor, file)
    parent = PARENT if listing.within is not None else None
    read = page(kind, file, listing.request(account(kind).values, parent), listing)
    audiences = []
    for raw in read.rows:
        audience = row(kind, raw, listing, parent)
        assert audience is not None, f"dropped: {raw}"
        audiences.append(to_dict(to_full(vendor, kind, audience)))
    return {"more": read.more, "total": read.total, "audiences": audiences}


@pytest.mark.parametrize("case", SHOWN)
def test_a_page_in_the_vendors_own_form_is_shown_as_it_should_be(case: str) -> None:
    vendor, file = case.split("/")
    assert shown(vendor, file) == SHOWN[case]


def test_every_vendor_has_a_page_in_its_own_form() -> None:
    assert {path.parent.name for path in HERE.glob("*/*.json")} == set(VENDORS)
