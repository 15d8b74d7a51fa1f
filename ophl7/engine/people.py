"""A person's release or discard, carried out inside a batch: everything that follows from it is in the batch's one commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from ophl7.domain.charge import clears
from ophl7.domain.charge_reading import read_charges
from ophl7.domain.patient import other_side
from ophl7.domain.policy import Policy
from ophl7.engine.acts import Act, Done, NotDone
from ophl7.engine.arrival import read_held
from ophl7.engine.custody import Custody
from ophl7.engine.matching import match
from ophl7.engine.storage import AuditRow, ClosedHow, HoldRow, JournalUpdate, Keys
from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.errors import Unreadable

_AUDITED = {"release": "release-hold", "discard": "discard-hold", "redirect": "redirect-hold"}

# Whose they are is all that such messages say: no other patient can take their place.
_SAYS_WHO = (
    "a registration or a merge says who somebody is, so it cannot be taken for somebody else: "
    "have it sent again with the right id, and discard this one"
)


class People:
    """Carries out what people decide about messages in custody (decisions 11)."""

    def __init__(self, custody: Custody, policy: Policy, now: Callable[[], datetime]) -> None:
        self._custody = custody
        self._policy = policy
        self._now = now

    async def carry_out(self, uow: UnitOfWork, act: Act) -> Done | NotDone:
        """Does it, or changes nothing. What fails in here is the caller's to undo."""
        at = self._now().timestamp()
        await uow.fetch(Keys(held={act.message}))
        row = next((row for row in uow.holds_of(act.message) if row.id == act.hold), None)
        if row is None:  # its condition, or somebody else, was faster
            return NotDone(still_open=False, reason="this hold does not wait any more")
        mark = uow.mark()
        carry_out = {"release": self._release, "discard": self._discard, "redirect": self._redirect}[act.verb]
        done: Done | NotDone = await carry_out(uow, row, act, at)
        if isinstance(done, NotDone):
            uow.undo(mark)
            return done
        target = f"hold {act.hold} of message {act.message}"
        if act.patient is not None and (whose := uow.patient(act.patient.key)) is not None:
            target += f", to patient {whose.id}"  # the number of his row: the audit names no patient
        uow.rows.audit.append(AuditRow(at, act.actor, _AUDITED[act.verb], target, act.reason))
        return done

    async def _release(self, uow: UnitOfWork, row: HoldRow, act: Act, at: float) -> Done | NotDone:
        """The hold's condition counts as apply for this message, now and whenever it is judged again; all else is as always."""
        ruling, others = await self._custody.decide(uow, row, act, at)
        if ruling is None:
            reason = "it cannot be read under the settings of today: set the encoding of its peer as it was, or discard it"
            return NotDone(still_open=True, reason=reason)
        again = ruling.conditions.get(row.key)
        if again is not None and again.way_out:
            return NotDone(still_open=True, reason=f"{again.reason}: {again.way_out}")
        how: ClosedHow = "accepted" if row.key in ruling.set_aside else "released"
        return Done(at, how, ruling.state, tuple(ruling.conditions), others)

    async def _redirect(self, uow: UnitOfWork, row: HoldRow, act: Act, at: float) -> Done | NotDone:
        """From now on the message is this patient's; it is judged as if it had named him."""
        wanted = act.patient
        try:
            arrival, message = read_held(uow.state.held[row.message], self._policy)
        except Unreadable:
            return NotDone(
                still_open=True, reason="it cannot be read under the settings of today, so nobody knows what it says"
            )
        if message.type not in {"DFT", "SIU"}:
            return NotDone(still_open=True, reason=_SAYS_WHO)
        if not arrival.named.keys:
            return NotDone(still_open=True, reason="it is about no patient")
        if wanted is None:
            return NotDone(still_open=True, reason="say for which patient")
        await uow.fetch(Keys(identifiers={wanted.key, *(one.key for one in arrival.named.keys)}))
        patient = uow.patient(wanted.key)
        if patient is None:
            return NotDone(still_open=True, reason="nobody has this identifier; a release or a redirect invents no patient")
        now = match(uow, arrival.named, arrival.peer, self._policy).patient
        if now is not None and now.id == patient.id:
            return NotDone(still_open=True, reason="it is about this patient already")
        receiver = other_side(arrival.peer)
        owner = self._policy.patient_authority
        authorities = [self._policy.authority_of(side) for side in (receiver, owner)]
        known = [patient.identifier_of(one, self._policy.key_types(one)) for one in authorities]
        chosen = next((one for one in known if one is not None), patient.key)
        ruling, others = await self._custody.decide(uow, row, replace(act, patient=chosen), at)
        if ruling is None:
            return NotDone(still_open=True, reason="it cannot be read with another patient's id in it")
        return Done(at, "redirected", ruling.state, tuple(ruling.conditions), others)

    async def _discard(self, uow: UnitOfWork, row: HoldRow, act: Act, at: float) -> Done:
        """The message has no effect and never will; what waited behind it, or for its charges, is judged again."""
        ended = uow.holds_of(row.message)
        for one in ended:
            uow.close_hold(one, at, "discarded", act.actor, act.reason)
        uow.cancel_charges(row.message)
        # What the rules had said stays; and a person's own text does not stand in the journal.
        uow.rows.updates.append(JournalUpdate(row.message, "ignored", None, None, "discarded by a person", None))
        waiting = [*await self._custody.behind(uow, ended), *await self._waiting_for_charges(uow, row.message)]
        return Done(at, "discarded", "ignored", (), await self._custody.judge_again(uow, waiting, at))

    async def _waiting_for_charges(self, uow: UnitOfWork, number: int) -> list[HoldRow]:
        """What waits for charges that this message would have brought (#48, #50), or repeats them (#57)."""
        try:
            _, message = read_held(uow.state.held[number], self._policy)
        except Unreadable:
            return []  # it is let go all the same
        if message.type != "DFT":
            return []
        rules = self._policy.peers[uow.state.held[number].peer].profile.charges
        keys = {clears(line) for line in read_charges(message, rules)} - {""} | {f"repeat:{number}"}
        await uow.fetch(Keys(waiting=keys))
        return [row for key in keys for row in uow.waiting_for(key)]
