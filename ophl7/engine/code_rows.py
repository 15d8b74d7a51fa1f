"""What is written of codes: people's entries in code tables, and codes that came without one (#36, #46)."""

from __future__ import annotations

from typing import NamedTuple

from ophl7.domain.patient import Side


class CodeEntry(NamedTuple):
    """A person's entry in a code table, over the profile's. to: None takes it back. by, reason: who and why."""

    peer: Side
    table: str
    code: str
    to: str | None
    by: str
    at: float
    reason: str


class CodeSeen(NamedTuple):
    """A code without an entry, in a message that came: a task (#36)."""

    peer: Side
    table: str
    code: str
    message: int
    at: float
