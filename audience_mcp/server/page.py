"""The view as a file to open, send or print: an answer inside the HTML that MCP Apps show."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

_HEAD = '<meta charset="utf-8">'
_PLACE = '<script type="application/json" id="{name}"></script>'
_INLINE = re.compile(r"<(style|script)(?: id=\"\w+\")?>(.*?)</\1>", re.DOTALL)
_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}
"""Escapes for JSON inside HTML, so that no text of an answer can end the element that holds it."""


@dataclass(frozen=True, slots=True)
class Question:
    """What an answer is the answer to, so that a page can say it in words.

    tool: the tool's name, or `history`. arguments: as they were given, by the names of the tool's parameters.
    names: what people call the codes in the answer (`Catalog.name_codes`). title: the page's, in place of the
    words made from the arguments, which then stand below it.
    """

    tool: str = "list_audiences"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    title: str | None = None


@cache
def read_view() -> str:
    """The view's HTML, the file beside this module; read at first use, not at start."""
    return Path(__file__).with_name("audiences.html").read_text(encoding="utf-8")


def render_page(answer: Mapping[str, Any], question: Question | None = None) -> str:
    """`answer`, the structured result of either tool, as one self-contained HTML file.

    The page loads nothing over the network, and its policy lets only the view's own script run. It holds the
    names of no other sources and clients than those of the answer, since it may be for one of them alone.
    """
    html = read_view()
    allowed: dict[str, list[str]] = {"style": [], "script": []}
    for kind, text in _INLINE.findall(html):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        allowed[kind].append(f"'sha256-{digest}'")
    rules = "; ".join(f"{kind}-src {' '.join(hashes)}" for kind, hashes in allowed.items())
    policy = f'<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; {rules}">'
    page = html.replace(_HEAD, f"{_HEAD}\n{policy}", 1)
    if question is not None:
        question = replace(question, names=_find_used(question.names, answer, question.arguments))
    page = _fill(page, "question", asdict(question) if question else {})
    return _fill(page, "answer", answer)


def _find_used(names: Mapping[str, str], *values: Mapping[str, Any]) -> dict[str, str]:
    """The names of those codes that stand in any of the values."""
    text = json.dumps(values)
    escaped = {code: re.escape(json.dumps(code)[1:-1]) for code in names}
    return {
        code: name for code, name in names.items() if re.search(rf"(?<![\w-]){escaped[code]}(?![\w-])", text)
    }


def _fill(page: str, name: str, value: Mapping[str, Any]) -> str:
    place, data = _PLACE.format(name=name), json.dumps(value).translate(_ESCAPES)
    return page.replace(place, place.replace("></", f">{data}</"), 1)
