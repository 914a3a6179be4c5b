"""Reads a response's body off the wire: decompressed, and never more of it than there is room for."""

from __future__ import annotations

import zlib

import httpx

ERROR_BODY_CAP = 64 * 1024
GZIP = b"\x1f\x8b"
"""How a compressed part begins (RFC 1952)."""


class Unreadable(Exception):
    """A body that cannot be used. message: which message says so; again: whether to try once more."""

    def __init__(self, message: str, *, again: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.again = again


class TooLarge(Exception):
    """A body that is longer than its cap; the rest of it was not read."""


async def read_body(response: httpx.Response, cap: int) -> bytes:
    """The body, decompressed. Raises Unreadable, and TooLarge beyond `cap` bytes.

    Decompressed here because the client's own way makes a whole chunk at once, thousandfold.
    """
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "", "gzip", "x-gzip"):
        raise Unreadable("encoding")
    unpack = zlib.decompressobj(31) if "gzip" in encoding else None
    body = bytearray()
    started = False
    async for chunk in response.aiter_raw():
        started = True
        if unpack is None:
            body += chunk
        else:
            try:
                body += unpack.decompress(chunk, cap + 1 - len(body))
                # A body may have several parts, each compressed by itself (RFC 1952, section 2.2).
                while unpack.unused_data.startswith(GZIP) and len(body) <= cap:
                    rest, unpack = unpack.unused_data, zlib.decompressobj(31)
                    body += unpack.decompress(rest, cap + 1 - len(body))
            except zlib.error:
                raise Unreadable("broken_gzip") from None
        if len(body) > cap:
            raise TooLarge
    if unpack and started and not unpack.eof:
        raise Unreadable("cut_off", again=True)
    return bytes(body)


async def read_error_body(response: httpx.Response) -> bytes:
    """The start of an error's body, for the hints in it, as far as it can be read."""
    body = bytearray()
    try:
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > ERROR_BODY_CAP:
                break
    except httpx.TransportError:
        pass  # what came tells a web page from nothing
    if "gzip" in response.headers.get("content-encoding", "").lower():
        try:
            return zlib.decompressobj(31).decompress(bytes(body), ERROR_BODY_CAP)
        except zlib.error:
            pass
    return bytes(body[:ERROR_BODY_CAP])
