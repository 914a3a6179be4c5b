"""The view as MCP Apps have it (extension `io.modelcontextprotocol/ui`, text of 2026-01-26).

Both tools point to one HTML document. A client that can shows their answers in it; any other takes no
notice, and a model never sees it. What a client declares is not asked: some that show the view do not say so.
"""

from __future__ import annotations

from typing import Any

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError

from audience_mcp.server.page import read_view

Context = ServerRequestContext[Any]
EXTENSION = "io.modelcontextprotocol/ui"
URI = "ui://audience-mcp/audiences.html"
MIME_TYPE = "text/html;profile=mcp-app"

TOOL_META: dict[str, Any] = {"ui": {"resourceUri": URI}, "ui/resourceUri": URI}
"""What points a tool to the view; the flat key is for hosts from before the text of 2026-01-26."""

_META: dict[str, Any] = {"ui": {"csp": {}, "prefersBorder": True}}
"""No origin may be reached, nothing is asked of the browser; a border, as the view has its own background."""


async def list_resources(
    ctx: Context, params: types.PaginatedRequestParams | None
) -> types.ListResourcesResult:
    """The view, which is the only resource."""
    return types.ListResourcesResult(
        resources=[
            types.Resource(
                uri=URI,
                name="audiences",
                title="Audiences as a picture",
                description="Shows an answer of list_audiences or get_audience as bars, a line or a table.",
                mime_type=MIME_TYPE,
                _meta=_META,
            )
        ]
    )


async def list_templates(
    ctx: Context, params: types.PaginatedRequestParams | None
) -> types.ListResourceTemplatesResult:
    """None: there are no further resources."""
    return types.ListResourceTemplatesResult(resource_templates=[])


async def read_resource(ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
    """The view's HTML. Raises MCPError for any other URI."""
    if params.uri != URI:
        raise MCPError(types.INVALID_PARAMS, f"Unknown resource. This server has {URI}.", {"uri": params.uri})
    contents = types.TextResourceContents(uri=URI, mime_type=MIME_TYPE, text=read_view(), _meta=_META)
    return types.ReadResourceResult(contents=[contents])
