"""The human face: what `audience-mcp` does besides serving on stdio."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from audience_mcp import __version__

SERVES = """\
Without a command it is an MCP server on stdin and stdout, for a client such as Claude Desktop, Claude
Code, Cursor or VS Code to start. With --sandbox the server answers from made-up audiences, without keys."""


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments say; the exit code."""
    parser = argparse.ArgumentParser(
        "audience-mcp", description=f"How big are my audiences? {SERVES}", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"audience-mcp {__version__}")
    parser.add_argument("--sandbox", action="store_true", help="serve made-up audiences; no keys needed")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    commands.add_parser(
        "demo", help="start the server on made-up audiences, ask it questions, print the answers"
    )
    chosen = parser.parse_args(arguments)
    if chosen.command == "demo":
        from audience_mcp.demo import show

        return show()
    parser.error("--sandbox serves by itself: give it no command")
