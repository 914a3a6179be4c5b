"""The programs that start MCP servers: where each keeps its configuration, and what an entry looks like.

Platform, home folder and environment are arguments; nothing here looks them up.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Entry = Mapping[str, Any]

_CACHED = re.compile(r"(archive|environments|builds)-v\d+")
"""Folders of uv's cache, from which `uvx` runs and which may be emptied at any time."""


class HostError(Exception):
    """A host's configuration cannot be changed. The text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Host:
    """A program that starts MCP servers.

    section: the object in its file that holds the servers. next_step: what to do so that it sees the change.
    keys_hint: how the server gets variables that were not stored. has_type: whether an entry has a `type`.
    comments: whether its file may hold comments. prompts: whether it can ask for keys itself, and keep them.
    env_reference: how an entry refers to a variable of the host's own environment; empty if it cannot.
    paste_at: where to put the entry by hand, for a host whose file we do not write; else empty.
    form: how such an entry is written.
    """

    name: str
    title: str
    section: str
    next_step: str
    keys_hint: str
    has_type: bool = False
    comments: bool = False
    prompts: bool = False
    env_reference: str = ""
    paste_at: str = ""
    form: Literal["json", "codex", "goose"] = "json"


def _passes_none(title: str) -> str:
    return f'{title} passes no variables on to servers: add them to the entry, under "env".'


HOSTS: Mapping[str, Host] = {
    host.name: host
    for host in (
        Host(
            "claude-desktop",
            "Claude Desktop",
            "mcpServers",
            "Quit Claude Desktop (closing its window is not enough) and start it again.",
            _passes_none("Claude Desktop"),
        ),
        Host(
            "claude-code",
            "Claude Code",
            "mcpServers",
            "Restart Claude Code; `claude mcp list` shows whether it connects.",
            "The server sees the variables of the shell that starts Claude Code; add others to the entry, "
            'under "env".',
            has_type=True,
        ),
        Host(
            "cursor",
            "Cursor",
            "mcpServers",
            "Restart Cursor, and enable the server in its MCP settings.",
            "Cursor fills in ${env:NAME} from its own environment: set the variables where Cursor starts.",
            has_type=True,
            env_reference="${{env:{name}}}",
        ),
        Host(
            "vscode",
            "VS Code",
            "servers",
            "In VS Code, run the command `MCP: List Servers` and start it.",
            "VS Code asks for them when it first starts the server, and stores them securely.",
            has_type=True,
            comments=True,
            prompts=True,
        ),
        Host(
            "windsurf",
            "Windsurf",
            "mcpServers",
            "Restart Windsurf, and look at Cascade's MCP servers.",
            _passes_none("Windsurf"),
        ),
        Host(
            "zed",
            "Zed",
            "context_servers",
            "Open Zed's agent settings: the server's indicator turns green.",
            'The server sees the variables with which Zed was started; add others to the entry, under "env".',
            comments=True,
        ),
        Host(
            "gemini-cli",
            "Gemini CLI",
            "mcpServers",
            "Restart Gemini CLI; /mcp shows whether it connects.",
            "Gemini CLI fills in ${NAME} from its own environment: set the variables where it starts.",
            comments=True,
            env_reference="${{{name}}}",
        ),
        Host(
            "codex",
            "Codex",
            "mcp_servers",
            "Start Codex; /mcp shows whether it connects.",
            "Codex passes no variables on to servers: add an --env NAME=value for each.",
            paste_at="Run this command; it writes to config.toml in Codex's folder (~/.codex).",
            form="codex",
        ),
        Host(
            "goose",
            "Goose",
            "extensions",
            "Start a new session in Goose.",
            "Add them to the entry, under envs.",
            paste_at="Put this into Goose's config.yaml (~/.config/goose; on Windows "
            "%APPDATA%\\Block\\goose\\config).",
            form="goose",
        ),
        Host(
            "jetbrains",
            "JetBrains AI Assistant",
            "mcpServers",
            "Apply the settings; the server's status is shown beside it.",
            _passes_none("JetBrains AI Assistant"),
            paste_at="Add this in Settings | Tools | AI Assistant | Model Context Protocol (MCP), as JSON.",
        ),
        Host(
            "lm-studio",
            "LM Studio",
            "mcpServers",
            "Save the file; LM Studio loads it at once.",
            _passes_none("LM Studio"),
            paste_at="Add this in the Program tab under Install > Edit mcp.json.",
        ),
        Host(
            "cline",
            "Cline",
            "mcpServers",
            "Save the file; the server appears under Cline's MCP servers.",
            _passes_none("Cline"),
            paste_at="Add this under MCP Servers > Configure > Configure MCP Servers.",
        ),
    )
}
SHORT_NAMES = {
    "claude": "claude-desktop",
    "gemini": "gemini-cli",
    "code": "vscode",
    "vs-code": "vscode",
    "lmstudio": "lm-studio",
    "intellij": "jetbrains",
}


def find_host(name: str) -> Host:
    """Return the host with that name. Raises HostError, which names those that exist."""
    text = name.strip().lower()
    if host := HOSTS.get(SHORT_NAMES.get(text, text)):
        return host
    if text in ("chatgpt", "claude.ai", "claude-web"):
        raise HostError(
            f"{name} connects only to servers on the internet, over HTTPS and with a login: docs/hosting.md."
        )
    near = difflib.get_close_matches(text, [*HOSTS, *SHORT_NAMES], 1, 0.6)
    did_you_mean = f" Did you mean '{SHORT_NAMES.get(near[0], near[0])}'?" if near else ""
    raise HostError(
        f"there is no host '{name}'.{did_you_mean} Hosts: {', '.join(HOSTS)}. For any other program, "
        "install cursor --print shows an entry that most of them take."
    )


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable for the server's environment. value: None where it is not known."""

    name: str
    value: str | None = field(repr=False)
    secret: bool
    description: str


def config_path(host: Host, platform: str, home: Path, environment: Mapping[str, str]) -> Path:
    """Return the host's file for the user's servers. `platform`: as `sys.platform`. Raises HostError.

    It is only for hosts whose file we write.
    """
    if host.name == "cursor":
        return home / ".cursor" / "mcp.json"
    if host.name == "windsurf":
        return home / ".codeium" / "windsurf" / "mcp_config.json"
    if host.name == "gemini-cli":
        return home / ".gemini" / "settings.json"
    if host.name == "zed":
        folder = _settings_folder(platform, home, environment) / "Zed" if platform == "win32" else None
        return (folder or _folder(environment, "XDG_CONFIG_HOME", home / ".config") / "zed") / "settings.json"
    if host.name == "claude-code":
        return _folder(environment, "CLAUDE_CONFIG_DIR", home) / ".claude.json"
    if host.name == "vscode":
        return _settings_folder(platform, home, environment) / "Code" / "User" / "mcp.json"
    folder = _packaged_claude(home, environment) if platform == "win32" else None
    return (folder or _settings_folder(platform, home, environment) / "Claude") / "claude_desktop_config.json"


def _settings_folder(platform: str, home: Path, environment: Mapping[str, str]) -> Path:
    """Return the folder in which programs keep their settings."""
    if platform == "darwin":
        return home / "Library" / "Application Support"
    if platform == "win32":
        return _folder(environment, "APPDATA", home / "AppData" / "Roaming")
    return _folder(environment, "XDG_CONFIG_HOME", home / ".config")


def _folder(environment: Mapping[str, str], name: str, otherwise: Path) -> Path:
    return Path(environment[name]) if environment.get(name, "").strip() else otherwise


def _packaged_claude(home: Path, environment: Mapping[str, str]) -> Path | None:
    """Return the folder of a Claude Desktop that is a Windows package and sees no other; else None."""
    packages = _folder(environment, "LOCALAPPDATA", home / "AppData" / "Local") / "Packages"
    found = [folder / "LocalCache" / "Roaming" / "Claude" for folder in sorted(packages.glob("Claude_*"))]
    used = [folder for folder in found if (folder / "claude_desktop_config.json").is_file()]
    if len(found) > 1 and len(used) != 1:
        listed = "\n".join(f"  {folder / 'claude_desktop_config.json'}" for folder in used or found)
        raise HostError(f"Claude Desktop is installed more than once. Choose one with --file:\n{listed}")
    return next(iter(used or found), None)


def start_command(executable: str, platform: str) -> list[str]:
    """Return the command that starts the server, with absolute paths, as a host's PATH may lack everything.

    The `audience-mcp` script beside `executable` where there is one, else that Python with `-m`. Links
    are not followed: a virtual environment's Python is a link that must stay one.
    """
    python = Path(os.path.abspath(executable))
    script = python.parent / ("audience-mcp.exe" if platform == "win32" else "audience-mcp")
    if script.is_file() and os.access(script, os.X_OK):
        return [str(script)]
    return [str(python), "-m", "audience_mcp"]


def is_cached(executable: str) -> bool:
    """Whether this Python is in a cache that may be emptied (`uvx`, `pipx run`)."""
    parts = Path(os.path.abspath(executable)).parts
    return any(_CACHED.fullmatch(part) for part in parts) or ("pipx" in parts and ".cache" in parts)
