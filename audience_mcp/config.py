"""The environment as sources and settings. Nothing is read when this is imported.

A vendor's variables make its sources; a suffix on a required one makes a further account
(`BATCH_PROJECT_KEY_FR` -> `batch-fr`), which takes what it lacks from the variables without a suffix.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast
from urllib.parse import urlsplit

from audience_mcp.core.errors import ConfigurationError, VendorError
from audience_mcp.store import is_database
from audience_mcp.vendors import Rate, Request, Setting, Values, Vendor

Environment = Mapping[str, str]

_PLACEHOLDER = re.compile(r"\$\{.*\}")
_SUFFIX = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_]{0,38}[A-Za-z0-9])?", re.ASCII)
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?", re.ASCII)
HURRY = 60
"""How many times faster than a real vendor the sandbox's may be asked."""
SHORTEST_KEY = 8
"""Characters of a key; a shorter one cannot be kept out of answers without harming them."""
ORDINARY_WORDS = frozenset(
    "audience audiences complete description partial processing retry_after_s sandbox "  # noqa: SIM905
    "size_counts sources unknown_sizes updated_at created_at".split()
)
"""Words of the answers that are as long as a key may be."""

MESSAGES = {
    "missing": "Set {variables}.",
    "incomplete": "{source}: {title} is not configured in full. {faults}",
    "not_ascii": "{variable} holds line breaks, control or non-ASCII characters: copy the value again.",
    "choice": "{variable} must be one of {allowed}.",
    "shape": "{variable} must look like {example}.",
    "weak_key": "{variable} is too short or too ordinary a word to be a key (at least {least} characters), "
    "and could not be kept out of answers: copy the key again.",
    "rate": "{variable} must be a number from 0.01 to 1000.",
    "underivable": "Set {variable} (such as {example}): it does not follow from the other settings.",
    "url": "{variable} must be a URL such as https://api.example.com/v1, with no query.",
    "userinfo": "{variable} must not hold a user name or password.",
    "https": "{variable} must begin with https:// (plain http is for this computer only).",
    "suffix": "{name} was ignored: the account suffix after {variable}_ must be 1-40 letters, digits "
    "or underscores, and must not start or end with _.",
    "same_account": "{ignored} was ignored: {names} name the same account as the source {source}.",
    "log_level": "AUDIENCE_MCP_LOG_LEVEL must be one of {allowed}.",
    "store": "AUDIENCE_MCP_STORE must be a folder, off, or an address that begins with postgresql://.",
    "number": "{name} must be {what} from {low:g} to {high:.0f}.",
}
STORE_OFF = ("off", "none", "false", "no", "0")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


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
    vendors: Mapping[str, Vendor]
    warnings: tuple[str, ...] = field(default=())

    @property
    def secrets(self) -> list[str]:
        """The values of all sources that must never be shown."""
        return [s for source in self.sources if source.account for s in source.account.secrets]


def is_set(value: str | None) -> bool:
    """Whether a variable has a value; empty ones and placeholders that a host left as they were have none."""
    return value is not None and bool(value.strip()) and not _PLACEHOLDER.fullmatch(value.strip())


def describe_needs(vendor: Vendor) -> str:
    """The variables that a vendor needs: `A (or B), C`, and after them the ways of which one is enough."""
    first = {s.role: s.variables[0] for s in vendor.settings}
    needed = [
        f"{first[s.role]} (or {' or '.join(s.variables[1:])})" if len(s.variables) > 1 else first[s.role]
        for s in vendor.settings
        if s.required
    ]
    ways = [
        f"{'both ' if len(group) > 1 else ''}{' and '.join(first[role] for role in group)}"
        for group in vendor.needs_one_of
    ]
    return ", ".join(needed) + (f", and {' or '.join(ways)}" if ways else "")


def load_configuration(
    environment: Environment, vendors: Mapping[str, Vendor] | Iterable[Vendor]
) -> Configuration:
    """Sources and settings. `vendors` that can tell which of them the environment mentions load no others.

    Raises ConfigurationError for a setting of the server that cannot be used."""
    kinds = (
        cast("Mapping[str, Vendor]", vendors)
        if isinstance(vendors, Mapping)
        else {vendor.name: vendor for vendor in vendors}
    )
    mentioned = getattr(kinds, "mentioned_in", None)
    set_names = [name for name, value in environment.items() if is_set(value)]
    warnings: list[str] = []
    found = [
        source
        for vendor in (mentioned(set_names) if mentioned else kinds.values())
        for source in _sources(vendor, environment, warnings)
    ]
    sources = tuple(_without_twins(found, environment, warnings))
    return Configuration(_settings(environment), sources, kinds, tuple(warnings))


def _without_twins(
    sources: Iterable[Source], environment: Environment, warnings: list[str]
) -> Iterator[Source]:
    """The sources but those that name the same account as an earlier one, which would double every total."""
    seen: dict[tuple[object, ...], Source] = {}
    for source in sources:
        account = source.account
        if account is None:
            yield source
            continue
        first = seen.setdefault(account.identity, source)
        if first is source:
            yield source
            continue
        names = [v for v in account.variables.values() if is_set(environment.get(v))]
        own = [v for v in names if first.account is None or v not in first.account.variables.values()]
        warnings.append(
            MESSAGES["same_account"].format(
                ignored=source.name, names=" and ".join(own or names), source=first.name
            )
        )


def load_sandbox_configuration(
    environment: Environment, variables: Environment, vendors: Mapping[str, Vendor] | Iterable[Vendor]
) -> Configuration:
    """The embedded vendors, to which `variables` lead, in place of all others; they are asked in a hurry.

    Only the server's own settings come from the environment. Raises ConfigurationError.
    """
    own = {name: value for name, value in environment.items() if name.startswith("AUDIENCE_MCP_")}
    configured = load_configuration({**own, **variables}, vendors)
    sources = tuple(
        replace(source, account=replace(source.account, hurry=HURRY)) if source.account else source
        for source in configured.sources
    )
    return replace(configured, sources=sources)


def _settings(environment: Environment) -> Settings:
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


def _sources(vendor: Vendor, environment: Environment, warnings: list[str]) -> list[Source]:
    """The sources of one vendor, the account without a suffix first."""
    required = [s for s in vendor.settings if s.required]
    suffixes = _suffixes(vendor, environment, warnings)
    plain = [s for s in _key_settings(vendor) if _find(s, "", environment)]
    # Without a suffix they make a source, unless they are not enough for one and all lent to other accounts.
    lent = all(any(_is_lent(s, suffix, environment) for suffix in suffixes) for s in plain)
    whole = all(s in plain for s in required)
    found = [""] if plain and (whole or not lent) else []
    return [_source(vendor, suffix, environment) for suffix in [*found, *sorted(suffixes, key=str.lower)]]


def _key_settings(vendor: Vendor) -> list[Setting]:
    """The settings that make a source: the required ones, and those of which one group is needed."""
    optional = {role for group in vendor.needs_one_of for role in group}
    return [s for s in vendor.settings if s.required or s.role in optional]


def _suffixes(vendor: Vendor, environment: Environment, warnings: list[str]) -> list[str]:
    known = {v for s in vendor.settings for v in s.variables}
    keyed = _key_settings(vendor)
    found: dict[str, str] = {}
    for setting in vendor.settings:
        for variable in setting.variables if setting in keyed else ():
            for name in environment:
                if not name.startswith(f"{variable}_") or name in known or not is_set(environment[name]):
                    continue
                suffix = name[len(variable) + 1 :]
                if _SUFFIX.fullmatch(suffix):
                    found.setdefault(suffix.lower(), suffix)
                else:
                    warnings.append(MESSAGES["suffix"].format(name=name, variable=variable))
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
    faults: list[str] = []
    for setting in vendor.settings:
        found = _find(setting, suffix, environment)
        variables[setting.role] = found[0] if found else setting.variables[0]
        if found:
            values[setting.role], fault = _read_value(setting, *found)
            faults += [fault] if fault else []
        elif setting.default is not None:
            values[setting.role] = setting.default
    missing = [_name_variables(s, suffix) for s in vendor.settings if s.required and s.role not in values]
    missing += _missing_alternative(vendor, suffix, values)
    if missing:
        faults.insert(0, MESSAGES["missing"].format(variables=" and ".join(missing)))
    if not faults:
        values["base_url"], fault = _resolve_base_url(vendor, values, variables)
        faults += [fault] if fault else []
    if faults:
        text = MESSAGES["incomplete"].format(source=name, title=vendor.title, faults=" ".join(faults))
        return Source(name, vendor, None, VendorError("not_configured", text))
    return Source(name, vendor, Account(name, vendor, values, variables))


def _name_variables(setting: Setting, suffix: str) -> str:
    return f"{setting.variables[0]}_{suffix}" if suffix else " or ".join(setting.variables)


def _missing_alternative(vendor: Vendor, suffix: str, values: Mapping[str, str]) -> list[str]:
    """What to set where none of the groups of `needs_one_of` is set in full."""
    groups = vendor.needs_one_of
    if not groups or any(all(role in values for role in group) for group in groups):
        return []
    by_role = {setting.role: setting for setting in vendor.settings}
    ways = [" and ".join(_name_variables(by_role[role], suffix) for role in group) for group in groups]
    return [f"either {', or '.join(ways)}"]


def _read_value(setting: Setting, variable: str, text: str) -> tuple[str, str | None]:
    """A setting's value as the API wants it, and what is wrong with it, naming the variable alone."""
    if not text.isascii() or not text.isprintable():
        return text, MESSAGES["not_ascii"].format(variable=variable)
    value = setting.normalize(text) if setting.normalize else text
    if setting.choices is not None:
        value = value.lower()
        allowed = ", ".join(setting.choices)
        fault = (
            None
            if value in setting.choices
            else MESSAGES["choice"].format(variable=variable, allowed=allowed)
        )
        return value, fault
    if setting.role in ("base_url", "token_url"):
        value = value if "://" in value else f"https://{value}"
        return value, _address_fault(variable, value)
    if setting.pattern is not None and not setting.pattern.fullmatch(value):
        return value, MESSAGES["shape"].format(variable=variable, example=setting.example)
    if setting.secret and (len(value) < SHORTEST_KEY or value.lower() in ORDINARY_WORDS):
        return value, MESSAGES["weak_key"].format(variable=variable, least=SHORTEST_KEY)
    if setting.role == "max_rps":
        good = re.fullmatch(r"\d{1,6}(\.\d{1,6})?", value, re.ASCII) and 0.01 <= float(value) <= 1000
        return value, None if good else MESSAGES["rate"].format(variable=variable)
    return value, None


def _resolve_base_url(
    vendor: Vendor, values: Mapping[str, str], variables: Mapping[str, str]
) -> tuple[str, str | None]:
    """The base URL with other settings' values in it; each was checked by its pattern."""
    url = values["base_url"]
    if "{" not in url:
        return url, None
    stands_for = {
        s.role: s.choices[values[s.role]] for s in vendor.settings if s.choices and s.role in values
    }
    try:
        url = url.format_map({**vendor.derived_values(values), **values, **stands_for})
    except KeyError as e:
        role = str(e.args[0])
        known = {s.role: s for s in vendor.settings}
        variable = variables.get(role, role)
        return url, MESSAGES["underivable"].format(variable=variable, example=known[role].example)
    return url, _address_fault(variables["base_url"], url)


def _address_fault(variable: str, value: str) -> str | None:
    no_address = MESSAGES["url"].format(variable=variable)
    try:
        url = urlsplit(value)
        host, _ = url.hostname or "", url.port
        known = ipaddress.IPv6Address(host) if "[" in url.netloc else _HOST.fullmatch(host)
    except ValueError:
        return no_address
    if known is None or url.scheme not in ("https", "http") or any(c in value for c in " \\?#"):
        return no_address
    if url.username is not None or url.password is not None:
        return MESSAGES["userinfo"].format(variable=variable)
    if url.scheme == "http" and not is_loopback(host):
        return MESSAGES["https"].format(variable=variable)
    return None


@dataclass(frozen=True, slots=True)
class Account:
    """One configured account of a vendor: a *source*.

    source: its name, the first half of every ref. variables: for each role the environment variable
    that holds (or would hold) its value. hurry: how many times faster it may be asked than its vendor allows.
    """

    source: str
    vendor: Vendor
    values: Values
    variables: Mapping[str, str]
    hurry: float = 1

    @property
    def rates(self) -> Mapping[str, Sequence[Rate]]:
        """The limits of each kind of request."""
        rates = self.vendor.rates(self.values)
        if self.hurry == 1:
            return rates
        return {
            kind: [Rate(rate.requests, rate.seconds / self.hurry) for rate in limits]
            for kind, limits in rates.items()
        }

    @property
    def base_url(self) -> str:
        """Where the vendor is reached, without a slash at the end."""
        return self.values["base_url"].rstrip("/")

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that must never be shown: secret settings, and headers and signatures made of them."""
        own = [self.values[s.role] for s in self.vendor.settings if s.secret and s.role in self.values]
        try:
            headers = self.vendor.headers({"token": "", **self.values}) if own else {}
            signed = self.vendor.sign(Request(""), self.values).params.values() if own else ()
        except Exception:  # noqa: BLE001 (a plug-in's own code; the reading will say so)
            headers, signed = {}, ()
        # "Basic dXNlcjprZXk=": a form of the key of which no part of the key can be seen.
        made = [v.split()[-1] for name, v in headers.items() if name.lower() == "authorization" and " " in v]
        made += signed
        return tuple(dict.fromkeys([*own, *(word for word in made if len(word) >= SHORTEST_KEY)]))

    @property
    def identity(self) -> tuple[object, ...]:
        """What makes this account the same as another: vendor, base URL, and what names the account.

        Where nothing does, or several keys see different things in it, the key itself.
        """
        named = [s for s in self.vendor.settings if s.identifies] or [
            s for s in self.vendor.settings if s.secret
        ]
        values = tuple(self.values.get(s.role) for s in named)
        return self.vendor.name, self.base_url, *values


def is_loopback(host: str) -> bool:
    """Whether `host` is this computer, by name or address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
