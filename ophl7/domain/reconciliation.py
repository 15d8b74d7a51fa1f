"""A day's charges, counted on two sides that know nothing of each other, and what is on one of them only (decisions 11).

One side is the journal: the FT1 of every DFT that came, read anew from its bytes. The other is the ledger with its deliveries.
A charge belongs to the day on which its message came, in the practice's zone; a refused message that was sent again (#84b)
counts once, when it came last.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal, NamedTuple, get_args

from ophl7.domain.charge_reading import read_charges
from ophl7.domain.money import Sum, amount_of
from ophl7.domain.profile import GENERIC, ChargeRules
from ophl7.errors import Unreadable
from ophl7.hl7v2.message import Message

Standing = Literal["accepted", "held", "rejected", "parked", "pending", "cancelled", "skipped"]
STANDINGS: Final[tuple[Standing, ...]] = get_args(Standing)

_OF_DELIVERY: Final[Mapping[str, Standing]] = {
    "accepted": "accepted",
    "held": "held",
    "rejected": "rejected",
    "parked": "parked",
    "skipped": "skipped",
}
_OF_CHARGE: Final[Mapping[str, Standing]] = {"held": "held", "rejected": "rejected", "cancelled": "cancelled"}

# What the ledger may say of a charge that counts, by what became of its message.
_FITTING: Final[Mapping[str, str]] = {"accepted": "sent", "held": "held", "rejected": "rejected", "ignored": "cancelled"}


class LedgerLine(NamedTuple):
    """A charge as the ledger has it. carried: the message whose copy its delivery is, None where there is no such delivery.

    renewed: its copy left once more as another message: a merge explained the refusal (decisions 8), or a person wanted it.
    """

    id: int
    line: int
    state: str
    amount: str
    delivery: int | None
    delivery_state: str | None
    carried: int | None
    renewed: bool


class DftRow(NamedTuple):
    """A DFT of the day as the journal has it. raw: the member's bytes, None where retention has removed them.

    again: it came once more and is counted there (#84b). waited: it was in custody. discarded: a person let it go.
    """

    id: int
    peer: str
    state: str
    row: str
    raw: bytes | None
    detail: str
    again: bool
    waited: bool
    discarded: bool
    ledger: tuple[LedgerLine, ...]


class Odd(NamedTuple):
    """Something that does not add up. line: which FT1, from 1; None for a whole message. charge: its ledger row."""

    message: int
    line: int | None
    charge: int | None
    problem: str


@dataclass(slots=True)
class Books:
    """What a day's charges come to.

    received: the journal's side. standing: the ledger's. odd: what is on one side only, or on both with something else.
    unread: DFTs whose bytes are gone or cannot be read by now: the ledger alone counts them. from_pm: DFTs of the PM (#55).
    providers: FT1-20 ("" for none) -> the same sums, of the charges that are on both sides.
    """

    received: Sum = field(default_factory=Sum)
    standing: dict[Standing, Sum] = field(default_factory=lambda: {name: Sum() for name in STANDINGS})
    odd: list[Odd] = field(default_factory=list)
    unread: list[int] = field(default_factory=list)
    from_pm: int = 0
    renewed: list[tuple[int, int]] = field(default_factory=list)  # message, charge
    providers: dict[str, dict[Standing, Sum]] = field(default_factory=dict)

    @property
    def adds_up(self) -> bool:
        """Whether both sides say the same, in counts and amounts and line by line."""
        ledger = Sum()
        for one in self.standing.values():
            ledger = ledger + one
        return not self.odd and self.received == ledger


class Line(NamedTuple):
    """What the journal says of one FT1."""

    amount: Decimal | None
    provider: str


def where_it_stands(state: str, delivery_state: str | None) -> Standing:
    """A charge for people (contract 6); one that was sent and whose copy is on its way is pending."""
    if state == "sent":
        return _OF_DELIVERY.get(delivery_state or "", "pending")
    return _OF_CHARGE[state]


def enter(books: Books, row: DftRow, encoding: str | None, rules: ChargeRules = GENERIC.charges) -> None:
    """Counts one DFT of the day on both sides. encoding, rules: the charset and the reading that are set for its sender."""
    if row.peer != "emr":
        books.from_pm += 1
        _count_ledger(books, row, {})
        return
    expected = _expected(row, encoding, rules)
    if expected is None:
        books.unread.append(row.id)
        for one in row.ledger:
            if one.state != "superseded":
                books.received.add(amount_of(one.amount))
        _count_ledger(books, row, None)
        return
    for line in expected.values():
        books.received.add(line.amount)
    _count_ledger(books, row, expected)


def without_message(books: Books, message: int, line: LedgerLine) -> None:
    """A ledger row whose message the journal does not have, or has as something else than a DFT."""
    if line.state != "superseded":
        books.standing[where_it_stands(line.state, line.delivery_state)].add(amount_of(line.amount))
        books.odd.append(
            Odd(message, line.line + 1, line.id, "the ledger has this charge, the journal has no DFT that brought it")
        )


def _count_ledger(books: Books, row: DftRow, expected: Mapping[int, Line] | None) -> None:
    """The ledger's side of one message, and each difference. expected: what the journal says, None where nobody can tell."""
    seen: set[int] = set()
    for one in row.ledger:
        if one.state == "superseded":
            continue
        seen.add(one.line)
        standing = where_it_stands(one.state, one.delivery_state)
        amount = amount_of(one.amount)
        books.standing[standing].add(amount)
        if one.renewed:
            books.renewed.append((row.id, one.id))
        problem = _of_delivery(one, row.id)
        if expected is not None:
            problem = _differs(row, one, expected.get(one.line)) or problem
            line = expected.get(one.line)
            if line is not None:
                of_provider = books.providers.setdefault(line.provider, {name: Sum() for name in STANDINGS})
                of_provider[standing].add(amount)
        if problem:
            books.odd.append(Odd(row.id, one.line + 1, one.id, problem))
    for number in sorted(set(expected or ()) - seen):
        books.odd.append(Odd(row.id, number + 1, None, "the message brought this charge, the ledger does not have it"))


def _differs(row: DftRow, one: LedgerLine, line: Line | None) -> str:
    if line is None:
        if row.again:
            return "the message was sent again and is counted there; the ledger counts this charge here, too"
        return "the ledger has this charge, its message does not bring it"
    if amount_of(one.amount) != line.amount:
        return "the ledger has another amount than the message"
    fitting = _FITTING.get(row.state)
    if one.state != fitting:
        return f"the message is {row.state}, its charge in the ledger is {one.state}"
    return ""


def _of_delivery(one: LedgerLine, message: int) -> str:
    if one.state != "sent":
        return ""
    if one.carried is None:
        return "the charge was taken, and no copy of it for the PM is there"
    return "" if one.carried == message else f"the copy that is named for this charge is one of message {one.carried}"


def _expected(row: DftRow, encoding: str | None, rules: ChargeRules) -> dict[int, Line] | None:
    """Place of each FT1 that must stand in the ledger -> what it says; None when the bytes do not tell any more."""
    if row.again:
        return {}
    if row.state == "ignored" and not (row.discarded or (row.row == "#80" and row.waited)):
        return {}  # known already (#48), or of no interest to this practice (#80): not counted as charges
    if row.raw is None:
        return None
    try:
        message = Message.parse(row.raw, encoding)
    except Unreadable:
        return None
    segments = message.all("FT1")
    taken = _taken(row, len(segments)) if row.state == "accepted" else [True] * len(segments)
    lines = read_charges(message, rules)
    return {
        number: Line(amount_of(line.amount), ft1.lead(20))
        for number, (ft1, line, counts) in enumerate(zip(segments, lines, taken, strict=True))
        if counts
    }


def _taken(row: DftRow, count: int) -> Sequence[bool]:
    """Which FT1 of an accepted DFT were taken: those that are known already are not counted (#48)."""
    said: Iterable[Sequence[str]] = json.loads(row.detail).get("changes", ()) if row.detail else ()
    charges = [change for change in said if change[0] == "charge.add"]
    if len(charges) != count:
        return [True] * count  # a part of the practice's own proposed them otherwise: all of them are wanted
    return [change[2] != "strip" for change in charges]
