"""What the author of a vendor needs; see docs/adding-a-vendor.md."""

from audience_mcp.core.audience import AudienceType, Row, Status
from audience_mcp.core.errors import Kind, UnexpectedShape
from audience_mcp.core.values import as_count
from audience_mcp.vendors.base import Counted, Rate, Setting, TokenExchange, Values, Vendor, Wait
from audience_mcp.vendors.listing import Listing
from audience_mcp.vendors.pagination import Cursor, NextLink, Offset, PageNumber, SinglePage
from audience_mcp.vendors.parsing import (
    array_at,
    as_object,
    basic,
    cursor_at,
    flag_at,
    has_more,
    is_object,
    object_at,
    pick,
    signals_failure,
    text_at,
    value_at,
)
from audience_mcp.vendors.request import Page, Request, Response

__all__ = [
    "AudienceType",
    "Counted",
    "Cursor",
    "Kind",
    "Listing",
    "NextLink",
    "Offset",
    "Page",
    "PageNumber",
    "Rate",
    "Request",
    "Response",
    "Row",
    "Setting",
    "SinglePage",
    "Status",
    "TokenExchange",
    "UnexpectedShape",
    "Values",
    "Vendor",
    "Wait",
    "array_at",
    "as_count",
    "as_object",
    "basic",
    "cursor_at",
    "flag_at",
    "has_more",
    "is_object",
    "object_at",
    "pick",
    "signals_failure",
    "text_at",
    "value_at",
]
