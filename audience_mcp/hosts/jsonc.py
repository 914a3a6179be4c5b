"""Changes one place in a JSON text and leaves every other character as it is.

Configuration files belong to people, so their comments, order, spacing and numbers stay. A file is not
parsed and written again: the positions of its values are found, and text is inserted or cut out there.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

MAX_DEPTH = 200
_DECODER = json.JSONDecoder()
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_SCALAR = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null", re.ASCII)


class JsonFault(Exception):
    """A text that is not JSON. The text says where, and what is there."""


@dataclass(slots=True)
class Item:
    """A member of an object (with its key) or of an array: its position and that of its comma."""

    start: int
    node: Node
    key: str | None = None
    comma: int | None = None


@dataclass(slots=True)
class Node:
    """A value's position. `opening`: `{` or `[` for objects and arrays; `items`: their members."""

    start: int
    end: int
    opening: str = ""
    items: list[Item] = field(default_factory=list)

    def get(self, key: str) -> Node | None:
        """Return the member with that key or None; of several the last, as JSON readers do."""
        found = [item.node for item in self.items if item.key == key]
        return found[-1] if found else None


class Document:
    """A JSON text and the positions of its values. Raises JsonFault.

    comments: whether comments and commas before a closing bracket are accepted, as VS Code does.
    """

    def __init__(self, text: str, *, comments: bool = False) -> None:
        self.text = text
        self._comments = comments
        self._at = 1 if text.startswith("\ufeff") else 0
        self._skip()
        self.root = self._value(0)
        self._skip()
        if self._at < len(text):
            raise self._fault("something after the end")

    def value(self, node: Node) -> Any:
        """Return a node's value as a Python object."""
        if node.opening == "{":
            return {item.key: self.value(item.node) for item in node.items}
        if node.opening == "[":
            return [self.value(item.node) for item in node.items]
        return json.loads(self.text[node.start : node.end])

    def put(self, node: Node, key: str, value: Any) -> Document:
        """Return the document with a member of an object set, in its old place or at the end."""
        old = node.get(key)
        if old is None:
            return self._append(node, f"{json.dumps(key, ensure_ascii=False)}: ", value)
        indent = self._indent(old.start)
        return self._with(self.text[: old.start] + self._write(value, indent) + self.text[old.end :])

    def add(self, node: Node, value: Any) -> Document:
        """Return the document with an element added at the end of an array."""
        return self._append(node, "", value)

    def drop(self, node: Node, item: Item) -> Document:
        """Return the document without an item."""
        text, index = self.text, node.items.index(item)
        start = len(text[: item.start].rstrip(" \t\r\n"))
        end = item.node.end if item.comma is None else item.comma + 1
        rest = text[end:]
        if self._comments and rest.lstrip(" \t")[:1] not in ("\r", "\n", ""):
            rest = self._newline + rest  # a comment on the line before must not swallow it
        kept = text[:start]
        if item.comma is None and index:
            comma = node.items[index - 1].comma or start  # two items always have a comma between them
            kept = text[:comma] + text[comma + 1 : start]
        if len(kept) == node.start + 1 and rest.lstrip()[:1] in ("}", "]"):
            rest = rest.lstrip()
        return self._with(kept + rest)

    def _append(self, node: Node, before: str, value: Any) -> Document:
        text, close = self.text, node.end - 1
        indent = self._indent(node.start)
        inner = indent + self._unit
        comma = ""
        if node.items:
            last = node.items[-1]
            if last.comma is None:
                text, close = text[: last.node.end] + "," + text[last.node.end :], close + 1
            else:
                comma = ","  # this file has commas before closing brackets
        return self._with(
            text[:close].rstrip(" \t\r\n")
            + f"{self._newline}{inner}{before}{self._write(value, inner)}{comma}{self._newline}{indent}"
            + text[close:]
        )

    def _with(self, text: str) -> Document:
        return Document(text, comments=self._comments)

    def _write(self, value: Any, indent: str) -> str:
        written = json.dumps(value, ensure_ascii=False, indent=self._unit)
        return written.replace("\n", self._newline + indent)

    @property
    def _newline(self) -> str:
        return "\r\n" if "\r\n" in self.text else "\n"

    @property
    def _unit(self) -> str:
        """One level of indentation, as used by the text's first member."""
        if self.root.items:
            indent = self._indent(self.root.items[0].start)
            if indent and self.text[: self.root.items[0].start].endswith(indent):
                return indent
        return "  "

    def _indent(self, at: int) -> str:
        """Return the white space at the start of the line that contains a position."""
        line = self.text[self.text.rfind("\n", 0, at) + 1 : at].lstrip("\ufeff")
        return line[: len(line) - len(line.lstrip(" \t"))]

    def _skip(self) -> None:
        """Skip white space and comments."""
        while True:
            while self.text.startswith((" ", "\t", "\r", "\n"), self._at):
                self._at += 1
            if not self.text.startswith(("//", "/*"), self._at):
                return
            if not self._comments:
                raise self._fault("a comment, which JSON does not have")
            comment = _COMMENT.match(self.text, self._at)
            if comment is None:
                raise self._fault("a comment without an end")
            self._at = comment.end()

    def _value(self, depth: int) -> Node:
        start = self._at
        first = self.text[start : start + 1]
        if first in ("{", "["):
            if depth >= MAX_DEPTH:
                raise self._fault("brackets nested too deeply")
            return self._container(first, depth)
        if first == '"':
            self._parse_string()
            return Node(start, self._at)
        scalar = _SCALAR.match(self.text, start)
        if scalar is None:
            raise self._fault(f"{repr(first) if first else 'the end'} where a value should be")
        self._at = scalar.end()
        return Node(start, self._at)

    def _container(self, opening: str, depth: int) -> Node:
        node, closing = Node(self._at, self._at, opening), "}" if opening == "{" else "]"
        self._at += 1
        while True:
            self._skip()
            if self.text.startswith(closing, self._at):
                if node.items and node.items[-1].comma is not None and not self._comments:
                    self._at = node.items[-1].comma
                    raise self._fault(f"a comma with nothing after it before {closing!r}")
                self._at += 1
                node.end = self._at
                return node
            if node.items and node.items[-1].comma is None:
                raise self._fault(f"no comma or {closing!r} where one should be")
            node.items.append(self._item(opening, depth))
            self._skip()
            if self.text.startswith(",", self._at):
                node.items[-1].comma = self._at
                self._at += 1

    def _item(self, opening: str, depth: int) -> Item:
        start, key = self._at, None
        if opening == "{":
            if not self.text.startswith('"', self._at):
                raise self._fault("no name in quotes where one should be")
            key = self._parse_string()
            self._skip()
            if not self.text.startswith(":", self._at):
                raise self._fault("no ':' after a name")
            self._at += 1
            self._skip()
        return Item(start, self._value(depth + 1), key)

    def _parse_string(self) -> str:
        try:
            text, self._at = _DECODER.raw_decode(self.text, self._at)
        except json.JSONDecodeError:
            raise self._fault("a text in quotes that is not valid") from None
        return str(text)

    def _fault(self, what: str) -> JsonFault:
        line = self.text.count("\n", 0, self._at) + 1
        column = self._at - self.text.rfind("\n", 0, self._at)
        return JsonFault(f"line {line}, column {column}: {what}")
