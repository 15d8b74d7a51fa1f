"""A link as others see it: what it is told to do, what it tells, and how it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from ophl7.domain.patient import Side
from ophl7.engine.storage import DeliveryState

LinkWord = Literal["unset", "up", "down", "paused"]


class OutboxObserver(Protocol):
    """Told what happens on a link, for logs and metrics."""

    def delivered(self, destination: Side, delivery: int, state: DeliveryState, answer: str, seconds: float) -> None:
        """One exchange ended. answer: MSA-1 and code, or what went wrong."""

    def link_down(self, destination: Side, kind: str, words: str) -> None:
        """The peer cannot be reached. kind: of the LinkDown; words: its text. Told again when the reason becomes another."""

    def link_up(self, destination: Side) -> None:
        """The peer answers again."""

    def link_paused(self, destination: Side, reason: str) -> None:
        """Nothing is sent any more until somebody resumes it. reason: why, for people."""

    def link_resumed(self, destination: Side) -> None:
        """It is sent to again."""


@dataclass(frozen=True, slots=True)
class LinkPolicy:
    """first, longest: seconds between tries. nack_default: what a refusal without an ERR means.

    review: silence is settled by a person (ON_TIMEOUT=review): what may have been taken is never sent twice unasked.
    """

    first: float
    longest: float
    nack_default: Literal["park", "retry"]
    review: bool = False


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """A link as people see it. oldest_seconds: age of the oldest delivery that waits, None when none does.

    unblocked_seconds: the same without those that wait for a person or an event, and what waits behind them.
    paused_because: why nothing is sent, None while it is sent to. by_itself: no person has paused it.
    """

    state: LinkWord
    queued: int
    parked: int
    oldest_seconds: float | None
    last_error: str | None
    paused_because: str | None = None
    unblocked_seconds: float | None = None
    by_itself: bool = False
