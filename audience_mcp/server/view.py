"""The view as MCP Apps have it (extension `io.modelcontextprotocol/ui`, text of 2026-01-26).

Both tools point to one HTML document, in which capable clients show their answers. Other clients ignore it,
and a model never sees it. What a client declares is not checked: some show the view without declaring it.
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
"""Points a tool to the view; the flat key is for hosts older than the text of 2026-01-26."""

NAMES = "audience-mcp/names"
"""In the `_meta` of a result, which models do not get: what people call the codes in it."""

_META: dict[str, Any] = {"ui": {"csp": {}, "prefersBorder": True}}
"""No network and no browser permissions; a border of the host's, since the view is transparent."""


RESOURCE = types.Resource(
    uri=URI,
    name="audiences",
    title="Audiences as a picture",
    description="Shows an answer of list_audiences or get_audience as bars, a line or a table.",
    mime_type=MIME_TYPE,
    _meta=_META,
)


async def list_templates(
    ctx: Context, params: types.PaginatedRequestParams | None
) -> types.ListResourceTemplatesResult:
    """No templates: every resource is listed."""
    return types.ListResourceTemplatesResult(resource_templates=[])


async def read_resource(ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
    """The view's HTML. Raises MCPError for any other URI."""
    if params.uri != URI:
        raise MCPError(types.INVALID_PARAMS, f"Unknown resource. This server has {URI}.", {"uri": params.uri})
    contents = types.TextResourceContents(uri=URI, mime_type=MIME_TYPE, text=read_view(), _meta=_META)
    return types.ReadResourceResult(contents=[contents])
