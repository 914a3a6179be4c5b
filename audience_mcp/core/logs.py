"""The log: on stderr, and without any key, wherever in a line or a traceback it may stand."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from audience_mcp.core.text import CUT, strip_invisible

SHORTEST_SECRET = 4
"""A shorter value is no key, and hiding it would hide half of every line."""
HIDDEN = "****"
"""What stands for a secret: never longer than one, so that no answer outgrows its budget."""


class Redactor:
    """Replaces secrets in texts and in JSON."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets: list[str] = []
        self._learn(secrets)

    def learn(self, secret: str) -> None:
        """Hide this one too, from now on: a token that a vendor has given out, say."""
        self._learn([secret])

    def _learn(self, secrets: Iterable[str]) -> None:
        # As they are, and as they stand in JSON, in a repr, in a URL and in cleaned text.
        written = {
            form
            for s in secrets
            for form in (s, json.dumps(s)[1:-1], repr(s)[1:-1], quote(s, ""), strip_invisible(s))
            if len(form) >= SHORTEST_SECRET
        }
        # The longest first, so that one key inside another leaves nothing of it.
        self._secrets = sorted(written.union(self._secrets), key=len, reverse=True)

    def text(self, text: str) -> str:
        """`text` without secrets."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, HIDDEN)
        return self._without_beginnings(text) if CUT in text else text

    def _without_beginnings(self, text: str) -> str:
        """`text` without secrets of which only the beginning is there, because the text was cut in them."""
        parts = text.split(CUT)
        for n, part in enumerate(parts[:-1]):
            for secret in self._secrets:
                lengths = range(len(secret) - 1, SHORTEST_SECRET - 1, -1)
                if length := next((k for k in lengths if part.endswith(secret[:k])), 0):
                    parts[n] = part[:-length] + HIDDEN
                    break
        return CUT.join(parts)

    def json(self, value: Any) -> Any:
        """A JSON value without secrets in any of its texts."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.json(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.json(item) for item in value]
        return value


class _Formatter(logging.Formatter):
    def __init__(self, redactor: Redactor) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._redactor = redactor

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """One line: what a client sent must not look like a line of its own. A traceback follows as it is."""
        return "\\n".join(super().formatMessage(record).splitlines())

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor.text(super().format(record))


def set_up(level: str, redactor: Redactor) -> None:
    """Log to stderr from `level` on, uncaught errors and warnings included."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(redactor))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    # A line that cannot be formatted would be printed with its arguments, past the formatter.
    logging.raiseExceptions = False
    # They write URLs and headers, which say more than a log should.
    for name in ("httpx", "httpcore", "hpack"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)

    log = logging.getLogger("audience_mcp")

    def uncaught(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
        log.critical("stopped by an error", exc_info=(kind, error, traceback))

    def uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
        log.error("a thread was stopped by an error", exc_info=args.exc_value)

    sys.excepthook = uncaught
    threading.excepthook = uncaught_in_thread
