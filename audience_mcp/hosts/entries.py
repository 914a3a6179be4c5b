"""Our entry in a host's configuration file."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audience_mcp.hosts import files, known
from audience_mcp.hosts.jsonc import Document, JsonFault, Node
from audience_mcp.hosts.known import Entry, Host, HostError, Variable
from audience_mcp.hosts.recognize import starts_audience_mcp


def make_entry(host: Host, starts: Sequence[str], variables: Sequence[Variable]) -> dict[str, Any]:
    """Return the server's entry, without variables whose value is None."""
    made: dict[str, Any] = {"type": "stdio"} if host.has_type else {}
    made |= {"command": starts[0], "args": list(starts[1:])}
    env = {v.name: v.value for v in variables if v.value is not None}
    return made | ({"env": env} if env else {})


def read_variables(host_name: str, environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return the variables of our entry in a host's configuration. Raises HostError if there is none.

    The entry is the one called audience-mcp, else the first that starts it.
    """
    host = known.find_host(host_name)
    if host.paste_at:
        raise HostError(f"the configuration of {host.title} cannot be read here.")
    path = known.config_path(host, sys.platform, Path.home(), environment)
    found = find_entry(files.decode(files.read(path)), host)
    if found is None:
        raise HostError(
            f"{host.title} has no entry for audience-mcp in {path}: audience-mcp install {host.name}"
        )
    env, args = found.get("env"), found.get("args", [])
    variables = {str(k): str(v) for k, v in env.items()} if isinstance(env, dict) else {}
    for before, file in itertools.pairwise(args):
        if before == "--env-file":
            variables["AUDIENCE_MCP_ENV_FILE"] = str(file)
    return variables


def find_entry(text: str, host: Host, name: str = "audience-mcp") -> Entry | None:
    """Return our entry in a host's file: of that name, else the first that starts audience-mcp; or None.

    Raises HostError if the file cannot be understood.
    """
    document = _parse(text or "{}\n", host)
    section = _find_member(document, document.root, host.section, "{")
    servers = document.value(section) if section else {}
    ours = {key: value for key, value in servers.items() if starts_audience_mcp(value)}
    return ours.get(name) or next(iter(ours.values()), None)


def ask_for_keys(host: Host, name: str, variables: Sequence[Variable]) -> tuple[list[Variable], list[Entry]]:
    """Return the variables with references in place of unknown values, and the questions the host asks."""
    questions: list[Entry] = []
    filled: list[Variable] = []
    for v in variables:
        if v.value is None and host.env_reference:
            filled.append(Variable(v.name, host.env_reference.format(name=v.name), v.secret, v.description))
            continue
        if v.value is not None or not host.prompts:
            filled.append(v)
            continue
        id = f"{name}-{v.name}"
        questions.append(
            {"type": "promptString", "id": id, "description": v.description, "password": v.secret}
        )
        filled.append(Variable(v.name, f"${{input:{id}}}", v.secret, v.description))
    return filled, questions


def add_entry(text: str, host: Host, name: str, entry: Entry, questions: Sequence[Entry] = ()) -> str:
    """Return a host's file with our entry set and nothing else changed. Raises HostError.

    What people have added to an entry of ours stays in it.
    """
    document = _parse(text or "{}\n", host)
    section = _find_member(document, document.root, host.section, "{")
    if section is None:
        document = document.put(document.root, host.section, {})
        section = document.root.items[-1].node
    old = section.get(name)
    referred: set[str] = set()
    if old is not None:
        before = document.value(old)
        if not starts_audience_mcp(before):
            raise HostError(f"It has another server called {name}. Choose a different name with --name.")
        referred = _find_questions(document, old, name)
        kept = before.get("env")
        env = {**(kept if isinstance(kept, dict) else {}), **entry.get("env", {})}
        entry = {**before, **entry, **({"env": env} if env else {})}
    document = document.put(section, name, dict(entry))
    for question in questions:
        inputs = _find_member(document, document.root, "inputs", "[")
        if inputs and any(document.value(item.node) == question for item in inputs.items):
            continue
        document = _drop_question(document, question["id"])
        inputs = document.root.get("inputs")
        if inputs is None:
            document = document.put(document.root, "inputs", [])
            inputs = document.root.items[-1].node
        document = document.add(inputs, dict(question))
    return _drop_unused(document, referred).text


def remove_entry(text: str, host: Host, name: str) -> str:
    """Return a host's file without our entry and the questions that only it uses. Raises HostError."""
    document = _parse(text or "{}\n", host)
    section = _find_member(document, document.root, host.section, "{")
    old = section.get(name) if section else None
    if section is None or old is None:
        return text
    if not starts_audience_mcp(document.value(old)):
        raise HostError(f"Its server called {name} does not start audience-mcp, so it was not removed.")
    referred = _find_questions(document, old, name)
    document = document.drop(section, next(item for item in section.items if item.node is old))
    return _drop_unused(document, referred).text


def _find_questions(document: Document, node: Node, name: str) -> set[str]:
    """Return the ids of our questions that an entry uses."""
    return set(re.findall(rf"\$\{{input:({re.escape(name)}-\w+)\}}", document.text[node.start : node.end]))


def _drop_unused(document: Document, ids: set[str]) -> Document:
    for id in sorted(ids):
        if f"${{input:{id}}}" not in document.text:
            document = _drop_question(document, id)
    return document


def _drop_question(document: Document, id: str) -> Document:
    inputs = _find_member(document, document.root, "inputs", "[")
    for item in inputs.items if inputs else ():
        value = document.value(item.node)
        if inputs and isinstance(value, dict) and value.get("id") == id:
            return document.drop(inputs, item)
    return document


def _parse(text: str, host: Host) -> Document:
    try:
        document = Document(text, comments=host.comments)
    except JsonFault as e:
        raise HostError(f"It is not valid JSON, so it was not changed. {e}.") from None
    if document.root.opening != "{":
        raise HostError("It does not contain a JSON object, so it was not changed.")
    return document


def _find_member(document: Document, node: Node, key: str, opening: str) -> Node | None:
    found = node.get(key)
    if found is not None and found.opening != opening:
        kind = "an object" if opening == "{" else "a list"
        raise HostError(f"Its '{key}' is not {kind}, so it was not changed.")
    return found
