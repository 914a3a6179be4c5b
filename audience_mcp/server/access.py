"""Who sees which sources over HTTP: the rules of AUDIENCE_MCP_ACCESS."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from audience_mcp.config import Source, fits_pattern
from audience_mcp.core.errors import ConfigurationError
from audience_mcp.core.text import clean
from audience_mcp.server.callers import Caller

ACCESS = "AUDIENCE_MCP_ACCESS"
BY_SUBJECT = "sub:"
BY_NAME = "token:"
EVERYTHING = ("all", "any", "*")
LISTED = 40
"""Sources that an error names."""

MESSAGES = {
    "form": f"{ACCESS}: '{{rule}}' is not a rule. Rules are such as @acme.com=acme; ann@example.com=*; "
    "token:bi=batch-*: an e-mail address, an @domain, sub:SUBJECT or token:NAME, then =, then sources with "
    "commas between.",
    "no_source": f"{ACCESS}: '{{name}}', which {{caller}} is given, is not a configured source, vendor or "
    "client by its exact name. Configured: {there}.",
    "ambiguous": f"{ACCESS}: '{{name}}', which {{caller}} is given, is the name of a {{kind}} and the suffix "
    "of {there} too, and could mean either: name the sources instead.",
    "broad": f"{ACCESS}: '{{name}}', which {{caller}} is given, gives sources of several clients "
    "({clients}), and of others that fit it once there are any: name the clients if that is not meant.",
    "nobody": f"{ACCESS} is set, so callers must be known by AUDIENCE_MCP_OAUTH_ISSUER (OAuth) or "
    "AUDIENCE_MCP_HTTP_TOKENS (tokens with names; one without a name says nothing of who is calling).",
    "no_token": f"{ACCESS} has a rule for {{caller}}, but AUDIENCE_MCP_HTTP_TOKENS names no such token.",
    "no_login": f"{ACCESS} has a rule for {{caller}}, but nobody logs in without AUDIENCE_MCP_OAUTH_ISSUER.",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """What a caller is given. caller: as the setting has it. sources: names of configured sources."""

    caller: str
    sources: tuple[str, ...]

    def is_for(self, caller: Caller) -> bool:
        """Whether the rule names a caller."""
        if self.caller.startswith(BY_SUBJECT):
            return caller.subject == self.caller.removeprefix(BY_SUBJECT)
        if self.caller.startswith(BY_NAME):
            return caller.token == self.caller.removeprefix(BY_NAME)
        return caller.has_address(self.caller)


@dataclass(frozen=True, slots=True)
class Access:
    """All rules. A caller whom several name is given what each of them gives.

    warnings: what is probably a mistake in what they give.
    """

    rules: tuple[Rule, ...]
    warnings: tuple[str, ...] = ()

    def find_sources(self, caller: Caller) -> frozenset[str] | None:
        """Return the names of the sources that a caller may see; None if no rule names it."""
        given = [rule.sources for rule in self.rules if rule.is_for(caller)]
        return frozenset(name for names in given for name in names) if given else None

    def find_idle(self, tokens: Collection[str], *, by_login: bool) -> Iterator[str]:
        """Yield a warning for each rule that names nobody.

        tokens: the names of the bearer tokens. by_login: whether people log in by OAuth.
        """
        for rule in self.rules:
            if not rule.caller.startswith(BY_NAME):
                if not by_login:
                    yield MESSAGES["no_login"].format(caller=rule.caller)
            elif rule.caller.removeprefix(BY_NAME) not in tokens:
                yield MESSAGES["no_token"].format(caller=rule.caller)


def read_access(setting: str, sources: Iterable[Source]) -> Access:
    """Read the rules; each may only give sources that exist. Raises ConfigurationError.

    What is given goes by exact names: a rule must not change its meaning with what else is configured. So
    there are neither labels nor other ways of writing a name, as there are in questions.
    """
    there = list(sources)
    rules = []
    warnings = []
    for text in filter(None, map(str.strip, re.split(r"[;\n]", setting))):
        # A subject may hold =, the name of a source does not.
        caller, _, given = (part.strip() for part in text.rpartition("="))
        names = [name.strip() for name in given.split(",") if name.strip()]
        if not names or not _is_caller(caller):
            raise ConfigurationError(MESSAGES["form"].format(rule=clean(text, 80)))
        found = [source for name in names for source in _find(name, caller, there)]
        rules.append(Rule(caller, tuple(dict.fromkeys(source.name for source in found))))
        warnings += [each for name in names for each in _find_breadth(name, caller, there)]
    if not rules:
        raise ConfigurationError(MESSAGES["form"].format(rule=clean(setting, 80)))
    return Access(tuple(rules), tuple(warnings))


def _find(name: str, caller: str, sources: list[Source]) -> list[Source]:
    """The sources that a name or a pattern gives. Raises ConfigurationError if there are none."""
    text = name.lower()
    if text in EVERYTHING:
        found = sources
    elif "*" in text:
        found = _match(text, sources)
    else:
        found = _find_named(text, caller, sources)
    if not found:
        raise _refusal("no_source", name, caller, sources)
    return found


def _find_named(name: str, caller: str, sources: list[Source]) -> list[Source]:
    """The vendor's sources, the source, or the client's. Raises ConfigurationError if it may be two."""
    of_vendor = [source for source in sources if source.vendor.name == name]
    own = [source for source in sources if source.name == name]
    of_client = [source for source in sources if source.suffix == name]
    is_vendor = bool(of_vendor) or any(source.client is None for source in of_client)
    if of_client and (is_vendor or own):
        raise _refusal("ambiguous", name, caller, of_client, kind="vendor" if is_vendor else "source")
    return of_vendor or own or of_client


def _match(pattern: str, sources: list[Source]) -> list[Source]:
    """The sources that fit: what stands before the first `-` is of the vendor, the rest the whole suffix.

    So `*-acme` gives the client acme alone, and not big-acme. Without a `-`, all accounts of the vendors.
    """
    vendor, dash, suffix = pattern.partition("-")
    return [
        source
        for source in sources
        if fits_pattern(vendor, source.vendor.name)
        and (not dash or (source.suffix and fits_pattern(suffix, source.suffix)))
    ]


def _find_breadth(name: str, caller: str, sources: list[Source]) -> Iterator[str]:
    """Yield a warning for a pattern of a part of clients' names that fits several."""
    suffix = name.lower().partition("-")[2]
    if "*" not in suffix or not suffix.strip("*"):
        return
    clients = dict.fromkeys(source.suffix for source in _match(name.lower(), sources))
    if len(clients) > 1:
        listed = ", ".join([*clients][:LISTED])
        yield MESSAGES["broad"].format(name=clean(name, 60), caller=clean(caller, 80), clients=listed)


def _refusal(
    message: str, name: str, caller: str, sources: list[Source], **further: str
) -> ConfigurationError:
    there = ", ".join(source.name for source in sources[:LISTED]) or "nothing yet"
    return ConfigurationError(
        MESSAGES[message].format(name=clean(name, 60), caller=clean(caller, 80), there=there, **further)
    )


def _is_caller(text: str) -> bool:
    """Whether a text names callers: by subject, by token, or by e-mail address or domain."""
    if not text.isprintable():
        return False
    if text.startswith(BY_SUBJECT):
        return bool(text.removeprefix(BY_SUBJECT).strip())
    if text.startswith(BY_NAME):
        return bool(re.fullmatch(r"[A-Za-z0-9._-]+", text.removeprefix(BY_NAME), re.ASCII))
    return bool(re.fullmatch(r"[^@\s,]*@[^@\s,]+", text, re.ASCII)) and text.isascii()
