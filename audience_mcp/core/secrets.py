"""Keys kept out of what vendors send and of what is logged, in every form that a key takes on the way.

What a caller sent is never treated differently for being, or beginning like, a key: else an answer would
tell which guess was right. So it is not finished answers that are redacted, but vendors' responses, before
anything of them is cut, and lines of the log.
"""

from __future__ import annotations

import base64
import json
import re
from collections import deque
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from audience_mcp.core.text import CUT, strip_invisible

SHORTEST_SECRET = 4
"""A shorter value is no key, and hiding it would hide half of every line."""
SHORTEST_KEY = 8
"""Minimum length of a key. Hiding a shorter one would hide ordinary words in answers too."""
HIDDEN = "****"
"""What stands for a secret: never longer than one, so that no answer outgrows its budget."""
PASSING = 32
"""Secrets made while running that are hidden for each owner, the latest ones: far more than it has requests
under way, and those before have run out."""
_ESCAPED_ASCII = re.compile(rb"\\u00[2-7]")
"""A printable character written as an escape, behind which a key could hide from a search of the bytes."""


class Redactor:
    """Replaces secrets in texts and in JSON. Further secrets may be learned while it is in use."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._lasting: frozenset[str] = frozenset()
        self._least: tuple[bytes, ...] = ()
        self._passing: dict[str, deque[tuple[str, frozenset[str]]]] = {}
        self._forms: tuple[str, ...] = ()
        self._bytes: tuple[bytes, ...] = ()
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Hide these secrets too, for good."""
        self._lasting = self._lasting.union(*map(_forms_of, secrets))
        # A form that holds another is found with it.
        least = [form for form in self._lasting if not any(f in form for f in self._lasting if f != form)]
        self._least = tuple(map(_as_bytes, least))
        self._renew()

    def add_passing(self, owner: str, secret: str) -> None:
        """Hide a secret that was made for the requests of `owner` (a source) and will be replaced.

        Of each owner the latest 32 are hidden: a token that is signed for every request would otherwise make
        every answer slower than the one before.
        """
        kept = self._passing.setdefault(owner, deque(maxlen=PASSING))
        if all(secret != known for known, _ in kept):
            kept.append((secret, frozenset(_forms_of(secret))))
            self._renew()

    def _renew(self) -> None:
        passing = frozenset[str]().union(*(forms for kept in self._passing.values() for _, forms in kept))
        # The longest first, so that one key inside another leaves nothing of it.
        self._forms = tuple(sorted(self._lasting | passing, key=len, reverse=True))
        self._bytes = (*self._least, *map(_as_bytes, passing))

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
        # Most bodies have no such escape at all, which a plain search finds in a third of the time.
        escaped = self._bytes and b"\\u00" in raw and _ESCAPED_ASCII.search(raw)
        return self.json(parsed) if escaped or any(form in raw for form in self._bytes) else parsed

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


def _as_bytes(form: str) -> bytes:
    return form.encode("utf-8", "surrogatepass")


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
