"""Judges one message: header, handlers, rules. Nothing is written here, so a dry run is this and no more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice

from ophl7.domain.changes import (
    AddCharge,
    Change,
    Deliver,
    MergePatients,
    Note,
    Receive,
    SetAppointment,
    SetField,
    SetProgress,
    UpdatePatient,
)
from ophl7.domain.charge import clears
from ophl7.domain.identifiers import Identifier
from ophl7.domain.patient import Side, same_field
from ophl7.domain.policy import Policy
from ophl7.domain.verdicts import Accepted, Hold, Ignore, Outcome, Reject, Verdict, accepts, apply, hold, strip
from ophl7.engine.arrival import Arrival
from ophl7.engine.coding import translations
from ophl7.engine.header import judge_header, unknown_event
from ophl7.engine.matching import match
from ophl7.engine.router import Router
from ophl7.engine.ruling import Judged, Ruling
from ophl7.engine.runner import Runner
from ophl7.engine.timing import Clocks, judge_time
from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.errors import HandlerFailed
from ophl7.hl7v2.message import Message
from ophl7.kit import Context, Match, Segment
from ophl7.kit.parts import RegisteredHandler, RegisteredRule

# Why a message is ignored of which nothing is taken and nobody needs to hear (#5, #37, #48).
CHANGES_NOTHING = "it changes nothing"

# Why a replay leaves a copy out, and the charges in it.
COPIED = "a copy of this message was made before"


# Somebody has a handful of ids. A message that names him by thousands waits under the first: a hold each would bury the others.
MOST_NAMES = 16


class Judge:
    """Runs the road's steps 6 to 8 for one message after another."""

    def __init__(self, router: Router, policy: Policy, runner: Runner, clocks: Clocks | None = None) -> None:
        """clocks: of both senders, shared by all who judge in one broker."""
        self.clocks = clocks if clocks is not None else Clocks()
        self._router = router
        self._policy = policy
        self._runner = runner

    async def judge(self, uow: UnitOfWork, arrival: Arrival, message: Message, accepted: Accepted = ()) -> Ruling:
        """The ruling on a readable message. Never raises for what handlers and rules do wrong: that is a hold (#95).

        accepted: which conditions a person has set aside for it.
        """
        found = match(uow, arrival.named, arrival.peer, self._policy)
        ruling = Ruling(found, accepted)
        context = Context(message, arrival.peer, found, self._policy, uow, arrival.received_at, accepted)
        try:
            if await self._by_header(uow, message, context, ruling):
                return ruling
            for handler in self._router.plan(message.event):
                await self._by_handler(uow, handler, context, ruling)
        except (Reject, Hold) as opinion:
            ruling.take(_final(opinion.verdict, accepted))
        except Ignore as opinion:
            ruling.ignored = opinion.verdict
        except HandlerFailed as failure:
            reason = f"{failure.name} failed: {failure.reason}"
            scope = record_scope(found, arrival, message)
            ruling.note(hold("#95", f"handler:{failure.name}", reason, blocks=scope))
        for verdict in context.set_aside:
            ruling.note(verdict)
        if arrival.spared:
            _spare(ruling, arrival.spared)
        _settle_charges(ruling)
        _settle_copies(ruling)
        _settle_progress(ruling)
        await self._by_codes(uow, arrival, message, context, ruling)
        _keep_corrections_in_order(ruling)
        _wait_for_any_id(ruling)
        judge_time(uow, arrival, message, ruling, self._policy, self.clocks)
        if not ruling.refusals and ruling.stale is None:
            self._wait_behind(uow, arrival, message, ruling)
        if ruling.ignored is None and ruling.stale is None and _changes_nothing(ruling):
            row = next((judged.verdict.row for judged in ruling.judged if judged.verdict is not None), "")
            ruling.ignored = strip(row, CHANGES_NOTHING, code="")
        return ruling

    async def _by_header(self, uow: UnitOfWork, message: Message, context: Context, ruling: Ruling) -> bool:
        """Whether the header settles it: refused, on the ignore list, or nobody's event (#55, #56, #80 to #83)."""
        plan = self._router.plan(message.event)
        peer = self._policy.peers[context.peer]
        for verdict in judge_header(message, self._policy, peer):
            ruling.note(verdict)
        for verdict in await self._verdicts(uow, self._router.rules_for(Receive.kind), Receive(known=bool(plan)), context):
            ruling.note(verdict)
        if any(verdict.header for verdict in ruling.refusals):
            return True
        if message.event in peer.ignore_events:
            ruling.ignored = strip("#80", "this event is on the peer's ignore list", code="")
            return True
        if not plan:
            ruling.note(unknown_event(message, known_type=self._router.knows_type(message.type)))
            return True
        return False

    async def _by_handler(self, uow: UnitOfWork, handler: RegisteredHandler, context: Context, ruling: Ruling) -> None:
        """Runs one handler for its segments, and has each of its changes judged."""
        segments = context.message.all(handler.segment)
        for segment in segments if handler.each else segments[:1]:
            for change in await self._propose(uow, handler, segment, context):
                for part in _expand(change, ruling.match):
                    rules = self._router.rules_for(part.kind)
                    verdicts = await self._verdicts(uow, rules, part, context) if rules else ()
                    if isinstance(part, Note) and not verdicts:
                        verdicts = (apply(part.row, text=part.text if part.warning else ""),)
                    ruling.add(part, verdicts)

    async def _by_codes(self, uow: UnitOfWork, arrival: Arrival, message: Message, context: Context, ruling: Ruling) -> None:
        """Has each code judged that the receiver may call differently: all of them at once (#36, #42, #46)."""
        for change in await translations(uow, self._policy, context.peer, message, ruling):
            try:
                ruling.add(change, await self._verdicts(uow, self._router.rules_for(change.kind), change, context))
            except HandlerFailed as failure:
                reason = f"{failure.name} failed: {failure.reason}"
                scope = record_scope(ruling.match, arrival, message)
                ruling.note(hold("#95", f"handler:{failure.name}", reason, blocks=scope))
                return

    async def _propose(
        self, uow: UnitOfWork, handler: RegisteredHandler, segment: Segment, context: Context
    ) -> Sequence[Change]:
        name = handler.name
        try:
            proposed = await self._runner.run(name, handler.call(segment, context), uow.read)
        except (Reject, Hold, Ignore, HandlerFailed):
            raise
        except Exception as error:
            raise HandlerFailed(name, describe(error)) from error
        if not isinstance(proposed, list | tuple) or not all(isinstance(change, Change) for change in proposed):
            raise HandlerFailed(name, "it returned something else than a list of changes")
        return proposed

    async def _verdicts(
        self, uow: UnitOfWork, rules: Sequence[RegisteredRule], change: Change, context: Context
    ) -> Sequence[Verdict]:
        """The opinions of all rules that have one, in their order; a rule that fails holds the message (fail closed)."""
        opinions: list[Verdict] = []
        verdict: Verdict | None
        for rule in rules:
            try:
                call = rule.call(change, context)
                finished, verdict = self._runner.step(rule.name, call)
                if not finished:
                    verdict = await self._runner.go_on(rule.name, call, verdict, uow.read)
            except Reject as refusal:
                verdict = refusal.verdict
            except Hold as custody:
                verdict = custody.verdict
            except HandlerFailed:
                raise
            except Exception as error:
                raise HandlerFailed(rule.name, describe(error)) from error
            if verdict is None:
                continue
            if not isinstance(verdict, Verdict):
                raise HandlerFailed(rule.name, "it returned something else than a verdict")
            opinions.append(verdict)
        return opinions

    def _wait_behind(self, uow: UnitOfWork, arrival: Arrival, message: Message, ruling: Ruling) -> None:
        """A message of an object that an open hold blocks waits with it, after its refusals were decided (P9).

        Nobody waits behind what came later, or two of them would wait for each other when the first is released; nor behind a
        hold that the message itself clears (decisions 11).
        """
        scopes = [record_scope(ruling.match, arrival, message)]
        for judged in ruling.judged:
            change = judged.change
            if isinstance(change, SetProgress) and message.type != "SIU":  # what an ADT says waits for the appointment (#23)
                references = (change.known.filler, change.known.placer)
                scopes += [f"appointment:{reference}" for reference in references if reference]
            elif isinstance(change, SetAppointment) and judged.applies and not change.whole:
                scopes.append(f"resources:{change.booking.reference}")  # a change that lacks its resources comes first (#24)
        for row in (row for scope in scopes for row in uow.blocking(scope)):
            if row.message < uow.current and not _clears(ruling, row.key):
                reason = f"waits behind message {row.message}"
                instead = "release or discard that one first; this one then follows"
                ruling.note(hold("", row.key, reason, blocks=row.blocks, instead=instead))
                return


def _final(verdict: Verdict, accepted: Accepted) -> Verdict:
    """What a handler raised instead of proposing anything. If a person has accepted it already, releasing it leads nowhere."""
    condition = verdict.condition
    if condition is None or not accepts(accepted, condition):
        return verdict
    instead = "the part that holds it takes no release (it must ask ctx.hold): have it mended, or discard the message"
    return replace(verdict, condition=replace(condition, instead=instead))


def _clears(ruling: Ruling, key: str) -> bool:
    """Whether a hold with this key waits for a charge that the message brings (#51)."""
    return any(
        judged.applies and isinstance(judged.change, AddCharge) and clears(judged.change.line) == key
        for judged in ruling.judged
    )


def describe(error: BaseException) -> str:
    """An error of an author's code: its type and place, never its text, which may quote a patient."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        place = f" at {trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__}{place}"


def record_scope(found: Match, arrival: Arrival, message: Message) -> str:
    """The object whose order must be kept: a patient record, an appointment, a lane's charges (decisions 11).

    "" for a message that is about none of them: it waits for nobody, and nobody for it.
    """
    if message.type == "SIU":
        reference = message.text("SCH-2.1") or message.text("SCH-1.1")
        return f"appointment:{reference}" if reference else ""
    subject = found.patient.subject if found.patient is not None else arrival.subject
    if subject is None:
        return ""
    if message.type == "DFT":
        return f"charges:{found.patient.lane if found.patient is not None else subject}"
    return f"record:{subject}"


def _expand(change: Change, found: Match) -> Iterable[Change]:
    """An update becomes one SetField for each value that differs from the registry's; what is absent says nothing (P5)."""
    if not isinstance(change, UpdatePatient):
        return (change,)
    if found.patient is None:
        return ()
    current = found.patient.fields
    parts: list[Change] = []
    for path, value in change.fields.items():
        known = current.get(path)
        if isinstance(value, str):
            if known is None or not same_field(value, known):
                parts.append(SetField(path, value, known))
        elif known is not None:
            parts.append(SetField(path, value, known))
    return parts


def _wait_for_any_id(ruling: Ruling) -> None:
    """Who waits for somebody unknown waits under each of the ids that name him: any of them makes him known."""
    for condition in list(ruling.conditions.values()):
        names: Iterable[Identifier] = ()
        if condition.kind == "patient" and ruling.match.patient is None:
            names = ruling.match.unknown
        elif condition.kind == "target":
            merges = [judged.change for judged in ruling.judged if isinstance(judged.change, MergePatients)]
            names = [one for merge in merges if condition.key == f"target:{merge.survivor_id}" for one in merge.survivor_ids]
        for identifier in islice(names, MOST_NAMES):
            key = f"{condition.kind}:{identifier}"
            ruling.conditions.setdefault(key, replace(condition, key=key))


def _settle_charges(ruling: Ruling) -> None:
    """A DFT whose every charge is known already is not delivered again (#48); one with some new ones leaves with them (W01)."""
    if AddCharge not in ruling.kinds:
        return
    charges = [judged for judged in ruling.judged if isinstance(judged.change, AddCharge)]
    left = [judged for judged in charges if judged.verdict is None or judged.verdict.outcome is not Outcome.STRIP]
    if len(left) == len(charges):
        return
    if left:
        ruling.note(strip("#48", "charges that are known already were left out"))
    else:
        copies = [judged for judged in ruling.judged if isinstance(judged.change, Deliver)]
        ruling.judged = [judged for judged in ruling.judged if judged not in copies]
        ruling.warnings = [said for said in ruling.warnings if all(said is not one for judged in copies for one in judged.said)]


def _keep_corrections_in_order(ruling: Ruling) -> None:
    """What corrects or credits a sent charge and waits for a code or a date keeps the later charges of its lane behind it.

    A later correction of the same charge would overtake it, and be taken back by the older one at the release (decisions 11).
    """
    patient = ruling.match.patient
    if patient is None or AddCharge not in ruling.kinds or not any(map(_takes_back, ruling.judged)):
        return
    for key, condition in ruling.conditions.items():
        if condition.kind in {"mapping", "date"} and not condition.blocks:
            ruling.conditions[key] = replace(condition, blocks=f"charges:{patient.lane}")


def _takes_back(judged: Judged) -> bool:
    """Whether it would correct or credit a charge that was sent, but for its service date (#54)."""
    change = judged.change
    if not isinstance(change, AddCharge) or change.known is None or change.known.state != "sent":
        return False
    goes = judged.applies or (bool(judged.said) and all(said.row == "#54" for said in judged.said))
    return goes and (bool(change.correction) or change.line.verb in {"void", "update"})


def _spare(ruling: Ruling, sides: Sequence[Side]) -> None:
    """A copy that an earlier run of a replayed message made is not made again, and its charges stay what they became there.

    They would stand in the ledger without a copy that carries them, and as what the next correction takes back (#49).
    """
    spared = False
    for judged in ruling.judged:
        if isinstance(judged.change, Deliver) and judged.change.to in sides:
            spared = True
            if judged.applies:
                judged.verdict = strip("", COPIED, code="")
                judged.applies = False
    for judged in ruling.judged if spared else ():
        if isinstance(judged.change, AddCharge) and not ruling.refusals:
            for verdict in judged.said:
                if verdict.condition is not None:
                    ruling.conditions.pop(verdict.condition.key, None)
            judged.verdict, judged.applies, judged.said = strip("#48", COPIED, code=""), False, ()


def _settle_copies(ruling: Ruling) -> None:
    """A side that wants to hear of some fields only hears nothing where none of them was taken (#5), nor any progress (#23)."""
    if any(one.applies and isinstance(one.change, SetProgress) for one in ruling.judged):
        return
    copies = [one for one in ruling.judged if isinstance(one.change, Deliver) and one.change.only is not None]
    if copies:
        taken = {one.change.path for one in ruling.judged if one.applies and isinstance(one.change, SetField)}
        for copy in copies:
            if isinstance(copy.change, Deliver) and copy.change.only is not None and taken.isdisjoint(copy.change.only):
                ruling.judged.remove(copy)


def _settle_progress(ruling: Ruling) -> None:
    """Progress that is taken is what the message is about (#23): that its visit says nothing (#18) is no longer true."""
    if SetProgress not in ruling.kinds:
        return
    taken = [judged for judged in ruling.judged if judged.applies and isinstance(judged.change, SetProgress)]
    if not taken:
        return
    noted = [judged for judged in ruling.judged if isinstance(judged.change, Note) and judged.change.row == "#18"]
    ruling.judged = [*taken, *(judged for judged in ruling.judged if judged not in taken and judged not in noted)]


def _changes_nothing(ruling: Ruling) -> bool:
    """Nothing is taken, and nobody needs to hear of it (#5, #37, #48)."""
    if ruling.refusals or ruling.conditions or any(not warning.header for warning in ruling.warnings):
        return False
    return not any(judged.applies and not isinstance(judged.change, Note) for judged in ruling.judged)
