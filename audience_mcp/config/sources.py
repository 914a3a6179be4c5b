"""The environment as sources: which accounts it has, and what keeps one from being asked.

A vendor's variables make its sources; a suffix on a required one makes a further account
(`BATCH_PROJECT_KEY_FR` -> `batch-fr`), which takes what it lacks from the variables without a suffix.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from audience_mcp.config.account import Account
from audience_mcp.config.environment import Environment, is_set
from audience_mcp.config.settings import Settings, load_settings
from audience_mcp.config.values import read_value, resolve_base_url
from audience_mcp.core.errors import VendorError
from audience_mcp.vendors import Setting, Vendor

_SUFFIX = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_]{0,38}[A-Za-z0-9])?", re.ASCII)
HURRY = 60
"""How many times faster than a real vendor the sandbox's may be asked."""

MESSAGES = {
    "missing": "Set {variables}.",
    "incomplete": "{source}: {title} is not configured in full. {faults}",
    "suffix": "{name} was ignored: the account suffix after {variable}_ must be 1-40 letters, digits "
    "or underscores, and must not start or end with _.",
    "same_account": "{ignored} (set by {names}) was ignored: it is the same account as the source {source}.",
}


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
    return Configuration(load_settings(environment), sources, kinds, tuple(warnings))


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
            values[setting.role], fault = read_value(setting, *found)
            faults += [fault] if fault else []
        elif setting.default is not None:
            values[setting.role] = setting.default
    missing = [_name_variables(s, suffix) for s in vendor.settings if s.required and s.role not in values]
    missing += _missing_alternative(vendor, suffix, values)
    if missing:
        faults.insert(0, MESSAGES["missing"].format(variables=" and ".join(missing)))
    if not faults:
        values["base_url"], fault = resolve_base_url(vendor, values, variables)
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
