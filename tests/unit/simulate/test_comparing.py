"""The comparison finds every kind of falsehood; one that finds nothing where something is wrong would be worse than none."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from ophl7.simulate.comparing import Held, differences, wanted_patients
from ophl7.simulate.reading import Chart, Line
from ophl7.simulate.steps import ChargeIs, FieldIs, Merged, NoPatient, NoVisit, PatientIs, Side, VisitIs
from ophl7.simulate.truth import Document, Truth, counts

RUTH = PatientIs("PM:1", "DEMO-OAK", "RUTH", "20180412", "F", {"PID-11": "1 ELM ST"})
DOUBLE = PatientIs("PM:2", "DEMO-OAK", "RUTH", "20180412", "F", {})
GONE = PatientIs("PM:3", "DEMO-OAK", "LEO", "20190101", "M", {}, active=False)
FEE = ChargeIs("T1", "CG", "PM:2", "99213", ("25", "SL"), "1", "125.00")


def said() -> list[Document]:
    pm, emr = Truth("pm"), Truth("emr")
    pm.take([RUTH, DOUBLE, GONE])
    pm.take([VisitIs("V1", "PM:2", "20260105093000", "checked_out"), VisitIs("B1", None, "20260105120000", "booked")])
    pm.take([Merged("pm", "PM:2", "PM:1")])
    pm.charged([Line("T1", "CG")], Chart({"PM": "1", "EMR": "E1"}, {}))
    emr.take([FieldIs("PM:1", "PID-40", "SMS"), FieldIs("PM:2", "PID-40", "gone with the merge")])
    emr.take([FEE, ChargeIs("T2", "CG", "PM:1", "99070", (), "1", "", "rejected"), NoPatient("EMR:9"), NoVisit("X1")])
    emr.take([ChargeIs("T3", "PY", "PM:1", "COPAY", (), "1", "20.00", "held"), Merged("emr", "PM:2", "PM:1")])
    return [pm.document(), emr.document()]


def patient(number: str, given: str = "RUTH", **more: object) -> Document:
    return {
        "identifiers": [
            {"id": number, "authority": "PM", "type": "MR"},
            {"id": f"E{number}", "authority": "EMR", "type": "MR"},
        ],
        "name": {"family": "DEMO-OAK", "given": given, "middle": None},
        "birth_date": "2018-04-12",
        "sex": "F",
        "active": {"pm": True, "emr": True},
        "merged_into": {"pm": None, "emr": None},
        "provisional": False,
        "fields": {},
    } | more


def charge(transaction: str, state: str, **more: object) -> Document:
    return {
        "transaction_id": transaction,
        "kind": "CG",
        "patient": "PM:1",
        "procedure": "99213",
        "modifiers": [],
        "units": "1",
        "amount": "125.00",
        "state": state,
    } | more


def there() -> dict[str, Any]:
    merged = patient("2", active={"pm": False, "emr": False}, merged_into={"pm": "PM:1", "emr": "EMR:E1"})
    return {
        "patients": {
            "PM:1": patient("1", fields={"PID-11": "1 ELM ST", "PID-40": "SMS"}),
            "PM:2": merged,
            "PM:3": patient("3", "LEO", birth_date="2019-01-01", sex="M", active={"pm": False, "emr": True}),
            "EMR:9": None,
        },
        "appointments": [
            {"filler_id": "V1", "patient": "PM:1", "start": "2026-01-05T09:30:00-05:00", "status": "checked_out"},
            {"filler_id": "B1", "patient": None, "start": "2026-01-05T12:00:00-05:00", "status": "booked"},
        ],
        "charges": [
            charge("T1", "accepted", modifiers=["25", "SL"]),
            charge("T2", "rejected", procedure="99070", amount=None),
            charge("T3", "held", procedure="COPAY", amount="20.00", kind="PY"),
        ],
        "merges": [{"retired": "PM:2", "survivor": "PM:1", "state": "two_sided"}],
    }


def test_what_is_as_it_was_left_is_not_told() -> None:
    assert differences(said(), Held(**there())) == []
    assert wanted_patients(said()) == ["PM:1", "PM:2", "PM:3", "EMR:9"]
    assert counts(said()) == {"patients": 3, "appointments": 2, "charges": 3, "merges": 1}


def put(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    """Sets one place of what is there: `patients/PM:1/sex`."""

    def change(held: dict[str, Any]) -> None:
        *way, last = path.split("/")
        at: Any = held
        for part in way:
            at = at[int(part)] if isinstance(at, list) else at[part]
        at[int(last) if isinstance(at, list) else last] = value

    return change


def away(path: str) -> Callable[[dict[str, Any]], None]:
    def change(held: dict[str, Any]) -> None:
        name, number = path.split("/")
        del held[name][int(number)]

    return change


def twice(held: dict[str, Any]) -> None:
    held["charges"].append(held["charges"][0])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (put("patients/PM:1", None), "PM:1 is not known"),
        (put("patients/PM:1/name", {"family": "DEMO-OAK", "given": "ANN"}), "PM:1 has name"),
        (put("patients/PM:1/birth_date", "2018-04-13"), "PM:1 has birth_date"),
        (put("patients/PM:1/sex", "M"), "PM:1 has sex"),
        (put("patients/PM:1/fields/PID-11", "2 ELM ST"), "PM:1 has PID-11"),
        (put("patients/PM:1/fields/PID-40", "CALL"), "PM:1 has PID-40"),
        (put("patients/PM:1/provisional", True), "PM:1 is provisional"),
        (put("patients/PM:1/active/pm", False), "PM:1 is inactive"),
        (put("patients/PM:3/active/pm", True), "PM:3 is active"),
        (put("patients/PM:2/active/pm", True), "PM:2 is active"),
        (put("patients/PM:2/merged_into/pm", None), "PM:2 is merged into None"),
        (put("patients/PM:2/merged_into/emr", "PM:3"), "PM:2 is merged into PM:3"),
        (put("patients/EMR:9", patient("9")), "EMR:9 is found"),
        (away("appointments/0"), "appointment V1 is not known"),
        (put("appointments/0/status", "seen"), "appointment V1 is seen"),
        (put("appointments/0/start", "2026-01-05T10:30:00-05:00"), "appointment V1 is checked_out at 20260105103000"),
        (put("appointments/0/patient", "PM:3"), "appointment V1 is of PM:3"),
        (put("appointments/1/patient", "PM:1"), "appointment B1 is of PM:1"),
        (put("appointments/1/filler_id", "X1"), "appointment X1 is found"),
        (away("charges/0"), "charge T1 (CG) is there 0 times"),
        (twice, "charge T1 (CG) is there 2 times"),
        (put("charges/0/modifiers", ["SL", "25"]), "charge T1 (CG) has modifiers"),
        (put("charges/0/amount", "12.50"), "charge T1 (CG) has amount"),
        (put("charges/0/units", "2"), "charge T1 (CG) has units"),
        (put("charges/0/procedure", "99214"), "charge T1 (CG) has procedure"),
        (put("charges/0/state", "queued"), "charge T1 (CG) has state"),
        (put("charges/1/state", "accepted"), "charge T2 (CG) has state"),
        (put("charges/0/patient", "PM:3"), "charge T1 (CG) is of PM:3"),
        (put("merges/0/state", "one_sided"), "the merge of PM:2 into PM:1 is ['one_sided']"),
        (away("merges/0"), "the merge of PM:2 into PM:1 is []"),
    ],
)
def test_what_is_otherwise_is_told(change: Callable[[dict[str, Any]], None], told: str) -> None:
    held = copy.deepcopy(there())
    change(held)
    found = differences(said(), Held(**held))
    assert [one for one in found if one.startswith(told)], found


def test_a_charge_that_the_pm_never_got_or_should_not_have_got_is_told() -> None:
    pm, emr = said()
    pm["charges_received"] = [{"transaction_id": "T2", "kind": "CG", "patient": "PM:1"}]
    assert differences([pm, emr], Held(**there())) == [
        "charge T1 (CG) did not come to the PM",
        "charge T2 (CG) came to the PM and should not have",
    ]


@pytest.mark.parametrize("patient", [None, "PM:2", "PM:9"])
def test_a_charge_that_came_under_no_living_chart_of_the_pm_is_told(patient: str | None) -> None:
    pm, emr = said()
    pm["charges_received"][0]["patient"] = patient
    (told,) = differences([pm, emr], Held(**there()))
    assert told.startswith(f"charge T1 (CG) came under {patient}")


@pytest.mark.parametrize("alone", ["pm", "emr"])
def test_one_side_alone_says_nothing_about_what_arrived_at_the_other(alone: Side) -> None:
    (document,) = [one for one in said() if one["side"] == alone]
    held = there()
    held["merges"][0]["state"] = "one_sided"
    assert differences([document], Held(**held)) == []


def test_a_broker_without_a_list_of_merges_is_asked_by_its_patients() -> None:
    held = there() | {"merges": None}
    assert differences(said(), Held(**held)) == []
    held["patients"]["PM:2"]["merged_into"]["pm"] = None
    assert differences(said(), Held(**held)) != []


def test_the_newest_word_counts() -> None:
    truth = Truth("pm")
    truth.take([RUTH, VisitIs("V1", "PM:1", "20260105093000", "booked")])
    truth.take([VisitIs("V1", "PM:1", "20260105100000", "cancelled")])
    assert [(one["start"], one["status"]) for one in truth.document()["appointments"]] == [("20260105100000", "cancelled")]
