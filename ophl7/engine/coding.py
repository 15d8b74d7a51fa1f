"""Codes on their way out: which of a message's need a word of the other system's, and how the copy says them (#36, #42, #46).

A person's entries are read with the batch like everything else that it can touch, so what was entered in this batch counts in
it, and nothing has to be taken back when its commit fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ophl7.domain.changes import AddCharge, Deliver, SetField, Translate
from ophl7.domain.coding import codes_in, mapping_key, recoded
from ophl7.domain.patient import Side, other_side
from ophl7.domain.policy import Policy
from ophl7.domain.profile import AS_RECEIVED, Outbound
from ophl7.domain.verdicts import Outcome
from ophl7.engine.code_rows import CodeSeen
from ophl7.engine.ruling import Ruling
from ophl7.engine.storage import Keys
from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.hl7v2.message import Message
from ophl7.hl7v2.rewrite import DropSegment, Edit, InsertAfter
from ophl7.hl7v2.rewrite import SetField as WriteField

_NAMES = (  # of MSH, as a profile calls them
    (3, "sending_application"),
    (4, "sending_facility"),
    (5, "receiving_application"),
    (6, "receiving_facility"),
)


async def translations(uow: UnitOfWork, policy: Policy, peer: Side, message: Message, ruling: Ruling) -> list[Translate]:
    """One change for each code that leaves for the other system; none where the sender's profile has no tables."""
    tables = policy.peers[peer].profile.maps
    if not tables or not _leaves(ruling, other_side(peer)):
        return []
    segments, fields = _kept_back(message, ruling)
    found: list[Translate] = []
    for (table, code), places in codes_in(message, tables).items():
        leaving = [one for one in places if one.segment not in segments and (one.segment, one.field) not in fields]
        if not leaving:
            continue
        key = (peer, table, code)
        if key not in uow.state.maps:
            await uow.fetch(Keys(maps={key}))
        entered = uow.state.maps[key]
        to = entered if entered is not None else tables[table].codes.get(code)
        found.append(Translate(table, code, to, tuple(leaving)))
    return found


def _leaves(ruling: Ruling, to: Side) -> bool:
    """Whether the message goes to that side, now or when nothing holds it any more."""
    return any(
        isinstance(judged.change, Deliver)
        and judged.change.to == to
        and (judged.verdict is None or judged.verdict.outcome is not Outcome.STRIP)
        for judged in ruling.judged
    )


def _kept_back(message: Message, ruling: Ruling) -> tuple[set[int], set[tuple[int, int]]]:
    """Segments and fields that leave with another value or not at all: what stands there is nobody's to translate."""
    segments: set[int] = set()
    fields: set[tuple[int, int]] = set()
    for judged in ruling.judged:
        change, verdict = judged.change, judged.verdict
        if verdict is None or verdict.outcome is not Outcome.STRIP:
            continue
        if isinstance(change, AddCharge):
            segments.update(change.line.segments)
        elif isinstance(change, SetField):
            name, _, number = change.path.partition("-")
            if number:
                fields |= {(one.index, int(number)) for one in message.all(name)}
            else:
                segments |= {one.index for one in message.all(name)}
    return segments, fields


def coded(message: Message, ruling: Ruling) -> list[Edit]:
    """The copy's fields with the other system's codes in them; a code that nobody has a word for stays as it came."""
    codes = [
        (place, judged.change.to)
        for judged in ruling.judged
        if isinstance(judged.change, Translate)
        and judged.applies
        and judged.change.to is not None
        and judged.change.to != judged.change.code
        for place in judged.change.places
    ]
    return [WriteField(segment, field, text) for (segment, field), text in recoded(message, codes).items()] if codes else []


def headed(message: Message, outbound: Outbound) -> list[Edit]:
    """MSH as the receiver wants it (contract 4). A changed version changes MSH-12.1 and nothing else of the message."""
    if outbound is AS_RECEIVED:
        return []
    header = message.at(0)
    if header is None:
        return []
    edits: list[Edit] = []
    for number, name in _NAMES:
        text: str = getattr(outbound, name)
        if text and header.canonical(number) != text:
            edits.append(WriteField(0, number, text))
    if outbound.version and message.version != outbound.version:
        _, mark, rest = header.canonical(12).partition("^")
        edits.append(WriteField(0, 12, outbound.version + mark + rest))
    return edits


def beside(edits: Sequence[Edit], more: Iterable[Edit]) -> list[Edit]:
    """`edits`, and of `more` what they leave alone: a value that was put in another's place is not a code of the sender's."""
    dropped = {one.segment_index for one in edits if isinstance(one, DropSegment)}
    written = {(one.segment_index, one.field) for one in edits if isinstance(one, WriteField)}

    def free(one: Edit) -> bool:
        if isinstance(one, InsertAfter):  # it only says where: what stands there may leave or not
            return True
        if isinstance(one, WriteField) and (one.segment_index, one.field) in written:
            return False
        return one.segment_index not in dropped

    return [*edits, *filter(free, more)]


def without_a_word(ruling: Ruling, peer: Side, message: int, at: float) -> list[CodeSeen]:
    """The codes that leave as they came: each is a task for somebody who knows both systems (#36)."""
    return [
        CodeSeen(peer, judged.change.table, judged.change.code, message, at)
        for judged in ruling.judged
        if isinstance(judged.change, Translate) and judged.change.to is None
    ]


def waits_for_a_word(ruling: Ruling, peer: Side, message: int, at: float) -> list[CodeSeen]:
    """The codes that hold a message (#46)."""
    seen = without_a_word(ruling, peer, message, at)
    return [one for one in seen if mapping_key(one.table, one.code) in ruling.conditions]
