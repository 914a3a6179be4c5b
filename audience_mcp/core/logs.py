"""The log: on stderr, as text or JSON, without any key, wherever in a line or a traceback it may stand."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Literal

from audience_mcp.core.secrets import Redactor

Format = Literal["text", "json"]
FACTS = "facts"
"""Attribute of a record with what its line says, as values by name: `log.info(..., extra={FACTS: {...}})`."""

LEAST_LEVELS: Mapping[str, int] = {"audience_mcp": logging.NOTSET, "uvicorn": logging.INFO}
"""The least level of lines that are logged, by package; of any other one only warnings and errors are."""


class _Formatter(logging.Formatter):
    def __init__(self, redactor: Redactor) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._redactor = redactor

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """One line: what a client sent must not look like a line of its own. A traceback follows as it is."""
        return "\\n".join(super().formatMessage(record).splitlines())

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor.log_line(super().format(record))


class _JsonFormatter(logging.Formatter):
    """One JSON object a record: time (RFC 3339, UTC), level, logger, message, its facts, any traceback."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        facts = getattr(record, FACTS, {})
        moment = datetime.fromtimestamp(record.created, timezone.utc)
        line: dict[str, Any] = {
            **(facts if isinstance(facts, Mapping) else {}),
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        # Before it is written as JSON, which writes a key otherwise than a traceback does.
        return json.dumps(self._without_secrets(line))

    def _without_secrets(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._redactor.log_line(value)
        if isinstance(value, dict):
            return {name: self._without_secrets(each) for name, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._without_secrets(each) for each in value]
        return value if value is None or isinstance(value, (bool, int, float)) else repr(value)


class _Sources(logging.Filter):
    """Lets our own lines through, and of other packages only what is no account of their work.

    At their lower levels these write what they carry: questions, answers, URLs and headers.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log a record."""
        return record.levelno >= LEAST_LEVELS.get(record.name.partition(".")[0], logging.WARNING)


def set_up(level: str, redactor: Redactor, form: Format = "text") -> None:
    """Log to stderr from `level` on, uncaught errors and warnings too; other packages by `LEAST_LEVELS`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter(redactor) if form == "json" else _Formatter(redactor))
    handler.addFilter(_Sources())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    # A line that cannot be formatted would be printed with its arguments, past the formatter.
    logging.raiseExceptions = False
    log = logging.getLogger("audience_mcp")

    def uncaught(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
        log.critical("stopped by an error", exc_info=(kind, error, traceback))

    def uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
        log.error("a thread was stopped by an error", exc_info=args.exc_value)

    sys.excepthook = uncaught
    threading.excepthook = uncaught_in_thread
