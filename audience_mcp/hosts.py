"""The programs that start MCP servers: where each keeps its configuration, and our entry in it.

Nothing here reads the platform, the home folder or the environment by itself: they are arguments. An
entry goes into a file's text and out of it; everything else in the text stays as it is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audience_mcp.jsonc import Document, JsonFault, Node

Entry = Mapping[str, Any]

_FLEETING = re.compile(r"(archive|environments|builds)-v\d+")
"""Folders of uv's cache, which `uvx` runs from and which may be emptied at any time."""


class HostError(Exception):
    """A host's configuration cannot be changed. The text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Host:
    """A program that starts MCP servers.

    section: the object in its file that holds the servers. typed: whether an entry says that it is on
    stdio. comments: whether its file may hold comments. asks: whether it can ask for keys itself, and
    keep them. then: what to do for it to see the change. without: how the server gets keys that were
    not stored.
    """

    name: str
    title: str
    section: str
    then: str
    without: str
    typed: bool = True
    comments: bool = False
    asks: bool = False


HOSTS: Mapping[str, Host] = {
    host.name: host
    for host in (
        Host(
            "claude-desktop",
            "Claude Desktop",
            "mcpServers",
            "Quit Claude Desktop (closing its window is not enough) and start it again.",
            'Claude Desktop passes on no variables: put them into the entry, under "env".',
            typed=False,
        ),
        Host(
            "claude-code",
            "Claude Code",
            "mcpServers",
            "Start Claude Code anew; `claude mcp list` shows whether it connects.",
            "The server sees the variables of the shell that Claude Code is started from; others can be put "
            'into the entry, under "env".',
        ),
        Host(
            "cursor",
            "Cursor",
            "mcpServers",
            "Restart Cursor, and switch the server on in its MCP settings.",
            'Put them into the entry, under "env"; Cursor replaces ${env:NAME} there by its own variable.',
        ),
        Host(
            "vscode",
            "VS Code",
            "servers",
            "In VS Code, run the command `MCP: List Servers` and start it.",
            "VS Code asks for them when it first starts the server, and keeps them.",
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


def location(host: Host, platform: str, home: Path, environment: Mapping[str, str]) -> Path:
    """The host's file of user-wide servers; `platform` is as `sys.platform`. Raises HostError."""
    if host.name == "cursor":
        return home / ".cursor" / "mcp.json"
    if host.name == "claude-code":
        return _given(environment, "CLAUDE_CONFIG_DIR", home) / ".claude.json"
    if host.name == "vscode":
        return _programs(platform, home, environment) / "Code" / "User" / "mcp.json"
    folder = _packaged_claude(home, environment) if platform == "win32" else None
    return (folder or _programs(platform, home, environment) / "Claude") / "claude_desktop_config.json"


def _programs(platform: str, home: Path, environment: Mapping[str, str]) -> Path:
    """Where programs keep their settings."""
    if platform == "darwin":
        return home / "Library" / "Application Support"
    if platform == "win32":
        return _given(environment, "APPDATA", home / "AppData" / "Roaming")
    return _given(environment, "XDG_CONFIG_HOME", home / ".config")


def _given(environment: Mapping[str, str], name: str, otherwise: Path) -> Path:
    return Path(environment[name]) if environment.get(name, "").strip() else otherwise


def _packaged_claude(home: Path, environment: Mapping[str, str]) -> Path | None:
    """The folder of a Claude Desktop that Windows installed as a package: it sees no other."""
    packages = _given(environment, "LOCALAPPDATA", home / "AppData" / "Local") / "Packages"
    found = [folder / "LocalCache" / "Roaming" / "Claude" for folder in sorted(packages.glob("Claude_*"))]
    used = [folder for folder in found if (folder / "claude_desktop_config.json").is_file()]
    if len(found) > 1 and len(used) != 1:
        told = "\n".join(f"  {folder / 'claude_desktop_config.json'}" for folder in used or found)
        raise HostError(f"Claude Desktop is there more than once. Say which with --file:\n{told}")
    return next(iter(used or found), None)


def command(executable: str, platform: str) -> list[str]:
    """How a host starts the server, with absolute paths: a host's own PATH may hold next to nothing.

    The `audience-mcp` script beside `executable` where there is one, else that Python with `-m`. Links
    are not followed: a virtual environment's Python is a link that must stay one.
    """
    python = Path(os.path.abspath(executable))
    script = python.parent / ("audience-mcp.exe" if platform == "win32" else "audience-mcp")
    if script.is_file() and os.access(script, os.X_OK):
        return [str(script)]
    return [str(python), "-m", "audience_mcp"]


def fleeting(executable: str) -> bool:
    """Whether this Python is in a cache and may be gone tomorrow (`uvx`, `pipx run`)."""
    parts = Path(os.path.abspath(executable)).parts
    return any(_FLEETING.fullmatch(part) for part in parts) or ("pipx" in parts and ".cache" in parts)


def entry(host: Host, starts: Sequence[str], variables: Sequence[Variable]) -> dict[str, Any]:
    """The server's entry; variables whose value is None are left to the host to ask for, or left out."""
    made: dict[str, Any] = {"type": "stdio"} if host.typed else {}
    made |= {"command": starts[0], "args": list(starts[1:])}
    env = {v.name: v.value for v in variables if v.value is not None}
    return made | ({"env": env} if env else {})


def asked_for(host: Host, name: str, variables: Sequence[Variable]) -> tuple[list[Variable], list[Entry]]:
    """The variables with the unknown ones as references, and the questions that the host asks for them."""
    questions: list[Entry] = []
    filled: list[Variable] = []
    for v in variables:
        if v.value is not None or not host.asks:
            filled.append(v)
            continue
        id = f"{name}-{v.name}"
        questions.append(
            {"type": "promptString", "id": id, "description": v.description, "password": v.secret}
        )
        filled.append(Variable(v.name, f"${{input:{id}}}", v.secret, v.description))
    return filled, questions


def with_entry(text: str, host: Host, name: str, entry: Entry, questions: Sequence[Entry] = ()) -> str:
    """A host's file with our entry and nothing else changed. Raises HostError.

    What people have added to an entry of ours stays in it.
    """
    document = _document(text or "{}\n", host)
    section = _member(document, document.root, host.section, "{")
    if section is None:
        document = document.put(document.root, host.section, {})
        section = document.root.items[-1].node
    old = section.get(name)
    asked: set[str] = set()
    if old is not None:
        before = document.value(old)
        if not _ours(before):
            raise HostError(f"It has another server called {name}. Choose a name with --name.")
        asked = _asked_in(document, old, name)
        kept = before.get("env")
        env = {**(kept if isinstance(kept, dict) else {}), **entry.get("env", {})}
        entry = {**before, **entry, **({"env": env} if env else {})}
    document = document.put(section, name, dict(entry))
    for question in questions:
        inputs = _member(document, document.root, "inputs", "[")
        if inputs and any(document.value(item.node) == question for item in inputs.items):
            continue
        document = _without_question(document, question["id"])
        inputs = document.root.get("inputs")
        if inputs is None:
            document = document.put(document.root, "inputs", [])
            inputs = document.root.items[-1].node
        document = document.add(inputs, dict(question))
    return _without_unused(document, asked).text


def without_entry(text: str, host: Host, name: str) -> str:
    """A host's file without our entry, and without the questions that only it refers to. Raises HostError."""
    document = _document(text or "{}\n", host)
    section = _member(document, document.root, host.section, "{")
    old = section.get(name) if section else None
    if section is None or old is None:
        return text
    if not _ours(document.value(old)):
        raise HostError(f"The server called {name} there is not audience-mcp, so it was left alone.")
    asked = _asked_in(document, old, name)
    document = document.drop(section, next(item for item in section.items if item.node is old))
    return _without_unused(document, asked).text


def _asked_in(document: Document, node: Node, name: str) -> set[str]:
    """The ids of our questions that an entry refers to."""
    return set(re.findall(rf"\$\{{input:({re.escape(name)}-\w+)\}}", document.text[node.start : node.end]))


def _without_unused(document: Document, ids: set[str]) -> Document:
    for id in sorted(ids):
        if f"${{input:{id}}}" not in document.text:
            document = _without_question(document, id)
    return document


def _without_question(document: Document, id: str) -> Document:
    inputs = _member(document, document.root, "inputs", "[")
    for item in inputs.items if inputs else ():
        value = document.value(item.node)
        if inputs and isinstance(value, dict) and value.get("id") == id:
            return document.drop(inputs, item)
    return document


def _document(text: str, host: Host) -> Document:
    try:
        document = Document(text, comments=host.comments)
    except JsonFault as e:
        raise HostError(f"It is not in order, so it was left as it is. {e}.") from None
    if document.root.opening != "{":
        raise HostError("It holds no JSON object, so it was left as it is.")
    return document


def _member(document: Document, node: Node, key: str, opening: str) -> Node | None:
    found = node.get(key)
    if found is not None and found.opening != opening:
        kind = "object" if opening == "{" else "list"
        raise HostError(f"Its '{key}' is no {kind}, so it was left as it is.")
    return found


def _ours(entry: object) -> bool:
    """Whether an entry starts audience-mcp."""
    if not isinstance(entry, dict):
        return False
    args = entry.get("args")
    words = [entry.get("command"), *(args if isinstance(args, list) else [])]
    return any(isinstance(w, str) and re.search(r"audience[-_]mcp", w) for w in words)
