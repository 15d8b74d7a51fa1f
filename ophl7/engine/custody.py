"""Messages in our custody: taken with AA, judged again in the commit of what clears their condition (decisions 11)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache

from ophl7.domain.changes import SetField, Translate
from ophl7.domain.policy import Policy
from ophl7.domain.verdicts import Verdict, apply, hold
from ophl7.engine.acts import Act
from ophl7.engine.arrival import Arrival, Timing, collect_keys, read_held
from ophl7.engine.coding import waits_for_a_word
from ophl7.engine.correcting import prepare_voids
from ophl7.engine.effects import Effects
from ophl7.engine.judging import Judge, describe, record_scope
from ophl7.engine.ledger import settle_held_charges
from ophl7.engine.merging import Freeze, prepare
from ophl7.engine.restoring import prepare_restoring, restore
from ophl7.engine.ruling import Ruling
from ophl7.engine.storage import ClosedHow, DeliveryRow, HeldMessage, HoldRow, JournalUpdate, Keys
from ophl7.engine.timing import OVERTAKEN, keep_mark
from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.errors import Unreadable, Unwritable
from ophl7.hl7v2.message import Message

# Messages in custody to be judged again, each with the message that has met its condition; None: a person has.
Further = dict[int, int | None]

_JSON = json.JSONEncoder(separators=(",", ":"))


def take_custody(uow: UnitOfWork, arrival: Arrival, ruling: Ruling, number: int, at: float) -> None:
    """One hold for each condition: the message leaves when all of them have cleared.

    A condition that is there already is written anew where it says something else by now: a credit that waited for its unknown
    patient, too, had no lane to block (#51).
    """
    place = (arrival.raw, arrival.start, arrival.end)
    # A redirected one stays what it is: the bytes that came, and for whom they are taken.
    kept = uow.state.held[number] if arrival.renamed else None
    held = kept or HeldMessage(number, arrival.peer, *place, arrival.received_at, arrival.spared)
    present = uow.holds_of(number)
    uow.rows.codes_seen += waits_for_a_word(ruling, arrival.peer, number, at)
    for condition in ruling.conditions.values():
        known = [row for row in present if row.key == condition.key]
        fitting = [row for row in known if row.reason == condition.reason and row.blocks in condition.all_blocks]
        since = min((row.since for row in known), default=at)
        for row in known:
            if row not in fitting:
                uow.close_hold(row, at, "renewed")
        for blocks in condition.all_blocks:
            if all(row.blocks != blocks for row in fitting):
                number_of_row = uow.ids.next("hold")
                uow.add_hold(HoldRow(number_of_row, number, condition.key, blocks, condition.reason, since, arrival.peer), held)


def failed_effects(arrival: Arrival, message: Message, ruling: Ruling, error: Exception) -> Ruling:
    """An effect that cannot be written is a fault of ours: custody, and a person is told (#95).

    That a value (the owner's, a code, an id) does not fit the message that it must stand in is nobody's fault and rings no
    alarm: five patients with such names must not close a listener. What mends it may be the next message of the same patient,
    so only charges, which are never stale, wait behind it.
    """
    held = Ruling(ruling.match)
    scope = record_scope(ruling.match, arrival, message)
    if isinstance(error, Unwritable):
        reason = f"a value that must stand in this message does not fit it: {error}"
        held.note(hold("#95", f"unwritable:{arrival.peer.upper()}", reason, blocks=scope if message.type == "DFT" else ""))
    else:
        held.note(hold("#95", "handler:engine", f"the effects could not be written: {describe(error)}", blocks=scope))
    return held


class Custody:
    """Releases what waited."""

    def __init__(self, judge: Judge, policy: Policy, freeze: Freeze) -> None:
        self._judge = judge
        self._policy = policy
        self._freeze = freeze

    async def release(self, uow: UnitOfWork, cleared: Sequence[str], at: float) -> int:
        """Judges again what waited for these conditions, oldest first. Returns how many messages left custody."""
        return await self.judge_again(uow, await _waiting_for(uow, cleared), at)

    @staticmethod
    async def behind(uow: UnitOfWork, ended: Sequence[HoldRow]) -> list[HoldRow]:
        """What waits behind these holds, which are closed: not what waits for the same by itself."""
        blocks = {row.blocks for row in ended if row.blocks}
        if blocks:
            await uow.fetch(Keys(blocks=blocks))
        keys = {row.key for row in ended}
        return [row for block in blocks for row in uow.blocking(block) if row.key in keys]

    async def decide(self, uow: UnitOfWork, row: HoldRow, act: Act, at: float) -> tuple[Ruling | None, int]:
        """Judges the message of a hold again that a person has accepted or redirected; None when it cannot be read any more.

        And how many other messages left custody with it.
        """
        number = row.message
        if act.verb == "redirect" and act.patient is not None:
            uow.take_for(number, act.patient)
        else:
            uow.accept(row)
        readable = await self._read(uow, [number], at)
        if number not in readable:
            return None, 0
        ruling, further = await self._judge_again(uow, number, *readable[number], at, act)
        return ruling, await self._work_off(uow, further, at)

    async def judge_again(self, uow: UnitOfWork, waiting: Sequence[HoldRow], at: float) -> int:
        """Judges the messages of these holds again, oldest first. Returns how many messages left custody."""
        return await self._work_off(uow, {row.message: uow.cause for row in waiting}, at)

    async def _work_off(self, uow: UnitOfWork, todo: Further, at: float) -> int:
        """Oldest first, and what one of them releases in its turn takes its place among them: nobody overtakes an older one.

        todo: journal ids, which ascend as messages came; each with the message that has met its condition.
        """
        before, released = uow.cause, 0
        readable: dict[int, tuple[Arrival, Message]] = {}
        while todo:
            fresh = sorted(todo.keys() - readable.keys())
            missing = set(fresh) - uow.state.held.keys()
            if missing:
                await uow.fetch(Keys(held=missing))
            readable |= await self._read(uow, fresh, at) if fresh else {}
            number = min(todo)
            uow.cause = todo.pop(number)
            if number not in readable or not uow.holds_of(number):
                continue
            ruling, further = await self._judge_again(uow, number, *readable[number], at)
            released += ruling.state != "held"
            todo = further | todo
        uow.cause = before
        return released

    async def _read(self, uow: UnitOfWork, numbers: Sequence[int], at: float) -> dict[int, tuple[Arrival, Message]]:
        """These messages with all that they can touch, loaded at once. One that cannot be read any more is a person's work."""
        found: dict[int, tuple[Arrival, Message]] = {}
        keys = Keys()
        for number in numbers:
            held = uow.state.held[number]
            try:
                found[number] = read_held(held, self._policy)
            except Unreadable as trouble:
                for row in uow.holds_of(number):
                    uow.close_hold(row, at, "unreadable")
                reason = f"it cannot be read any more under the settings of today: {trouble}"
                uow.add_hold(HoldRow(uow.ids.next("hold"), number, f"refused:{number}", "", reason, at, held.peer), held)
                continue
            collect_keys(found[number][0], keys, self._policy)
        keys.controls.clear()  # the duplicate check is for what arrives
        keys.last.clear()
        if keys:
            await uow.fetch(keys)
        return found

    async def _judge_again(
        self, uow: UnitOfWork, number: int, arrival: Arrival, message: Message, at: float, act: Act | None = None
    ) -> tuple[Ruling, Further]:
        """One message in custody: what became of it, and which others it concerns, for it may clear what they wait for.

        act: a person's release of one of its holds.
        """
        uow.current = number
        mark = uow.mark()
        arrival.timing = _timing(uow, number)
        ruling = await self._judge.judge(uow, arrival, message, uow.accepted_of(number))
        if arrival.renamed:
            ruling.note(
                apply(headline(ruling)[0], text="a person has said that it is about another patient than the one it names")
            )
        effects = Effects(uow, self._policy, number, arrival.peer, message, at, renamed=arrival.renamed)
        if ruling.state == "accepted":
            await prepare(uow, ruling, self._freeze)
            await prepare_restoring(uow, ruling, self._policy, arrival.peer)
            await prepare_voids(uow, ruling)
            try:
                effects.apply(ruling)
                restore(uow, self._policy, arrival.peer, message, number, effects, at)
            except Exception as error:  # noqa: BLE001 - whatever it is, the message stays in custody
                uow.undo(mark)
                ruling = failed_effects(arrival, message, ruling, error)
        refused = ruling.deciding
        if refused is not None:
            # The sender has had its AA: a refusal that shows itself only now is work for a person, not a lost message (P9).
            words = f"{refused.code} {refused.text}".strip()  # not every refusal has a code
            reason = f"refused at its release: {words}"
            ruling = Ruling(ruling.match, set_aside=ruling.set_aside)
            ruling.note(hold(refused.row, f"refused:{number}", reason))
        keep_mark(uow, ruling, arrival.peer, message)
        ended = _close(uow, number, ruling, at, act)
        subject = subject_in_journal(ruling, arrival, effects)
        if message.type == "DFT":
            settle_held_charges(uow, message, number, subject or 0, ruling)
        if ruling.state == "held":
            take_custody(uow, arrival, ruling, number, at)
            if act is None:
                return ruling, {}
        row_number, reason, _ = headline(ruling)
        uow.rows.updates.append(
            JournalUpdate(number, ruling.state, subject, row_number, reason or "released", detail(ruling, effects.deliveries))
        )
        further: Further = {}
        if act is not None:  # a condition that clears by itself clears for all; one that a person set aside, for this message
            further.update({row.message: uow.cause for row in await self.behind(uow, ended)})
        further.update({row.message: number for row in await _waiting_for(uow, effects.cleared)})
        return ruling, further


async def _waiting_for(uow: UnitOfWork, cleared: Sequence[str]) -> list[HoldRow]:
    """The holds of these conditions."""
    unread = {key for key in cleared if not uow.has_read_holds_of(key)}
    if unread:  # of ids that the message did not name: the same patient's others, or a merged chart's
        await uow.fetch(Keys(waiting=unread))
    return [row for key in cleared for row in uow.waiting_for(key)]


def _timing(uow: UnitOfWork, number: int) -> Timing:
    """What was released is never stale (#88), but where its sender may have gone on about the same patient meanwhile."""
    keys = [row.key for row in uow.holds_of(number)] + [key for key, _ in uow.accepted_of(number)]
    return "judged" if any(key.partition(":")[0] in OVERTAKEN for key in keys) else "never"


def _close(uow: UnitOfWork, number: int, ruling: Ruling, at: float, act: Act | None) -> list[HoldRow]:
    """Ends the holds of a message whose conditions did not come up again, and the one that a person has released."""
    ended: list[HoldRow] = []
    for row in uow.holds_of(number):
        if act is not None and row.id == act.hold:
            how: ClosedHow = "accepted" if row.key in ruling.set_aside else "released"
            uow.close_hold(row, at, "redirected" if act.patient is not None else how, act.actor, act.reason, act.patient)
        elif row.key not in ruling.conditions:
            uow.close_hold(row, at, "released")
        else:
            continue
        ended.append(row)
    return ended


def subject_in_journal(ruling: Ruling, arrival: Arrival, effects: Effects | None) -> int | None:
    """Under whom the message is found: the patient's own subject where he is known, also by an id that is not his first."""
    if effects is not None and effects.patient is not None:
        return effects.patient.subject
    if ruling.match.patient is not None:
        return ruling.match.patient.subject
    return arrival.subject


def headline(ruling: Ruling) -> tuple[str, str, str]:
    """The row of decisions.md, one sentence and the code that stand in the journal."""
    deciding = ruling.deciding
    if deciding is not None:
        return deciding.row, deciding.text, deciding.code
    if ruling.ignored is not None:
        return ruling.ignored.row, ruling.ignored.text, ""
    if ruling.stale is not None:
        return ruling.stale.row, ruling.stale.text, ""
    if ruling.conditions:
        return ruling.hold_row, "; ".join(dict.fromkeys(condition.reason for condition in ruling.conditions.values())), ""
    if ruling.warnings:
        # What the header or the envelope looks like must not hide what was decided about the content.
        first = next((warning for warning in ruling.warnings if not warning.header), ruling.warnings[0])
        return first.row, first.text, first.code
    return (
        next((judged.verdict.row for judged in ruling.judged if judged.verdict is not None and judged.verdict.row), ""),
        "",
        "",
    )


def detail(ruling: Ruling, deliveries: Sequence[DeliveryRow]) -> str:
    """The provenance row: each change with its verdict, each copy with its destination. JSON, for the journal only."""
    pieces: list[str] = []
    for judged in ruling.judged:
        change = judged.change
        path = change.path if isinstance(change, SetField | Translate) else ""
        pieces.append(_change_line(change.kind, path, judged.verdict))
    found = f'{{"changes":[{",".join(pieces)}]'
    if deliveries:
        found += f',"deliveries":{_JSON.encode([[row.id, row.destination, row.control_id] for row in deliveries])}'
    if ruling.conditions:
        found += f',"waits_for":{_JSON.encode(list(ruling.conditions))}'
    if ruling.warnings:
        found += f',"warnings":{_JSON.encode([[verdict.row, verdict.code, verdict.text] for verdict in ruling.warnings])}'
    return found + "}"


@lru_cache(maxsize=1024)  # a day's verdicts are few: the encoder would cost more than all the judging of a simple message
def _change_line(kind: str, path: str, verdict: Verdict | None) -> str:
    if verdict is None:
        return _JSON.encode([kind, path, "apply"])
    return _JSON.encode([kind, path, verdict.outcome.name.lower(), verdict.row, verdict.code, verdict.text])
