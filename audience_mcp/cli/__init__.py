"""The command line: everything that `audience-mcp` does for people."""
