"""Asks the server with the first generation of the Python SDK; prints what came as one line of JSON.

Run by the interpreter of `.venv-mcp1`. The argument: {"command", "args"} or {"url", "headers"}.
"""

import json
import os
import sys
from contextlib import asynccontextmanager

import anyio
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

asked = json.loads(sys.argv[1])


@asynccontextmanager
async def streams():
    if "url" in asked:
        async with (
            create_mcp_http_client(headers=asked["headers"]) as http,
            streamable_http_client(asked["url"], http_client=http) as (incoming, outgoing, _),
        ):
            yield incoming, outgoing
    else:
        server = StdioServerParameters(command=asked["command"], args=asked["args"], env=dict(os.environ))
        async with stdio_client(server) as (incoming, outgoing):
            yield incoming, outgoing


async def main():
    told = []

    async def progress(done, total, message):
        told.append(done)

    async with streams() as (incoming, outgoing), ClientSession(incoming, outgoing) as session:
        version = (await session.initialize()).protocolVersion
        tools = (await session.list_tools()).tools
        listed = await session.call_tool(
            "list_audiences", {"limit": 5, "refresh": True}, progress_callback=progress
        )
        got = await session.call_tool("get_audience", {"audience": "VIP", "source": "whop"})
    answer = {
        "version": version,
        "tools": [tool.name for tool in tools],
        "progress": len(told),
        "listed": {"text": listed.content[0].text, "structured": listed.structuredContent},
        "got": {"text": got.content[0].text, "structured": got.structuredContent},
    }
    print(json.dumps(answer))


anyio.run(main)
