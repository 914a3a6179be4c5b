"""What authenticates an account: values, each one API's way, like those of paging."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Formatter
from typing import Literal, Protocol
from urllib.parse import urljoin

from audience_mcp.core.errors import UnexpectedShape
from audience_mcp.core.secrets import SHORTEST_KEY
from audience_mcp.core.values import as_count
from audience_mcp.vendors.parsing import basic, value_at
from audience_mcp.vendors.request import Request, Response
from audience_mcp.vendors.talk import Talk, Values

TOKEN_LIVES_S = 300
"""Seconds that a token is taken to live where its exchange does not say."""


class Auth(Protocol):
    """One API's way to authenticate a request."""

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of the settings that it cannot do without."""
        ...

    def authorize(self, request: Request, values: Values, now: float) -> Request:
        """The request with what authenticates it. now: Unix seconds, for what is signed with the time.

        Whatever it adds to headers and params is kept out of every answer, error and log line.
        """
        ...


@dataclass(frozen=True, slots=True)
class Header:
    """A header; `{role}` in its text stands for that setting's value."""

    name: str
    text: str

    @property
    def roles(self) -> tuple[str, ...]:
        """The settings in the text."""
        return roles_in(self.text)

    def authorize(self, request: Request, values: Values, now: float) -> Request:
        """The request with the header."""
        return request.with_headers({self.name: self.text.format_map(values)})


@dataclass(frozen=True, slots=True)
class Bearer:
    """A bearer token (RFC 6750): the setting with this role."""

    role: str = "api_key"

    @property
    def roles(self) -> tuple[str, ...]:
        """The one setting."""
        return (self.role,)

    def authorize(self, request: Request, values: Values, now: float) -> Request:
        """The request with the header."""
        return request.with_headers({"Authorization": f"Bearer {values[self.role]}"})


@dataclass(frozen=True, slots=True)
class Basic:
    """HTTP Basic (RFC 7617). user, password: texts in which `{role}` stands for that setting's value."""

    user: str
    password: str

    @property
    def roles(self) -> tuple[str, ...]:
        """The settings in both texts."""
        return roles_in(self.user + self.password)

    def authorize(self, request: Request, values: Values, now: float) -> Request:
        """The request with the header."""
        value = basic(self.user.format_map(values), self.password.format_map(values))
        return request.with_headers({"Authorization": value})


@dataclass(frozen=True, slots=True)
class Token:
    """A token that settings were exchanged for.

    lives_s: seconds from now until it ends. renewed: settings that the exchange replaced, by role.
    """

    text: str = field(repr=False)
    lives_s: int
    renewed: Values = field(default_factory=dict, repr=False)


class TokenRefused(Exception):
    """A vendor refused to exchange settings for a token. The text says what to do; `{role}` is a setting."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """Settings that are exchanged for a token, which then stands under the role `token`.

    url: where to; `{role}` stands for that setting's value, and one that begins with `/` is on the base URL's
    host. fields: what is sent, as a form or as JSON. roles: settings sent beside the fields, each under its
    role; optional: further ones, sent where they are set. The answer has the token as `access_token`;
    lives_at: the path of the seconds that it lives. renews: by role, the path of a setting's new value in the
    answer, where an exchange may replace it. That one is exchanged next, and the configured one again where
    it is refused; it is never stored. then: how the token authenticates a request. hint: what to do where
    the exchange is refused; `{role}` stands for that setting's variable. hints: the same by the answer's
    `error` code (RFC 6749), which goes first.
    """

    url: str
    fields: Mapping[str, str]
    roles: tuple[str, ...]
    encoding: Literal["form", "json"] = "form"
    lives_at: str = "expires_in"
    renews: Mapping[str, str] = field(default_factory=dict)
    then: Auth = Bearer("token")
    hint: str = ""
    hints: Mapping[str, str] = field(default_factory=dict)
    optional: tuple[str, ...] = ()

    def authorize(self, request: Request, values: Values, now: float) -> Request:
        """The request with the exchanged token, which is among the values."""
        return self.then.authorize(request, values, now)

    def address(self, values: Values) -> str:
        """Where an account's settings are exchanged, absolute."""
        url = self.url.format_map(values)
        return urljoin(values["base_url"], url) if url.startswith("/") else url

    def talk(self, values: Values) -> Talk[Token]:
        """Exchanges the settings; is sent a whole `Response`. Raises TokenRefused, UnexpectedShape."""
        given = [*self.roles, *(role for role in self.optional if role in values)]
        fields = {**self.fields, **{role: values[role] for role in given}}
        form, body = (fields, None) if self.encoding == "form" else (None, fields)
        response: Response = yield Request(
            self.address(values), method="POST", json=body, form=form, purpose="token", pace="token"
        )
        token = _token_at(response.body, "access_token") if response.status == 200 else None
        error = value_at(response.body, "error")
        if token is None and (response.status != 200 or isinstance(error, str)):
            raise TokenRefused(self.hints.get(str(error), self.hint))
        if token is None:
            raise UnexpectedShape("the answer has no token")
        lives_s = as_count(value_at(response.body, self.lives_at)) or TOKEN_LIVES_S
        found = {role: _token_at(response.body, path) for role, path in self.renews.items()}
        renewed = {role: new for role, new in found.items() if new is not None and new != values[role]}
        return Token(token, lives_s, renewed)


def _token_at(body: object, path: str) -> str | None:
    """The token at `path`, or None where there is nothing that could be sent as one."""
    token = value_at(body, path)
    return token if isinstance(token, str) and token.isascii() and token.isprintable() and token else None


def roles_in(text: str) -> tuple[str, ...]:
    """The roles that a text names as `{role}`."""
    return tuple(name for _, name, _, _ in Formatter().parse(text) if name)


def secrets_of(authorized: Request) -> list[str]:
    """What a request was authenticated with: the last word of each header ("Basic dXNlcjprZXk="), and
    params."""
    made = [*(text.split()[-1] for text in authorized.headers.values() if text), *authorized.params.values()]
    return [word for word in made if len(word) >= SHORTEST_KEY]
