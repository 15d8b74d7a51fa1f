"""What is current: charges less their credits, until somebody notes a roll-up (decisions 5, #50)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ophl7.domain.current import AcceptedCharge, current


def accepted(number: int, amount: str = "100", kind: str = "CG", transaction: str = "T1", **more: object) -> AcceptedCharge:
    values: dict[str, object] = {
        "lane": 1, "subject": 1, "id": number, "message": number, "line": 0, "transaction_id": transaction, "kind": kind,
        "date": "20260105", "procedure": "99213", "modifiers": (), "units": "1", "diagnoses": (), "amount": amount,
        "visit": "V1", "verb": "void" if kind == "CD" else "new", "roll_up": None, "claim": None,
    }  # fmt: skip
    return AcceptedCharge(**(values | more))  # type: ignore[arg-type]


def left(*charges: AcceptedCharge) -> list[tuple[int, str | None]]:
    """Id and what is left of each charge that is current."""
    found = [item for visit in current(charges) for item in visit.items]
    return [(item.charge.id, None if item.net is None else format(item.net, "f")) for item in found]


@pytest.mark.parametrize(
    ("credit", "remains"),
    [
        ("100", []),
        ("-100.00", []),  # some send credits with a minus
        ("", []),  # a void without an amount takes back all
        ("30.5", [(1, "69.5")]),
        ("130", [(2, "-30")]),  # more than was charged: the rest is owed
    ],
)
def test_row_50_a_credit_is_taken_off_its_charge(credit: str, remains: list[tuple[int, str]]) -> None:
    assert left(accepted(1), accepted(2, credit, "CD")) == remains


def test_row_50_after_a_credit_the_new_charge_counts() -> None:
    assert left(accepted(1), accepted(2, "100", "CD"), accepted(3, "80")) == [(3, "80")]


def test_row_50_a_credit_touches_no_other_charge() -> None:
    others = (accepted(1, transaction="T2"), accepted(2, lane=2, subject=2), accepted(3, transaction=""))
    assert left(*others, accepted(4, "100", "CD"), accepted(5, "100", "CD", transaction="")) == [
        (1, "100"), (3, "100"), (4, "-100"), (5, "-100"), (2, "100"),
    ]  # fmt: skip


def test_without_an_amount_nobody_can_say_what_is_left() -> None:
    assert left(accepted(1, ""), accepted(2, "10", "CD")) == [(1, None), (2, "-10")]
    assert left(accepted(1, ""), accepted(2, "", "CD")) == []
    (visit,) = current([accepted(1, ""), accepted(2, "7")])
    assert (visit.sum.count, visit.sum.amount, visit.sum.without_amount) == (2, Decimal(7), 1)


def test_what_was_rolled_up_leaves_and_a_later_correction_shows_which_claim_it_corrects() -> None:
    rolled = accepted(1, roll_up=9, claim="C-9")
    assert left(rolled) == []
    (visit,) = current([rolled, accepted(2, "40", "CD"), accepted(3, "60")])
    assert [(item.charge.id, item.net, item.corrects) for item in visit.items] == [
        (2, Decimal(-40), rolled),
        (3, Decimal(60), rolled),
    ]
    assert visit.sum.amount == Decimal(20)


def test_visits_stand_apart_and_the_oldest_date_is_told() -> None:
    later = accepted(2, visit="V2", transaction="T2")
    first, second = current([accepted(1), later, accepted(3, date="20251231", transaction="T3"), accepted(4, "1", "CD", "T9")])
    assert (first.visit, first.oldest, first.sum.count) == ("V1", "20251231", 3)
    assert (second.visit, second.oldest) == ("V2", "20260105")


def test_a_correction_takes_the_place_of_its_charge_where_the_pm_takes_it_so_and_an_update_always() -> None:
    charge, changed = accepted(1, "100"), accepted(2, "80")
    assert [item.charge.id for visit in current([charge, changed]) for item in visit.items] == [1, 2]
    (visit,) = current([charge, changed], corrected=True)
    assert [(item.charge.id, item.net) for item in visit.items] == [(2, Decimal(80))]
    (visit,) = current([charge, accepted(3, "70", verb="update")])
    assert [item.charge.id for item in visit.items] == [3]


def test_row_52_a_payment_under_a_charges_number_is_nothing_to_bill_and_no_credit_or_correction_takes_it_back() -> None:
    paid = accepted(2, "20", "PY", verb="payment")
    assert left(paid) == []
    assert left(accepted(1), paid) == [(1, "100")]
    assert left(accepted(1), paid, accepted(3, "100", "CD")) == []


@pytest.mark.parametrize("verb", ["update", "new"])
def test_row_50_a_credit_of_the_correction_of_a_charge_in_a_claim_takes_the_claims_amount_back(verb: str) -> None:
    rolled, correction = accepted(1, roll_up=9, claim="C-9"), accepted(2, "150", verb=verb)
    visits = current([rolled, correction, accepted(3, "150", "CD")], corrected=True)
    ((found,),) = [visit.items for visit in visits]
    assert (found.charge.id, found.net, found.corrects) == (3, Decimal(-100), rolled)
    ((part,),) = [visit.items for visit in current([rolled, correction, accepted(3, "50", "CD")], corrected=True)]
    assert (part.charge.id, part.net, part.corrects) == (2, Decimal(100), rolled)


def test_row_50_a_claim_that_a_credit_has_taken_back_is_not_taken_back_once_more() -> None:
    charges = [accepted(1, roll_up=9), accepted(2, "100", "CD"), accepted(3, "80"), accepted(4, "80", "CD")]
    found = [item for visit in current(charges, corrected=True) for item in visit.items]
    assert [(one.charge.id, one.net) for one in found] == [(2, Decimal(-100))]
