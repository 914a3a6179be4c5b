"""Our entry in a host's configuration file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from audience_mcp.hosts.jsonc import Document, JsonFault, Node
from audience_mcp.hosts.known import Entry, Host, HostError, Variable


def make_entry(host: Host, starts: Sequence[str], variables: Sequence[Variable]) -> dict[str, Any]:
    """The server's entry; variables whose value is None are left to the host to ask for, or left out."""
    made: dict[str, Any] = {"type": "stdio"} if host.typed else {}
    made |= {"command": starts[0], "args": list(starts[1:])}
    env = {v.name: v.value for v in variables if v.value is not None}
    return made | ({"env": env} if env else {})


def ask_for_keys(host: Host, name: str, variables: Sequence[Variable]) -> tuple[list[Variable], list[Entry]]:
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


def add_entry(text: str, host: Host, name: str, entry: Entry, questions: Sequence[Entry] = ()) -> str:
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


def remove_entry(text: str, host: Host, name: str) -> str:
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
