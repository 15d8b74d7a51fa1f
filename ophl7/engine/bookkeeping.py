"""Noting a roll-up and taking it back, inside a batch: what stands in its way is seen in the same commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from ophl7.engine.roll_ups import NoteRollUp, NotNoted, RollUp, TakeBack
from ophl7.engine.storage import AuditRow, Keys
from ophl7.engine.unit_of_work import UnitOfWork


class Bookkeeping:
    """Carries out what billers note. No message, charge or delivery is touched by it."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now

    async def note(self, uow: UnitOfWork, wanted: NoteRollUp) -> RollUp | NotNoted:
        """Notes it, or changes nothing: all of these charges must be the PM's and in no other claim."""
        await uow.fetch(Keys(entries=set(wanted.charges)))
        entries = {number: uow.state.entries[number] for number in sorted(set(wanted.charges))}
        unknown = [number for number, entry in entries.items() if entry is None]
        if unknown:
            return NotNoted("the ledger has no such charge", unknown)
        known = [entry for entry in entries.values() if entry is not None]
        waiting = [entry.charge for entry in known if entry.standing != "accepted"]
        if waiting:
            return NotNoted("the PM has not accepted this charge (yet), so it cannot be in a claim", waiting)
        taken = [entry for entry in known if entry.roll_up is not None]
        if taken:
            others = ", ".join(str(number) for number in sorted({entry.roll_up or 0 for entry in taken}))
            reason = f"it stands in roll-up {others} already; take that one back first if it is wrong"
            return NotNoted(reason, [entry.charge for entry in taken])
        at = self._now().timestamp()
        number = max([uow.state.last_roll_up, *uow.rows.roll_ups]) + 1
        made = RollUp(number, at, wanted.actor, wanted.claim, wanted.note, tuple(entries))
        uow.save_roll_up(made)
        target = f"roll-up {number}, claim {wanted.claim}, charges {', '.join(map(str, made.charges))}"
        uow.rows.audit.append(AuditRow(at, wanted.actor, "note-roll-up", target, wanted.note))
        return made

    async def take_back(self, uow: UnitOfWork, wanted: TakeBack) -> RollUp | NotNoted:
        """Its charges are current again. The note stays, with who took it back and why."""
        await uow.fetch(Keys(roll_ups={wanted.roll_up}))
        known = uow.state.roll_ups[wanted.roll_up]
        if known is None:
            return NotNoted("no roll-up has this number")
        if known.taken_back_at is not None:
            return NotNoted("this roll-up was taken back before", known.charges)
        await uow.fetch(Keys(entries=set(known.charges)))
        at = self._now().timestamp()
        done = replace(known, taken_back_at=at, taken_back_by=wanted.actor, taken_back_reason=wanted.reason)
        uow.save_roll_up(done)
        target = f"roll-up {known.id}, claim {known.claim}"
        uow.rows.audit.append(AuditRow(at, wanted.actor, "take-back-roll-up", target, wanted.reason))
        return done
