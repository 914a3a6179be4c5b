"""Where variables come from (environment, settings file, files of one value), and our own settings."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from audience_mcp.core.errors import ConfigurationError
from audience_mcp.core.logs import Format
from audience_mcp.store import is_database

Environment = Mapping[str, str]

STORE_OFF = ("off", "none", "false", "no", "0")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LOG_FORMATS: tuple[Format, ...] = ("text", "json")
OWN = "AUDIENCE_MCP_"
ENV_FILE = "AUDIENCE_MCP_ENV_FILE"
LABEL = "AUDIENCE_MCP_LABEL_"
SETTINGS_AT = "AUDIENCE_MCP_SETTINGS_AT"
OWN_SETTINGS = tuple(
    f"{OWN}{name}"
    for name in (
        *("DEADLINE_S", "CACHE_S", "MAX_CHARS", "LOG_LEVEL", "LOG_FORMAT", "STORE", "ENV_FILE"),
        "SETTINGS_AT",
        *("HTTP_TOKEN", "HTTP_TOKENS", "ACCESS", "ALLOWED_HOSTS", "PUBLIC_URL"),
        *("OAUTH_ISSUER", "OAUTH_AUDIENCE", "OAUTH_ALLOWED"),
    )
)
"""Every setting of the program itself; beside them there are labels of clients."""
LARGEST_FILE = 2**20
"""Bytes of a settings file, or of a file that holds one value."""
_PLACEHOLDER = re.compile(r"\$\{.*\}")
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)", re.ASCII)
_QUOTES = {'"': '"', "'": "'", "\u201c": "\u201d", "\u2018": "\u2019"}


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of the server as a whole.

    deadline_s: seconds a call may take. cache_s: seconds a reading serves further calls. max_chars:
    characters of an answer. log_level: what goes to stderr. log_format: in which form. store: where readings
    and sizes are remembered: a folder, a database's address, `off`, or None for the default. settings_at:
    where a person changes the settings in the program that starts the server, if that program says so.
    """

    deadline_s: float = 45
    cache_s: float = 300
    max_chars: int = 40_000
    log_level: str = "WARNING"
    log_format: Format = "text"
    store: str | None = field(default=None, repr=False)  # an address may hold a password
    settings_at: str | None = None


def is_set(value: str | None) -> bool:
    """Whether a variable has a value. Empty ones, and placeholders that a host left in place, have none."""
    return value is not None and bool(value.strip()) and not _PLACEHOLDER.fullmatch(value.strip())


def read_environment(environment: Environment, env_file: str | None = None) -> Environment:
    """Return all variables: those of the environment and, where it has none, those of the settings file.

    The settings file is `env_file`, else the one named by AUDIENCE_MCP_ENV_FILE, else `default_env_file()` if
    it exists; AUDIENCE_MCP_ENV_FILE is then its absolute path. An AUDIENCE_MCP_..._FILE holds the value of
    the setting before `_FILE`. Raises ConfigurationError for a file that is refused or cannot be read.
    """
    found = dict(environment)
    named = env_file or (environment[ENV_FILE].strip() if is_set(environment.get(ENV_FILE)) else None)
    try:
        path = expand_path(named).absolute() if named else default_env_file()
    except ValueError as e:
        raise ConfigurationError(f"The settings file cannot be read: {e}.") from None
    if named or path.is_file():
        for name, value in read_env_file(path).items():
            if not is_set(found.get(name)):
                found[name] = value
        found[ENV_FILE] = str(path)
    for name in [
        name for name in found if name.startswith(OWN) and name.endswith("_FILE") and name != ENV_FILE
    ]:
        if is_set(found[name]):
            setting = name.removesuffix("_FILE")
            if is_set(found.get(setting)):
                raise ConfigurationError(f"{setting} and {name} are both set: unset one of them.")
            try:
                found[setting] = read_value_file(found[name])
            except ValueError as e:
                raise ConfigurationError(f"{name}: {e}.") from None
    return found


def default_env_file() -> Path:
    """Return the path of the settings file that `setup` writes; it is read if no other one is named."""
    import platformdirs

    return platformdirs.user_config_path("audience-mcp", appauthor=False) / "env"


def read_env_file(path: Path) -> dict[str, str]:
    """Read a settings file: `NAME=value` a line. Raises ConfigurationError, never showing a value."""
    try:
        if sys.platform != "win32" and path.stat().st_mode & 0o044:
            raise ConfigurationError(
                f"{path} can be read by other users of this machine, so it is not used: chmod 600 {path}"
            )
        text = _read_text(path)
    except (OSError, ValueError) as e:
        raise ConfigurationError(f"{path} cannot be read: {_explain(e)}.") from None
    found: dict[str, str] = {}
    for number, name, value in _parse_lines(path, text):
        if name in found:
            raise ConfigurationError(f"{path}, line {number}: {name} is set twice in this file.")
        found[name] = strip_quotes(value)
    return found


def read_value_file(path: str) -> str:
    """Read a file that holds one value, without space around it. Raises ValueError with the reason.

    Its path is never shown: it may be the value itself, by mistake.
    """
    try:
        return _read_text(expand_path(path.strip())).strip()
    except (OSError, ValueError) as e:
        raise ValueError(f"the file that it names cannot be read: {_explain(e)}") from None


def expand_path(text: str) -> Path:
    """Return the path that a text means, `~` and `~name` as home folders. Raises ValueError with the reason.

    The reason does not show the text: it may be a key, by mistake.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError("its path begins with ~ and names a home folder that does not exist") from None


def strip_quotes(value: str) -> str:
    """Return a value without space, and without one pair of quotes, around it."""
    text = value.strip()
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        return text[1:-1].strip()
    return text


def parse_env_line(line: str) -> str | None:
    """Return the name of the variable that a line of a settings file sets; None if it sets none."""
    found = _LINE.fullmatch(line.strip())
    return found[1] if found else None


def _parse_lines(path: Path, text: str) -> Iterator[tuple[int, str, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise ConfigurationError(
                f"{path}, line {number}: it is not NAME=value, nor a comment that begins with #."
            )
        yield number, found[1], found[2]


def _read_text(path: Path) -> str:
    with path.open("rb") as file:
        raw = file.read(LARGEST_FILE + 1)
    if len(raw) > LARGEST_FILE:
        raise ValueError("it is larger than 1 MiB")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text; save it as UTF-8") from None


def _explain(error: OSError | ValueError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def load_settings(environment: Environment) -> Settings:
    """Read the settings. Raises ConfigurationError for one that is not valid."""
    default = Settings()
    level = environment.get("AUDIENCE_MCP_LOG_LEVEL")
    log_level = level.strip().upper() if level is not None and is_set(level) else default.log_level
    if log_level not in LOG_LEVELS:
        raise ConfigurationError(f"AUDIENCE_MCP_LOG_LEVEL must be one of {', '.join(LOG_LEVELS)}.")
    form = environment.get("AUDIENCE_MCP_LOG_FORMAT")
    wanted = form.strip().lower() if form is not None and is_set(form) else default.log_format
    if wanted not in LOG_FORMATS:
        raise ConfigurationError(f"AUDIENCE_MCP_LOG_FORMAT must be {' or '.join(LOG_FORMATS)}.")
    log_format: Format = "json" if wanted == "json" else "text"
    return Settings(
        _number(environment, "AUDIENCE_MCP_DEADLINE_S", default.deadline_s, 1, 3600),
        _number(environment, "AUDIENCE_MCP_CACHE_S", default.cache_s, 0, 86_400),
        int(_number(environment, "AUDIENCE_MCP_MAX_CHARS", default.max_chars, 4_000, 1_000_000, whole=True)),
        log_level,
        log_format,
        _store(environment),
        environment[SETTINGS_AT].strip() if is_set(environment.get(SETTINGS_AT)) else None,
    )


def _store(environment: Environment) -> str | None:
    value = (environment.get("AUDIENCE_MCP_STORE") or "").strip()
    if not is_set(value):
        return None
    if value.lower() in STORE_OFF:
        return "off"
    if "://" in value and not is_database(value):
        raise ConfigurationError(
            "AUDIENCE_MCP_STORE must be a folder, off, or an address that begins with postgresql://."
        )
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
    raise ConfigurationError(f"{name} must be {what} from {low:g} to {high:.0f}.")
