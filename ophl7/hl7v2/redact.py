"""What of a message may stand in a log: never a value (contract 7)."""

from __future__ import annotations

import re
from typing import NamedTuple

from ophl7.hl7v2.message import Message

_EVENT = re.compile(r"[A-Z][A-Z0-9]{2}(?:\^[A-Z][A-Z0-9]{2})?")
_CONTROL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,63}")
_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}")

UNREADABLE = "unreadable"


class Outline(NamedTuple):
    """A segment without its content: name, `???` where it is none, and number of the last field."""

    name: str
    fields: int


def safe_event(text: str) -> str:
    """`text` if it looks like a message type and event (`ADT^A08`, `ACK`), else `unreadable`."""
    return text if _EVENT.fullmatch(text) else UNREADABLE


def safe_control_id(text: str) -> str:
    """`text` if it is one word of at most 64 characters, as control ids are; "" stays ""; else `unreadable`."""
    return text if not text or _CONTROL_ID.fullmatch(text) else UNREADABLE


def outline(message: Message) -> tuple[Outline, ...]:
    """The segments of a message by name and number of fields only."""
    return tuple(
        Outline(segment.name if _SEGMENT.fullmatch(segment.name) else "???", len(segment)) for segment in message.segments
    )
