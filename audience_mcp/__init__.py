"""One MCP server that answers how big your audiences are, across vendors."""

__version__ = "0.1.0"
