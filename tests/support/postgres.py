"""A PostgreSQL server that tests may use, and a schema of their own in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest

VARIABLE = "AUDIENCE_MCP_TEST_POSTGRES"
ADDRESS = os.environ.get(VARIABLE, "postgresql://postgres@127.0.0.1:5432/test")
HOW = (
    f"no PostgreSQL answers at {ADDRESS.rpartition('@')[2]}: start one that trusts this computer (docker run "
    "-p 127.0.0.1:5432:5432 -e POSTGRES_HOST_AUTH_METHOD=trust -e POSTGRES_DB=test postgres:15), or "
    f"name one in {VARIABLE}"
)


@contextmanager
def schema() -> Iterator[str]:
    """The address of an empty schema, which is dropped at the end. Skips where there is no server."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed: pip install -e '.[test]'")
    name = f"t{uuid4().hex}"
    try:
        connection = psycopg.connect(ADDRESS, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        pytest.skip(HOW)
    with connection:
        connection.execute(f"CREATE SCHEMA {name}")
        try:
            yield f"{ADDRESS}{'&' if '?' in ADDRESS else '?'}options=-csearch_path%3D{name}"
        finally:
            connection.execute(f"DROP SCHEMA {name} CASCADE")
