"""What is probably a mistake in the configuration: said, and never guessed at. Values are never shown."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator

from audience_mcp.config.environment import LABEL, OWN, OWN_SETTINGS, Environment, is_set
from audience_mcp.vendors import Setting, Vendor

NEAR = 0.8
"""Similarity of two names, from 0 to 1, from which one is probably the other mistyped."""
NEAR_ALONE = 0.7
"""The same for what distinguishes two of our settings, without the beginning that all of them share."""
NEAR_WITH_BEGINNING = 0.9
"""The same for whole names of our settings."""
TELLING = 5
"""Letters from which a part of a setting's name is taken for the setting."""
_AUTHORIZATION = re.compile(r"(bearer|basic|token)\s+\S.*", re.I)
_PLACEHOLDER = re.compile(
    r"<.*>|\[.*\]|.*(\.{3}|…)|x{3,}|\*+|todo|placeholder|example|change[-_ ]?(me|this|it)"
    r"|(replace|insert|enter|paste)[-_ ].*"
    r"|(your|my)[-_ ]?(own[-_ ]?)?(api|rest|access|secret)?[-_ ]?(key|token|secret|password)([-_ ]?here)?"
    r"|(api|access|secret|private)?[-_ ]?(key|token|secret|password)[-_ ]?here",
    re.I,
)

_BEGINNING = re.compile(r"(?<![\w.-])([A-Za-z]+[-_.])…")


def find_key_fault(setting: Setting, variable: str, value: str) -> str | None:
    """Return what is wrong with a key that cannot be one, or None. Such a key is not sent."""
    if not setting.secret:
        return None
    if _PLACEHOLDER.fullmatch(value):
        return f"{variable} still holds a placeholder: put the key there."
    if authorization := _AUTHORIZATION.fullmatch(value):
        return f"{variable} begins with '{authorization[1]} ': set the key alone."
    if " " in value and "password" not in setting.role:
        return f"{variable} has a space inside: copy the key again."
    return None


def find_odd_shape(setting: Setting, variable: str, value: str) -> str | None:
    """Return a warning if a key does not begin as the setting's description shows it (`pk_…`), or None."""
    shown = _BEGINNING.search(setting.description) if setting.secret else None
    if shown is None or value.startswith(shown[1]):
        return None
    return f"{variable} does not begin with {shown[1]}, as such a key does: is it another one?"


def find_unknown_settings(environment: Environment) -> Iterator[str]:
    """Yield a warning for each AUDIENCE_MCP_... that does not exist."""
    known = {*OWN_SETTINGS, *(f"{name}_FILE" for name in OWN_SETTINGS)}
    for name, value in environment.items():
        if _is_ours(name) and name not in known and is_set(value):
            near = difflib.get_close_matches(name.upper(), OWN_SETTINGS, 1, NEAR)
            yield f"{name} is not a setting, and was ignored.{_suggest(near)}"


def find_mistyped_settings(environment: Environment, settings: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield each name that is probably one of `settings` mistyped, with the one that is meant.

    Names without a value are found too. A name that is nearer to another setting of ours is not.
    """
    known = {*OWN_SETTINGS, *(f"{name}_FILE" for name in OWN_SETTINGS)}
    for name in environment:
        meant = None if name in known else _find_meant(name.upper().removesuffix("_FILE"), settings)
        if meant is not None:
            yield name, meant


def _find_meant(name: str, settings: Iterable[str]) -> str | None:
    """Return which of some settings of ours a name in capitals is probably meant for, if any."""
    if not _is_ours(name):
        # The beginning itself may be mistyped; it is longer than what follows, so more must be alike.
        whole = {_squeeze(setting): setting for setting in settings}
        alike = difflib.get_close_matches(_squeeze(name), whole, 1, NEAR_WITH_BEGINNING)
        return whole[alike[0]] if alike else None
    own = _squeeze(name[len(OWN) :])
    alone = {setting: _squeeze(setting[len(OWN) :]) for setting in OWN_SETTINGS}
    near = difflib.get_close_matches(own, alone.values(), 1, NEAR_ALONE)
    for setting in settings:
        part = alone[setting]
        holds = min(len(own), len(part)) >= TELLING and (own in part or part in own)
        if part in near or (holds and not near):
            return setting
    return None


def find_mistyped_variables(
    vendor: Vendor, keyed: Iterable[Setting], environment: Environment
) -> Iterator[str]:
    """Yield a warning for each set variable that nearly has the name of a required one that is not set.

    keyed: the settings that make a source of the vendor.
    """
    known = [variable for setting in vendor.settings for variable in setting.variables]
    unset = [
        setting.variables
        for setting in keyed
        if not any(
            name.upper().startswith(setting.variables) and is_set(environment[name]) for name in environment
        )
    ]
    prefixes = tuple({variable.split("_")[0] for variable in known})
    for name, value in environment.items():
        if not name.upper().startswith(prefixes) or not is_set(value) or _is_known(name, known):
            continue
        near = difflib.get_close_matches(
            _squeeze(name), [_squeeze(v) for names in unset for v in names], 1, NEAR
        )
        if near:
            meant = next(v for names in unset for v in names if _squeeze(v) == near[0])
            yield f"{name} is not a variable of {vendor.title}. Did you mean {meant}?"


def _is_ours(name: str) -> bool:
    """Whether a name begins as our settings do, and is not a client's label."""
    return name.upper().startswith(OWN) and not name.startswith(LABEL)


def _is_known(name: str, known: Collection[str]) -> bool:
    return any(name == variable or name.startswith(f"{variable}_") for variable in known)


def _squeeze(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", name.upper())


def _suggest(near: list[str]) -> str:
    return f" Did you mean {near[0]}?" if near else ""
