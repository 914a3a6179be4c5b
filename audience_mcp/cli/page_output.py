"""Answers as a page for a browser: one file, to open, send or print."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from audience_mcp.cli import Stop, say
from audience_mcp.server.page import render_page


def write_page(answer: dict[str, Any], file: str) -> None:
    """Write an answer, as JSON has it, to `file` as a page, and say so on stderr. Raises Stop."""
    try:
        Path(file).write_text(render_page(answer), encoding="utf-8")
    except OSError as e:
        raise Stop(f"{file} cannot be written: {e.strerror or e}. Choose another file.") from None
    say(f"audience-mcp: wrote {file}. Open it in a browser.")
