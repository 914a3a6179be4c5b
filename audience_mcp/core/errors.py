"""What can go wrong, each with its kind and its sentence.

A vendor that cannot be read is a `VendorError`; a question that cannot be answered as put is a
`ToolError`. Their texts are this project's own sentences: what a vendor wrote in an error never
gets into them.
"""

from __future__ import annotations

from typing import Literal

Kind = Literal[
    "not_configured",
    "unauthorized",
    "forbidden",
    "not_found",
    "rate_limited",
    "unavailable",
    "timeout",
    "bad_response",
    "invalid_request",
]

PASSING: frozenset[Kind] = frozenset({"rate_limited", "unavailable", "timeout"})
"""Kinds that may be gone on the next try, so that a reading goes on where it stopped."""


class VendorError(Exception):
    """A source could not be read, or not to the end.

    kind: what sort of failure, one of `Kind`.
    message: one or two sentences of our own: what happened, at which source, what to do.
    retry_after_s: seconds until asking again makes sense, where known.
    status: the HTTP status that the answer amounts to, where there was one and it was the vendor's own.
    final: whether asking again at once would end at the same place, so that what was read may be kept.
    foreign: whether what stands in front of the vendor answered in its place, which says nothing of keys or
    audiences.
    """

    def __init__(
        self,
        kind: Kind,
        message: str,
        *,
        retry_after_s: int | None = None,
        status: int | None = None,
        final: bool = False,
        foreign: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.message = message
        self.retry_after_s = retry_after_s
        self.status = status
        self.final = final
        self.foreign = foreign

    @property
    def passing(self) -> bool:
        """Whether the next call should go on where this one stopped."""
        return self.kind in PASSING

    def of_part(self, source: str, what: str, *, final: bool | None = None) -> VendorError:
        """The same error, which says what failed: `segments could not be read`."""
        rest = self.message.removeprefix(f"{source}: ")
        return VendorError(
            self.kind,
            f"{source}: {what}. {'The ' + rest[4:] if rest.startswith('the ') else rest}",
            retry_after_s=self.retry_after_s,
            status=self.status,
            final=self.final if final is None else final,
            foreign=self.foreign,
        )


class PagingStopped(VendorError):
    """A guard ended the reading: going on would never end, or could not be trusted."""

    def __init__(self, message: str) -> None:
        super().__init__("bad_response", message, final=True)


class UnexpectedShape(Exception):
    """A vendor's body is not what its documents say. The text names the part, in our words."""


class ConfigurationError(Exception):
    """A setting has a value that cannot be used. The text names the variable and what is allowed."""


class ToolError(Exception):
    """A call that gets no answer; its text is all the model sees, so it says what to do."""


class InvalidArgument(ToolError):
    """A call that gets no answer because an argument, a source's name or a setting is not valid."""
