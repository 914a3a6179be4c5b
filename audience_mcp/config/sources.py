"""The environment as sources: the accounts that it configures, and what keeps one from being asked.

A vendor's variables make its sources. A suffix on a required one makes a further account
(`BATCH_PROJECT_KEY_FR` -> `batch-fr`), which takes what it lacks from the variables without a suffix.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast
from urllib.parse import urlsplit

from audience_mcp.config.environment import (
    LABEL,
    Environment,
    Settings,
    is_set,
    load_settings,
    read_value_file,
    strip_quotes,
)
from audience_mcp.config.meaning import find_sources
from audience_mcp.config.mistakes import (
    find_key_fault,
    find_mistyped_variables,
    find_odd_shape,
    find_unknown_settings,
)
from audience_mcp.core.errors import VendorError
from audience_mcp.core.secrets import SHORTEST_KEY
from audience_mcp.vendors import Exchange, Rate, Request, Setting, Values, Vendor
from audience_mcp.vendors.auth import secrets_of

_SUFFIX = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_]{0,38}[A-Za-z0-9])?", re.ASCII)
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?", re.ASCII)
ORDINARY_WORDS = frozenset(
    {
        "audience",
        "audiences",
        "complete",
        "description",
        "partial",
        "processing",
        "retry_after_s",
        "sandbox",
        "size_counts",
        "sources",
        "unknown_sizes",
        "updated_at",
        "created_at",
    }
)
"""Words of our answers that are long enough to pass as keys."""
SPEED_UP = 60
"""Factor by which the sandbox's vendors may be called faster than real ones."""

SUFFIX_SHAPE = "must be 1-40 letters, digits or underscores, and must not start or end with _."
NO_SUFFIX = {
    **dict.fromkeys(("all", "any"), "it means every source"),
    **dict.fromkeys(("none", "null", "undefined"), "it means that no source was chosen"),
    "file": "_FILE at the end of a variable's name means a file that holds the value",
}
"""Words that cannot be a suffix, and why."""

MESSAGES = {
    "missing": "Set {variables}.",
    "incomplete": "{source}: {title} is not configured in full. {faults}",
    "suffix": "{name} was ignored: the account suffix after {variable}_ " + SUFFIX_SHAPE,
    "same_account": "{ignored} (set by {names}) was ignored: it is the same account as the source {source}.",
    "not_ascii": "{variable} holds line breaks, control or non-ASCII characters: copy the value again.",
    "choice": "{variable} must be one of {allowed}.",
    "shape": "{variable} must look like {example}.",
    "weak_key": "{variable} is too short or too ordinary a word to be a key (at least {least} characters), "
    "and could not be kept out of answers: copy the key again.",
    "rate": "{variable} must be a number from 0.01 to 1000.",
    "underivable": "Set {variable} (such as {example}): it cannot be worked out from the other settings.",
    "url": "{variable} must be a URL such as https://api.example.com/v1, with no query.",
    "userinfo": "{variable} must not hold a user name or password.",
    "https": "{variable} must begin with https:// (plain http is for this machine only).",
}


@dataclass(frozen=True, slots=True)
class Account:
    """What it takes to call a vendor for one source.

    source: the source's name, the first half of every ref. values: for each role its value, keys included.
    variables: for each role the environment variable that holds (or would hold) its value. speed_up: factor
    by which it may be called faster than its vendor allows; 1 for real vendors.
    """

    source: str
    vendor: Vendor
    values: Values = field(repr=False)
    variables: Mapping[str, str]
    speed_up: float = 1

    @property
    def rates(self) -> Mapping[str, Sequence[Rate]]:
        """The rate limits, by kind of request."""
        rates = self.vendor.rates(self.values)
        if self.speed_up == 1:
            return rates
        return {
            kind: [Rate(rate.requests, rate.seconds / self.speed_up) for rate in limits]
            for kind, limits in rates.items()
        }

    @property
    def base_url(self) -> str:
        """The vendor's base URL, without a trailing slash."""
        return self.values["base_url"].rstrip("/")

    def addresses(self, *, own: bool) -> Mapping[str, str]:
        """Where its requests go, by role, the base URL last. own: only what the vendor declares as its own,
        so without a host that exchanges tokens."""
        settings = [s for s in self.vendor.settings if s.is_address and (s.origin or not own)]
        found = {s.role: self.values[s.role] for s in settings if s.role in self.values}
        return {**{role: url for role, url in found.items() if role != "base_url"}, "base_url": self.base_url}

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that must never be shown: secret settings, and headers and signatures made from them."""
        own = [self.values[s.role] for s in self.vendor.settings if s.secret and s.role in self.values]
        return tuple(dict.fromkeys([*own, *(self._make_secrets() if own else ())]))

    def _make_secrets(self) -> list[str]:
        """What authenticates requests and is made of the keys without containing their text."""
        auth = self.vendor.auth_for(self.values)
        if isinstance(auth, Exchange):
            return []  # its token does not exist yet
        try:
            return secrets_of(auth.authorize(Request(""), self.values, 0))
        except Exception:  # noqa: BLE001 (a plug-in's own code; the reading will say so)
            return []

    @property
    def identity(self) -> tuple[object, ...]:
        """What two accounts have in common if they are the same: vendor, base URL, and identifying values.

        Without identifying values, or where different keys see different audiences, it is the key itself.
        """
        named = [s for s in self.vendor.settings if s.identifies] or [
            s for s in self.vendor.settings if s.secret
        ]
        values = tuple(self.values.get(s.role) for s in named)
        return self.vendor.name, self.base_url, *values

    @property
    def shared(self) -> tuple[str, ...] | None:
        """What this account has in common with the same one at another vendor, if there is one."""
        try:
            return self.vendor.shared_account(self.values)
        except Exception:  # noqa: BLE001 (a plug-in's own code: then it is an account like any other)
            return None


@dataclass(frozen=True, slots=True)
class Source:
    """One source: an account that can be called, or the problem with its variables. One of both is None.

    client: the suffix, if it names a client. label: the client's name for people.
    """

    name: str
    vendor: Vendor
    account: Account | None
    problem: VendorError | None = None
    client: str | None = None
    label: str | None = None

    @property
    def suffix(self) -> str:
        """What stands behind the vendor in its name, also where that is no client; empty if nothing does."""
        return self.name.removeprefix(self.vendor.name).removeprefix("-")


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that the environment configures. `vendors`: all that exist, whether configured or not."""

    settings: Settings
    sources: tuple[Source, ...]
    vendors: Mapping[str, Vendor]
    warnings: tuple[str, ...] = field(default=())

    @property
    def secrets(self) -> list[str]:
        """The values, of all sources, that must never be shown."""
        return [s for source in self.sources if source.account for s in source.account.secrets]

    def find_sources(self, name: str) -> list[Source]:
        """Return the configured sources that a name means, as `find_sources` does."""
        return find_sources(name, self.sources)


def describe_needs(vendor: Vendor) -> str:
    """Return the variables that a vendor needs: `A (or B), C`, then alternatives of which one is enough."""
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


def find_suffix_fault(suffix: str) -> str | None:
    """Return why a text cannot be the suffix of an account; None if it can be."""
    if not _SUFFIX.fullmatch(suffix):
        return f"The suffix of an account {SUFFIX_SHAPE}"
    if reason := NO_SUFFIX.get(suffix.lower()):
        return f"'{suffix.lower()}' cannot be the suffix of an account, as {reason}: choose another one."
    return None


def name_source(vendor: Vendor, suffix: str) -> str:
    """Return the name of a vendor's account with this suffix, which may be empty."""
    return f"{vendor.name}-{suffix.lower().replace('_', '-')}" if suffix else vendor.name


def name_variables(vendor: Vendor, suffix: str, environment: Environment) -> Mapping[str, str]:
    """Return for each role the variable that holds an account's own value, or would hold it if it were set.

    It is `NAME_FILE` where that names the file that holds the value. suffix: in any case, or empty.
    """
    given = _Given(environment, [vendor])
    spelled = next((each for each in _suffixes(vendor, given) if each.lower() == suffix.lower()), suffix)
    names = {}
    for setting in vendor.settings:
        found = given.find(setting, spelled)
        if found is None or (suffix and found in setting.variables):  # lent by the account without a suffix
            found = setting.variables[0] + (f"_{spelled}" if suffix else "")
        names[setting.role] = given.files.get(found, found)
    return names


def load_configuration(
    environment: Environment, vendors: Mapping[str, Vendor] | Iterable[Vendor]
) -> Configuration:
    """Read sources and settings. A lazy registry loads only the vendors that the environment mentions.

    Raises ConfigurationError for a server setting that is not valid.
    """
    kinds = (
        cast("Mapping[str, Vendor]", vendors)
        if isinstance(vendors, Mapping)
        else {vendor.name: vendor for vendor in vendors}
    )
    mentioned = getattr(kinds, "mentioned_in", None)
    set_names = [name for name, value in environment.items() if is_set(value)]
    asked = list(mentioned(set_names) if mentioned else kinds.values())
    given = _Given(environment, asked)
    found = [source for vendor in asked for source in _sources(vendor, given, kinds)]
    sources = tuple(_without_twins(found, given))
    given.warnings += find_unknown_settings(environment)
    for vendor in asked:
        given.warnings += find_mistyped_variables(vendor, _key_settings(vendor), given.values)
    # What a label's file says stands under the label's own name too.
    labels = {
        name[len(LABEL) :].lower().replace("_", "-")
        for name in environment
        if name.startswith(LABEL) and not name.endswith("_FILE")
    }
    for label in sorted(labels - {source.client for source in sources if source.client}):
        given.warnings.append(f"{LABEL}{label.upper().replace('-', '_')} names a client that no source has.")
    return Configuration(load_settings(environment), sources, kinds, tuple(dict.fromkeys(given.warnings)))


class _Given:
    """The vendors' variables as they were given, with those that stand in a file of their own.

    values: by name. files: for each variable that came from `NAME_FILE`, that name. faults: for each variable
    that cannot be used, why. warnings: what is probably a mistake.
    """

    def __init__(self, environment: Environment, vendors: Iterable[Vendor]) -> None:
        self.values = dict(environment)
        self.files: dict[str, str] = {}
        self.faults: dict[str, str] = {}
        self.warnings: list[str] = []
        known = {variable for vendor in vendors for s in vendor.settings for variable in s.variables}
        for name in environment:
            variable = name.removesuffix("_FILE")
            if variable == name or name in known or not is_set(environment[name]):
                continue
            if not any(variable == each or variable.startswith(f"{each}_") for each in known):
                continue
            self.files[variable] = name
            del self.values[name]
            if is_set(environment.get(variable)):
                self.faults[variable] = f"{variable} and {name} are both set: unset one of them."
                continue
            try:
                self.values[variable] = read_value_file(environment[name])
            except ValueError as e:
                self.faults[variable] = f"{name}: {e}."
                self.values[variable] = environment[name]
            if not is_set(self.values[variable]):
                self.faults[variable] = f"{name}: the file is empty."
                self.values[variable] = environment[name]

    def find(self, setting: Setting, suffix: str) -> str | None:
        """Return the variable that holds an account's setting; None if it is not set."""
        for end in dict.fromkeys((f"_{suffix}" if suffix else "", "")):
            for variable in setting.variables:
                for name in dict.fromkeys((variable + end, variable + end.upper(), variable + end.lower())):
                    if is_set(self.values.get(name)):
                        return name
        return None

    def read(self, setting: Setting, name: str) -> tuple[str, str | None]:
        """Return a set variable's value as the API takes it, and what is wrong or None."""
        if name in self.faults:
            return "", self.faults[name]
        shown, text = self.files.get(name, name), self.values[name].strip()
        bare = strip_quotes(text)
        if bare != text:
            self.warnings.append(f"{shown} has quotes around its value; they were taken off.")
        return _read_value(setting, shown, bare)


def _without_twins(sources: Iterable[Source], given: _Given) -> Iterator[Source]:
    """Yield the sources except those of an earlier one's account, which would double every total."""
    seen: dict[tuple[object, ...], Source] = {}
    elsewhere: dict[tuple[str, ...], Source] = {}
    for source in sources:
        account = source.account
        if account is None:
            yield source
            continue
        first = seen.setdefault(account.identity, source)
        if first is source and (key := account.shared) is not None:
            known = elsewhere.setdefault(key, source)
            # Two sources of one vendor may be the same account at two base URLs: those stay apart.
            first = source if known.vendor is source.vendor else known
        if first is source:
            yield source
            continue
        shared = first.account.variables.values() if first.account else ()
        names = [
            v for v in account.variables.values() if is_set(given.values.get(v)) or v in given.files.values()
        ]
        own = [v for v in names if v not in shared]
        given.warnings.append(
            MESSAGES["same_account"].format(
                ignored=source.name, names=" and ".join(own or names), source=first.name
            )
        )


def load_sandbox_configuration(
    environment: Environment, variables: Environment, vendors: Mapping[str, Vendor] | Iterable[Vendor]
) -> Configuration:
    """Configure the embedded vendors, at the addresses in `variables`, in place of all others.

    Only the server's own settings come from the environment. Raises ConfigurationError.
    """
    own = {name: value for name, value in environment.items() if name.startswith("AUDIENCE_MCP_")}
    configured = load_configuration({**own, **variables}, vendors)
    sources = tuple(
        replace(source, account=replace(source.account, speed_up=SPEED_UP)) if source.account else source
        for source in configured.sources
    )
    return replace(configured, sources=sources)


def _sources(vendor: Vendor, given: _Given, vendors: Collection[str]) -> list[Source]:
    """Return the sources of one vendor, the account without a suffix first. `vendors`: the names of all."""
    required = [s for s in vendor.settings if s.required]
    suffixes = _suffixes(vendor, given)
    plain = [s for s in _key_settings(vendor) if given.find(s, "")]
    # Variables without a suffix make a source, unless they are incomplete and only complete other accounts.
    lent = all(any(given.find(s, suffix) in s.variables for suffix in suffixes) for s in plain)
    whole = all(s in plain for s in required)
    found = [""] if plain and (whole or not lent) else []
    return [_source(vendor, suffix, given, vendors) for suffix in [*found, *sorted(suffixes, key=str.lower)]]


def _key_settings(vendor: Vendor) -> list[Setting]:
    """Return the settings that make a source: required ones, and those of `needs_one_of`."""
    optional = {role for group in vendor.needs_one_of for role in group}
    return [s for s in vendor.settings if s.required or s.role in optional]


def _suffixes(vendor: Vendor, given: _Given) -> list[str]:
    known = {v for s in vendor.settings for v in s.variables}
    keyed = _key_settings(vendor)
    found: dict[str, str] = {}
    for setting in vendor.settings:
        for variable in setting.variables if setting in keyed else ():
            for name in given.values:
                if not name.startswith(f"{variable}_") or name in known or not is_set(given.values[name]):
                    continue
                suffix = name[len(variable) + 1 :]
                if _SUFFIX.fullmatch(suffix):
                    found.setdefault(suffix.lower(), suffix)
                else:
                    given.warnings.append(MESSAGES["suffix"].format(name=name, variable=variable))
    return list(found.values())


def _source(vendor: Vendor, suffix: str, given: _Given, vendors: Collection[str]) -> Source:
    client: str | None = suffix.lower().replace("_", "-") or None
    name = name_source(vendor, suffix)
    values: dict[str, str] = {}
    variables: dict[str, str] = {}
    faults: list[str] = []
    if client and (fault := find_suffix_fault(suffix)):
        faults.append(fault)
    if client in vendors:
        given.warnings.append(
            f"The suffix of the source {name} is a vendor's name, so '{client}' still means that vendor."
        )
        client = None
    unlent = _find_unlent(vendor, suffix, given)
    for setting in vendor.settings:
        variable = given.find(setting, suffix)
        if variable is not None and not (setting.role in unlent and variable in setting.variables):
            variables[setting.role] = given.files.get(variable, variable)
            values[setting.role], fault = given.read(setting, variable)
            faults += [fault] if fault else []
        else:
            variables[setting.role] = setting.variables[0]
            if setting.default is not None:
                values[setting.role] = setting.default
    missing = [_name_variables(s, suffix) for s in vendor.settings if s.required and s.role not in values]
    missing += _missing_alternative(vendor, suffix, values)
    if missing:
        faults.insert(0, MESSAGES["missing"].format(variables=" and ".join(missing)))
    if not faults:
        values["base_url"], fault = _resolve_base_url(vendor, values, variables)
        faults += [fault] if fault else []
    label = given.values.get(f"{LABEL}{suffix.upper()}", "").strip() or None if client else None
    if faults:
        text = MESSAGES["incomplete"].format(source=name, title=vendor.title, faults=" ".join(faults))
        return Source(name, vendor, None, VendorError("not_configured", text), client, label)
    if not is_loopback(urlsplit(values["base_url"]).hostname or ""):  # an imitation has keys of its own
        odd = [find_odd_shape(s, variables[s.role], values.get(s.role, "")) for s in vendor.settings]
        given.warnings += [
            each for each, s in zip(odd, vendor.settings, strict=True) if each and s.role in values
        ]
    return Source(name, vendor, Account(name, vendor, values, variables), None, client, label)


def _find_unlent(vendor: Vendor, suffix: str, given: _Given) -> set[str]:
    """Return the roles that an account with a suffix does not take from the variables without one.

    They are those of other ways to authenticate, where it has one of its own in full.
    """
    own = {s.role for s in vendor.settings if suffix and given.find(s, suffix) not in (None, *s.variables)}
    ways = vendor.needs_one_of
    chosen = next((way for way in ways if own.issuperset(way)), None)
    return {role for way in ways if chosen for role in way if role not in chosen}


def _name_variables(setting: Setting, suffix: str) -> str:
    return f"{setting.variables[0]}_{suffix}" if suffix else " or ".join(setting.variables)


def _missing_alternative(vendor: Vendor, suffix: str, values: Mapping[str, str]) -> list[str]:
    """Return what to set if no group of `needs_one_of` is set in full, else an empty list."""
    groups = vendor.needs_one_of
    if not groups or any(all(role in values for role in group) for group in groups):
        return []
    by_role = {setting.role: setting for setting in vendor.settings}
    ways = [" and ".join(_name_variables(by_role[role], suffix) for role in group) for group in groups]
    return [f"either {', or '.join(ways)}"]


def _read_value(setting: Setting, variable: str, text: str) -> tuple[str, str | None]:
    """Return a setting's value as the API takes it, and what is wrong (never showing the value) or None."""
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
    if setting.is_address:
        value = value if "://" in value else f"https://{value}"
        return value, _address_fault(variable, value)
    if fault := find_key_fault(setting, variable, value):
        return value, fault
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
    """Return the base URL with other settings filled in, and what is wrong with it or None."""
    url = values["base_url"]
    if "{" not in url:
        return url, None
    stands_for = {
        s.role: s.choices[values[s.role]] for s in vendor.settings if s.choices and s.role in values
    }
    try:
        derived = {s.role: s.derive(values) for s in vendor.settings if s.derive and s.role not in values}
        known = {role: value for role, value in derived.items() if value is not None}
        url = url.format_map({**known, **values, **stands_for})
    except KeyError as e:
        role = str(e.args[0])
        settings = {s.role: s for s in vendor.settings}
        variable = variables.get(role, role)
        return url, MESSAGES["underivable"].format(variable=variable, example=settings[role].example)
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


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine, by name or address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
