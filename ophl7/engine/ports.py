"""How the engine meets the world: the interfaces it needs, defined where they are used.

`mllp` implements :class:`Replier` and :class:`Sender`, `store` implements `Store` (see `engine.storage`), `app` wires them.
The engine never imports any of these rooms.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The only source of time, so that tests own it."""

    def now(self) -> datetime:
        """The current instant, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back, for time limits and delays."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Why a frame could not be read as one block (decisions #90b, #91); such a frame is quarantined, never judged.

    reason: `cut_off` (a VT began a new frame inside this one), `fs_inside` (FS before another byte), `too_big`.
    answer: whether the sender gets an AR for it. close: whether the session is closed after that answer.
    """

    reason: str
    answer: bool
    close: bool = False


class Replier(Protocol):
    """One inbound connection, as the engine sees it."""

    @property
    def peer(self) -> str:
        """`pm` or `emr`: the listener that was used decides, never MSH-3."""

    @property
    def number(self) -> int:
        """The connection's number since start, for logs."""

    def answer(self, payload: bytes | None) -> None:
        """Settles the oldest unanswered envelope: frames and writes `payload`, or nothing if it is None.

        Never raises, whatever became of the connection.
        """

    def abandon(self) -> None:
        """Our own trouble: closes without an answer, so that the sender sends again (decisions #94)."""


@dataclass(slots=True)
class Envelope:
    """One frame on its road: who sent it, when, and its bytes exactly as they came."""

    peer: str
    session: Replier
    payload: bytes
    received_at: float  # seconds since the epoch
    damage: Damage | None = None


class Intake(Protocol):
    """Where a listener hands over what it received."""

    def offer(self, envelope: Envelope) -> bool:
        """Takes the envelope, to be answered later through its session.

        False: nothing is accepted just now (store away, draining, disk past its mark): close without an answer.
        """

    def connected(self, peer: str) -> None:
        """A peer opened a connection: its outbound link tries at once (decisions 8)."""


@dataclass(frozen=True, slots=True)
class AnswerError:
    """One ERR of an answer to something that we sent. code: table 0357 as a number, 0 when unreadable."""

    code: int
    severity: str
    application_code: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The peer's answer to one of our messages, already matched on MSA-2.

    code: MSA-1 as sent (AA AE AR CA CE CR). No free text is kept here: peers' texts may hold patient data.
    """

    code: str
    control_id: str
    errors: tuple[AnswerError, ...]
    raw: bytes


class Sender(Protocol):
    """One outbound connection to a peer: one message in flight at a time."""

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as we know."""

    async def connect(self) -> None:
        """Connects, if there is no connection. Raises LinkDown."""

    async def exchange(self, payload: bytes, control_id: str) -> Answer:
        """Sends `payload` (unframed), waits for the answer whose MSA-2 is `control_id`, and returns it.

        Connects first when needed. Raises LinkDown for everything else; the connection is then gone, so a late answer can
        never be credited to a later message (domain 4).
        """

    async def close(self) -> None:
        """Closes the connection, if there is one. Idempotent."""
