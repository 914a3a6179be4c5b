"""Whether an account's settings can be used: each value by itself, and the address that they make."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from audience_mcp.vendors import Setting, Vendor

_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?", re.ASCII)
SHORTEST_KEY = 8
"""Characters of a key; a shorter one cannot be kept out of answers without harming them."""
ORDINARY_WORDS = frozenset(
    "audience audiences complete description partial processing retry_after_s sandbox "  # noqa: SIM905
    "size_counts sources unknown_sizes updated_at created_at".split()
)
"""Words of the answers that are as long as a key may be."""

MESSAGES = {
    "not_ascii": "{variable} holds line breaks, control or non-ASCII characters: copy the value again.",
    "choice": "{variable} must be one of {allowed}.",
    "shape": "{variable} must look like {example}.",
    "weak_key": "{variable} is too short or too ordinary a word to be a key (at least {least} characters), "
    "and could not be kept out of answers: copy the key again.",
    "rate": "{variable} must be a number from 0.01 to 1000.",
    "underivable": "Set {variable} (such as {example}): it cannot be worked out from the other settings.",
    "url": "{variable} must be a URL such as https://api.example.com/v1, with no query.",
    "userinfo": "{variable} must not hold a user name or password.",
    "https": "{variable} must begin with https:// (plain http is for this computer only).",
}


def read_value(setting: Setting, variable: str, text: str) -> tuple[str, str | None]:
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


def resolve_base_url(
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


def is_loopback(host: str) -> bool:
    """Whether `host` is this computer, by name or address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
