"""The log: on stderr, and without any key, wherever in a line or a traceback it may stand."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import Any

HIDDEN = "[hidden]"
SHORTEST_SECRET = 4
"""A shorter value is no key, and hiding it would hide half of every line."""


class Redactor:
    """Replaces secrets in texts and in JSON."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # The longest first, so that one key inside another leaves nothing of it.
        self._secrets = sorted({s for s in secrets if len(s) >= SHORTEST_SECRET}, key=len, reverse=True)

    def text(self, text: str) -> str:
        """`text` without secrets."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, HIDDEN)
        return text

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

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor.text(super().format(record))


def set_up(level: str, redactor: Redactor) -> None:
    """Log to stderr from `level` on, uncaught errors and warnings included."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(redactor))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    # They write URLs and headers, which say more than a log should.
    for name in ("httpx", "httpcore", "hpack"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)

    def uncaught(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
        logging.getLogger("audience_mcp").critical("stopped by an error", exc_info=(kind, error, traceback))

    sys.excepthook = uncaught
