"""The settings of the server as a whole."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from audience_mcp.config.environment import Environment, is_set
from audience_mcp.core.errors import ConfigurationError
from audience_mcp.store import is_database

STORE_OFF = ("off", "none", "false", "no", "0")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

MESSAGES = {
    "log_level": "AUDIENCE_MCP_LOG_LEVEL must be one of {allowed}.",
    "store": "AUDIENCE_MCP_STORE must be a folder, off, or an address that begins with postgresql://.",
    "number": "{name} must be {what} from {low:g} to {high:.0f}.",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What is set for the server as a whole.

    deadline_s: seconds a call may take. cache_s: seconds a reading serves further calls. max_chars:
    characters of an answer. log_level: what goes to stderr. store: where readings and sizes are remembered: a
    folder, a database's address, `off`, or None for the default.
    """

    deadline_s: float = 45
    cache_s: float = 300
    max_chars: int = 40_000
    log_level: str = "WARNING"
    store: str | None = field(default=None, repr=False)  # an address may hold a password


def load_settings(environment: Environment) -> Settings:
    """The settings that the environment says. Raises ConfigurationError for one that cannot be used."""
    default = Settings()
    level = environment.get("AUDIENCE_MCP_LOG_LEVEL")
    log_level = level.strip().upper() if level is not None and is_set(level) else default.log_level
    if log_level not in LOG_LEVELS:
        raise ConfigurationError(MESSAGES["log_level"].format(allowed=", ".join(LOG_LEVELS)))
    return Settings(
        _number(environment, "AUDIENCE_MCP_DEADLINE_S", default.deadline_s, 1, 3600),
        _number(environment, "AUDIENCE_MCP_CACHE_S", default.cache_s, 0, 86_400),
        int(_number(environment, "AUDIENCE_MCP_MAX_CHARS", default.max_chars, 4_000, 1_000_000, whole=True)),
        log_level,
        _store(environment),
    )


def _store(environment: Environment) -> str | None:
    value = (environment.get("AUDIENCE_MCP_STORE") or "").strip()
    if not is_set(value):
        return None
    if value.lower() in STORE_OFF:
        return "off"
    if "://" in value and not is_database(value):
        raise ConfigurationError(MESSAGES["store"])
    return value


def _number(
    environment: Environment, name: str, default: float, low: float, high: float, *, whole: bool = False
) -> float:
    text = environment.get(name)
    if text is None or not is_set(text):
        return default
    if re.fullmatch(r"\d{1,12}" if whole else r"\d{1,12}(\.\d{1,12})?", text.strip(), re.ASCII):
        value = float(text)
        if low <= value <= high:
            return value
    what = "a whole number" if whole else "a number"
    raise ConfigurationError(MESSAGES["number"].format(name=name, what=what, low=low, high=high))
