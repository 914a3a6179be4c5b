"""The environment as sources and settings. Nothing is read when this is imported.

A vendor's variables make its sources; a suffix on a required one makes a further account
(`BATCH_PROJECT_KEY_FR` -> `batch-fr`), which takes what it lacks from the variables without a suffix.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from audience_mcp.core.errors import ConfigurationError, VendorError
from audience_mcp.vendors.base import Setting, Values, Vendor

Environment = Mapping[str, str]

_PLACEHOLDER = re.compile(r"\$\{.*\}")
_SUFFIX = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_]{0,38}[A-Za-z0-9])?", re.ASCII)
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?", re.ASCII)
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True, slots=True)
class Settings:
    """What is set for the server as a whole.

    deadline_s: seconds a call may take. cache_s: seconds a reading serves further calls. max_chars:
    characters of an answer. log_level: what goes to stderr.
    """

    deadline_s: float = 45
    cache_s: float = 300
    max_chars: int = 40_000
    log_level: str = "WARNING"


@dataclass(frozen=True, slots=True)
class Source:
    """One source: an account that can be asked, or the problem that keeps it from being asked."""

    name: str
    vendor: Vendor
    account: Account | None
    problem: VendorError | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything the environment says. `vendors` are all that exist, also those with nothing set."""

    settings: Settings
    sources: tuple[Source, ...]
    vendors: tuple[Vendor, ...]
    warnings: tuple[str, ...] = field(default=())

    @property
    def secrets(self) -> list[str]:
        """The values of all sources that must never be shown."""
        return [s for source in self.sources if source.account for s in source.account.secrets]


def is_set(value: str | None) -> bool:
    """Whether a variable has a value; empty ones and placeholders that a host left as they were have none."""
    return value is not None and bool(value.strip()) and not _PLACEHOLDER.fullmatch(value.strip())


def required_variables(vendor: Vendor) -> list[str]:
    """The variables a vendor needs, aliases joined by "or"."""
    return [" or ".join(s.variables) for s in vendor.settings if s.required]


def load_configuration(environment: Environment, vendors: Iterable[Vendor]) -> Configuration:
    """Sources and settings. Raises ConfigurationError for a setting of the server that cannot be used."""
    kinds = tuple(vendors)
    warnings: list[str] = []
    sources = tuple(source for vendor in kinds for source in _sources(vendor, environment, warnings))
    return Configuration(_settings(environment), sources, kinds, tuple(warnings))


def load_sandbox_configuration(
    environment: Environment, variables: Environment, vendors: Iterable[Vendor]
) -> Configuration:
    """The embedded vendors, to which `variables` lead, in place of all others.

    Only the server's own settings come from the environment. Raises ConfigurationError.
    """
    own = {name: value for name, value in environment.items() if name.startswith("AUDIENCE_MCP_")}
    return load_configuration({**own, **variables}, vendors)


def _settings(environment: Environment) -> Settings:
    default = Settings()
    level = environment.get("AUDIENCE_MCP_LOG_LEVEL")
    log_level = level.strip().upper() if level is not None and is_set(level) else default.log_level
    if log_level not in LOG_LEVELS:
        raise ConfigurationError(f"AUDIENCE_MCP_LOG_LEVEL must be one of {', '.join(LOG_LEVELS)}.")
    return Settings(
        _number(environment, "AUDIENCE_MCP_DEADLINE_S", default.deadline_s, 1, 3600),
        _number(environment, "AUDIENCE_MCP_CACHE_S", default.cache_s, 0, 86_400),
        int(_number(environment, "AUDIENCE_MCP_MAX_CHARS", default.max_chars, 4_000, 1_000_000, whole=True)),
        log_level,
    )


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
    kind = "a whole number" if whole else "a number"
    raise ConfigurationError(f"{name} must be {kind} from {low:g} to {high:,.0f}.".replace(",", ""))


def _sources(vendor: Vendor, environment: Environment, warnings: list[str]) -> list[Source]:
    """The sources of one vendor, the account without a suffix first."""
    required = [s for s in vendor.settings if s.required]
    suffixes = _suffixes(vendor, environment, warnings)
    plain = [s for s in required if _find(s, "", environment)]
    # Without a suffix they make a source, unless they are not enough for one and all lent to other accounts.
    lent = all(any(_is_lent(s, suffix, environment) for suffix in suffixes) for s in plain)
    found = [""] if plain and (len(plain) == len(required) or not lent) else []
    return [_source(vendor, suffix, environment) for suffix in [*found, *sorted(suffixes, key=str.lower)]]


def _suffixes(vendor: Vendor, environment: Environment, warnings: list[str]) -> list[str]:
    known = {v for s in vendor.settings for v in s.variables}
    found: dict[str, str] = {}
    for setting in vendor.settings:
        for variable in setting.variables if setting.required else ():
            for name in environment:
                if not name.startswith(f"{variable}_") or name in known or not is_set(environment[name]):
                    continue
                suffix = name[len(variable) + 1 :]
                if _SUFFIX.fullmatch(suffix):
                    found.setdefault(suffix.lower(), suffix)
                else:
                    warnings.append(
                        f"{name} makes no source: what follows {variable}_ must be letters, digits and "
                        "underscores, at most 40, not at its ends."
                    )
    return list(found.values())


def _find(setting: Setting, suffix: str, environment: Environment) -> tuple[str, str] | None:
    """The variable that holds a setting of an account, and its value."""
    for end in dict.fromkeys((f"_{suffix}" if suffix else "", "")):
        for variable in setting.variables:
            for name in dict.fromkeys((variable + end, variable + end.upper(), variable + end.lower())):
                if is_set(environment.get(name)):
                    return name, environment[name].strip()
    return None


def _is_lent(setting: Setting, suffix: str, environment: Environment) -> bool:
    """Whether the account with that suffix takes this setting from a variable without one."""
    found = _find(setting, suffix, environment)
    return found is not None and found[0] in setting.variables


def _source(vendor: Vendor, suffix: str, environment: Environment) -> Source:
    name = f"{vendor.name}-{suffix.lower().replace('_', '-')}" if suffix else vendor.name
    values: dict[str, str] = {}
    variables: dict[str, str] = {}
    missing: list[str] = []
    faults: list[str] = []
    for setting in vendor.settings:
        found = _find(setting, suffix, environment)
        variables[setting.role] = found[0] if found else setting.variables[0]
        if found:
            values[setting.role] = found[1]
            if fault := _fault(setting, *found):
                faults.append(fault)
        elif setting.default is not None:
            values[setting.role] = setting.default
        elif setting.required:
            missing.append(f"{setting.variables[0]}_{suffix}" if suffix else " or ".join(setting.variables))
    if missing:
        faults.insert(0, f"Set {' and '.join(missing)}.")
    if faults:
        text = f"{name}: {vendor.title} is not configured in full. {' '.join(faults)}"
        return Source(name, vendor, None, VendorError("not_configured", text))
    return Source(name, vendor, Account(name, vendor, values, variables))


def _fault(setting: Setting, variable: str, value: str) -> str | None:
    """What is wrong with a value, naming the variable and never the value."""
    if not value.isascii() or not value.isprintable():
        return f"{variable} holds line breaks, control or non-ASCII characters: copy the value again."
    if setting.role == "base_url":
        return _address_fault(variable, value)
    if setting.role == "max_rps":
        good = re.fullmatch(r"\d{1,6}(\.\d{1,6})?", value, re.ASCII) and 0.01 <= float(value) <= 1000
        return None if good else f"{variable} must be a number from 0.01 to 1000."
    return None


def _address_fault(variable: str, value: str) -> str | None:
    no_address = f"{variable} must be a URL such as https://api.example.com/v1, with no query."
    try:
        url = urlsplit(value)
        host, _ = url.hostname or "", url.port
        known = ipaddress.IPv6Address(host) if "[" in url.netloc else _HOST.fullmatch(host)
    except ValueError:
        return no_address
    if known is None or url.scheme not in ("https", "http") or any(c in value for c in " \\?#"):
        return no_address
    if url.username is not None or url.password is not None:
        return f"{variable} must not hold a user name or password."
    if url.scheme == "http" and not is_loopback(host):
        return f"{variable} must begin with https:// (plain http is for this computer only)."
    return None


@dataclass(frozen=True, slots=True)
class Account:
    """One configured account of a vendor: a *source*.

    source: its name, the first half of every ref. variables: for each role the environment variable
    that holds (or would hold) its value.
    """

    source: str
    vendor: Vendor
    values: Values
    variables: Mapping[str, str]

    @property
    def base_url(self) -> str:
        """Where the vendor is reached, without a slash at the end."""
        return self.values["base_url"].rstrip("/")

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that must never be shown."""
        return tuple(self.values[s.role] for s in self.vendor.settings if s.secret and s.role in self.values)


def is_loopback(host: str) -> bool:
    """Whether `host` is this computer, by name or address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
