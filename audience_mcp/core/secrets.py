"""Keys kept out of what vendors send and of what is logged, in every form that a key takes on the way.

What a caller sent is never treated differently for being, or beginning like, a key: else an answer would
tell which guess was right. So it is not finished answers that are redacted, but vendors' responses, before
anything of them is cut, and lines of the log.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from audience_mcp.core.text import CUT, strip_invisible

SHORTEST_SECRET = 4
"""A shorter value is no key, and hiding it would hide half of every line."""
HIDDEN = "****"
"""What stands for a secret: never longer than one, so that no answer outgrows its budget."""
_ESCAPED_ASCII = re.compile(rb"\\u00[2-7]")
"""A printable character written as an escape, behind which a key could hide from a search of the bytes."""


class Redactor:
    """Replaces secrets in texts and in JSON. Further secrets may be learned while it is in use."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: tuple[str, ...] = ()
        self._bytes: tuple[bytes, ...] = ()
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Hide these secrets too."""
        forms = {*self._forms, *(form for secret in secrets for form in _forms_of(secret))}
        # The longest first, so that one key inside another leaves nothing of it.
        self._forms = tuple(sorted(forms, key=len, reverse=True))
        # A form that holds another is found with it.
        least = [form for form in self._forms if not any(f in form for f in self._forms if f != form)]
        self._bytes = tuple(form.encode("utf-8", "surrogatepass") for form in least)

    def text(self, text: str) -> str:
        """`text` without secrets."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, HIDDEN)
        return text

    def log_line(self, text: str) -> str:
        """A line of the log without secrets, and without the beginning of one that was cut."""
        text = self.text(text)
        return self._without_beginnings(text) if CUT in text or "..." in text else text

    def json(self, value: Any) -> Any:
        """A JSON value without secrets in any of its texts."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.json(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.json(item) for item in value]
        return value

    def body(self, raw: bytes, parsed: object) -> object:
        """A parsed body without secrets; looked through only where its bytes hold, or could hide, one."""
        if any(form in raw for form in self._bytes) or (self._bytes and _ESCAPED_ASCII.search(raw)):
            return self.json(parsed)
        return parsed

    def _without_beginnings(self, text: str) -> str:
        for mark in (CUT, "..."):
            parts = text.split(mark)
            for n, part in enumerate(parts[:-1]):
                for secret in self._forms:
                    lengths = range(len(secret) - 1, SHORTEST_SECRET - 1, -1)
                    if length := next((k for k in lengths if part.endswith(secret[:k])), 0):
                        parts[n] = part[:-length] + HIDDEN
                        break
            text = mark.join(parts)
        return text


def _forms_of(secret: str) -> set[str]:
    """A secret as it is, and as it stands in JSON, in a repr, in a URL, in Base64 and in cleaned text."""
    raw = secret.encode("utf-8", "surrogatepass")
    quoted = {quote(raw, safe=safe) for safe in ("", "/")}
    encoded = {encode(raw).decode().rstrip("=") for encode in (base64.b64encode, base64.urlsafe_b64encode)}
    in_json = json.dumps(secret)[1:-1]
    forms = {
        secret,
        in_json,
        in_json.replace("/", "\\/"),
        repr(secret)[1:-1],
        strip_invisible(secret),
        *quoted,
        *(re.sub("%..", lambda found: found[0].lower(), form) for form in quoted),
        *encoded,
    }
    return {form for form in forms if len(form) >= SHORTEST_SECRET}
