"""What billing has to roll up yet: charges that the PM has accepted, less what was credited (decisions 5).

A credit (FT1-6 CD) names the charge that it takes back by its FT1-2. Its amount counts as taken off whether it was sent with a
minus or without; one without an amount takes back the whole charge. Payments and adjustments (#52) are nothing to bill: one may
bear the number of the charge that it pays, and is neither replaced nor credited with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from ophl7.domain.money import ZERO, Sum, amount_of, plus
from ophl7.domain.profile import Verb


class AcceptedCharge(NamedTuple):
    """A charge that the PM has accepted. roll_up, claim: the note that stands for it, None for none."""

    lane: int
    subject: int
    id: int
    message: int
    line: int
    transaction_id: str
    kind: str
    date: str
    procedure: str
    modifiers: tuple[str, ...]
    units: str
    diagnoses: tuple[str, ...]
    amount: str
    visit: str
    verb: Verb
    roll_up: int | None
    claim: str | None


@dataclass(slots=True)
class Item:
    """One charge that is current.

    net: what is left of its amount, negative for a credit of something that was rolled up before, None where it has no amount.
    corrects: the charge of the same FT1-2 that stands in a claim already.
    """

    charge: AcceptedCharge
    net: Decimal | None
    corrects: AcceptedCharge | None = None


@dataclass(slots=True)
class Visit:
    """What is current of one visit of one patient. credited: charges that credits have taken back entirely."""

    lane: int
    visit: str
    items: list[Item] = field(default_factory=list)
    sum: Sum = field(default_factory=Sum)
    credited: int = 0

    @property
    def oldest(self) -> str:
        """The earliest service date, as the sender wrote it; "" where none is named."""
        return min((item.charge.date for item in self.items if item.charge.date), default="")


def current(charges: Iterable[AcceptedCharge], *, corrected: bool = False) -> list[Visit]:
    """The visits that have something to roll up, in the order of their first charges.

    charges: all that the PM has accepted of some lanes, rolled up or not, ordered by lane, message and line. corrected: another
    content under a known FT1-2 takes the charge's place there (#49, profile); an update of the EMR's always does.
    """
    visits: dict[tuple[int, str], Visit] = {}
    known: dict[tuple[int, str], list[Item]] = {}
    rolled: dict[tuple[int, str], AcceptedCharge] = {}
    in_place_of: dict[tuple[int, str], AcceptedCharge] = {}  # what a claim has, and the PM took back for a correction
    for charge in (one for one in charges if one.verb != "payment"):
        place = (charge.lane, charge.transaction_id)
        if charge.roll_up is not None:
            if charge.transaction_id:
                rolled[place] = charge
            continue
        visit = visits.setdefault((charge.lane, charge.visit), Visit(charge.lane, charge.visit))
        item = Item(charge, amount_of(charge.amount))
        earlier = known.setdefault(place, []) if charge.transaction_id else []
        if charge.verb == "void" and _takes_back(item, earlier, visits):
            billed = in_place_of.pop(place, None) if not earlier else None
            if billed is None:
                continue
            item.net = amount_of(billed.amount)  # nothing is left of the correction either: the claim is what it takes back
        if charge.transaction_id and (charge.verb == "update" or (corrected and charge.verb == "new")):
            claimed = _give_way(earlier, visits, rolled.get(place))
            if claimed is not None:
                in_place_of[place] = claimed
        item.corrects = rolled.get(place)  # without an FT1-2 nothing stands there
        if charge.verb == "void" and item.net is not None:
            item.net = -abs(item.net)
        earlier.append(item)
        visit.items.append(item)
    for visit in visits.values():
        for item in visit.items:
            visit.sum.add(item.net)
    return [visit for visit in visits.values() if visit.items]


def _give_way(
    earlier: list[Item], visits: dict[tuple[int, str], Visit], claimed: AcceptedCharge | None
) -> AcceptedCharge | None:
    """Removes what a correction takes the place of. `claimed` comes back if it is the claim's charge that is corrected."""
    credited = any(one.charge.verb == "void" for one in earlier)
    for replaced in [one for one in earlier if one.charge.verb != "void"]:
        earlier.remove(replaced)
        visits[replaced.charge.lane, replaced.charge.visit].items.remove(replaced)
    return claimed if claimed is not None and claimed.verb != "void" and not credited else None


def _takes_back(credit: Item, earlier: list[Item], visits: dict[tuple[int, str], Visit]) -> bool:
    """Whether the credit is used up by charges before it: then neither it nor what it took back is current."""
    rest = abs(credit.net) if credit.net is not None else None
    for item in reversed(list(earlier)):
        if item.charge.verb == "void":
            continue
        if rest is not None and item.net is None:
            return False  # how much of it is taken back, nobody can tell: both are shown
        if rest is None or item.net is None or rest >= item.net:
            left = ZERO if rest is None or item.net is None else plus(rest, -item.net)
            earlier.remove(item)
            owner = visits[item.charge.lane, item.charge.visit]
            owner.items.remove(item)
            owner.credited += 1
            if rest is None or left == ZERO:
                return True
            rest = left
        else:
            item.net = plus(item.net, -rest)
            return True
    if rest is not None:
        credit.net = rest
    return False
