"""Bodies of requests: read within limits, only what a call knows, faults named and never quoted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from starlette.requests import ClientDisconnect, Request

from ophl7.admin.problems import Problem

# A sentence of a person and what goes around it.
_MOST_BYTES = 16 * 1024
_MOST_MESSAGE = 4 * 1024 * 1024
_SECONDS = 10.0
_FIELDS = 16

LONGEST_REASON = 500  # characters


async def read_json(request: Request, known: Collection[str]) -> dict[str, Any]:
    """The object of the body. Raises Problem 400 for what is no JSON object, 422 for a member that is unknown here."""
    body = await _read(request)
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise Problem(400, f"send a JSON object with {', '.join(known)}") from None
    if not isinstance(found, dict):
        raise Problem(400, f"send a JSON object with {', '.join(known)}")
    if not found.keys() <= set(known):
        raise Problem(422, f"the body has a member that is not known here; this call takes {', '.join(known)}")
    return found


async def read_bytes(request: Request) -> bytes:
    """A message as it is. Raises Problem 400 where there is none, 413 for one that no listener would take either."""
    body = await _read(request, _MOST_MESSAGE)
    if not body:
        raise Problem(400, "send the bytes of a message as the body")
    return body


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form as browsers send it. Raises Problem 415 for another kind of body, 400 for one that is no form."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Problem(415, "send a form: application/x-www-form-urlencoded")
    body = await _read(request)
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_FIELDS, errors="strict"))
    except ValueError:
        raise Problem(400, "the form cannot be read") from None


def reason_in(fields: Mapping[str, Any]) -> str:
    """Why a person does it: one line of at most 500 characters. Raises Problem 422, naming the field."""
    return line_in(fields, "reason", LONGEST_REASON, "say why; it is kept with what you do")


def line_in(fields: Mapping[str, Any], name: str, longest: int, wanted: str = "it is needed") -> str:
    """A member that is one line of so many characters at most. wanted: said where it is missing. Raises Problem 422."""
    given = fields.get(name)
    if given is None:
        raise _bad(name, wanted)
    if not isinstance(given, str):
        raise _bad(name, "a text")
    line = " ".join(given.split())
    if not line:
        raise _bad(name, f"it is empty; {wanted}")
    if len(line) > longest:
        raise _bad(name, f"at most {longest} characters")
    if not line.isprintable():
        raise _bad(name, "it holds characters that cannot be shown")
    return line


def _bad(name: str, wanted: str) -> Problem:
    return Problem(422, f"{name}: {wanted}", parameter=name)


def instant_in(fields: Mapping[str, Any], name: str, zone: ZoneInfo) -> float:
    """A member that is a time; without an offset it is in the zone, a day alone is its begin. Raises Problem 422."""
    try:
        moment = datetime.fromisoformat(line_in(fields, name, 64, "a time like 2026-11-23T08:30:00-05:00"))
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError):
        raise _bad(name, "a time like 2026-11-23T08:30:00-05:00, or a date") from None


def flag_in(fields: Mapping[str, Any], name: str) -> bool:
    """A member that is true or false; false when it is not there. Raises Problem 422, naming the field."""
    given = fields.get(name, False)
    if not isinstance(given, bool):
        raise _bad(name, "true or false")
    return given


async def _read(request: Request, most: int = _MOST_BYTES) -> bytes:
    """The body, of bounded size and in bounded time."""
    found = bytearray()
    try:
        async with asyncio.timeout(_SECONDS):
            async for piece in request.stream():
                found += piece
                if len(found) > most:
                    raise Problem(413, f"the body is longer than {most} bytes")
    except TimeoutError:
        raise Problem(408, "the body did not come in time") from None
    except ClientDisconnect:
        raise Problem(400, "the body was cut off") from None
    return bytes(found)
