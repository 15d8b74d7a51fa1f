"""decisions 3, row by row, from socket to socket. The expectations are the table's, not the broker's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.acceptance.messages import OSCAR, RUTH, RUTH_IN_EMR, Fee, Person, Side, Visit, adt, dft, siu
from tests.acceptance.practice import EMR_OWNS, PM_OWNS, SETUPS, SPLIT, Opening, Practice, other
from tests.acceptance.replies import VERSIONS, assert_refused

pytestmark = pytest.mark.timeout(30)

REGISTRATIONS = ("A28", "A04", "A05", "A01")
PM_OWNS_PATIENTS = (PM_OWNS, SPLIT)
MOVED = replace(RUTH, street="9 NEW RD")
ALLERGY = "AL1|1|DA|PCN^PENICILLIN|SV|HIVES"
INSURANCE = "IN1|1|PLAN^HMO|77|ACME HEALTH"
# A patient whom both sides know: the PM's id and the EMR's.
RUTH_OF_BOTH = replace(RUTH, ids="7050^^^PM^MR~E-50^^^EMR^MR")


def known_as(practice: Practice, who: Person) -> Person:
    """How the owner of the patients writes somebody whom both sides know."""
    emr_id = who.id.replace("70", "E-")
    return replace(who, ids=f"{who.id}^^^PM^MR~{emr_id}^^^EMR^MR")


async def register(practice: Practice, *people: Person) -> None:
    """The owner announces them, with the ids of both sides, and the other side has its copy."""
    for number, who in enumerate(people):
        announced = adt(f"REG{number}", "A28", known_as(practice, who), sender=practice.patients)
        await practice.accepted(practice.patients, announced)
        await practice.assert_relayed(announced, "emr" if practice.patients == "pm" else "pm")


def not_the_owner(practice: Practice) -> Side:
    return "emr" if practice.patients == "pm" else "pm"


# -- 1 --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trigger", REGISTRATIONS)
@pytest.mark.parametrize("setup", PM_OWNS_PATIENTS)
async def test_row_1_the_pm_registers_a_patient__pm_owns(opened: Opening, setup: str, trigger: str) -> None:
    practice = await opened(setup)
    sent = adt("A1", trigger, RUTH, "ZPI|1|kept|as^it~is\\E\\")
    reply = await practice.accepted("pm", sent)
    assert reply.faults == ()
    assert practice.decided("A1") == ("accepted", "#1")
    assert practice.field("7050", "PID-5") == "ADAMSKI^RUTH"
    await practice.assert_relayed(sent, "emr")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("trigger", REGISTRATIONS)
async def test_row_1_the_pm_may_not_register_a_patient__emr_owns(opened: Opening, trigger: str, version: str) -> None:
    practice = await opened(EMR_OWNS)
    sent = adt("A1", trigger, version=version)
    assert_refused(await practice.send("pm", sent), "AE", "P01", 204 if version == "2.3.1" else 207)
    assert practice.decided("A1") == ("rejected", "#1")
    assert practice.patient("7050") is None
    practice.assert_kept_back(sent)


# -- 2 --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", PM_OWNS_PATIENTS)
async def test_row_2_a_registration_of_a_known_patient_is_an_update__pm_owns(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    await register(practice, RUTH)
    sent = adt("A2", "A04", MOVED)
    await practice.accepted("pm", sent)
    assert practice.decided("A2") == ("accepted", "#4")
    assert practice.count("patient") == 1
    assert practice.field("7050", "PID-11") == "9 NEW RD^^SPRINGFIELD^NY^12345"
    await practice.assert_relayed(sent, "emr")


async def test_row_2_a_registration_of_a_known_patient_is_stripped__emr_owns(opened: Opening) -> None:
    practice = await opened(EMR_OWNS)
    await register(practice, RUTH)
    sent = adt("A2", "A04", MOVED, version="2.5.1")
    reply = await practice.accepted("pm", sent)
    assert reply.warnings == ["W01"]
    assert practice.state("A2") == "accepted"
    assert practice.field("7050", "PID-11") == "1 ELM ST^^SPRINGFIELD^NY^12345"
    assert [field for field, _, _ in practice.drift()] == ["PID-11"]
    practice.assert_kept_back(sent)


# -- 3 --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trigger", ["A08", "A31"])
@pytest.mark.parametrize("setup", PM_OWNS_PATIENTS)
async def test_row_3_an_update_that_says_enough_creates_the_patient__pm_owns(opened: Opening, setup: str, trigger: str) -> None:
    practice = await opened(setup)
    sent = adt("A3", trigger)
    await practice.accepted("pm", sent)
    assert practice.decided("A3") == ("accepted", "#3")
    assert practice.patient("7050") is not None
    await practice.assert_relayed(sent, "emr")


@pytest.mark.parametrize("missing", ["family", "birth", "sex"])
async def test_row_3_an_update_that_says_too_little_waits_for_the_registration__pm_owns(opened: Opening, missing: str) -> None:
    practice = await opened(PM_OWNS)
    vague = replace(MOVED, given="", family="") if missing == "family" else replace(MOVED, **{missing: ""})
    update, registration = adt("A3", "A08", vague, sent="20260105080500"), adt("A4", "A28")
    if missing == "family":
        update = update.replace(b"|^|", b"||")
    await practice.accepted("pm", update)
    assert practice.decided("A3") == ("held", "#3")
    assert practice.holds() == ["patient:PM:7050"]
    assert practice.patient("7050") is None
    practice.assert_kept_back(update)
    await practice.accepted("pm", registration)
    assert practice.state("A3") == "accepted"
    assert practice.holds() == []
    assert practice.field("7050", "PID-11") == "9 NEW RD^^SPRINGFIELD^NY^12345"
    await practice.assert_relayed(update, "emr")
    await practice.assert_relayed(registration, "emr")
    order = [payload.split(b"|", 9)[8] for payload in practice.desk["emr"].payloads]
    assert order == [b"ADT^A28", b"ADT^A08"]


@pytest.mark.parametrize("trigger", ["A08", "A31"])
async def test_row_3_an_update_of_the_pm_waits_until_the_emr_announces_the_patient__emr_owns(
    opened: Opening, trigger: str
) -> None:
    practice = await opened(EMR_OWNS)
    update = adt("A3", trigger)
    await practice.accepted("pm", update)
    assert practice.decided("A3") == ("held", "#3")
    assert practice.holds() == ["patient:PM:7050"]
    practice.assert_kept_back(update)
    announced = adt("B3", "A28", RUTH_OF_BOTH, sender="emr")
    await practice.accepted("emr", announced)
    assert practice.state("A3") in {"accepted", "ignored"}
    assert practice.holds() == []
    await practice.assert_relayed(announced, "pm")
    practice.assert_kept_back(update)


# -- 4 --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", PM_OWNS_PATIENTS)
async def test_row_4_the_owners_fields_are_taken_and_the_other_sides_kept__pm_owns(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    await register(practice, RUTH)
    await practice.accepted("emr", adt("B4", "A08", RUTH_IN_EMR, ALLERGY, sender="emr"))
    assert practice.field("7050", "AL1") == ALLERGY
    sent = adt("A4", "A08", MOVED, INSURANCE)
    await practice.accepted("pm", sent)
    assert practice.decided("A4") == ("accepted", "#4")
    assert practice.field("7050", "PID-11") == "9 NEW RD^^SPRINGFIELD^NY^12345"
    assert practice.field("7050", "IN1") == INSURANCE
    assert practice.field("7050", "AL1") == ALLERGY
    await practice.assert_relayed(sent, "emr")


async def test_row_4_the_owners_fields_are_taken_and_the_other_sides_kept__emr_owns(opened: Opening) -> None:
    practice = await opened(EMR_OWNS)
    await register(practice, RUTH)
    await practice.accepted("pm", adt("A4", "A08", RUTH, INSURANCE))
    assert practice.field("7050", "IN1") == INSURANCE  # the PM bills: insurance stays its own
    sent = adt("B4", "A08", replace(MOVED, ids=known_as(practice, RUTH).ids), sender="emr")
    await practice.accepted("emr", sent)
    assert practice.decided("B4") == ("accepted", "#4")
    assert practice.field("7050", "PID-11") == "9 NEW RD^^SPRINGFIELD^NY^12345"
    assert practice.field("7050", "IN1") == INSURANCE
    await practice.assert_relayed(sent, "pm")


async def test_row_4_where_the_owner_sends_what_it_does_not_own_the_others_value_leaves__pm_owns(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    await register(practice, RUTH)
    await practice.accepted("emr", adt("B4", "A08", RUTH_IN_EMR, ALLERGY, sender="emr"))
    outdated = "AL1|1|DA|NKA^NONE KNOWN"
    sent = adt("A4", "A08", MOVED, outdated, "ZZZ|1|mine")
    await practice.accepted("pm", sent)
    assert practice.field("7050", "AL1") == ALLERGY
    payload = await practice.copy_of(sent, "emr")
    assert payload.split(b"\r")[1:] == sent.replace(outdated.encode(), ALLERGY.encode()).split(b"\r")[1:]


async def test_row_4_an_empty_field_is_no_deletion_and_the_delete_indicator_is__any(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    await register(practice, RUTH)
    assert practice.field("7050", "PID-13") is not None
    silent = adt("A4", "A08", MOVED).replace(b"^PRN^PH^^1^555^0100", b"")
    await practice.accepted("pm", silent)
    assert practice.field("7050", "PID-13") == "^PRN^PH^^1^555^0100"
    deleting = adt("A5", "A08", MOVED).replace(b"^PRN^PH^^1^555^0100", b'""')
    await practice.accepted("pm", deleting)
    assert practice.field("7050", "PID-13") is None
    await practice.assert_relayed(deleting, "emr")


# -- 5 --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", PM_OWNS_PATIENTS)
async def test_row_5_the_emrs_edit_is_stripped_to_its_own_fields__pm_owns(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    await register(practice, RUTH)
    sent = adt("B5", "A08", replace(MOVED, ids="E-50^^^EMR^MR", race="2106-3"), ALLERGY, sender="emr", version="2.5.1")
    reply = await practice.accepted("emr", sent)
    assert reply.warnings == ["W01"]
    assert practice.state("B5") == "accepted"
    assert practice.field("7050", "PID-11") == "1 ELM ST^^SPRINGFIELD^NY^12345"
    assert practice.field("7050", "AL1") == ALLERGY  # the EMR's own
    assert practice.field("7050", "PID-10") == "2106-3"  # shared, and blank until now
    assert practice.drift() == [("PID-11", "9 NEW RD^^SPRINGFIELD^NY^12345", "1 ELM ST^^SPRINGFIELD^NY^12345")]
    practice.assert_kept_back(sent)


async def test_row_5_the_pms_edit_is_stripped_to_its_own_fields__emr_owns(opened: Opening) -> None:
    practice = await opened(EMR_OWNS)
    await register(practice, RUTH)
    sent = adt("A5", "A08", MOVED, INSURANCE, version="2.5.1")
    reply = await practice.accepted("pm", sent)
    assert reply.warnings == ["W01"]
    assert practice.field("7050", "PID-11") == "1 ELM ST^^SPRINGFIELD^NY^12345"
    assert practice.field("7050", "IN1") == INSURANCE
    practice.assert_kept_back(sent)


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_5_before_2_5_a_stripped_edit_is_answered_without_an_err__any(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    await register(practice, RUTH)
    side = not_the_owner(practice)
    reply = await practice.accepted(side, adt("X5", "A08", known_as(practice, MOVED), sender=side, version="2.3.1"))
    assert reply.faults == ()
    assert [field for field, _, _ in practice.drift()] == ["PID-11"]


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_5_an_echo_is_ignored__any(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    await register(practice, RUTH)
    side = not_the_owner(practice)
    echo = adt("X5", "A08", known_as(practice, RUTH), sender=side, version="2.5.1")
    reply = await practice.accepted(side, echo)
    assert reply.faults == ()
    assert practice.state("X5") == "ignored"
    assert practice.drift() == []
    practice.assert_kept_back(echo)


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_5_blank_fields_of_the_other_side_say_nothing__any(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    await register(practice, RUTH)
    side = not_the_owner(practice)
    authority = side.upper()
    number = {"pm": "7050", "emr": "E-50"}[side]
    blank = adt("X5", "A08", sender=side).split(b"PID|")[0] + f"PID|1||{number}^^^{authority}^MR\r".encode()
    await practice.accepted(side, blank)
    assert practice.state("X5") == "ignored"
    assert practice.drift() == []
    assert practice.field("7050", "PID-5") == "ADAMSKI^RUTH"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_5_foreign_fields_may_be_refused__any(opened: Opening, setup: str, version: str) -> None:
    practice = await opened(setup, FOREIGN_FIELDS="reject")
    await register(practice, RUTH)
    side = not_the_owner(practice)
    sent = adt("X5", "A08", known_as(practice, MOVED), sender=side, version=version)
    assert_refused(await practice.send(side, sent), "AE", "P02", 207)
    assert practice.decided("X5") == ("rejected", "#5")
    assert practice.field("7050", "PID-11") == "1 ELM ST^^SPRINGFIELD^NY^12345"
    practice.assert_kept_back(sent)


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_5_foreign_fields_may_be_held__any(opened: Opening, setup: str) -> None:
    practice = await opened(setup, FOREIGN_FIELDS="hold")
    await register(practice, RUTH)
    side = not_the_owner(practice)
    sent = adt("X5", "A08", known_as(practice, MOVED), sender=side)
    await practice.accepted(side, sent)
    assert practice.decided("X5") == ("held", "#5")
    assert practice.field("7050", "PID-11") == "1 ELM ST^^SPRINGFIELD^NY^12345"
    practice.assert_kept_back(sent)


# -- 6 --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("trigger", [*REGISTRATIONS, "A08", "A31"])
async def test_row_6_the_emr_may_not_create_a_patient__pm_owns(opened: Opening, trigger: str, version: str) -> None:
    practice = await opened(PM_OWNS)
    sent = adt("B6", trigger, RUTH_IN_EMR, sender="emr", version=version)
    assert_refused(await practice.send("emr", sent), "AE", "P01", 204 if version == "2.3.1" else 207)
    assert practice.decided("B6") == ("rejected", "#6")
    assert practice.patient("E-50", "EMR") is None
    practice.assert_kept_back(sent)


@pytest.mark.parametrize("trigger", [*REGISTRATIONS, "A08", "A31"])
async def test_row_6_the_emr_creates_a_patient__emr_owns(opened: Opening, trigger: str) -> None:
    practice = await opened(EMR_OWNS)
    sent = adt("B6", trigger, RUTH_IN_EMR, "ZEM|own", sender="emr")
    await practice.accepted("emr", sent)
    assert practice.decided("B6") == ("accepted", "#6")
    assert practice.field("E-50", "PID-5", "EMR") == "ADAMSKI^RUTH"
    await practice.assert_relayed(sent, "pm")


async def test_row_6_the_emrs_chart_id_is_learned_beside_a_known_one__pm_owns(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    await practice.accepted("pm", adt("A1", "A28"))
    await practice.accepted("emr", adt("B6", "A28", RUTH_OF_BOTH, sender="emr"))
    by_pm, by_emr = practice.patient("7050"), practice.patient("E-50", "EMR")
    assert by_pm is not None
    assert by_emr is not None
    assert by_pm["id"] == by_emr["id"]
    assert practice.count("patient") == 1


# -- 7 --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"given": "MARIA"}, {"sex": "M"}])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_7_another_birth_date_with_another_given_name_or_sex_is_held__any(
    opened: Opening, setup: str, change: dict[str, str]
) -> None:
    practice = await opened(setup)
    await register(practice, RUTH)
    side = practice.patients
    other_child = replace(known_as(practice, RUTH), birth="20210930", **change)
    sent = adt("X7", "A08", other_child, sender=side)
    await practice.accepted(side, sent)
    assert practice.decided("X7") == ("held", "#7")
    assert [key.partition(":")[0] for key in practice.holds()] == ["demographics"]
    assert practice.field("7050", "PID-7") == "20180412"
    practice.assert_kept_back(sent)


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_7_delays_later_adt_of_that_patient_and_nothing_else__any(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    await register(practice, RUTH, OSCAR)
    side = practice.patients
    await practice.accepted(side, adt("X7", "A08", replace(known_as(practice, RUTH), birth="20210930", sex="M"), sender=side))
    later = adt("X8", "A08", known_as(practice, MOVED), sender=side)
    neighbour = adt("X9", "A08", known_as(practice, replace(OSCAR, street="3 PINE CT")), sender=side)
    charge = dft("C1")
    await practice.accepted(side, later, neighbour)
    await practice.accepted("emr", charge)
    assert [practice.state(number) for number in ("X7", "X8", "X9", "C1")] == ["held", "held", "accepted", "accepted"]
    practice.assert_kept_back(later)
    assert practice.field("7050", "PID-11") == "1 ELM ST^^SPRINGFIELD^NY^12345"


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_7_a_corrected_birth_date_alone_is_taken__any(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    await register(practice, RUTH)
    side = practice.patients
    sent = adt("X7", "A08", replace(known_as(practice, RUTH), birth="20180421"), sender=side)
    await practice.accepted(side, sent)
    assert practice.state("X7") == "accepted"
    assert practice.field("7050", "PID-7") == "20180421"


# -- 10 -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["registration", "adt", "siu", "dft"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_10_ids_of_two_patients_in_one_message_are_a_persons_to_settle__any(
    opened: Opening, setup: str, kind: str
) -> None:
    practice = await opened(setup)
    await register(practice, RUTH, OSCAR)
    both = replace(RUTH, ids="7050^^^PM^MR~7051^^^PM^MR")
    sides: dict[str, Side] = {
        "registration": other(practice.patients),
        "adt": practice.patients,
        "siu": practice.schedule,
        "dft": "emr",
    }
    side = sides[kind]
    sent = {
        "registration": adt("X10", "A28", both, sender=side),
        "adt": adt("X10", "A08", both, sender=side),
        "siu": siu("X10", "S12", who=both, sender=side),
        "dft": dft("X10", who=both, sender=side),
    }[kind]
    await practice.accepted(side, sent)
    assert practice.decided("X10") == ("held", "#10")
    assert practice.holds() == ["identity:PM:7050"]
    practice.assert_kept_back(sent)
    after = adt("X11", "A08", known_as(practice, MOVED), sender=practice.patients)
    await practice.accepted(practice.patients, after)
    assert practice.state("X11") == "accepted"  # that message only


# -- 11 -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["key", "name", "birth", "sex"])
@pytest.mark.parametrize("side", ["pm", "emr"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_11_deleting_what_identifies_a_patient_is_held__any(
    opened: Opening, setup: str, side: Side, what: str
) -> None:
    practice = await opened(setup)
    await register(practice, RUTH)
    whole = adt("X11", "A08", known_as(practice, RUTH), sender=side)
    old, new = {
        "key": (known_as(practice, RUTH).pid_3, '""'),
        "name": ("|ADAMSKI^RUTH|", '|""|'),
        "birth": ("|20180412|", '|""|'),
        "sex": ("|F|", '|""|'),
    }[what]
    sent = whole.replace(old.encode(), new.encode())
    assert sent != whole
    await practice.accepted(side, sent)
    assert practice.decided("X11") == ("held", "#11")
    assert [key.partition(":")[0] for key in practice.holds()] == ["demographics"]
    assert practice.field("7050", "PID-5") == "ADAMSKI^RUTH"
    practice.assert_kept_back(sent)


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_11_delays_later_adt_of_that_patient__any(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    await register(practice, RUTH)
    side = practice.patients
    deleting = adt("X11", "A08", known_as(practice, RUTH), sender=side).replace(b"|ADAMSKI^RUTH|", b'|""|')
    later = adt("X12", "A08", known_as(practice, MOVED), sender=side)
    await practice.accepted(side, deleting, later)
    assert practice.state("X12") == "held"
    practice.assert_kept_back(later)


# -- 15 -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("side", ["pm", "emr"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_15_a_patient_without_a_key_id_is_refused__any(opened: Opening, setup: str, side: Side, version: str) -> None:
    practice = await opened(setup)
    for number, ids in enumerate(["", "999-99-9999^^^USSSA^SS", "12^^^PM^DL~13^^^PM^AN"]):
        sent = adt(f"X{number}", "A04", replace(RUTH, ids=ids), sender=side, version=version)
        assert_refused(await practice.send(side, sent), "AE", "", 101)
        assert practice.decided(f"X{number}") == ("rejected", "#15")
        practice.assert_kept_back(sent)
    assert practice.count("patient") == 0


async def test_row_15_pid_2_names_the_patient_where_pid_3_does_not__any(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    sent = adt("A15", "A04", replace(RUTH, ids="")).replace(b"PID|1||", b"PID|1|7050|")
    await practice.accepted("pm", sent)
    assert practice.patient("7050") is not None
    await practice.assert_relayed(sent, "emr")


# -- 16 -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["adt of the other side", "siu", "dft"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_16_birth_date_and_name_against_the_registry_are_held__any(opened: Opening, setup: str, kind: str) -> None:
    practice = await opened(setup)
    await register(practice, RUTH)
    wrong = replace(known_as(practice, RUTH), given="OSCAR", birth="20150930")
    side: Side = {"adt": not_the_owner(practice), "siu": practice.schedule, "dft": "emr"}[kind[:3]]
    sent = {
        "adt": adt("X16", "A08", wrong, sender=side),
        "siu": siu("X16", "S12", who=wrong, sender=side),
        "dft": dft("X16", who=wrong),
    }[kind[:3]]
    await practice.accepted(side, sent)
    assert practice.decided("X16") == ("held", "#16")
    assert practice.holds() == ["identity:PM:7050"]
    practice.assert_kept_back(sent)


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_16_holds_for_the_owners_adt_with_another_family_name_too__any(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    await register(practice, RUTH)
    side = practice.patients
    sent = adt("X16", "A08", replace(known_as(practice, RUTH), family="BERGER", birth="20150930"), sender=side)
    await practice.accepted(side, sent)
    assert practice.decided("X16") == ("held", "#16")
    assert practice.field("7050", "PID-7") == "20180412"
    practice.assert_kept_back(sent)


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_16_one_contradiction_alone_is_no_wrong_patient__any(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    await register(practice, RUTH)
    for number, who in enumerate([replace(RUTH, given="RUTHIE"), replace(RUTH, birth="20180421")]):
        await practice.accepted("emr", dft(f"C{number}", [Fee(id=f"T-{number}")], known_as(practice, who)))
        assert practice.state(f"C{number}") == "accepted"


# -- twins, and a shared number -------------------------------------------------------------------------------------------


async def test_section_2_only_identifiers_match__twins_and_a_shared_social_security_number(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    shared = "~999-99-9999^^^USSSA^SS"
    twins = [replace(RUTH, id=f"706{n}", ids=f"706{n}^^^PM^MR{shared}", given=f"TWIN{n}") for n in (1, 2)]
    await practice.accepted("pm", *[adt(f"A{twin.id}", "A28", twin) for twin in twins])
    assert practice.count("patient") == 2
    await practice.accepted("pm", siu("S1", "S12", Visit("S-1"), twins[1]))
    booked, second = practice.appointment("S-1"), practice.patient("7062")
    assert booked is not None
    assert second is not None
    assert booked["patient"] == second["id"]


# -- go-live (decisions 2) ------------------------------------------------------------------------------------------------

LEARNING = {"LEARN_UNTIL": "9999-12-30"}
OVER = {"LEARN_UNTIL": "2020-01-01"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("setup", SETUPS)
async def test_go_live_a_charge_of_somebody_unknown_makes_a_provisional_patient_and_is_forwarded__any(
    opened: Opening, setup: str, version: str
) -> None:
    practice = await opened(setup, **LEARNING)
    who = known_as(practice, RUTH)
    first, second = dft("C1", [Fee("T-1")], who, version=version), dft("C2", [Fee("T-2")], who, version=version)
    for sent in (first, second):
        reply = await practice.accepted("emr", sent)
        assert reply.warnings == ([""] if version == "2.5.1" else [])
        await practice.assert_relayed(sent, "pm")
    patient = practice.patient("7050")
    assert patient is not None
    assert patient["provisional"] == 1
    assert set(patient["fields"]) == {"PID-5", "PID-7", "PID-8"}
    await practice.accepted(practice.patients, adt("R1", "A28", who, sender=practice.patients))
    confirmed = practice.patient("7050")
    assert confirmed is not None
    assert confirmed["provisional"] == 0
    assert (await practice.accepted("emr", dft("C3", [Fee("T-3")], who, version=version))).faults == ()


@pytest.mark.parametrize("trigger", ["A28", "A04", "A08", "A03"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_go_live_the_other_side_introduces_patients_by_any_adt__any(opened: Opening, setup: str, trigger: str) -> None:
    practice = await opened(setup, **LEARNING)
    side = other(practice.patients)
    await practice.accepted(side, adt("A1", trigger, known_as(practice, RUTH), sender=side))
    assert practice.state("A1") == "accepted"
    patient = practice.patient("7050")
    assert patient is not None
    assert patient["provisional"] == 1
    practice.assert_kept_back(adt("A1", trigger))


@pytest.mark.parametrize("lacking", ["authority", "birth"])
async def test_go_live_nobody_is_learned_without_the_owners_id_or_with_too_little_said__pm_owns(
    opened: Opening, lacking: str
) -> None:
    practice = await opened(PM_OWNS, **LEARNING)
    who = RUTH_IN_EMR if lacking == "authority" else replace(RUTH, birth="")
    await practice.accepted("emr", dft("C1", [Fee("T-1")], who))
    assert practice.decided("C1") == ("held", "#43")
    assert practice.count("patient") == 0


@pytest.mark.parametrize("setup", SETUPS)
async def test_go_live_is_over_after_its_last_day__any(opened: Opening, setup: str) -> None:
    practice = await opened(setup, **OVER)
    await practice.accepted("emr", dft("C1", [Fee("T-1")], known_as(practice, RUTH)))
    assert practice.decided("C1") == ("held", "#43")
    side = other(practice.patients)
    assert (await practice.send(side, adt("A1", "A28", known_as(practice, RUTH), sender=side))).code == "AE"


# -- 9, 12, 13 ------------------------------------------------------------------------------------------------------------

GONE = "20260105120000"


async def inactivated(opened: Opening, setup: str) -> Practice:
    """A practice whose owner of patients has deleted Ruth's chart."""
    practice = await opened(setup)
    await register(practice, RUTH)
    side = practice.patients
    gone = adt("GONE", "A29", known_as(practice, RUTH), sender=side, sent=GONE)
    await practice.accepted(side, gone)
    assert practice.decided("GONE") == ("accepted", "#12")
    await practice.assert_relayed(gone, other(side))
    assert inactive(practice, side)
    return practice


def inactive(practice: Practice, side: Side) -> bool:
    patient = practice.patient("7050")
    assert patient is not None
    return patient[f"inactive_{side}"] is not None


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_12_a_deleted_patient_is_inactive_on_that_side_and_never_removed__any(opened: Opening, setup: str) -> None:
    practice = await inactivated(opened, setup)
    assert not inactive(practice, other(practice.patients))
    assert practice.field("7050", "PID-5") == "ADAMSKI^RUTH"
    again = adt("GONE2", "A29", known_as(practice, RUTH), sender=practice.patients, sent="20260105120100")
    await practice.accepted(practice.patients, again)
    assert practice.decided("GONE2") == ("ignored", "#12")


@pytest.mark.parametrize("open_business", ["appointment", "charge that waits", "charge without an answer"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_12_nobody_is_inactivated_while_something_is_open__any(
    opened: Opening, setup: str, open_business: str
) -> None:
    practice = await opened(setup)
    await register(practice, RUTH)
    who = known_as(practice, RUTH)
    if open_business == "appointment":
        await practice.accepted(
            practice.schedule, siu("S1", "S12", Visit(start="20990105093000"), who, sender=practice.schedule)
        )
    elif open_business == "charge that waits":
        await practice.accepted("emr", dft("C1", [Fee("T-1", kind="PY")], who))
    else:
        await practice.desk["pm"].stop()
        await practice.accepted("emr", dft("C1", [Fee("T-1")], who))
    await practice.accepted(practice.patients, adt("GONE", "A29", who, sender=practice.patients, sent=GONE))
    assert practice.decided("GONE") == ("held", "#12")
    assert not inactive(practice, practice.patients)
    practice.assert_kept_back(adt("GONE", "A29"))
    later = adt("U1", "A08", replace(who, street="9 NEW RD"), sender=practice.patients, sent="20260105120500")
    await practice.accepted(practice.patients, later)
    assert practice.state("U1") == "accepted"  # that message only


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_12_what_is_over_or_answered_is_not_open__any(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    await register(practice, RUTH)
    who, side = known_as(practice, RUTH), practice.schedule
    coming = Visit(start="20990105093000")
    await practice.accepted(side, siu("S1", "S12", Visit("S-1", start="20200105093000"), who, sender=side))
    await practice.accepted(side, siu("S2", "S12", coming, who, sender=side))
    await practice.accepted(side, siu("S3", "S15", replace(coming, status=""), who, sender=side, sent="20260105080100"))
    charge = dft("C1", [Fee("T-1")], who)
    await practice.accepted("emr", charge)
    await practice.copy_of(charge, "pm")
    await practice.accepted(practice.patients, adt("GONE", "A29", who, sender=practice.patients, sent=GONE))
    assert practice.decided("GONE") == ("accepted", "#12")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_13_the_other_side_may_not_delete_patients__any(
    opened: Opening, setup: str, known: bool, version: str
) -> None:
    practice = await opened(setup)
    if known:
        await register(practice, RUTH)
    side = other(practice.patients)
    sent = adt("GONE", "A29", known_as(practice, RUTH), sender=side, version=version)
    assert_refused(await practice.send(side, sent), "AE", "P03", 207)
    assert practice.decided("GONE") == ("rejected", "#13")
    practice.assert_kept_back(sent)


@pytest.mark.parametrize("trigger", REGISTRATIONS)
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_9_a_registration_uses_an_inactive_chart_again__any(opened: Opening, setup: str, trigger: str) -> None:
    practice = await inactivated(opened, setup)
    side = practice.patients
    reply = await practice.accepted(
        side, adt("BACK", trigger, known_as(practice, RUTH), sender=side, version="2.5.1", sent="20260106080000")
    )
    assert practice.decided("BACK") == ("accepted", "#9")
    assert reply.warnings == [""]
    assert not inactive(practice, side)


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_9_a_booking_uses_an_inactive_chart_again__any(opened: Opening, setup: str) -> None:
    practice = await inactivated(opened, setup)
    side = practice.schedule
    await practice.accepted(side, siu("S1", "S12", Visit(), known_as(practice, RUTH), sender=side, sent="20260106080000"))
    assert practice.decided("S1") == ("accepted", "#9")
    assert not inactive(practice, practice.patients)


@pytest.mark.parametrize("trigger", ["A08", "A31"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_9_an_update_leaves_the_chart_inactive__any(opened: Opening, setup: str, trigger: str) -> None:
    practice = await inactivated(opened, setup)
    side = practice.patients
    await practice.accepted(
        side, adt("U1", trigger, replace(known_as(practice, RUTH), street="9 NEW RD"), sender=side, sent="20260106080000")
    )
    assert practice.state("U1") == "accepted"
    assert inactive(practice, side)


# -- 14, 17, 18 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trigger", ["A24", "A37"])
@pytest.mark.parametrize("side", ["pm", "emr"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_14_links_are_noted__any(opened: Opening, setup: str, side: Side, trigger: str) -> None:
    practice = await opened(setup)
    await register(practice, RUTH, OSCAR)
    sent = adt("L1", trigger, known_as(practice, RUTH), "PID|2||7051^^^PM^MR", sender=side)
    await practice.accepted(side, sent)
    assert practice.decided("L1") == ("ignored", "#14")
    assert practice.merges() == []
    practice.assert_kept_back(sent)


@pytest.mark.parametrize("trigger", ["A11", "A23", "A38"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_17_undoing_a_visit_leaves_the_patient_alone__any(opened: Opening, setup: str, trigger: str) -> None:
    practice = await opened(setup)
    await register(practice, RUTH)
    side = practice.patients
    sent = adt("V1", trigger, replace(known_as(practice, RUTH), street="9 NEW RD"), "PV1|1|O", sender=side)
    await practice.accepted(side, sent)
    assert practice.decided("V1") == ("accepted", "#17")
    assert practice.field("7050", "PID-11") == "1 ELM ST^^SPRINGFIELD^NY^12345"
    assert not inactive(practice, side)
    await practice.assert_relayed(sent, other(side))


VISITS = ("A02", "A03", "A06", "A07", "A09", "A10", "A12", "A13", "A14", "A21", "A25", "A54", "A60", "A61", "A99")


@pytest.mark.parametrize("trigger", VISITS)
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_18_any_other_event_of_the_owner_updates_the_patient_and_its_visit_is_noted__any(
    opened: Opening, setup: str, trigger: str
) -> None:
    practice = await opened(setup)
    await register(practice, RUTH)
    side = practice.patients
    sent = adt("V1", trigger, replace(known_as(practice, RUTH), street="9 NEW RD"), "PV1|1|O", sender=side)
    await practice.accepted(side, sent)
    assert practice.decided("V1") == ("accepted", "#18")
    assert practice.field("7050", "PID-11") == "9 NEW RD^^SPRINGFIELD^NY^12345"
    await practice.assert_relayed(sent, other(side))


@pytest.mark.parametrize("trigger", ["A02", "A03", "A60"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_18_of_the_other_side_is_stripped_as_an_update__any(opened: Opening, setup: str, trigger: str) -> None:
    practice = await opened(setup)
    await register(practice, RUTH)
    side = other(practice.patients)
    sent = adt("V1", trigger, replace(known_as(practice, RUTH), street="9 NEW RD"), "PV1|1|O", sender=side, version="2.5.1")
    reply = await practice.accepted(side, sent)
    assert reply.warnings == ["W01"]
    assert [field for field, _, _ in practice.drift()] == ["PID-11"]
    practice.assert_kept_back(sent)


@pytest.mark.parametrize("trigger", ["A03", "A23"])
async def test_row_18_somebody_unknown_is_created_by_the_pm_and_refused_from_the_emr__pm_owns(
    opened: Opening, trigger: str
) -> None:
    practice = await opened(PM_OWNS)
    assert_refused(await practice.send("emr", adt("V1", trigger, sender="emr")), "AE", "P01", 204)
    await practice.accepted("pm", adt("V2", trigger, replace(RUTH, birth="")))
    assert practice.decided("V2")[0] == "held"
    assert practice.holds() == ["patient:PM:7050"]
    await practice.accepted("pm", adt("V3", trigger, sent="20260105080100"))
    assert practice.state("V3") == "accepted"
    assert practice.patient("7050") is not None
