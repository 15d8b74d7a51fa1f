"""How charges are written for the PM, by its profile: corrections, voids, drug codes, and ids that only we can supply.

Nothing of it touches a charge that the PM takes as it came (contract 4).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from decimal import Decimal

from ophl7.domain.changes import AddCharge
from ophl7.domain.charge_reading import is_number
from ophl7.domain.patient import Side
from ophl7.domain.policy import Policy
from ophl7.domain.profile import ChargeRules
from ophl7.engine.ruling import Ruling
from ophl7.hl7v2.message import Message
from ophl7.hl7v2.rewrite import DropSegment, Edit, SetField
from ophl7.hl7v2.segment import Segment

_ID, _TYPE, _UNITS, _AMOUNT, _DRUG = 2, 6, 10, 11, 29

# FT1-29 came with this version (domain 1.4).
_WITH_DRUG_CODE = (2, 5)


def charge_edits(message: Message, ruling: Ruling, policy: Policy, to: Side, codes: Iterable[Edit] = ()) -> list[Edit]:
    """What of the charges that leave is written otherwise for this receiver; [] for nearly all.

    codes: the fields in which the receiver's codes are written (#46); a drug code moves as the receiver calls it.
    """
    if message.type != "DFT":
        return []
    profile = policy.peers[to].profile
    edits: list[Edit] = []
    moves = profile.charges.drug_code and _version(profile.outbound.version or message.version) < _WITH_DRUG_CODE
    for judged in ruling.judged:
        change = judged.change
        if not isinstance(change, AddCharge) or not judged.applies:
            continue
        ft1 = message.at(change.line.segments[0])
        if ft1 is None:
            continue
        edits += _verb(change, ft1, profile.charges)
        if change.line.supplied:
            edits.append(SetField(ft1.index, _ID, change.line.transaction_id))
        if moves:
            edits += _drug_code(ft1, profile.charges.drug_code, _as_called(ft1, _DRUG, codes))
    return edits


def void_edits(message: Message, transactions: Collection[str], rules: ChargeRules) -> list[Edit]:
    """Makes a DFT as it was sent into the void of these charges of it: all other charges leave it (#49)."""
    edits: list[Edit] = []
    ours = False
    for segment in message.segments:
        if segment.name == "FT1":
            ours = segment.lead(_ID) in transactions
            edits += void_of(segment, rules) if ours else [DropSegment(segment.index)]
        elif segment.name in {"NTE", "PR1", "ROL"} and not ours and _behind_a_charge(message, segment):
            edits.append(DropSegment(segment.index))
    return edits


def _behind_a_charge(message: Message, segment: Segment) -> bool:
    """Whether it belongs to an FT1: what follows the patient or the guarantor is the message's own."""
    index = segment.index - 1
    while (before := message.at(index)) is not None and before.name in {"NTE", "PR1", "ROL"}:
        index -= 1
    return before is not None and before.name == "FT1"


def void_of(ft1: Segment, rules: ChargeRules) -> list[Edit]:
    """FT1-6 becomes the receiver's code of a void, the signs what it wants; all else says which charge it was."""
    edits: list[Edit] = []
    if ft1.lead(_TYPE).upper() != rules.void_code.upper():
        edits.append(SetField(ft1.index, _TYPE, rules.void_code))
    if rules.negative_voids:
        edits += [SetField(ft1.index, number, text) for number in (_UNITS, _AMOUNT) if (text := _negative(ft1, number))]
    return edits


def _negative(ft1: Segment, number: int) -> str:
    """The field with a negative number; "" where it stays as it is. A unit that is not written is one."""
    whole, said = ft1.canonical(number), ft1.lead(number)
    if not whole:
        return "-1" if number == _UNITS else ""
    if not is_number(said) or Decimal(said) <= 0 or not whole.startswith(said):
        return ""
    return f"-{said.removeprefix('+')}{whole[len(said) :]}"


def _verb(change: AddCharge, ft1: Segment, rules: ChargeRules) -> list[Edit]:
    """FT1-6 in the receiver's words, where they are other ones."""
    if change.line.verb == "void":
        return void_of(ft1, rules)
    if change.correction == "update" and change.line.kind != rules.update_code.upper():
        return [SetField(ft1.index, _TYPE, rules.update_code)]
    if change.correction == "replace" and change.line.verb == "update" and rules.new:  # its void has left: this is the new one
        return [SetField(ft1.index, _TYPE, "CG" if "CG" in rules.new else min(rules.new))]
    return []


def _as_called(ft1: Segment, number: int, codes: Iterable[Edit]) -> str:
    """The field as it came, or with the receiver's codes in it."""
    written = (one.text for one in codes if isinstance(one, SetField) and (one.segment_index, one.field) == (ft1.index, number))
    return next(written, ft1.canonical(number))


def _drug_code(ft1: Segment, place: str, code: str) -> list[Edit]:
    """The NDC moves to the agreed field, unless something else stands there: that is not ours to remove."""
    target = int(place.removeprefix("FT1-"))
    if not code or target == _DRUG or ft1.field(target):
        return []
    return [SetField(ft1.index, target, code), SetField(ft1.index, _DRUG, "")]


def _version(text: str) -> tuple[int, ...]:
    """2.3.1 as (2, 3, 1); a blank MSH-12 counts as 2.3 (#82)."""
    return tuple(int(part) for part in (text or "2.3").split(".") if part.isdecimal())
