"""Decides one message and writes down everything that follows from it: answer, journal, effects, custody, releases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from ophl7.domain.charge import ChargeState
from ophl7.domain.patient import Side
from ophl7.domain.policy import Policy
from ophl7.domain.verdicts import apply
from ophl7.engine.answers import Given, Voice, describe_damage
from ophl7.engine.arrival import Arrival
from ophl7.engine.correcting import prepare_voids
from ophl7.engine.custody import Custody, detail, failed_effects, headline, subject_in_journal, take_custody
from ophl7.engine.effects import Effects
from ophl7.engine.frames import NO_MEMBERS, Frame
from ophl7.engine.header import header_warning
from ophl7.engine.judging import Judge
from ophl7.engine.ledger import move_charges, report_charges
from ophl7.engine.merging import Freeze, prepare
from ophl7.engine.ports import Damage
from ophl7.engine.restoring import prepare_restoring, restore
from ophl7.engine.ruling import Ruling
from ophl7.engine.storage import JournalRow, MessageState, Seen, was_taken
from ophl7.engine.timing import ClockTurn, keep_mark
from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.errors import Unreadable
from ophl7.hl7v2.message import Message

# A copy is a duplicate only within this time (#84).
DUPLICATE_WINDOW = 7 * 24 * 3600.0


class Decision(NamedTuple):
    """What became of a message, for its answer, for logs and metrics: nothing of a patient but in `answer`.

    answer: the bytes to send back, None for no answer. failed: the key of the hold of a part that failed. subject: a number
    that is the same for all messages of a patient or block, for counting only. clock: what it showed of its sender's clock.
    """

    message: int
    peer: Side
    connection: int
    event: str
    control_id: str
    size: int
    state: MessageState
    ack_code: str
    row: str
    code: str
    answer: bytes | None
    released: int = 0
    failed: str = ""
    subject: int | None = None
    clock: ClockTurn = ""
    unknown_status: bool = False  # the owner's code for an appointment's status is not known (#35)


class _Entry(NamedTuple):
    """What the journal says of one message besides what came. The fields are those of JournalRow and Decision."""

    number: int
    state: MessageState
    code: str
    answer: bytes | None
    row: str
    reason: str
    app_code: str = ""
    repeats: int | None = None
    subject: int | None = None
    detail: str = ""
    failed: str = ""
    unknown_status: bool = False
    clock: ClockTurn = ""


class Decider:
    """Steps 4 to 9 of the road for one message of the open batch."""

    def __init__(self, judge: Judge, policy: Policy, now: Callable[[], datetime], freeze: Freeze) -> None:
        """freeze: stops the lanes that a merge touches, see engine.merging."""
        self._judge = judge
        self._freeze = freeze
        self._custody = Custody(judge, policy, freeze)
        self._policy = policy
        self._now = now
        self._voices = {side: Voice(peer.ack_mode, policy.zone) for side, peer in policy.peers.items()}

    def committed(self, uow: UnitOfWork) -> None:
        """This batch is on disk: what it showed of its senders' clocks counts."""
        self._judge.clocks.keep(uow)

    async def replay(self, uow: UnitOfWork, arrival: Arrival, message: Message) -> Decision:
        """Judges a stored message by today's rules, as a row of its own (engine.replaying); nobody is answered."""
        return await self._decide_new(uow, arrival, message, uow.ids.next("journal"), self._now(), None)

    async def decide(self, uow: UnitOfWork, arrival: Arrival) -> Decision:
        """Judges a message and writes its rows into the unit of work."""
        number = uow.ids.next("journal")
        when = self._now()
        message = arrival.message
        if message is None or message.type == "ACK":
            return self._unjudged(uow, arrival, number, when)
        earlier = self._earlier(uow, arrival, message)
        if earlier is not None and earlier.positive:
            row, reason = "#86" if arrival.weak else "#84", f"the same as message {earlier.message}"
            given = self._voices[arrival.peer].again(message, earlier, uow.ids.control_id("A", number), when)
            return self._enter(uow, arrival, _Entry(number, "duplicate", *given, row, reason, repeats=earlier.message))
        return await self._decide_new(uow, arrival, message, number, when, earlier)

    def _unjudged(self, uow: UnitOfWork, arrival: Arrival, number: int, when: datetime) -> Decision:
        """What cannot be read is refused (#90), and an acknowledgment is never answered (#93); both are kept."""
        if arrival.message is not None:
            return self._enter(uow, arrival, _Entry(number, "ignored", "", None, "#93", "an ACK is never answered"))
        trouble = arrival.trouble or Unreadable("the message cannot be read")
        given = self._voices[arrival.peer].unreadable(arrival, trouble, uow.ids.control_id("A", number), when)
        return self._enter(uow, arrival, _Entry(number, "error", *given, "#90", str(trouble)))

    def quarantine(self, uow: UnitOfWork, frame: Frame, damage: Damage) -> Decision:
        """A frame that is not one block, holds no message or too many: kept and answered, never judged (#90b, #91)."""
        number = uow.ids.next("journal")
        head = frame.source.payload
        state: MessageState = "error"
        code, answer, row = "", None, "#90b"
        if damage is NO_MEMBERS:
            state, row = "ignored", "batch"  # its envelope is answered all the same
        elif damage.answer:
            code, answer = self._voices[frame.peer].damaged(head, damage, uow.ids.control_id("A", number), self._now())
            row = {"too_big": "#91", "too_many": "batch"}.get(damage.reason, row)
        uow.rows.journal.append(
            JournalRow(
                id=number,
                peer=frame.peer,
                connection=frame.connection,
                received_at=frame.source.received_at,
                event="",
                control_id="",
                digest=b"",
                state=state,
                ack_code=code,
                answer=answer,
                row=row,
                reason=describe_damage(damage),
                subject=None,
                repeats=None,
                raw=head,
                start=0,
                end=len(head),
                detail="",
            )
        )
        return Decision(number, frame.peer, frame.connection, "", "", len(head), state, code, row, "", answer)

    def keep(self, uow: UnitOfWork, arrival: Arrival, ruling: Ruling, *, counted: bool) -> Decision:
        """Custody without judgement, for a message that cannot be decided here (#95): AA, and a person is told.

        counted: whether the charges of a DFT go into the ledger, as those of every held one do (P8).
        """
        number = uow.ids.next("journal")
        when = self._now()
        message = arrival.message
        if message is None or message.type == "ACK":
            return self._unjudged(uow, arrival, number, when)
        take_custody(uow, arrival, ruling, number, when.timestamp())
        if counted and message.type == "DFT" and arrival.peer == "emr":
            self._count_charges(uow, arrival, message, ruling, number, ())
        given = self._voices[arrival.peer].ruling(message, ruling, uow.ids.control_id("A", number), when)
        subject = subject_in_journal(ruling, arrival, None)
        entry = _Entry(number, "held", *given, *headline(ruling), subject=subject, detail=detail(ruling, ()))
        return self._enter(uow, arrival, entry)

    # -- a message of its own ------------------------------------------------------------------------------------------

    async def _decide_new(
        self, uow: UnitOfWork, arrival: Arrival, message: Message, number: int, when: datetime, earlier: Seen | None
    ) -> Decision:
        at = when.timestamp()
        uow.current = number
        mark = uow.mark()
        ruling = await self._judge.judge(uow, arrival, message)
        clock = self._judge.clocks.note(uow, arrival.peer, ruling)
        replay = arrival.replay
        for note in arrival.notes:
            ruling.note(header_warning("batch", note))
        reused = (arrival.peer, message.control_id) in uow.state.reused
        if reused and not arrival.weak and earlier is None and replay is None:
            ruling.note(apply("#85", warning="W04", text="the control id was used before for another message"))
        effects: Effects | None = None
        if ruling.state == "accepted":
            await prepare(uow, ruling, self._freeze)
            await prepare_restoring(uow, ruling, self._policy, arrival.peer)
            await prepare_voids(uow, ruling)
            effects = Effects(uow, self._policy, number, arrival.peer, message, at)
            try:
                effects.apply(ruling)
                restore(uow, self._policy, arrival.peer, message, number, effects, at)
            except Exception as error:  # noqa: BLE001 - one message's fault becomes its hold
                uow.undo(mark)
                ruling, effects = failed_effects(arrival, message, ruling, error), None
        if ruling.state == "held":
            take_custody(uow, arrival, ruling, number, at)
        if message.type == "DFT" and arrival.peer == "emr":
            settled = replay.settled if replay is not None else () if earlier is None else (earlier.message,)
            self._count_charges(uow, arrival, message, ruling, number, settled)
        given = Given("", None)  # the peer has had its answer to what is replayed
        if replay is None:
            given = self._voices[arrival.peer].ruling(message, ruling, uow.ids.control_id("A", number), when)
        entry = _Entry(
            number,
            ruling.state,
            *given,
            *headline(ruling),
            repeats=earlier.message if earlier is not None else None,
            subject=subject_in_journal(ruling, arrival, effects),
            detail=detail(ruling, effects.deliveries if effects is not None else ()),
            failed=next((condition.key for condition in ruling.conditions.values() if condition.kind == "handler"), ""),
            unknown_status=ruling.unknown_status,
            clock=clock,
        )
        keep_mark(uow, ruling, arrival.peer, message)
        decision = self._enter(uow, arrival, entry)
        if effects is None or not effects.cleared:
            return decision
        uow.cause = number
        return decision._replace(released=await self._custody.release(uow, effects.cleared, at))

    def _count_charges(
        self, uow: UnitOfWork, arrival: Arrival, message: Message, ruling: Ruling, number: int, settled: Sequence[int]
    ) -> None:
        """Charges that are held or refused are in the ledger too (P8); of a message sent again the last one counts (#84b).

        settled: the journal ids of those before.
        """
        subject = subject_in_journal(ruling, arrival, None) or 0
        if ruling.state in ("held", "rejected"):
            rules = self._policy.peers[arrival.peer].profile.charges
            state: ChargeState = "held" if ruling.state == "held" else "rejected"
            report_charges(uow, message, number, subject, state, rules, weak=arrival.weak)
        for before in settled:
            move_charges(uow, message, before, subject, "superseded")

    def _earlier(self, uow: UnitOfWork, arrival: Arrival, message: Message) -> Seen | None:
        """The same message, if it came before: by control id and digest (#84), or as the last of its lane (#86)."""
        if arrival.weak:
            if arrival.subject is None:
                return None
            known = uow.state.last
            lane = (arrival.peer, _last_subject(uow, arrival, arrival.subject))
            last = known[lane] if lane in known else known.get((arrival.peer, arrival.subject))
            return last if last is not None and last.digest == arrival.digest else None
        seen = uow.state.controls.get((arrival.peer, message.control_id, arrival.digest))
        if seen is None or arrival.received_at - seen.received_at > DUPLICATE_WINDOW:
            return None
        return seen

    @staticmethod
    def _enter(uow: UnitOfWork, arrival: Arrival, entry: _Entry) -> Decision:
        """The journal row: what came, what was decided, what was answered. A second copy, in this batch or later, meets it."""
        message = arrival.message
        event = message.event if message is not None else ""
        control_id = message.control_id if message is not None else ""
        replay = arrival.replay
        uow.rows.journal.append(
            JournalRow(
                id=entry.number,
                peer=arrival.peer,
                connection=arrival.connection,
                received_at=arrival.received_at,
                event=event,
                control_id=control_id,
                digest=arrival.digest,
                state=entry.state,
                ack_code=entry.code,
                answer=entry.answer,
                row=entry.row,
                reason=entry.reason,
                subject=entry.subject if entry.subject is not None else arrival.subject,
                repeats=entry.repeats,
                raw=arrival.raw,
                start=arrival.start,
                end=arrival.end,
                detail=entry.detail,
                replay_of=replay.message if replay is not None else None,
                spared=" ".join(arrival.spared),
            )
        )
        taken = was_taken(entry.code, entry.state)
        if entry.state == "duplicate" or message is None or message.type == "ACK":
            remembered = False
        else:  # of a replay only what takes the place of a refusal
            remembered = replay is None or (taken and not replay.taken)
        if remembered:
            seen = Seen(entry.number, arrival.digest, arrival.received_at, taken, entry.code, entry.answer)
            if not arrival.weak:
                uow.remember(arrival.peer, control_id, arrival.digest, seen)
            if arrival.subject is not None and uow.state.last and replay is None:
                uow.remember_last(arrival.peer, _last_subject(uow, arrival, arrival.subject), seen)
        return Decision(
            message=entry.number,
            peer=arrival.peer,
            connection=arrival.connection,
            event=event,
            control_id=control_id,
            size=arrival.end - arrival.start,
            state=entry.state,
            ack_code=entry.code,
            row=entry.row,
            code=entry.app_code,
            answer=entry.answer,
            failed=entry.failed,
            unknown_status=entry.unknown_status,
            clock=entry.clock,
            subject=entry.subject if entry.subject is not None else arrival.subject,
        )


def _last_subject(uow: UnitOfWork, arrival: Arrival, named: int) -> int:
    """Under whom a lane's last message is remembered: the patient, whichever of his ids it came by (#86)."""
    if not arrival.named.keys:
        return named
    number = uow.state.aliases.get(arrival.named.keys[0].key)
    return named if number is None else uow.state.patients[number].subject
