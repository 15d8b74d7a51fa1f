"""Whether a message comes too late: older than what its sender has said of the same object, as far as its clock can be trusted.

Decided after all refusals (P9) and before any hold: what is stale waits for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from ophl7.domain.appointment import Appointment
from ophl7.domain.changes import SetAppointment
from ophl7.domain.patient import Patient, Side
from ophl7.domain.policy import Policy
from ophl7.domain.verdicts import strip
from ophl7.domain.watermark import Order, compare, has_order, in_words, read_mark, read_times, write_mark
from ophl7.engine.arrival import Arrival
from ophl7.engine.header import header_warning
from ophl7.engine.ruling import Ruling
from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.hl7v2.ack import Location
from ophl7.hl7v2.message import Message

# A clock that goes back over so many lanes in a row has been set, or is wrong: it is not the messages (decisions 7).
LANES: Final = 3

# Holds of these kinds delay nobody else, so the sender may have gone on about the same patient meanwhile (#88).
OVERTAKEN: Final = frozenset({"identity", "delete", "retired", "unwritable"})

_PLACES: Final = {"EVN-2": Location("EVN", field=2), "MSH-7": Location("MSH", field=7), "PID-33": Location("PID", field=33)}

ClockTurn = Literal["", "back", "again"]


class Late(NamedTuple):
    """How a message stands in time, for its sender's clock. said, known: microseconds since the epoch."""

    order: Order
    said: int
    known: int
    lane: int


@dataclass(frozen=True, slots=True)
class SenderClock:
    """What is known of one sender's clock. lanes: on which it went back in a row. highest: its latest time so far.

    until: nothing of it is stale until its times pass this; None while it is trusted.
    """

    lanes: frozenset[int] = frozenset()
    highest: int = 0
    until: int | None = None

    def after(self, late: Late) -> SenderClock:
        """The same after one more message of that sender."""
        highest = max(self.highest, late.said, late.known)
        if late.order == "unknown":
            return self
        if self.until is not None:
            return SenderClock(highest=highest) if late.said > self.until else SenderClock(frozenset(), highest, self.until)
        if late.order == "older":
            lanes = self.lanes | {late.lane}
            return SenderClock(lanes, highest, highest if len(lanes) >= LANES else None)
        # Only a time that is later than all before shows that the clock runs on: about somebody new every time is new.
        return SenderClock(frozenset() if late.said >= self.highest else self.lanes, highest)


TRUSTED: Final = SenderClock()


class Clocks:
    """The clocks of both senders, as the last commit left them; what an open batch has learned stands in it until then.

    Not on disk: after a restart a clock is trusted again, and LANES messages show it anew when it still goes back.
    """

    def __init__(self) -> None:
        self._known: dict[Side, SenderClock] = {}

    def of(self, uow: UnitOfWork, peer: Side) -> SenderClock:
        """The clock of that sender, as the batch has it."""
        return uow.clocks.get(peer) or self._known.get(peer, TRUSTED)

    def note(self, uow: UnitOfWork, peer: Side, ruling: Ruling) -> ClockTurn:
        """Takes note of one judged message. `back`: from here on nothing of it is stale; `again`: from here on it may be."""
        late = ruling.late
        if late is None:
            return ""
        before = self.of(uow, peer)
        after = before.after(late)
        if after != before:
            uow.put(uow.clocks, peer, after)
        if (before.until is None) == (after.until is None):
            return ""
        return "back" if after.until is not None else "again"

    def keep(self, uow: UnitOfWork) -> None:
        """The batch is on disk."""
        self._known.update(uow.clocks)


def judge_time(uow: UnitOfWork, arrival: Arrival, message: Message, ruling: Ruling, policy: Policy, clocks: Clocks) -> None:
    """Makes the ruling stale, or tells which watermark it leaves when it is applied (#87 to #89)."""
    if arrival.timing == "never" or ruling.refusals or ruling.ignored is not None or not has_order(message):
        return
    if any(condition.kind == "handler" for condition in ruling.conditions.values()):
        return  # what a part that failed would have found is not known
    thing, about = _object(ruling, message)
    times = read_times(message, policy.zone, int(arrival.received_at * 1_000_000))
    if times.ahead and arrival.timing == "judged":
        ruling.note(header_warning("#89", f"{times.ahead} is more than 10 minutes in the future", _PLACES[times.ahead]))
    mark = read_mark(thing.mark_of(arrival.peer)) if thing is not None else None
    order, said, known = compare(times, mark)
    if said is None:
        return
    trusted = clocks.of(uow, arrival.peer).until is None
    if arrival.connection:  # not of what is judged again later: that says nothing of the clock now
        ruling.late = Late(order, said.begin, known.begin if known is not None else 0, _lane(ruling, arrival))
    if order == "older" and trusted and arrival.timing == "judged":
        ruling.stale = strip(
            "#87",
            f"its time, {in_words(said, policy.zone)}, is before that of what was applied last "
            f"{about} from the same system, {in_words(known, policy.zone)}",
            code="",
        )
        ruling.conditions.clear()
        ruling.warnings = [warning for warning in ruling.warnings if warning.header]
    elif order == "newer" or (order == "older" and not trusted):
        # A clock that was set back goes on from where it is now.
        ruling.mark = write_mark(times)


def keep_mark(uow: UnitOfWork, ruling: Ruling, peer: Side, message: Message) -> None:
    """An update that changes nothing is the last word all the same: something older that comes after it is stale.

    A booking that changes nothing is the other side's echo (#37), of which nothing is ever applied.
    """
    patient = ruling.match.patient
    if ruling.mark is not None and ruling.state == "ignored" and message.type == "ADT" and patient is not None:
        uow.save_patient(uow.state.patients[patient.id].with_mark(peer, ruling.mark))


def _object(ruling: Ruling, message: Message) -> tuple[Patient | Appointment | None, str]:
    """Whose watermark counts: the patient's record for ADT, that appointment for SIU."""
    if message.type == "ADT":
        return ruling.match.patient, "about this patient"
    changes = (judged.change for judged in ruling.judged)
    return next((one.known for one in changes if isinstance(one, SetAppointment)), None), "about this appointment"


def _lane(ruling: Ruling, arrival: Arrival) -> int:
    patient = ruling.match.patient
    return patient.lane if patient is not None else arrival.subject or 0
