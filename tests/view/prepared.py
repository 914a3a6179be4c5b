"""A server that serves the real view and gives the answer that it is asked for by name.

`python -m tests.view.prepared`: for answers that no vendor of the sandbox gives. With `text_only`, the answer
comes as text alone.
"""

from __future__ import annotations

import json
from typing import Any

import mcp_types as types
import uvicorn
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server

from audience_mcp.server import view
from tests.view.answers import ANSWERS

Context = ServerRequestContext[Any]
SCHEMA = {"type": "object", "properties": {"answer": {"type": "string"}, "text_only": {"type": "boolean"}}}


async def list_tools(ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
    tool = types.Tool(name="prepared", title="Prepared answer", input_schema=SCHEMA, _meta=view.TOOL_META)
    return types.ListToolsResult(tools=[tool])


async def list_resources(
    ctx: Context, params: types.PaginatedRequestParams | None
) -> types.ListResourcesResult:
    return types.ListResourcesResult(resources=[view.RESOURCE])


async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
    arguments = params.arguments or {}
    answer = ANSWERS[arguments["answer"]]
    text = types.TextContent(type="text", text=json.dumps(answer))
    return types.CallToolResult(
        content=[text], structured_content=None if arguments.get("text_only") else answer
    )


if __name__ == "__main__":
    server = Server(
        "prepared",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_read_resource=view.read_resource,
    )
    app = server.streamable_http_app(stateless_http=True, json_response=True)
    uvicorn.run(app, host="127.0.0.1", port=0)
