"""The JSON types of which answers are made, as JSON schemas for `/openapi.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NUMBER = {"type": "integer", "format": "int64"}
MAYBE_NUMBER = {"type": ["integer", "null"], "format": "int64"}
NUMBERS = {"type": "array", "items": NUMBER}
TEXT = {"type": "string"}
MAYBE = {"type": ["string", "null"]}
TEXTS = {"type": "array", "items": TEXT}
TIME = {"type": "string", "format": "date-time"}
MAYBE_TIME = {"type": ["string", "null"], "format": "date-time"}
BOOLEAN = {"type": "boolean"}


def record(**properties: Mapping[str, Any]) -> dict[str, Any]:
    """An object with just these members."""
    return {"type": "object", "required": list(properties), "properties": properties}


def records(**properties: Mapping[str, Any]) -> dict[str, Any]:
    """A list of such objects."""
    return {"type": "array", "items": record(**properties)}


def one_of(*names: str) -> dict[str, Any]:
    """One of these words."""
    return {"type": "string", "enum": list(names)}
