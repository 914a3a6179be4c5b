"""Mixpanel's list of saved cohorts, as its OpenAPI document has it, over given rows."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from audience_mcp.testing import Answer, Asked

USER, SECRET = "reader.0a1b2c.mp-service-account", "made-up-service-account-secret"
PROJECT, VIEW = "2195193", "3456789"
BASIC = "Basic " + base64.b64encode(f"{USER}:{SECRET}".encode()).decode()


def answer(asked: Asked, rows: Sequence[Any]) -> Answer:
    """`POST /api/query/cohorts/list`. Bodies of errors are not documented; these were seen."""
    if asked.headers.get("authorization") != BASIC:
        return Answer(401, {"error": "Invalid service account credentials", "status": "error"})
    if (asked.method, asked.path) != ("POST", "/api/query/cohorts/list"):
        return Answer(404, {"error": "not found"})
    if asked.body or asked.query.keys() - {"project_id", "workspace_id"}:
        return Answer(400, {"error": "unknown parameters"})
    (project,) = asked.query.get("project_id", [""])
    if not project.isdigit() or not asked.query.get("workspace_id", [VIEW])[0].isdigit():
        return Answer(400, {"error": "project_id and workspace_id must be integers"})
    if project != PROJECT:
        return Answer(403, {"error": "the service account has no access to this project"})
    return Answer(200, list(rows))
