"""What the face needs to have everything sent again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ophl7.domain.patient import Side
from ophl7.engine.resend_rows import Resend, ResendTally
from ophl7.engine.resending import DecideResend, NotResent, Resending, StartResend


class ResendReads(Protocol):
    """What it takes of the database. Raises StoreAway, TimeoutError."""

    async def preview(self, side: Side, since: float, until: float) -> Sequence[Mapping[str, Any]]:
        """By stream: stream deliveries lanes oldest newest gone."""

    async def merged_since(self, side: Side, since: float) -> int:
        """How many pairs that side has merged since then."""

    async def runs(
        self, *, number: int | None = None, before: int | None = None, limit: int
    ) -> Sequence[tuple[Resend, ResendTally]]:
        """Runs, newest first."""


@dataclass(frozen=True, slots=True)
class ResendFace:
    """start, decide: durable when they return; raise StoreAway, StoreRefused, TimeoutError. now: seconds since the epoch."""

    reads: ResendReads
    start: Callable[[StartResend], Awaitable[Resending | NotResent]]
    decide: Callable[[DecideResend], Awaitable[Resending | NotResent]]
    now: Callable[[], float]
