"""Charges: what an FT1 says, what is wrong with it, and what makes it the same charge (decisions 5)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophl7.domain.charge import Charge, ChargeLine, clears, counting
from ophl7.domain.charge_reading import Fault, faults, is_number, read_charge, usable_ids
from ophl7.hl7v2.message import Message
from tests.unit.store.records import charge

HEADER = "MSH|^~\\&|A|B|C|D|20240301||DFT^P03|C1|P|2.5\rPID|1||7050\rPV1|1" + "|" * 18 + "V1^x\r"


def dft(*segments: str) -> Message:
    return Message.parse((HEADER + "\r".join(segments) + "\r").encode())


def lines(*segments: str) -> list[ChargeLine]:
    message = dft(*segments)
    return [read_charge(message, ft1, usable_ids(message)) for ft1 in message.all("FT1")]


def ft1(**fields: str) -> str:
    """An FT1 by field numbers (`f6="CG"`), complete unless said otherwise."""
    values = {"f1": "1", "f2": "T1", "f4": "20240301", "f6": "CG", "f7": "99213", "f10": "1", "f11": "142.00"} | fields
    return "|".join(["FT1", *(values.get(f"f{number}", "") for number in range(1, 27))]).rstrip("|")


def faults_of(*segments: str) -> list[Fault]:
    message = dft(*segments)
    found: list[Fault] = []
    for number, one in enumerate(message.all("FT1"), 1):
        found += faults(one, number, read_charge(message, one, usable_ids(message)))
    return found


def test_everything_that_is_billed_is_read() -> None:
    (line,) = lines(ft1(f2="T1^EMR", f6="cg", f19="Z00.129^Check~J06.9", f25="99213^Visit", f26="25~~59^x"))
    assert (line.transaction_id, line.kind, line.date, line.procedure) == ("T1", "CG", "20240301", "99213")
    assert (line.modifiers, line.diagnoses) == (("25", "59"), ("Z00.129", "J06.9"))
    assert (line.units, line.amount, line.visit, line.usable_id) == ("1", "142.00", "V1", True)


def test_the_procedure_is_ft1_25_else_the_first_pr1_else_ft1_7() -> None:
    assert lines(ft1(f25="A", f7="C"), "PR1|1||B")[0].procedure == "A"
    assert lines(ft1(f7="C"), "PR1|1", "PR1|2||B")[0].procedure == "B"
    assert lines(ft1(f7="C"), "NTE|1")[0].procedure == "C"
    assert lines(ft1(f7="C"), ft1(f1="2", f2="T2", f7="D"), "PR1|1||B")[0].procedure == "C"


@pytest.mark.parametrize(
    ("fields", "amount"),
    [
        ({"f11": "142.00", "f12": "1"}, "142.00"),
        ({"f11": "", "f12": "10.50", "f10": "3"}, "31.50"),
        ({"f11": "", "f12": "10.50", "f10": ""}, "10.50"),
        ({"f11": "", "f22": "7", "f10": "2"}, "14"),
        ({"f11": "x", "f12": "y"}, ""),
        ({"f11": ""}, ""),
        ({"f11": "", "f12": "0.0000001", "f10": "1"}, "0.0000001"),
        ({"f11": "-5.00"}, "-5.00"),
        ({"f11": "0"}, "0"),
    ],
)
def test_the_amount_is_the_extended_one_else_units_times_the_single_one(fields: dict[str, str], amount: str) -> None:
    assert lines(ft1(**fields))[0].amount == amount


@given(each=st.decimals(0, 10**6, places=4), units=st.integers(0, 1000))
def test_an_amount_never_has_an_exponent(each: Decimal, units: int) -> None:
    amount = lines(ft1(f11="", f12=f"{each:f}", f10=str(units)))[0].amount
    assert is_number(amount)
    assert "E" not in amount
    assert Decimal(amount) == each * units


# -- identity (#57) ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pairs", "usable"),
    [
        ([("1", "T1"), ("2", "T2")], {"T1", "T2"}),
        ([("1", "T1"), ("2", "")], {"T1"}),
        ([("1", "T1"), ("2", "T1")], set()),
        ([("1", "T1"), ("2", "T1"), ("3", "T2")], {"T2"}),
        ([("1", "1"), ("2", "2")], set()),
        ([("1", "1"), ("2", "T2")], {"1", "T2"}),
        ([("1", "1")], set()),
        ([("", "")], set()),
        ([], set()),
    ],
)
def test_an_ft1_2_identifies_a_charge_only_if_it_is_its_own(pairs: list[tuple[str, str]], usable: set[str]) -> None:
    message = dft(*(ft1(f1=number, f2=transaction) for number, transaction in pairs))
    assert usable_ids(message) == usable
    assert [read_charge(message, one, usable_ids(message)).usable_id for one in message.all("FT1")] == [
        transaction in usable for _, transaction in pairs
    ]


# -- content ----------------------------------------------------------------------------------------------------------


def content(*segments: str) -> bytes:
    return lines(*segments)[0].content


@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_set_id_transaction_batch_and_posting_date_are_no_content(number: int) -> None:
    assert content(ft1(**{f"f{number}": "other"})) == content(ft1())


@pytest.mark.parametrize("number", [4, *range(6, 27)])
def test_every_other_field_is_content(number: int) -> None:
    assert content(ft1(**{f"f{number}": "other"})) != content(ft1())


def test_the_pr1_and_nte_of_that_ft1_are_content_and_nothing_else_is() -> None:
    plain = content(ft1())
    with_procedure = content(ft1(), "PR1|1||B")
    assert len({plain, with_procedure, content(ft1(), "PR1|1||C"), content(ft1(), "NTE|1||note")}) == 4
    assert content(ft1(), "PR1|1||B", "ROL|1") == with_procedure
    assert content(ft1(), "GT1|1", "NTE|1||of the guarantor") == plain
    assert content(ft1(), ft1(f1="2", f2="T2"), "NTE|1||of the other") == plain


def test_trailing_separators_and_other_delimiters_are_no_difference() -> None:
    assert content(ft1() + "||||") == content(ft1())
    raw = dft(ft1(f25="99213^Visit")).raw.replace(b"^~\\&", b"$*!%").replace(b"99213^", b"99213$").replace(b"V1^x", b"V1$x")
    odd = Message.parse(raw.replace(b"DFT^P03", b"DFT$P03"))
    assert read_charge(odd, odd.all("FT1")[0], frozenset()).content == content(ft1(f25="99213^Visit"))


def test_a_move_of_content_between_fields_is_a_difference() -> None:
    assert content(ft1(f19="A", f20="")) != content(ft1(f19="", f20="A"))
    assert content(ft1(f4="", f6="20240301CG")) != content(ft1(f4="20240301", f6="CG"))


# -- faults (#41) -----------------------------------------------------------------------------------------------------


def test_a_complete_charge_has_no_fault() -> None:
    assert faults_of(ft1()) == []
    assert faults_of(ft1(f7="", f25="99213")) == []
    assert faults_of(ft1(f7=""), "PR1|1||99213") == []
    assert faults_of(ft1(f11="0"), ft1(f1="2", f2="T2", f11="-1")) == []


@pytest.mark.parametrize(
    ("fields", "error", "field"),
    [
        ({"f6": ""}, 101, 6),
        ({"f7": ""}, 101, 7),
        ({"f4": "20241301"}, 102, 4),
        ({"f4": "yesterday"}, 102, 4),
        ({"f10": "two"}, 102, 10),
        ({"f11": "1,50"}, 102, 11),
        ({"f12": "1e3"}, 102, 12),
        ({"f22": "NaN"}, 102, 22),
    ],
)
def test_each_fault_names_its_ft1_and_field(fields: dict[str, str], error: int, field: int) -> None:
    found = faults_of(ft1(f2="T0"), ft1(f1="2", **fields))
    assert [(one.error, one.segment, one.sequence, one.field) for one in found] == [(error, "FT1", 2, field)]


def test_all_faults_are_told_at_once_without_patient_data() -> None:
    found = faults_of(ft1(f4="Ada", f6="", f10="Rivers"))
    assert len(found) == 3
    assert not any(word in one.problem for one in found for word in ("Ada", "Rivers"))


@pytest.mark.parametrize("text", ["0", "12", "-1.50", "+3", ".5", "5.", "007"])
def test_numbers(text: str) -> None:
    assert is_number(text)


@pytest.mark.parametrize(
    "text", ["", "1e3", "Infinity", "NaN", "1,5", "1 2", "-", "+", ".", "--1", "1-", "\u0663", "\u00bd", "0x1", "1_0"]
)
def test_no_numbers(text: str) -> None:
    assert not is_number(text)


# -- which of several rows counts -------------------------------------------------------------------------------------


CHARGES = st.builds(
    lambda message, line, state: charge(message * 10 + line, 5, message=message, line=line, state=state),
    st.integers(1, 5),
    st.integers(0, 2),
    st.sampled_from(["held", "sent"]),
)


@given(st.lists(CHARGES, min_size=1, max_size=6, unique_by=lambda one: (one.message, one.line)), st.randoms())
def test_of_several_rows_the_same_one_counts_in_whichever_order_they_are_read(rows: list[Charge], dice: object) -> None:
    def chosen(order: list[Charge]) -> Charge:
        found: Charge | None = None
        for one in order:
            found = counting(found, one)
        assert found is not None
        return found

    sent = [one for one in rows if one.state == "sent"]
    expected = (
        max(sent, key=lambda one: (one.message, one.line)) if sent else min(rows, key=lambda one: (one.message, one.line))
    )
    shuffled = sorted(rows, key=lambda _one: dice.random())  # type: ignore[attr-defined]
    assert chosen(rows) == chosen(shuffled) == expected


def test_a_credit_clears_no_hold_and_an_id_that_is_nobodys_none_either() -> None:
    assert clears(lines(ft1())[0]) == "charge:T1"
    assert clears(lines(ft1(f6="CD"))[0]) == ""
    assert clears(lines(ft1(f2=""))[0]) == ""
