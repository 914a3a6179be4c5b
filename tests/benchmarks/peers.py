"""What ours is measured beside: a bare server on the same SDK, and servers made of an OpenAPI document.

The generated ones need environments of their own, made with `python -m tests.benchmarks.peers` (which
installs `fastmcp` and `awslabs.openapi-mcp-server` into git-ignored folders here).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SPEC = HERE.parents[2] / "shared" / "specs" / "batch.json"
PACKAGES = {"fastmcp": "fastmcp", "awslabs": "awslabs.openapi-mcp-server"}

BARE = """
import anyio, mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
async def tools(ctx, params):
    return types.ListToolsResult(tools=[types.Tool(name="x", input_schema={"type": "object"})])
async def call(ctx, params):
    return types.CallToolResult(content=[types.TextContent(type="text", text="x")])
async def main():
    server = Server("bare", version="1", on_list_tools=tools, on_call_tool=call)
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())
anyio.run(main)
"""

GENERATED = """
import json, sys, httpx2
from fastmcp import FastMCP
document = json.load(open(sys.argv[1], encoding="utf-8"))
client = httpx2.AsyncClient(base_url="http://127.0.0.1:1")
FastMCP.from_openapi(openapi_spec=document, client=client, name="generated").run(show_banner=False)
"""


def python_of(name: str) -> Path:
    return HERE / f".venv-{name}" / "bin" / "python"


def servers() -> dict[str, list[str]]:
    """Every server that is there, by name, as a command."""
    found = {
        "audience-mcp": [sys.executable, "-m", "audience_mcp"],
        "bare SDK server, one tool": [sys.executable, "-c", BARE],
    }
    if SPEC.exists() and python_of("fastmcp").exists():
        found["FastMCP.from_openapi"] = [str(python_of("fastmcp")), "-c", GENERATED, str(SPEC)]
    if SPEC.exists() and python_of("awslabs").exists():
        program = python_of("awslabs").with_name("awslabs.openapi-mcp-server")
        found["awslabs.openapi-mcp-server"] = [
            str(program),
            "--api-name",
            "batch",
            "--api-url",
            "http://127.0.0.1:1",
            "--spec-path",
            str(SPEC),
        ]
    return found


def install() -> None:
    for name, package in PACKAGES.items():
        if not python_of(name).exists():
            subprocess.run([sys.executable, "-m", "venv", HERE / f".venv-{name}"], check=True)
        subprocess.run([python_of(name), "-m", "pip", "install", "-q", package], check=True)


if __name__ == "__main__":
    install()
