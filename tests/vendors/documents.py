"""Vendors' own OpenAPI documents, held against what is sent to an imitation and what it answers.

The documents are not part of this repository: they are looked for beside it, in `../shared/specs`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse

from audience_mcp.testing import Answer, Asked

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "specs"
Document = dict[str, Any]

needs_documents = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the vendors' OpenAPI documents are not there (../shared/specs)"
)


def exchanged(
    vendor: str,
    asked: Sequence[Asked],
    answer: Callable[[Asked], Answer],
    patch: Callable[[Document], None] = lambda document: None,
) -> list[str]:
    """The paths of these requests, after each and its answer were found valid. Raises OpenAPIError.

    patch: mends the document where it contradicts itself or what the vendor answers.
    """
    document: Document = json.loads((FOLDER / f"{vendor}.json").read_text(encoding="utf-8"))
    patch(document)
    served = document["servers"][0]["url"]
    host = "/".join(served.split("/")[:3])
    checker = OpenAPI.from_dict(document)
    for each in asked:
        request = MockRequest(
            host,
            each.method,
            each.path,
            args={name: list(values) for name, values in each.query.items()},
            headers=dict(each.headers),
            data=each.body,
            content_type=each.headers.get("content-type", ""),
        )
        checker.validate_request(request)
        answered = answer(each)
        body = json.dumps(answered.body).encode()
        checker.validate_response(request, MockResponse(body, answered.status))
    return [each.path for each in asked]
