"""`setup`: asks a person for vendors and keys, tries each, and keeps them in the settings file.

Line by line, so that it works over ssh and with a screen reader. Every step can be left with Enter or Ctrl-C;
what was saved stays, and running it again continues.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import tempfile
import webbrowser
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import anyio
import click

from audience_mcp.catalog.check import Checked
from audience_mcp.catalog.check import check as check_configuration
from audience_mcp.cli import installing
from audience_mcp.cli.exits import FAILED, MISUSED, OK, Stop, as_typed, say, suggest, wrap
from audience_mcp.cli.key_pages import KeyPage, find_key_page
from audience_mcp.cli.options import read_outside
from audience_mcp.cli.output import count_noun
from audience_mcp.cli.running import start
from audience_mcp.config import (
    ENV_FILE,
    Environment,
    Source,
    default_env_file,
    describe_needs,
    expand_path,
    find_suffix_fault,
    find_vendors,
    is_set,
    load_configuration,
    name_source,
    name_variables,
    parse_env_line,
    read_environment,
    strip_quotes,
)
from audience_mcp.core.errors import PASSING, ConfigurationError
from audience_mcp.core.secrets import Redactor
from audience_mcp.hosts.entries import read_variables
from audience_mcp.hosts.known import Host, HostError, start_command
from audience_mcp.vendors import Setting, Vendor
from audience_mcp.vendors.key_pages import key_page, point_to_key_page
from audience_mcp.vendors.registry import load_vendors

Changes = dict[str, str | None]
"""Values to set in the settings file, by variable; None for a variable to remove."""


def set_up(from_host: str | None, path: Path) -> int:
    """Ask, try and save, until the person is done; then offer `install` and a schedule for `record`.

    from_host: whose entry's variables to use beside the environment, or None. path: the file to write.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Stop("setup asks questions, so it needs a terminal.", MISUSED)
    try:
        # AUDIENCE_MCP_ENV_FILE may name a file that does not exist yet.
        outside = {k: v for k, v in read_outside(from_host).items() if k != ENV_FILE}
        variables = dict(read_environment(outside, str(path) if path.is_file() else None))
    except ConfigurationError as e:
        raise Stop(str(e), MISUSED) from None
    startup = start(variables, sandbox=False)
    saved: Changes = {}
    say(
        f"Keys are kept in {path}, readable by you alone. Ctrl-C ends this at any time; what is saved stays. "
        "Enter in place of a key leaves its platform out."
    )
    _say_configured(startup.configuration.sources)
    while vendors := _ask_vendors(load_vendors()):
        for vendor in vendors:
            changes = _set_up_vendor(vendor, variables, outside, startup.redactor)
            if changes:
                write_env_file(path, changes)
                variables = _merge(variables, changes)
                saved |= changes
                _say_saved(changes)
    sources = load_configuration(variables, load_vendors()).sources
    if not any(source.account for source in sources):
        say(f"Nothing is set up yet. Made-up audiences: {as_typed()} list --sandbox")
        return FAILED
    if path.is_file():
        variables[ENV_FILE] = str(path)
    _offer_hosts(variables, saved)
    _show_schedule(path)
    say(f"Done. See your ten biggest audiences: {as_typed()} list --limit 10")
    return OK


def write_env_file(path: Path, changes: Mapping[str, str | None]) -> None:
    """Set variables in a settings file, or remove those that are None; all other lines stay. Raises Stop.

    The file is replaced atomically and readable by its owner alone.
    """
    left = dict(changes)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        old = path.read_text(encoding="utf-8-sig").splitlines() if path.is_file() else []
        lines = []
        for line in old:
            name = parse_env_line(line)
            if name not in left:
                lines.append(line)
            elif (value := left.pop(name)) is not None:
                lines.append(f"{name}={_quote(value)}")
        lines += [f"{name}={_quote(value)}" for name, value in left.items() if value is not None]
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with open(handle, "w", encoding="utf-8") as file:
                file.write("\n".join(lines) + "\n")
            os.replace(temporary, Path(os.path.realpath(path)))
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
    except (OSError, UnicodeDecodeError) as e:
        raise Stop(f"{path} cannot be written: {getattr(e, 'strerror', None) or e}.") from None


def settings_path(environment: Environment, env_file: str | None) -> Path:
    """Return the settings file that `setup` writes. Raises Stop."""
    named = env_file or (environment.get(ENV_FILE) if is_set(environment.get(ENV_FILE)) else None)
    try:
        return expand_path(named).absolute() if named else default_env_file()
    except ValueError as e:
        raise Stop(f"The settings file cannot be written: {e}.", MISUSED) from None


def _quote(value: str) -> str:
    return f'"{value}"' if value[:1] in "\"'" else value


def _merge(variables: Environment, changes: Changes) -> dict[str, str]:
    return {name: value for name, value in {**variables, **changes}.items() if value is not None}


def _say_saved(changes: Changes) -> None:
    saved = [name for name, value in changes.items() if value is not None]
    removed = [name for name, value in changes.items() if value is None]
    text = f"Saved: {', '.join(saved)}."
    say(f"{text} Removed: {', '.join(removed)}." if removed else text)


def _say_configured(sources: Sequence[Source]) -> None:
    ready = [source.name for source in sources if source.account]
    if ready:
        say(f"Set up already: {', '.join(ready)}.")
    for source in sources:
        if source.problem:
            say(source.problem.message)


def _ask_vendors(vendors: Mapping[str, Vendor]) -> list[Vendor]:
    """Ask for vendors, commas between them, until each name is of one; empty when the person is done."""
    while True:
        text = _ask("Platform (part of its name, ? for all, Enter when done)")
        names = [name for part in text.split(",") if (name := part.strip())]
        if not names:
            return []
        chosen: dict[str, Vendor] = {}
        for name in names:
            found = list(vendors.values()) if name == "?" else find_vendors(name, vendors.values())
            if len(found) == 1:
                chosen[found[0].name] = found[0]
            elif found:
                _say_vendors(found)
            else:
                say(f"There is no '{name}' here.{suggest(name, vendors)} ? lists all.")
        if len(chosen) == len({name.lower() for name in names}):
            return list(chosen.values())


def _say_vendors(vendors: Sequence[Vendor]) -> None:
    """List vendors in the order of their titles, in as many columns as fit on the terminal."""
    by_title = sorted(vendors, key=lambda vendor: vendor.title.casefold())
    cells = [f"  {vendor.title} ({vendor.name})" for vendor in by_title]
    width = max(map(len, cells)) + 1
    rows = -(-len(cells) // max(1, shutil.get_terminal_size().columns // width))
    print(
        "\n".join("".join(f"{cell:<{width}}" for cell in cells[row::rows]).rstrip() for row in range(rows)),
        file=sys.stderr,
    )


def _set_up_vendor(
    vendor: Vendor, variables: Environment, outside: Environment, redactor: Redactor
) -> Changes:
    """Ask for a vendor's settings and try them. Returns what to save; empty if the person gave up."""
    page = _show_key_page(vendor)
    suffix = _ask_suffix(vendor, variables)
    form = _Form(vendor, suffix, variables, outside)
    if not form.fill():
        say(f"{vendor.title} was left out.")
        return {}
    while form.asked:
        source = _find_source(vendor, suffix, form.merged)
        if source.account is None:
            say(source.problem.message if source.problem else f"{source.name} is not configured in full.")
        else:
            redactor.add(*source.account.secrets)
            checked = _try(source, form.merged)
            if checked.ok:
                at_least = "at least " if checked.at_least else ""
                say(f"It works: {at_least}{count_noun(checked.audiences or 0, 'audience')}.")
                break
            say(checked.error.message if checked.error else f"{source.name} cannot be read.")
            passing = checked.error is not None and checked.error.kind in PASSING
            if not passing and form.fill_optional(page):
                continue
        answer = _ask("Enter to type it again, s to save it all the same, n to leave it out").lower()
        if answer == "s":
            break
        if answer == "n" or not form.fill():
            return {}
    return form.changes


class _Form:
    """What is asked for one account.

    changes: what was typed, by variable; None for a variable that must go, as it would be used instead.
    asked: whether anything was asked for. What the environment sets is not: it wins over the file.
    """

    def __init__(self, vendor: Vendor, suffix: str, variables: Environment, outside: Environment) -> None:
        self.vendor = vendor
        self.changes: Changes = {}
        self.asked = False
        self._variables = variables
        self._names = name_variables(vendor, suffix, variables)
        self._ways = {role for way in vendor.needs_one_of for role in way}
        end = f"_{suffix}" if suffix else ""
        plain = {f"{name}{end}".upper() for s in vendor.settings for name in s.variables}
        files = {name for name in self._names.values() if name.upper() not in plain}
        self._fixed = {name for name in self._names.values() if is_set(outside.get(name)) or name in files}
        self._outside = outside
        self._said: set[str] = set()

    @property
    def merged(self) -> dict[str, str]:
        """All variables as they would be once the changes are saved."""
        return _merge(self._variables, self.changes)

    def fill(self) -> bool:
        """Ask for what is needed, settings with a choice, and what was typed before. False to give up."""
        settings = [
            s
            for s in self.vendor.settings
            if (s.required or s.choices or self._names[s.role] in self.changes) and s.role not in self._ways
        ]
        self._explain_fixed([*(s.role for s in settings), *self._ways])
        return all(self._ask(setting) for setting in settings) and self._fill_a_way()

    def fill_optional(self, page: KeyPage | None) -> bool:
        """Ask for the settings that some accounts need besides the key. Returns whether any was typed.

        They are those that the page on the key speaks of; all optional ones of a vendor without such a page.
        """
        settings = [
            s
            for s in self.vendor.settings
            if not (s.required or s.choices or s.role in self._ways)
            and (page is None or any(re.search(rf"\b{name}\b", page.text) for name in s.variables))
        ]
        before = dict(self.changes)
        self._explain_fixed(s.role for s in settings)
        open_ones = [s for s in settings if self._names[s.role] not in self._fixed]
        if open_ones:
            say("Some accounts need a further setting. Enter leaves it as it is.")
        for setting in open_ones:
            self._ask(setting)
        return self.changes != before

    def _fill_a_way(self) -> bool:
        """Ask for one of the ways to authenticate, one after the other until one is given in full."""
        ways = self.vendor.needs_one_of
        for role in self._ways:
            self.changes.pop(self._names[role], None)
        for place, way in enumerate(ways):
            typed = [self._setting(role) for role in way if self._names[role] not in self._fixed]
            following = [self._names[role] for role in ways[place + 1]] if place + 1 < len(ways) else []
            if all(self._ask(setting, following) for setting in typed):
                earlier = {self._names[role] for each in ways[:place] for role in each if role not in way}
                held = {name for name in earlier - self._fixed if is_set(self._variables.get(name))}
                self.changes |= dict.fromkeys(sorted(held))
                return True
            for setting in typed:
                self.changes.pop(self._names[setting.role], None)
        return not ways

    def _setting(self, role: str) -> Setting:
        return next(s for s in self.vendor.settings if s.role == role)

    def _ask(self, setting: Setting, following: Sequence[str] = ()) -> bool:
        """Ask for one setting; False if it is needed and was not given.

        following: what is asked for next if this one, of one way to authenticate, is not given.
        """
        name, needed = self._names[setting.role], setting.required or setting.role in self._ways
        if name in self._fixed:
            return True
        self.asked = True
        without = self._without(setting)
        ending = f", or Enter for {' and '.join(following)}" if following else without and f", {without}"
        value = strip_quotes(_ask(_label(setting, name) + ending, secret=setting.secret))
        if value:
            self.changes[name] = value
        return bool(value or without) or not needed

    def _without(self, setting: Setting) -> str:
        """Say what Enter does in place of a setting; empty if it cannot be left out."""
        if setting.role in self._ways:
            return ""
        names = (
            [self._names[setting.role]]
            if setting.required
            else [self._names[setting.role], *setting.variables]
        )
        value = next((text for name in names if is_set(text := self.merged.get(name))), None)
        if value is not None:
            return "Enter to keep it" if setting.secret else f"Enter for {value}"
        if setting.default is not None:
            return f"Enter for {'the usual one' if '{' in setting.default else setting.default}"
        return "" if setting.required else "Enter for none"

    def _explain_fixed(self, roles: Iterable[str]) -> None:
        """Say once which variables are not asked for, and how to change them."""
        wanted = {self._names[role] for role in roles}
        names = [name for name in self._names.values() if name in wanted & self._fixed - self._said]
        self._said.update(names)
        winning = [name for name in names if is_set(self._outside.get(name))]
        if winning:
            it, wins = ("it", "wins") if len(winning) == 1 else ("them", "win")
            say(
                f"The environment sets {' and '.join(winning)}, which {wins} over the file: what you type "
                f"here would not be used. To change {it}, unset {it} in your shell's profile, or in the "
                f"entry of the program that starts audience-mcp, and run setup again."
            )
        for name in names:
            if name not in winning:
                say(f"{name} in the settings file names a file that holds the value: change it there.")


def _label(setting: Setting, name: str) -> str:
    """Return the question for a setting, without what Enter does."""
    label = f"{setting.description} ({name})"
    if setting.choices:
        label += f", one of {', '.join(setting.choices)}"
    if setting.example and setting.example not in setting.description:
        label += f", such as {setting.example}"
    if setting.secret:
        label += ", not shown as you type"
    return label


def _show_key_page(vendor: Vendor) -> KeyPage | None:
    """Show how the vendor's key is made, and offer to open the vendor's own page, or ours, in a browser.

    Returns the page that was shown; None if there is none.
    """
    page = find_key_page(vendor.name)
    if page is None:
        say(f"{vendor.title} needs {describe_needs(vendor)}.")
        say(point_to_key_page(vendor))
    else:
        say(f"\n{page.text}\n\nWhere this was read, and when: {key_page(vendor)}\n")
    address = (page and page.address) or key_page(vendor)
    if address and _has_browser() and click.confirm(f"Open {address}?", default=False, err=True):
        webbrowser.open(address)
    return page


def _has_browser() -> bool:
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def _ask_suffix(vendor: Vendor, variables: Mapping[str, str]) -> str:
    """Ask which account is meant if the vendor has one already: its suffix, empty for the first."""
    names = name_variables(vendor, "", variables)
    if not any(is_set(variables.get(names[s.role])) for s in vendor.settings if s.required):
        return ""
    while True:
        text = _ask(f"{vendor.title} is set up. Name of a further account (Enter to replace the key)")
        suffix = re.sub(r"[ -]+", "_", text).upper()
        fault = find_suffix_fault(suffix) if suffix else None
        if fault is None:
            client = suffix.lower().replace("_", "-")
            if client in load_vendors():
                say(
                    f"'{client}' is a platform's name: in a question it still means that platform, no client."
                )
            return suffix
        say(fault)


def _find_source(vendor: Vendor, suffix: str, variables: Mapping[str, str]) -> Source:
    name = name_source(vendor, suffix)
    sources = load_configuration(variables, [vendor]).sources
    found = [source for source in sources if source.name == name]
    return found[0] if found else Source(name, vendor, None)


def _try(source: Source, variables: Mapping[str, str]) -> Checked:
    configuration = replace(load_configuration(variables, [source.vendor]), sources=(source,))
    (checked,) = anyio.run(check_configuration, configuration)
    return checked


def _offer_hosts(variables: Environment, saved: Changes) -> None:
    """Offer to add the server to each host found here; say where a host's entry wins over what was saved."""
    for host in installing.find_installed_hosts(variables):
        if click.confirm(f"Add audience-mcp to {host.title}?", default=True, err=True):
            try:
                target = installing.Target(host.name, "audience-mcp", None, variables)
                installing.install(target, keys="leave", only=(), show=False, sandbox=False)
            except Stop as e:
                say(str(e))
        _warn_of_entry(host, saved)


def _warn_of_entry(host: Host, saved: Changes) -> None:
    try:
        held = read_variables(host.name, os.environ)
    except HostError:
        return  # it has no entry of ours
    old = [name for name, value in held.items() if name in saved and is_set(value) and value != saved[name]]
    if old:
        say(
            f"The entry in {host.title} sets {' and '.join(old)} to another value, which wins over the file "
            f"there: delete it from the entry."
        )


def _show_schedule(path: Path) -> None:
    """Say how sizes can be stored every day, so that later answers can tell what grew."""
    words = [*start_command(sys.executable, sys.platform), "record", "--env-file", str(path)]
    say("To see later what grew or shrank, let this computer store the sizes every morning:")
    if sys.platform == "win32":
        command = " ".join(f'\\"{word}\\"' for word in words)
        line = f'schtasks /Create /SC DAILY /ST 06:10 /TN audience-mcp /TR "{command}"'
    else:
        say("Type crontab -e, and add this line:")
        line = f"10 6 * * * {shlex.join(words)}"
    print(line, file=sys.stderr)  # to be copied, so it is never wrapped


def _ask(text: str, *, secret: bool = False) -> str:
    """Ask for a line; an empty text for Enter alone. Ctrl-C and the end of input raise click.Abort."""
    answer = click.prompt(
        wrap(text, shutil.get_terminal_size().columns - len(": ")),
        default="",
        hide_input=secret,
        show_default=False,
        err=True,
    )
    return str(answer).strip()
