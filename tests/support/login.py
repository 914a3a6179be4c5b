"""The real authorization server as a subprocess, and a person who logs in at its page without a browser."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import secrets
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import httpx

from tests.support.process import environment

SERVER = Path(__file__).parents[1] / "oauth" / "issuer.mjs"
REDIRECT_URI = "http://127.0.0.1:6274/oauth/callback"
"""Where the browser is sent in the end; nothing need listen there."""
CLIENT_DOCUMENT_URL = "https://client.example/metadata.json"
CLIENT_DOCUMENT = {
    "client_id": CLIENT_DOCUMENT_URL,
    "client_name": "a test",
    "redirect_uris": [REDIRECT_URI],
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "token_endpoint_auth_method": "none",
    "application_type": "native",
}


@contextmanager
def authorization_server(node: str) -> Iterator[str]:
    """Its issuer URL, while it runs."""
    documents = json.dumps({CLIENT_DOCUMENT_URL: CLIENT_DOCUMENT})
    process = subprocess.Popen(
        [node, str(SERVER)],
        env=environment(CLIENT_DOCUMENTS=documents),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    overdue = threading.Timer(60, process.kill)
    overdue.start()
    try:
        assert process.stdout is not None
        issuer = process.stdout.readline().strip()
        overdue.cancel()
        assert issuer, "the authorization server did not start"
        yield issuer
    finally:
        overdue.cancel()
        process.kill()
        process.wait(timeout=30)
        assert process.stdout is not None
        process.stdout.close()


async def log_in(url: str, name: str) -> dict[str, str]:
    """Open the authorization page, log in, consent; what the browser is sent back to the client with."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as browser:
        response = await browser.get(url)
        for _ in range(12):
            if response.is_redirect:
                target = urljoin(str(response.url), response.headers["Location"])
                if target.startswith(REDIRECT_URI):
                    return dict(parse_qsl(urlsplit(target).query))
                response = await browser.get(target)
                continue
            assert response.status_code == 200, response.text
            action = re.search(r'action="([^"]+)"', response.text)
            prompt = re.search(r'name="prompt" value="([^"]+)"', response.text)
            assert action is not None, response.text
            assert prompt is not None, response.text
            form = {"prompt": prompt[1], **({"login": name, "password": "x"} if prompt[1] == "login" else {})}
            response = await browser.post(urljoin(str(response.url), html.unescape(action[1])), data=form)
    raise AssertionError("the login never came to an end")


async def tokens_for(issuer: str, name: str, *, scope: str, resource: str | None) -> dict[str, Any]:
    """What the token endpoint gives for a code that was got by logging in."""
    verifier = secrets.token_urlsafe(48)
    hashed = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    of_resource = {"resource": resource} if resource else {}
    asked = {
        "client_id": CLIENT_DOCUMENT_URL,
        "response_type": "code",
        "redirect_uri": REDIRECT_URI,
        "scope": scope,
        "state": "s",
        "code_challenge": hashed,
        "code_challenge_method": "S256",
        **of_resource,
    }
    back = await log_in(f"{issuer}/auth?{urlencode(asked)}", name)
    form = {
        "grant_type": "authorization_code",
        "code": back["code"],
        "redirect_uri": REDIRECT_URI,
        "client_id": CLIENT_DOCUMENT_URL,
        "code_verifier": verifier,
        **of_resource,
    }
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        response = await http.post(f"{issuer}/token", data=form)
    assert response.status_code == 200, response.text
    return dict(response.json())
