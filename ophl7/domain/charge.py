"""Charges: what one FT1 says, what is wrong with it, and what makes it the same charge (decisions 5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from typing import Literal, NamedTuple

from ophl7.hl7v2 import timestamps
from ophl7.hl7v2.message import Message, Segment

# Where a charge stands by our own decision; the rest of the way is told by its delivery. superseded: the same message was sent
# again and its charges are counted there (#84b), or a release found the charge known already (#48).
ChargeState = Literal["held", "sent", "rejected", "cancelled", "superseded"]

# Segments that belong to the FT1 they follow (DFT_P03: FT1 [NTE] [{PR1 [ROL]}]).
_FOLLOWERS = frozenset({"NTE", "PR1", "ROL"})

# FT1-6, HL7 table 0017.
NEW, CREDIT = "CG", "CD"
PAYMENT_TYPES = frozenset({"PY", "AJ", "CO"})


class ChargeLine(NamedTuple):
    """One FT1 as sent. amount: decimal text, "" when the receiver prices it. content: digest of what is billed.

    usable_id: whether FT1-2 names this charge and no other (#57). segments: positions of the FT1 and what belongs to it.
    """

    transaction_id: str
    kind: str
    date: str
    procedure: str
    modifiers: tuple[str, ...]
    units: str
    diagnoses: tuple[str, ...]
    amount: str
    visit: str
    content: bytes
    usable_id: bool
    segments: tuple[int, ...]


class Charge(NamedTuple):
    """One row of the ledger. message: journal id of its DFT; line: its place in it, from 0; subject: whose it is."""

    id: int
    message: int
    line: int
    subject: int
    transaction_id: str
    kind: str
    date: str
    procedure: str
    modifiers: tuple[str, ...]
    units: str
    diagnoses: tuple[str, ...]
    amount: str
    visit: str
    content: bytes
    state: ChargeState


def counting(known: Charge | None, other: Charge) -> Charge:
    """Of two live rows with one identity, the one that a later message is compared with.

    What was sent beats what waits; of what was sent a credit counts, which can only have left after its charge (#50), else the
    last; of what waits the first: at the release the later one is the repetition (decisions 11, oldest first).
    """
    if known is None:
        return other
    if (known.state == "sent") != (other.state == "sent"):
        return known if known.state == "sent" else other
    if known.state == "sent" and (known.kind == CREDIT) != (other.kind == CREDIT):
        return known if known.kind == CREDIT else other
    later = (other.message, other.line) > (known.message, known.line)
    return other if later == (other.state == "sent") else known


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
    seen = Counter(transaction for _, transaction in pairs)
    return frozenset(transaction for transaction, times in seen.items() if transaction and times == 1)


def group_of(message: Message, ft1: Segment) -> tuple[Segment, ...]:
    """The FT1 and the segments that belong to it."""
    group = [ft1]
    index = ft1.index + 1
    while (segment := message.at(index)) is not None and segment.name in _FOLLOWERS:
        group.append(segment)
        index += 1
    return tuple(group)


def read_charge(message: Message, ft1: Segment, usable: frozenset[str]) -> ChargeLine:
    """What this FT1 charges; never raises, `faults` says what is wrong with it."""
    group = group_of(message, ft1)
    transaction = ft1.lead(2)
    visit = message.first("PV1")
    return ChargeLine(
        transaction_id=transaction,
        kind=ft1.lead(6).upper(),
        date=ft1.lead(4),
        procedure=_procedure(ft1, group),
        modifiers=_codes(ft1, 26),
        units=ft1.lead(10),
        diagnoses=_codes(ft1, 19),
        amount=_amount(ft1),
        visit=visit.lead(19) if visit is not None else "",
        content=_content(group),
        usable_id=transaction in usable,
        segments=tuple(segment.index for segment in group),
    )


def _procedure(ft1: Segment, group: tuple[Segment, ...]) -> str:
    """FT1-25, else the code of the first PR1, else FT1-7: the procedure is what billing recognises."""
    coded = ft1.lead(25)
    if not coded and len(group) > 1:
        coded = next((s.lead(3) for s in group if s.name == "PR1" and s.lead(3)), "")
    return coded or ft1.lead(7)


def _codes(ft1: Segment, number: int) -> tuple[str, ...]:
    """The codes of a repeating field, in order: order matters for payment (domain 1.4)."""
    if ft1.field(number) == "":
        return ()
    return tuple([code for code in (ft1.components(text)[0] for text in ft1.repetitions(number)) if code])


def _amount(ft1: Segment) -> str:
    """The extended amount FT1-11, else units times the unit amount FT1-12 or unit cost FT1-22; "" when none is a number."""
    extended = ft1.lead(11)
    if is_number(extended):
        return extended
    for number in (12, 22):
        each = ft1.lead(number)
        if is_number(each):
            units = ft1.lead(10)
            return format(Decimal(each) * (Decimal(units) if is_number(units) else 1), "f")  # NM knows no exponent
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


def clears(line: ChargeLine) -> str:
    """The key of the hold that ends with this charge (#51); "" when nothing can wait for it."""
    return f"charge:{line.transaction_id}" if line.usable_id and line.kind != CREDIT else ""


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
    if not (line.procedure or ft1.lead(7)):
        found.append(Fault(101, "FT1", sequence, 7, "no charge or procedure code"))
    if line.date and not timestamps.is_valid_date(line.date):
        found.append(Fault(102, "FT1", sequence, 4, "the service date is not a date"))
    for number in (10, 11, 12, 22):
        text = ft1.lead(number)
        if text and not is_number(text):
            found.append(Fault(102, "FT1", sequence, number, "not a number"))
    return tuple(found)
