"""One patient of a list that is loaded before go-live (decisions 2): the road's own judgement, without its deliveries.

Judge, rules, effects and releases are those of a message that arrives. What is left out is whatever speaks to a peer: no
answer, no copy for the other side, no custody. What the rules refuse or hold is told to whoever loads, and leaves nothing
behind. What had waited for a patient is released in the same commit, and those messages do leave: they are live.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from ophl7.domain.changes import ConfirmPatient, CreatePatient, LinkIdentifier, SetActive, SetField
from ophl7.domain.policy import Policy
from ophl7.domain.verdicts import Outcome
from ophl7.engine.arrival import Arrival
from ophl7.engine.custody import Custody, detail, headline, subject_in_journal
from ophl7.engine.effects import Effects
from ophl7.engine.judging import CHANGES_NOTHING, Judge, describe
from ophl7.engine.lists import Difference, Fate, Tally
from ophl7.engine.merging import Freeze
from ophl7.engine.ruling import Judged, Ruling
from ophl7.engine.storage import JournalRow
from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.hl7v2.message import Message

# Registrations and updates; whatever else a file holds (bookings, charges, merges) would have effects beyond the registry.
EVENTS = frozenset({"ADT^A01", "ADT^A04", "ADT^A05", "ADT^A28", "ADT^A08", "ADT^A31"})

# What of a ruling is taken.
_REGISTRY = (CreatePatient, ConfirmPatient, SetField, LinkIdentifier, SetActive)

# The journal's words for a message that no connection brought.
LOADED = "loaded from a list, nothing was sent"


class Found(NamedTuple):
    """What became of one patient of a list. fate `refused` or `held`: nothing was written; row, code and reason say why."""

    fate: Fate
    row: str = ""
    code: str = ""
    reason: str = ""
    differences: int = 0
    released: int = 0

    @property
    def tally(self) -> Tally:
        """The same as a sum of one."""
        return Tally(**{self.fate: 1}, differences=self.differences, released=self.released)


class ListDecider:
    """Decides one message of a list after another, into the open unit of work."""

    def __init__(self, judge: Judge, policy: Policy, now: Callable[[], datetime], freeze: Freeze) -> None:
        """freeze: for a merge that is released, see engine.merging."""
        self._judge = judge
        self._custody = Custody(judge, policy, freeze)
        self._policy = policy
        self._now = now

    async def decide(self, uow: UnitOfWork, arrival: Arrival, run: int, place: int, differences: set[Difference]) -> Found:
        """Judges a message and writes what follows from it, but for answers, copies and holds.

        run, place: where it stands, for its journal row. differences: those that are on record already; new ones are added.
        Raises what a release raises: the batch is then judged again one by one.
        """
        message = arrival.message
        if message is None:
            return Found("refused", "#90", "", str(arrival.trouble))
        if message.event not in EVENTS:
            return Found("refused", "go-live", "", "this is no registration or update of a patient (A28 A31 A08 A04 A05 A01)")
        uow.current = uow.ids.journal + 1  # whoever waits already came before it
        mark = uow.mark()
        arrival.timing = "never"  # a list says what is on record, not when it happened
        ruling = await self._judge.judge(uow, arrival, message)
        refused = _not_taken(ruling)
        if refused is not None:
            return refused
        new = _left_out(ruling, differences)
        fate = _fate(ruling)
        if fate == "unchanged" and not new:
            return Found(fate)
        number = uow.ids.next("journal")
        at = self._now().timestamp()
        effects = Effects(uow, self._policy, number, arrival.peer, message, at)
        try:
            effects.apply(ruling)
        except Exception as error:  # noqa: BLE001 - one patient's fault must not cost the others
            uow.undo(mark)
            return Found("refused", "#95", "", f"the effects could not be written: {describe(error)}")
        _enter(uow, arrival, message, number, ruling, effects, run, place)
        differences |= new
        released = await self._custody.release(uow, effects.cleared, at) if effects.cleared else 0
        return Found(fate, differences=len(new), released=released)


def _not_taken(ruling: Ruling) -> Found | None:
    """What the rules say against it; None when it is taken, or changes nothing."""
    row, reason, code = headline(ruling)
    state = ruling.state
    if state == "held":
        conditions = ruling.conditions.values()
        reason = "; ".join(dict.fromkeys(condition.reason for condition in conditions))
        # What waits for a registration is simply not known; anything else contradicts a chart that is.
        return Found("refused" if all(one.kind == "patient" for one in conditions) else "held", row, code, reason)
    unchanged = ruling.ignored is not None and ruling.ignored.text == CHANGES_NOTHING
    return None if state == "accepted" or unchanged else Found("refused", row, code, reason)


def _left_out(ruling: Ruling, known: set[Difference]) -> set[Difference]:
    """Keeps the ruling's changes of the registry, without the differences that are on record; gives those that are new."""
    kept: list[Judged] = []
    new: set[Difference] = set()
    for judged in ruling.judged:
        if not isinstance(judged.change, _REGISTRY):
            continue
        difference = _difference(ruling, judged)
        if difference is not None:
            if difference in known:
                continue
            new.add(difference)
        kept.append(judged)
    ruling.judged = kept
    return new


def _difference(ruling: Ruling, judged: Judged) -> Difference | None:
    """The drift row that this change would make (#5), None when it makes none."""
    change, patient, verdict = judged.change, ruling.match.patient, judged.verdict
    if not isinstance(change, SetField) or patient is None or verdict is None or verdict.outcome is not Outcome.STRIP:
        return None
    return patient.id, change.path, change.value if isinstance(change.value, str) else '""', change.current


def _fate(ruling: Ruling) -> Fate:
    taken = [judged.change for judged in ruling.judged if judged.applies]
    if any(isinstance(change, CreatePatient) for change in taken):
        return "created"
    if any(isinstance(change, LinkIdentifier) for change in taken):
        return "linked"
    return "changed" if taken else "unchanged"


def _enter(
    uow: UnitOfWork, arrival: Arrival, message: Message, number: int, ruling: Ruling, effects: Effects, run: int, place: int
) -> None:
    """The journal row that the patient and his differences refer to.

    Without a control id and an answer: it never was on a line, so it neither answers for a copy that arrives later nor makes
    that copy's control id a reused one (#84, #85).
    """
    row, _, _ = headline(ruling)
    uow.rows.journal.append(
        JournalRow(
            id=number,
            peer=arrival.peer,
            connection=0,
            received_at=arrival.received_at,
            event=message.event,
            control_id="",
            digest=arrival.digest,
            state="accepted",
            ack_code="",
            answer=None,
            row=row,
            reason=LOADED,
            subject=subject_in_journal(ruling, arrival, effects),
            repeats=None,
            raw=arrival.raw,
            start=arrival.start,
            end=arrival.end,
            detail=f'{detail(ruling, ())[:-1]},"list":{json.dumps([run, place])}}}',
        )
    )
