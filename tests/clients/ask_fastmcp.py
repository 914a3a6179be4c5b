"""Asks the server with fastmcp's client; prints what came as one line of JSON.

Run by the interpreter of `.venv-fastmcp`. The argument: {"era": "legacy" or "auto"} and
{"command", "args"} or {"url", "headers"}.
"""

import json
import os
import sys

import anyio
from fastmcp import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport

asked = json.loads(sys.argv[1])


async def main():
    told = []

    async def progress(done, total, message):
        told.append(done)

    if "url" in asked:
        transport = StreamableHttpTransport(asked["url"], headers=asked["headers"])
    else:
        transport = StdioTransport(asked["command"], asked["args"], env=dict(os.environ), keep_alive=False)
    async with Client(transport, mode=asked["era"]) as client:
        version = client.protocol_version
        tools = await client.list_tools()
        listed = await client.call_tool(
            "list_audiences", {"limit": 5, "refresh": True}, progress_handler=progress
        )
        got = await client.call_tool("get_audience", {"audience": "VIP", "source": "whop"})
    answer = {
        "version": version,
        "tools": [tool.name for tool in tools],
        "progress": len(told),
        "listed": {"text": listed.content[0].text, "structured": listed.structured_content},
        "got": {"text": got.content[0].text, "structured": got.structured_content},
    }
    print(json.dumps(answer))


anyio.run(main)
