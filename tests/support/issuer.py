"""An OAuth issuer of a few lines: metadata and keys on loopback, and any token that a test wants signed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

PUBLIC_URL = "https://audiences.example.com/mcp"
SCOPE = "audiences:read"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()


def public_jwk(key: PrivateKey, **members: str) -> dict[str, Any]:
    """The public half of a key as an issuer publishes it."""
    if isinstance(key, rsa.RSAPrivateKey):
        jwk = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        jwk = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        jwk = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    jwk.pop("key_ops", None)
    return {**jwk, **members}


class Issuer:
    """What the issuer answers, and what it was asked.

    keys: the JWKs it publishes. asked: the paths of all requests. status: what it answers with. moved: an
    address that it redirects to, where set.
    """

    def __init__(self, origin: str) -> None:
        self.url = origin
        self.named = origin
        self.keys: list[dict[str, Any]] = [
            public_jwk(RSA_KEY, kid="rsa"),
            public_jwk(EC_KEY, kid="ec"),
            public_jwk(ED_KEY, kid="ed"),
        ]
        self.asked: list[str] = []
        self.status = 200
        self.moved: str | None = None
        self.metadata_path = "/.well-known/openid-configuration"

    def document(self, path: str) -> object | None:
        if path == self.metadata_path:
            return {"issuer": self.named, "jwks_uri": f"{self.url}/keys"}
        return {"keys": self.keys} if path == "/keys" else None

    def claims(self, **changed: Any) -> dict[str, Any]:
        """The claims of a good access token; None leaves one out."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.url,
            "aud": PUBLIC_URL,
            "sub": "ann",
            "client_id": "a-client",
            "scope": SCOPE,
            "iat": now,
            "exp": now + 600,
            **changed,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(
        self,
        *,
        key: Any = RSA_KEY,
        algorithm: str = "RS256",
        kid: str | None = "rsa",
        typ: str = "at+jwt",
        **changed: Any,
    ) -> str:
        """An access token; good where nothing else is asked for."""
        headers = {"typ": typ, **({} if kid is None else {"kid": kid})}
        return jwt.encode(self.claims(**changed), key, algorithm, headers)


@contextmanager
def issuing() -> Iterator[Issuer]:
    """A running issuer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            document = issuer.document(self.path)
            status = 302 if issuer.moved else issuer.status if document is not None else 404
            body = json.dumps(document).encode()
            self.send_response(status)
            if issuer.moved:
                self.send_header("Location", f"{issuer.moved}{self.path}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        issuer = Issuer(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join(timeout=30)
