"""The log: on stderr, and without any key, wherever in a line or a traceback it may stand."""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any

from audience_mcp.core.secrets import Redactor


class _Formatter(logging.Formatter):
    def __init__(self, redactor: Redactor) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._redactor = redactor

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """One line: what a client sent must not look like a line of its own. A traceback follows as it is."""
        return "\\n".join(super().formatMessage(record).splitlines())

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor.log_line(super().format(record))


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
