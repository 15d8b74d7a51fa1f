"""`/openapi.json`: made from the table of calls, so that it cannot say something else than the routes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ophl7.admin.api import CALLS, PREFIX
from ophl7.admin.calls import Call, Deed, Inquiry, Listing, Parameter
from ophl7.admin.parameters import LIMIT, MOST

_IN_PATH = re.compile(r"\{(\w+)\}")
_REASONS = {"400": "a parameter is wrong", "401": "the token is missing or wrong", "403": "only this machine is let in"}
_DEED_REASONS = {
    "404": "there is no such thing",
    "409": "it cannot be done, or was done before; the problem says why and what to do, and nothing was changed",
    "422": "a member of the body is missing or wrong; the problem names it",
}
_PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "parameter": {"type": "string"},
        "patients": {"type": "array", "items": {"type": "string"}},
        "hold": {"type": "object"},
        "charges": {"type": "array", "items": {"type": "integer"}},
    },
}
_PAGING = (
    {
        "name": "limit",
        "in": "query",
        "description": f"how many items at most; beyond {MOST} counts as {MOST}",
        "schema": {"type": "integer", "minimum": 1, "default": LIMIT},
    },
    {"name": "cursor", "in": "query", "description": "`next` of the page before", "schema": {"type": "string"}},
)
_OPEN = {
    "/healthz": ("The event loop turns", "application/json", ("200", "503")),
    "/readyz": ("Whether a message would be taken now, check by check", "application/json", ("200", "503")),
    "/metrics": ("Prometheus metrics", "text/plain", ("200",)),
}


def document(version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 description of everything that is served for programs."""
    paths: dict[str, Any] = {}
    for path, (summary, content, statuses) in _OPEN.items():
        responses = {status: {"description": summary, "content": {content: {}}} for status in statuses}
        paths[path] = {"get": {"summary": summary, "security": [], "responses": responses}}
    for call in CALLS:
        paths.setdefault(PREFIX + call.path, {})["post" if isinstance(call, Deed | Inquiry) else "get"] = _operation(call)
    return {
        "openapi": "3.1.0",
        "info": {"title": "ophl7", "version": version, "description": "HL7 v2 broker between PM and EMR"},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Problem": _PROBLEM},
        },
    }


def _operation(call: Call) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "integer" if name == "id" else "string"}}
        for name in _IN_PATH.findall(call.path)
    ]
    reasons = dict(_REASONS)
    if isinstance(call, Listing):
        parameters += [_parameter(one) for one in call.parameters]
        parameters += _PAGING if call.paged else ()
        item = _closed(call.fields) if call.fields else {"type": "object"}
        next_page = {"type": ["string", "null"]}
        content = {"application/json": {"schema": _closed({"items": {"type": "array", "items": item}, "next": next_page})}}
    elif isinstance(call, Inquiry):
        parameters += [_parameter(one) for one in call.parameters]
        items = {"items": {"type": "array", "items": _closed(call.fields)}, "next": {"type": "null"}}
        content = {"application/json": {"schema": _closed(items)}}
    elif isinstance(call, Deed):
        reasons |= _DEED_REASONS
        content = {"application/json": {"schema": _closed(call.fields)}}
    else:
        parameters += [_parameter(one) for one in call.parameters]
        reasons["404"] = "there is no such thing"
        parameters += [_parameter(one) for one in call.parameters]
        schema = _closed(call.fields) if call.fields else {"type": "string", "format": "binary"}
        content = {call.content: {"schema": schema}}
    if any(one["name"] in {"patient", "identifier"} for one in parameters):
        reasons["409"] = "several patients have this id; the problem lists them"
    reasons["503"] = "the database is away, or reading takes too long"
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    responses: dict[str, Any] = {"200": {"description": call.summary, "content": content}}
    responses |= {status: {"description": reason, "content": problem} for status, reason in reasons.items()}
    operation: dict[str, Any] = {"summary": call.summary, "parameters": parameters, "responses": responses}
    if isinstance(call, Deed):
        properties = {**call.body, **call.optional}
        body = _closed(call.body) | {"properties": properties, "additionalProperties": False}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    elif isinstance(call, Inquiry):
        bytes_of_it = {"schema": {"type": "string", "format": "binary"}}
        operation["requestBody"] = {"required": True, "content": {call.content: bytes_of_it}}
    return operation


def _parameter(one: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if one.choices:
        schema["enum"] = list(one.choices)
    return {"name": one.name, "in": "query", "description": one.text, "schema": schema}


def _closed(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(fields), "properties": dict(fields)}
