"""What the author of a vendor needs; see docs/adding-a-vendor.md."""

from audience_mcp.core.audience import AudienceType, Row, Status
from audience_mcp.core.errors import Kind, UnexpectedShape
from audience_mcp.core.points import Span
from audience_mcp.core.values import as_count
from audience_mcp.vendors.auth import Auth, Basic, Bearer, Exchange, Header
from audience_mcp.vendors.base import Rate, Setting, Vendor, Version, Wait, api_key, base_url, further_url
from audience_mcp.vendors.fields import Fields, Words
from audience_mcp.vendors.history import History, Past, history_each, write_moment
from audience_mcp.vendors.listing import Listing
from audience_mcp.vendors.pagination import Cursor, NextLink, Offset, PageNumber, SinglePage
from audience_mcp.vendors.parsing import (
    array_at,
    as_object,
    cursor_at,
    flag_at,
    is_object,
    members_of,
    object_at,
    signals_failure,
    text_at,
    value_at,
    values_at,
)
from audience_mcp.vendors.request import Encoded, Page, Request, Response
from audience_mcp.vendors.talk import Count, Counted, One, Rows, Sizes, Talk, Values, count_each

__all__ = [
    "AudienceType",
    "Auth",
    "Basic",
    "Bearer",
    "Count",
    "Counted",
    "Cursor",
    "Encoded",
    "Exchange",
    "Fields",
    "Header",
    "History",
    "Kind",
    "Listing",
    "NextLink",
    "Offset",
    "One",
    "Page",
    "PageNumber",
    "Past",
    "Rate",
    "Request",
    "Response",
    "Row",
    "Rows",
    "Setting",
    "SinglePage",
    "Sizes",
    "Span",
    "Status",
    "Talk",
    "UnexpectedShape",
    "Values",
    "Vendor",
    "Version",
    "Wait",
    "Words",
    "api_key",
    "array_at",
    "as_count",
    "as_object",
    "base_url",
    "count_each",
    "cursor_at",
    "flag_at",
    "further_url",
    "history_each",
    "is_object",
    "members_of",
    "object_at",
    "signals_failure",
    "text_at",
    "value_at",
    "values_at",
    "write_moment",
]
