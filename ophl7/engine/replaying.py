"""A message that a person has judged again: its stored bytes, by today's rules, as a journal row of its own.

All that an arrival goes through but the duplicate check: what is stale is stale again, a known charge is known again. Whoever
had a copy of it gets none a second time, unless the person asks for that; its sender gets no answer.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ophl7.domain.policy import Policy
from ophl7.engine.acts import NotDone, Replayed, Replaying
from ophl7.engine.arrival import Arrival, Replay, collect_keys, read_arrival
from ophl7.engine.deciding import Decider
from ophl7.engine.originals import Original
from ophl7.engine.storage import AuditRow, Keys
from ophl7.engine.unit_of_work import UnitOfWork

# Frames that are no whole message: what came of them is a piece, and a piece must never be applied.
_PIECES = frozenset({"#90b", "#91", "batch"})

# Runs whose charges stand in the ledger without being sent: those of the new run take their place.
_WITHOUT_EFFECT = frozenset({"rejected", "ignored", "error"})


class Replays:
    """Carries replays out inside a batch."""

    def __init__(self, decider: Decider, policy: Policy, now: Callable[[], datetime]) -> None:
        self._decider = decider
        self._policy = policy
        self._now = now

    async def carry_out(self, uow: UnitOfWork, order: Replaying) -> Replayed | NotDone:
        """Does it, or changes nothing. What fails in here is the caller's to undo."""
        at = self._now().timestamp()
        await uow.fetch(Keys(originals={order.message}))
        original = uow.state.originals.get(order.message)
        if original is None:
            return NotDone(still_open=False, reason="no message has this number")
        refused = _refused(original)
        if refused:
            return NotDone(still_open=True, reason=refused)
        arrival = self._read(original, order, at)
        message = arrival.message
        if message is None:
            why = f"it cannot be read under the settings of today: {arrival.trouble}"
            return NotDone(still_open=True, reason=f"{why}; set the encoding of its peer, or have it sent again")
        if message.type == "ACK":
            return NotDone(still_open=True, reason="it is an acknowledgment, which has no effect (#93)")
        keys = Keys()
        collect_keys(arrival, keys, self._policy)
        keys.controls.clear()  # the duplicate check is for what arrives
        keys.last.clear()
        if keys:
            await uow.fetch(keys)
        decision = await self._decider.replay(uow, arrival, message)
        number = decision.message
        done = f"message {original.message} as message {number}"
        uow.rows.audit.append(AuditRow(at, order.actor, "replay-message", done, order.reason))
        row = next(row for row in reversed(uow.rows.journal) if row.id == number)
        return Replayed(
            at=at,
            message=number,
            replay_of=original.message,
            state=row.state,
            row=row.row,
            reason=row.reason,
            waits_for=tuple(dict.fromkeys(hold.key for hold in uow.holds_of(number))),
            deliveries=tuple((one.id, one.destination) for one in uow.rows.deliveries if one.message == number),
            spared=arrival.spared,
            released=decision.released,
        )

    def _read(self, original: Original, order: Replaying, at: float) -> Arrival:
        arrival = read_arrival(original.peer, 0, at, original.raw or b"", original.start, original.end, self._policy)
        runs = original.runs
        settled = tuple(run.message for run in runs if run.state in _WITHOUT_EFFECT)
        taken = any(run.state not in {"rejected", "error"} for run in runs)
        arrival.replay = Replay(original.message, settled, taken)
        arrival.timing = "by_hand" if order.apply_stale else "judged"
        if not order.resend:
            arrival.spared = tuple(sorted({side for run in runs for side in run.copies}))
        return arrival


def _refused(original: Original) -> str:
    """Why it cannot be replayed, and what to do instead; "" when it can."""
    if original.raw is None:
        return "its bytes were removed when its retention was over"
    if original.row in _PIECES:
        return "it is no whole message: its sender must send it again"
    waiting = next((run.message for run in original.runs if run.state == "held"), None)
    if waiting is not None:
        return f"message {waiting} waits in custody: release or discard its hold"
    if original.runs[0].state == "duplicate":
        return "it is a copy of an earlier message: replay that one"
    return ""
