"""How the FT1 of a DFT are read: by the profile of their sender, and what makes them incomplete (decisions 5)."""

from __future__ import annotations

from base64 import b32encode
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from typing import Literal

from ophl7.domain.charge import ChargeLine
from ophl7.domain.profile import GENERIC, ChargeRules
from ophl7.hl7v2 import timestamps
from ophl7.hl7v2.message import Message, Segment

# Segments that belong to the FT1 they follow (DFT_P03: FT1 [NTE] [{PR1 [ROL]}]).
_FOLLOWERS = frozenset({"NTE", "PR1", "ROL"})

# FT1-2 holds twelve characters before 2.6.
_ID_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a charge is incomplete (#41). error: table 0357; sequence: which FT1, from 1; field: 0 for the segment."""

    error: Literal[100, 101, 102]
    segment: str
    sequence: int
    field: int
    problem: str


def usable_ids(message: Message) -> frozenset[str]:
    """The FT1-2 values of a DFT that identify a charge (#57).

    Not usable: empty ones, one value on two FT1 of a message, and all of them when FT1-2 only repeats the set id FT1-1.
    """
    pairs = [(ft1.lead(1), ft1.lead(2)) for ft1 in message.all("FT1")]
    if pairs and all(number == transaction for number, transaction in pairs):
        return frozenset()
    said = [transaction for _, transaction in pairs]
    distinct = frozenset(said)
    if len(distinct) < len(said):
        distinct = frozenset(transaction for transaction, times in Counter(said).items() if times == 1)
    return distinct - {""}


def group_of(message: Message, ft1: Segment) -> tuple[Segment, ...]:
    """The FT1 and the segments that belong to it."""
    group = [ft1]
    index = ft1.index + 1
    while (segment := message.at(index)) is not None and segment.name in _FOLLOWERS:
        group.append(segment)
        index += 1
    return tuple(group)


def read_charges(message: Message, rules: ChargeRules = GENERIC.charges, *, weak: bool = False) -> list[ChargeLine]:
    """All charges of a DFT, in order. rules: of its sender. weak: whether its MSH-10 tell nothing apart (#86)."""
    usable = usable_ids(message)
    lines = [read_charge(message, ft1, usable, rules) for ft1 in message.all("FT1")]
    nameless = [place for place, line in enumerate(lines) if not line.usable_id]
    if not nameless:
        return lines
    same = _set_of([lines[place] for place in nameless])
    if rules.supply_ids:
        for place in nameless:
            if not lines[place].transaction_id:
                given = _supplied_id(message.digest(weak or not message.control_id), place)
                lines[place] = lines[place]._replace(transaction_id=given, usable_id=True, supplied=True)
    lines[nameless[0]] = lines[nameless[0]]._replace(same_set=same)
    return lines


def _set_of(lines: Sequence[ChargeLine]) -> bytes:
    """What a DFT bills without naming it, in whichever order: the visit, and each content as often as it is there (#57).

    The service day is part of each content (FT1-4).
    """
    digest = blake2b(lines[0].visit.encode("utf-8", "surrogateescape"), digest_size=16)
    for content in sorted(line.content for line in lines):
        digest.update(content)
    return digest.digest()


def _supplied_id(message: bytes, place: int) -> str:
    """An FT1-2 of ours: the same whenever this very message is judged or sent again, another in any other message (#40)."""
    digest = blake2b(message + place.to_bytes(4, "big"), digest_size=8).digest()
    return f"X{b32encode(digest).decode()[: _ID_LENGTH - 1]}"


def read_charge(message: Message, ft1: Segment, usable: frozenset[str], rules: ChargeRules = GENERIC.charges) -> ChargeLine:
    """What this FT1 charges; never raises, `faults` says what is wrong with it. usable: see `usable_ids`."""
    group = group_of(message, ft1)
    transaction = ft1.lead(2)
    visit = message.first("PV1")
    kind = ft1.lead(6).upper()
    date = ft1.field(4)
    return ChargeLine(
        transaction_id=transaction,
        kind=kind,
        date=ft1.lead(4),
        procedure=_procedure(ft1, group, rules.procedure),
        modifiers=_codes(ft1, 26),
        units=ft1.lead(10),
        diagnoses=_codes(ft1, 19),
        amount=_amount(ft1, rules.amount),
        visit=visit.lead(19) if visit is not None else "",
        content=_content(group),
        usable_id=transaction in usable,
        segments=tuple(segment.index for segment in group),
        verb=rules.verbs.get(kind, "new"),
        until=ft1.text("4.2") if not date.isdecimal() else "",
    )


def _procedure(ft1: Segment, group: Sequence[Segment], places: Sequence[str]) -> str:
    """The code by which billing recognises the service: the first of the profile's places that holds one."""
    for place in places:
        if place == "PR1-3":
            code = next((s.lead(3) for s in group[1:] if s.name == "PR1" and s.lead(3)), "")
        else:
            code = ft1.lead(25 if place == "FT1-25" else 7)
        if code:
            return code
    return ""


def _codes(ft1: Segment, number: int) -> tuple[str, ...]:
    """The codes of a repeating field, in order: order matters for payment (domain 1.4)."""
    if ft1.field(number) == "":
        return ()
    return tuple([code for code in (ft1.components(text)[0] for text in ft1.repetitions(number)) if code])


def _amount(ft1: Segment, places: Sequence[str]) -> str:
    """The first of the profile's places that holds a number; "" when none does. FT1-12 and FT1-22 are per unit."""
    for place in places:
        found = ft1.lead(int(place.removeprefix("FT1-")))
        if not is_number(found):
            continue
        if place == "FT1-11":
            return found
        units = ft1.lead(10)
        return format(Decimal(found) * (Decimal(units) if is_number(units) else 1), "f")  # NM knows no exponent
    return ""


def _content(group: Sequence[Segment]) -> bytes:
    """Every FT1 field but -1, -3 and -5, and the PR1 and NTE that belong to it (decisions 5).

    FT1-2 is left out too: it is the identity under which contents are compared.
    """
    digest = blake2b(digest_size=16)
    for segment in group:
        if segment.name == "FT1":
            fields = segment.canonical_fields
            line = "|".join([*fields[3:4], *fields[5:]])
        elif segment.name in ("PR1", "NTE"):
            line = segment.canonical_line
        else:
            continue
        digest.update(line.rstrip("|").encode("utf-8", "surrogateescape") + b"\r")
    return digest.digest()


def is_number(text: str) -> bool:
    """Whether HL7's NM reads it: digits, one point, a sign; no exponents, no infinity."""
    if not text or text.strip("+-0123456789. "):
        return False
    if text.isdecimal():
        return True
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False


def faults(ft1: Segment, sequence: int, line: ChargeLine) -> tuple[Fault, ...]:
    """What makes this FT1 incomplete (#41); `()` when it can be billed. sequence: which FT1 it is, from 1."""
    found: list[Fault] = []
    if not line.kind:
        found.append(Fault(101, "FT1", sequence, 6, "the transaction type is missing"))
    if not line.procedure and not _has_code(ft1, line):
        found.append(Fault(101, "FT1", sequence, 7, "no charge or procedure code"))
    if not all(timestamps.is_valid_date(day) for day in (line.date, line.until) if day):
        found.append(Fault(102, "FT1", sequence, 4, "the service date is not a date"))
    elif line.until and line.until[:8] < line.date[:8]:
        found.append(Fault(102, "FT1", sequence, 4, "the service ends before it begins"))
    for number in (10, 11, 12, 22):
        text = ft1.lead(number)
        if text and not is_number(text):
            found.append(Fault(102, "FT1", sequence, number, "not a number"))
    return tuple(found)


def _has_code(ft1: Segment, line: ChargeLine) -> bool:
    """Whether a code stands anywhere that #41 names, also where the profile does not look for it."""
    group = [ft1.message.at(index) for index in line.segments]
    return bool(ft1.lead(7) or ft1.lead(25) or any(one.lead(3) for one in group if one is not None and one.name == "PR1"))
