"""The view as a file: an answer inside the same HTML that MCP Apps show, to open, send or print."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

_PLACE = '<script type="application/json" id="answer"></script>'
_HEAD = '<meta charset="utf-8">'
_INLINE = re.compile(r"<(style|script)(?: id=\"\w+\")?>(.*?)</\1>", re.DOTALL)
_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}
"""Within JSON in HTML, so that no text of an answer can end the element that holds it."""


@cache
def read_view() -> str:
    """The view's HTML as it stands beside this module; read when first asked for, not at start."""
    return Path(__file__).with_name("audiences.html").read_text(encoding="utf-8")


def render_page(answer: dict[str, Any]) -> str:
    """`answer`, the structured result of either tool, as one self-contained HTML file.

    The page asks for nothing over the network, and its policy lets no script run but the view's own.
    """
    html = read_view()
    data = json.dumps(answer).translate(_ESCAPES)
    allowed: dict[str, list[str]] = {"style": [], "script": []}
    for kind, text in _INLINE.findall(html):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        allowed[kind].append(f"'sha256-{digest}'")
    rules = "; ".join(f"{kind}-src {' '.join(hashes)}" for kind, hashes in allowed.items())
    policy = f'<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; {rules}">'
    page = html.replace(_HEAD, f"{_HEAD}\n{policy}", 1)
    return page.replace(_PLACE, _PLACE.replace("></", f">{data}</"), 1)
