"""Runs as a face is handed them: one that is under way, and nothing that could be done wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ophl7.admin.resend_ports import ResendFace
from ophl7.domain.patient import Side
from ophl7.engine.resend_rows import Resend, ResendTally
from ophl7.engine.resending import DecideResend, NotResent, Resending, StartResend

RUN = Resend(1, "emr", 1000.0, 2000.0, ("record",), 5, "", 2000.0, 40, "running", 20, 7, 1, 0)
TALLY = ResendTally(waiting=2, accepted=4, refused=1)


class Reads:
    async def preview(self, side: Side, since: float, until: float) -> Sequence[Mapping[str, Any]]:
        return [{"stream": "record", "deliveries": 8, "lanes": 3, "oldest": 1000.5, "newest": 1900.0, "gone": 1}]

    async def merged_since(self, side: Side, since: float) -> int:
        return 1

    async def runs(
        self, *, number: int | None = None, before: int | None = None, limit: int
    ) -> Sequence[tuple[Resend, ResendTally]]:
        return [(RUN, TALLY)] if number in {None, RUN.id} else []


async def start(order: StartResend) -> Resending | NotResent:
    return Resending(RUN._replace(destination=order.destination), TALLY, made_now=True)


async def decide(order: DecideResend) -> Resending | NotResent:
    return Resending(RUN, TALLY) if order.run == RUN.id else NotResent("no run under this number is open", unknown=True)


def resend_face() -> ResendFace:
    return ResendFace(Reads(), start, decide, lambda: 3000.0)
