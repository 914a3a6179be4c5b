"""Where a person reads how a vendor's key is made. No other place makes these addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audience_mcp.vendors.registry import BUILT_IN

if TYPE_CHECKING:
    from audience_mcp.vendors.base import Vendor

DOCUMENTATION = "https://github.com/audience-mcp/audience-mcp/tree/main/docs"
"""The project's documentation, as its metadata has it: an installed package has no docs folder."""
HOW = "How to make a key: "
"""What stands before the address of a page in a sentence."""


def key_page(vendor: Vendor) -> str:
    """Return the address of the page on how a vendor's key is made; empty for a plug-in that names none."""
    if vendor.name in BUILT_IN and not vendor.key_page:
        return f"{DOCUMENTATION}/keys/{vendor.name}.md"
    return vendor.key_page


def point_to_key_page(vendor: Vendor) -> str:
    """Return a sentence with the address of that page; empty where there is no page.

    It ends with the address and no full stop, so that programs that make links of addresses get it right.
    """
    page = key_page(vendor)
    return f"{HOW}{page}" if page else ""
