"""The programs that start MCP servers: where each keeps its configuration, and our entry in it.

Nothing here reads the platform, the home folder or the environment by itself: they are arguments. An
entry goes into a file's text and out of it; everything else in the text stays as it is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Entry = Mapping[str, Any]

_CACHED = re.compile(r"(archive|environments|builds)-v\d+")
"""Folders of uv's cache, which `uvx` runs from and which may be emptied at any time."""


class HostError(Exception):
    """A host's configuration cannot be changed. The text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Host:
    """A program that starts MCP servers.

    section: the object in its file that holds the servers. typed: whether an entry says that it is on
    stdio. comments: whether its file may hold comments. asks: whether it can ask for keys itself, and
    keep them. reference: how an entry refers to a variable of the host's own environment, if it can.
    then: what to do for it to see the change. without: how the server gets variables that were not stored.
    """

    name: str
    title: str
    section: str
    then: str
    without: str
    typed: bool = True
    comments: bool = False
    asks: bool = False
    reference: str = ""


HOSTS: Mapping[str, Host] = {
    host.name: host
    for host in (
        Host(
            "claude-desktop",
            "Claude Desktop",
            "mcpServers",
            "Quit Claude Desktop (closing its window is not enough) and start it again.",
            'Claude Desktop passes no variables on to servers: add them to the entry, under "env".',
            typed=False,
        ),
        Host(
            "claude-code",
            "Claude Code",
            "mcpServers",
            "Restart Claude Code; `claude mcp list` shows whether it connects.",
            "The server sees the variables of the shell that starts Claude Code; add others to the entry, "
            'under "env".',
        ),
        Host(
            "cursor",
            "Cursor",
            "mcpServers",
            "Restart Cursor, and enable the server in its MCP settings.",
            "Cursor fills in ${env:NAME} from its own environment: set the variables where Cursor starts.",
            reference="${{env:{name}}}",
        ),
        Host(
            "vscode",
            "VS Code",
            "servers",
            "In VS Code, run the command `MCP: List Servers` and start it.",
            "VS Code asks for them when it first starts the server, and stores them securely.",
            comments=True,
            asks=True,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable for the server's environment. value: None where it is not known."""

    name: str
    value: str | None
    secret: bool
    description: str


def config_path(host: Host, platform: str, home: Path, environment: Mapping[str, str]) -> Path:
    """The host's file of user-wide servers; `platform` is as `sys.platform`. Raises HostError."""
    if host.name == "cursor":
        return home / ".cursor" / "mcp.json"
    if host.name == "claude-code":
        return _folder(environment, "CLAUDE_CONFIG_DIR", home) / ".claude.json"
    if host.name == "vscode":
        return _settings_folder(platform, home, environment) / "Code" / "User" / "mcp.json"
    folder = _packaged_claude(home, environment) if platform == "win32" else None
    return (folder or _settings_folder(platform, home, environment) / "Claude") / "claude_desktop_config.json"


def _settings_folder(platform: str, home: Path, environment: Mapping[str, str]) -> Path:
    """Where programs keep their settings."""
    if platform == "darwin":
        return home / "Library" / "Application Support"
    if platform == "win32":
        return _folder(environment, "APPDATA", home / "AppData" / "Roaming")
    return _folder(environment, "XDG_CONFIG_HOME", home / ".config")


def _folder(environment: Mapping[str, str], name: str, otherwise: Path) -> Path:
    return Path(environment[name]) if environment.get(name, "").strip() else otherwise


def _packaged_claude(home: Path, environment: Mapping[str, str]) -> Path | None:
    """The folder of a Claude Desktop that Windows installed as a package: it sees no other."""
    packages = _folder(environment, "LOCALAPPDATA", home / "AppData" / "Local") / "Packages"
    found = [folder / "LocalCache" / "Roaming" / "Claude" for folder in sorted(packages.glob("Claude_*"))]
    used = [folder for folder in found if (folder / "claude_desktop_config.json").is_file()]
    if len(found) > 1 and len(used) != 1:
        listed = "\n".join(f"  {folder / 'claude_desktop_config.json'}" for folder in used or found)
        raise HostError(f"Claude Desktop is installed more than once. Choose one with --file:\n{listed}")
    return next(iter(used or found), None)


def start_command(executable: str, platform: str) -> list[str]:
    """How a host starts the server, with absolute paths: a host's own PATH may hold next to nothing.

    The `audience-mcp` script beside `executable` where there is one, else that Python with `-m`. Links
    are not followed: a virtual environment's Python is a link that must stay one.
    """
    python = Path(os.path.abspath(executable))
    script = python.parent / ("audience-mcp.exe" if platform == "win32" else "audience-mcp")
    if script.is_file() and os.access(script, os.X_OK):
        return [str(script)]
    return [str(python), "-m", "audience_mcp"]


def is_cached(executable: str) -> bool:
    """Whether this Python is in a cache and may be gone tomorrow (`uvx`, `pipx run`)."""
    parts = Path(os.path.abspath(executable)).parts
    return any(_CACHED.fullmatch(part) for part in parts) or ("pipx" in parts and ".cache" in parts)
