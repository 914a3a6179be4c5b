"""`install` and `uninstall`: our entry in the configuration of a program that starts MCP servers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from audience_mcp.cli import MISUSED, OK, Stop, say, suggest
from audience_mcp.config import Configuration, is_set, load_configuration
from audience_mcp.core.errors import ConfigurationError
from audience_mcp.hosts import entries, files, known
from audience_mcp.hosts.known import HOSTS, Host, HostError, Variable
from audience_mcp.vendors import Vendor
from audience_mcp.vendors.registry import load_vendors

KEYS = ("ask", "store", "leave")
SETTINGS = (
    "AUDIENCE_MCP_DEADLINE_S",
    "AUDIENCE_MCP_CACHE_S",
    "AUDIENCE_MCP_MAX_CHARS",
    "AUDIENCE_MCP_LOG_LEVEL",
    "AUDIENCE_MCP_STORE",
)
MESSAGES = {
    "no_host": "there is no host '{name}'.{near} Hosts: {hosts}.",
    "no_vendor": "there is no vendor '{name}'.{near} Vendors: {vendors}.",
    "bad_keys": "--keys must be one of {words}.",
    "bad_name": "--name must be letters, digits, - and _, at most 60 characters.",
    "nothing_to_store": "there is nothing to store: no vendor's variables are set in full.",
    "added": "{host}: added {name} to {path}.",
    "unchanged": "{host}: {name} is already in {path}; nothing was changed.",
    "removed": "{host}: removed {name} from {path}.",
    "absent": "{host}: there is no {name} in {path}; nothing was changed.",
    "backup": "The previous file was saved as {backup}",
    "backup_with_keys": "The previous file, with any keys in it, was saved as {backup}",
    "not_changed": "{path} was not changed. {why}",
    "preview": "This entry is for {path}; nothing was changed.",
    "set_here": "Set here: {names}.",
    "host_asks": "If they are not stored, {host} asks for the keys itself and keeps them securely (better).",
    "plain_text": "Stored variables are plain text in {path}, readable by you alone.",
    "store?": "Store them?",
    "left_out": "Left out: {why}",
    "sandbox": "It answers from made-up audiences; run install again without --sandbox for your own.",
    "stored": "Stored, readable by you alone: {names}.",
    "not_stored": "Not stored: {names}. {how}",
    "no_keys": "No vendor's variables are set here, so the server has no keys yet. {how}{then}",
    "no_keys_then": "Set them and run install again with --keys store.",
    "no_keys_then_ask": "Set them and run install again with --keys store, or name the vendors that {host} "
    "should ask for: --vendor batch.",
    "cached": "This Python is in a cache that may be emptied at any time. Install audience-mcp permanently "
    "(in a clone of its repository: `uv tool install .`, or `pipx install .`), then run install again.",
}


@dataclass(frozen=True, slots=True)
class Target:
    """What was typed: the host, the server's name in it, perhaps the file, and the environment."""

    host_name: str
    name: str
    file: str | None
    environment: Mapping[str, str]

    @property
    def host(self) -> Host:
        """The host of that name. Raises Stop."""
        name = self.host_name.strip().lower()
        found = HOSTS.get(name)
        if found is None:
            near = suggest(name, HOSTS)
            raise Stop(
                MESSAGES["no_host"].format(name=self.host_name, near=near, hosts=", ".join(HOSTS)), MISUSED
            )
        return found

    def path(self) -> Path:
        """The host's file. Raises HostError."""
        if self.file is not None:
            return Path(self.file).expanduser().absolute()
        return known.config_path(self.host, sys.platform, Path.home(), self.environment)


def install(target: Target, *, keys: str | None, only: Sequence[str], show: bool, sandbox: bool) -> int:
    """Write our entry, or show it; what was done and what to do next is said on stderr."""
    host, name = target.host, _check_name(target.name)
    if keys is not None and keys not in KEYS:
        raise Stop(MESSAGES["bad_keys"].format(words=", ".join(KEYS)), MISUSED)
    configured = _load_configuration(target.environment)
    chosen = _choose_vendors(configured, only)
    variables = [] if sandbox else _find_variables(configured, target.environment, chosen, named=bool(only))
    try:
        path = target.path()
        before = files.read(path)
        stored = _decide_to_store(host, path, variables, keys, may_ask=not show)
        starts = known.start_command(sys.executable, sys.platform) + (["--sandbox"] if sandbox else [])
        filled, questions = entries.ask_for_keys(
            host, name, variables if stored else _variables_to_leave(host, variables)
        )
        if show:
            _print_entry(host, name, starts, filled, questions, path)
            return OK
        text = entries.add_entry(
            files.decode(before), host, name, entries.make_entry(host, starts, filled), questions
        )
        secret = stored and any(v.secret for v in variables)
        _write(host, name, path, before, text, secret=secret)
    except HostError as e:
        raise Stop(_explain(target, e)) from None
    _say_next(host, sandbox, configured, variables, stored)
    return OK


def uninstall(target: Target) -> int:
    """Remove our entry; it is no error if there is none."""
    host, name = target.host, _check_name(target.name)
    try:
        path = target.path()
        before = files.read(path)
        old = files.decode(before)
        text = entries.remove_entry(old, host, name)
        if before is None or text == old:
            say(MESSAGES["absent"].format(host=host.title, name=name, path=path))
            return OK
        backup = files.replace(path, before, text, secret=False)
    except HostError as e:
        raise Stop(_explain(target, e)) from None
    say(MESSAGES["removed"].format(host=host.title, name=name, path=path))
    say(MESSAGES["backup_with_keys"].format(backup=backup))
    say(host.then)
    return OK


def _write(host: Host, name: str, path: Path, before: bytes | None, text: str, *, secret: bool) -> None:
    if before is not None and before == text.encode("utf-8"):
        say(MESSAGES["unchanged"].format(host=host.title, name=name, path=path))
        return
    backup = files.replace(path, before, text, secret=secret)
    say(MESSAGES["added"].format(host=host.title, name=name, path=path))
    if backup:
        say(MESSAGES["backup"].format(backup=backup))


def _explain(target: Target, e: HostError) -> str:
    text = str(e)
    if not text.startswith(("It ", "Its ")):
        return text
    return MESSAGES["not_changed"].format(path=target.path(), why=text)


def _load_configuration(environment: Mapping[str, str]) -> Configuration:
    try:
        return load_configuration(environment, load_vendors().values())
    except ConfigurationError as e:
        raise Stop(str(e), MISUSED) from None


def _choose_vendors(configured: Configuration, only: Sequence[str]) -> list[Vendor]:
    """The vendors whose variables are meant; all of them where none is named. Raises Stop."""
    by_name = {vendor.name: vendor for vendor in configured.vendors.values()}
    for name in only:
        if name not in by_name:
            near = suggest(name, by_name)
            raise Stop(
                MESSAGES["no_vendor"].format(name=name, near=near, vendors=", ".join(by_name)), MISUSED
            )
    return [by_name[name] for name in dict.fromkeys(only)] or list(by_name.values())


def _find_variables(
    configured: Configuration, environment: Mapping[str, str], chosen: Sequence[Vendor], *, named: bool
) -> list[Variable]:
    """What is set for the chosen vendors' sources; all that a vendor without any needs, if it was named."""
    found: dict[str, Variable] = {}
    for vendor in chosen:
        accounts = [s.account for s in configured.sources if s.vendor is vendor and s.account]
        for setting in vendor.settings:
            description = f"{vendor.title}: {setting.description}"
            names: Iterable[str] = [
                a.variables[setting.role] for a in accounts if setting.role in a.variables
            ]
            for name in names:
                if is_set(environment.get(name)):
                    value = environment[name].strip()
                    found[name] = Variable(name, value, setting.secret, f"{description} ({name})")
            if named and not accounts and setting.required:
                name = setting.variables[0]
                found[name] = Variable(name, None, setting.secret, f"{description} ({name})")
    for name in SETTINGS:
        if found and is_set(environment.get(name)):
            found[name] = Variable(name, environment[name].strip(), False, name)
    return list(found.values())


def _variables_to_leave(host: Host, variables: Sequence[Variable]) -> list[Variable]:
    """The variables where none is stored: those that the host asks for or fills in, and what is no secret."""
    if host.reference:
        return [Variable(v.name, None, v.secret, v.description) for v in variables]
    if not host.asks:
        return []
    return [Variable(v.name, None if v.secret else v.value, v.secret, v.description) for v in variables]


def _decide_to_store(
    host: Host, path: Path, variables: Sequence[Variable], keys: str | None, *, may_ask: bool
) -> bool:
    """Whether the variables are to be stored; the user is asked where that is wanted and possible."""
    set_ones = [v for v in variables if v.value is not None]
    if keys == "store":
        if not set_ones:
            raise Stop(MESSAGES["nothing_to_store"])
        return True
    if keys == "leave" or not any(v.secret for v in set_ones) or not may_ask:
        return False
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    say(MESSAGES["set_here"].format(names=_join(set_ones)))
    if host.asks:
        say(MESSAGES["host_asks"].format(host=host.title))
    say(MESSAGES["plain_text"].format(path=path))
    return bool(typer.confirm(MESSAGES["store?"], default=False, err=True))


def _print_entry(
    host: Host,
    name: str,
    starts: Sequence[str],
    variables: Sequence[Variable],
    questions: Sequence[Any],
    path: Path,
) -> None:
    """Print the entry as it would be written, without keys, on stdout; where it belongs, on stderr."""
    shown = [
        Variable(v.name, f"<{v.name}>", True, v.description)
        if v.secret and v.value is not None and not v.value.startswith("${")
        else v
        for v in variables
    ]
    whole: dict[str, Any] = {host.section: {name: entries.make_entry(host, starts, shown)}}
    if questions:
        whole["inputs"] = list(questions)
    print(json.dumps(whole, ensure_ascii=False, indent=2))
    say(MESSAGES["preview"].format(path=path))
    _warn_of_cache()


def _say_next(
    host: Host, sandbox: bool, configured: Configuration, variables: Sequence[Variable], stored: bool
) -> None:
    for source in configured.sources if not sandbox else ():
        if source.problem:
            say(MESSAGES["left_out"].format(why=source.problem.message))
    missing = [v for v in variables if not host.asks or v.secret]
    if sandbox:
        say(MESSAGES["sandbox"])
    elif stored:
        say(MESSAGES["stored"].format(names=_join([v for v in variables if v.value is not None])))
    elif missing:
        say(MESSAGES["not_stored"].format(names=_join(missing), how=host.without))
    else:
        then = MESSAGES["no_keys_then_ask" if host.asks else "no_keys_then"].format(host=host.title)
        say(MESSAGES["no_keys"].format(how="" if host.asks else f"{host.without} ", then=then))
    _warn_of_cache()
    say(host.then)


def _join(variables: Sequence[Variable]) -> str:
    return ", ".join(v.name for v in variables)


def _warn_of_cache() -> None:
    if known.is_cached(sys.executable):
        say(MESSAGES["cached"])


def _check_name(name: str) -> str:
    if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum() or len(name) > 60:
        raise Stop(MESSAGES["bad_name"], MISUSED)
    return name
