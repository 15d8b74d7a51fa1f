"""decisions 2, 3 and 9 with profiles, socket to socket: whose a field is, what goes on, what goes back, where ids stand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ophl7 import settings
from ophl7.broker import Broker
from ophl7.domain.provenance import origins_of
from ophl7.errors import SettingsError
from ophl7.observe.logs import make_log
from tests.acceptance.messages import OSCAR, RUTH, Person, Side, Visit, adt, dft, message, pid, segments, siu
from tests.acceptance.practice import EMR_OWNS, PM_OWNS, SETUPS, Opening, Practice, environment, other
from tests.acceptance.replies import assert_refused

pytestmark = pytest.mark.timeout(30)

BOTH = replace(RUTH, ids="7050^^^PM^MR~E-50^^^EMR^MR")
OWN: dict[Side, Person] = {"pm": replace(RUTH, ids="7050^^^PM^MR"), "emr": replace(RUTH, ids="E-50^^^EMR^MR")}
ELM, NEW = "1 ELM ST^^SPRINGFIELD^NY^12345", "9 NEW RD^^SPRINGFIELD^NY^12345"
ALLERGY, INSURANCE = "AL1|1|DA|PCN^PENICILLIN|SV|HIVES", "IN1|1|PLAN^HMO|77|ACME HEALTH"
# Of the side that does not own the patients, in either set-up, what it keeps all the same.
KEPT: dict[Side, str] = {"emr": ALLERGY, "pm": INSURANCE}


def profile(folder: Path, name: str, text: str) -> str:
    path = folder / f"{name}.toml"
    path.write_text(text)
    return str(path)


def profiles(folder: Path, owner: Side, *, of_owner: str = "", of_other: str = "") -> dict[str, str]:
    """Settings: a profile for the side that owns the patients, and one for the other."""
    return {
        f"{owner.upper()}_PROFILE": profile(folder, "owner", of_owner),
        f"{other(owner).upper()}_PROFILE": profile(folder, "other", of_other),
    }


def owner_of(setup: str) -> Side:
    return "pm" if setup.startswith("pm") else "emr"


async def known(practice: Practice, *more: str, who: Person = BOTH) -> None:
    announced = adt("REG", "A28", who, *more, sender=practice.patients)
    await practice.accepted(practice.patients, announced)
    await practice.copy_of(announced, other(practice.patients))


def restored(practice: Practice) -> list[str | None]:
    return [row["restored"] for row in practice.rows("SELECT restored FROM drift ORDER BY id")]


# -- 9: owners by profile ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", SETUPS)
async def test_section_9_a_profile_gives_a_field_to_the_other_side__any(opened: Opening, setup: str, tmp_path: Path) -> None:
    side = other(owner_of(setup))
    text = f'[fields.owners]\n"PID-11" = "{side}"\n'
    practice = await opened(setup, **profiles(tmp_path, owner_of(setup), of_other=text))
    await known(practice)
    await practice.accepted(side, adt("X1", "A08", replace(OWN[side], street="9 NEW RD"), sender=side))
    assert practice.field("7050", "PID-11") == NEW
    late = adt("O1", "A08", BOTH, sender=practice.patients)
    await practice.accepted(practice.patients, late)
    assert practice.field("7050", "PID-11") == NEW
    assert NEW.encode() in await practice.copy_of(late, side)


def test_section_9_profiles_that_contradict_each_other_stop_the_start_with_both_files(tmp_path: Path) -> None:
    one = profile(tmp_path, "ours", '[fields.owners]\n"PID-11" = "emr"\n')
    two = profile(tmp_path, "theirs", '[fields.owners]\n"PID-11" = "shared"\n')
    chosen = settings.load(environment(tmp_path / "ophl7.db", PM_OWNS, "", "", PM_PROFILE=one, EMR_PROFILE=two))
    with pytest.raises(SettingsError) as stopped:
        Broker(chosen, make_log("error", "json"))
    told = str(stopped.value)
    assert all(word in told for word in (one, two, "PID-11", "emr", "shared"))


# -- 5: what the owner hears ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trigger", ["A08", "A31"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_5_the_owner_hears_of_what_its_profile_lists_with_its_own_values_in_the_rest__any(
    opened: Opening, setup: str, trigger: str, tmp_path: Path
) -> None:
    side = other(owner_of(setup))
    name = KEPT[side][:3]
    practice = await opened(setup, **profiles(tmp_path, owner_of(setup), of_owner=f'[fields]\ntakes = ["{name}"]\n'))
    await known(practice)
    # An edit with the patient's own fields blank or other, and the side's own field.
    lines = (f"PID|1||{OWN[side].pid_3}||^||||||{NEW}", "PV1|1|O", KEPT[side], "ZZZ|1")
    sent = message(f"ADT^{trigger}", "X5", f"EVN|{trigger}|20260105", *lines, sender=side, version="2.5.1")
    reply = await practice.accepted(side, sent)
    assert reply.warnings == ["W01"]
    assert practice.field("7050", name) == KEPT[side]
    assert practice.field("7050", "PID-11") == ELM
    copy = await practice.copy_of(sent, practice.patients)
    (said,) = segments(copy, b"PID")
    fields = said.decode().split("|")
    assert "7050^^^PM^MR" in fields[3] or practice.patients == "emr"
    assert fields[5:9] == ["ADAMSKI^RUTH", "", "20180412", "F"]
    assert (fields[11], fields[13]) == (ELM, "^PRN^PH^^1^555^0100")
    assert segments(copy, name.encode()) == [KEPT[side].encode()]
    assert segments(copy, b"ZZZ") == [b"ZZZ|1"]
    # The owner's echo goes the usual way; the other side's echo of that ends it.
    back = adt("O1", "A08", BOTH, KEPT[side], sender=practice.patients)
    await practice.accepted(practice.patients, back)
    await practice.assert_relayed(back, side)
    echo = adt("X6", "A08", BOTH, KEPT[side], sender=side)
    await practice.accepted(side, echo)
    assert practice.state("X6") == "ignored"


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_5_the_owner_hears_nothing_where_nothing_that_it_lists_was_taken__any(
    opened: Opening, setup: str, tmp_path: Path
) -> None:
    side = other(owner_of(setup))
    practice = await opened(setup, **profiles(tmp_path, owner_of(setup), of_owner='[fields]\ntakes = ["PID-15"]\n'))
    await known(practice)
    sent = adt("X5", "A08", OWN[side], KEPT[side], sender=side)
    await practice.accepted(side, sent)
    assert practice.state("X5") == "accepted"
    practice.assert_kept_back(sent)


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_5_an_echoing_receiver_changes_nothing__any(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    await known(practice, "NK1|1|KIN^A", INSURANCE, "IN2|5")
    side = other(practice.patients)
    (copy,) = [payload for payload in practice.desk[side].payloads if b"|ADT^A28|" in payload]
    lines = copy.decode().split("\r")[:-1]
    reordered = lines[2].replace(BOTH.pid_3, "~".join(reversed(BOTH.pid_3.split("~")))).replace("^RUTH|", "^RUTH^^|")
    echo = message("ADT^A08", "ECHO", lines[1], f"{reordered}|||", *[f"{line}^||" for line in lines[3:]], sender=side)
    await practice.accepted(side, echo)
    assert practice.state("ECHO") == "ignored"
    assert practice.drift() == []
    practice.assert_kept_back(echo)


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_5_every_foreign_field_of_a_refused_message_is_named_in_its_place__any(opened: Opening, setup: str) -> None:
    practice = await opened(setup, FOREIGN_FIELDS="reject")
    await known(practice)
    side = other(practice.patients)
    foreign = "NK1|1|OTHER^KIN"
    sent = adt("X5", "A08", replace(OWN[side], given="RUTHIE", street="9 NEW RD"), foreign, sender=side, version="2.5.1")
    reply = await practice.send(side, sent)
    assert_refused(reply, "AE", "P02", 207)
    located = [line.split(b"|")[2] for line in segments(reply.raw, b"ERR")]
    assert located == [b"PID^1^5", b"PID^1^11", b"NK1^1"]
    assert practice.field("7050", "PID-11") == ELM


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_5_every_foreign_field_of_a_held_message_is_shown_to_the_person__any(opened: Opening, setup: str) -> None:
    practice = await opened(setup, FOREIGN_FIELDS="hold")
    await known(practice)
    side = other(practice.patients)
    sent = adt("X5", "A08", replace(OWN[side], given="RUTHIE", street="9 NEW RD"), KEPT[side], sender=side)
    await practice.accepted(side, sent)
    (row,) = practice.rows("SELECT reason FROM hold WHERE closed_at IS NULL")
    assert "PID-5" in row["reason"]
    assert "PID-11" in row["reason"]
    assert practice.field("7050", KEPT[side][:3]) is None  # never partly applied
    assert practice.drift() == []


# -- 5: what goes back ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_5_a_value_that_was_not_taken_is_answered_with_the_owners_once__any(
    opened: Opening, setup: str, tmp_path: Path
) -> None:
    side = other(owner_of(setup))
    practice = await opened(setup, **profiles(tmp_path, owner_of(setup), of_other='[fields]\ndrift = "restore"\n'))
    await known(practice)
    edit = adt("X5", "A08", replace(OWN[side], street="9 NEW RD"), sender=side)
    await practice.accepted(side, edit)
    back = await practice.copy_of(edit, side)
    assert back.split(b"|", 9)[8] == b"ADT^A08"
    (said,) = segments(back, b"PID")
    fields = said.decode().split("|")
    assert (fields[3], fields[5], fields[11]) == (OWN[side].pid_3, "ADAMSKI^RUTH", ELM)
    assert fields[13] == "^PRN^PH^^1^555^0100"  # what the owner has is never sent empty
    # The other side takes it, says so, and later offers its value again: no second answer, a task.
    echo = adt("X6", "A08", replace(OWN[side], street="1 ELM ST"), sender=side, sent="20260105080100")
    again = adt("X7", "A08", replace(OWN[side], street="9 NEW RD"), sender=side, sent="20260105080200")
    await practice.accepted(side, echo, again)
    practice.assert_kept_back(echo, again)
    assert restored(practice) == ["sent", "task"]


# -- where a value came from ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", SETUPS)
async def test_each_current_value_knows_the_message_and_the_row_that_brought_it__any(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    await known(practice)
    side = other(practice.patients)
    await practice.accepted(side, adt("X1", "A08", OWN[side], KEPT[side], sender=side))
    await practice.accepted(practice.patients, adt("O1", "A08", replace(BOTH, street="9 NEW RD"), sender=practice.patients))
    patient = practice.patient("7050")
    assert patient is not None
    origins = {path: (origin.message, origin.rule) for path, origin in origins_of(patient["origins"]).items()}
    assert set(origins) == set(patient["fields"])
    registered = "#1" if practice.patients == "pm" else "#6"
    assert origins["PID-5"] == (practice.journal("REG")["id"], registered)
    assert origins[KEPT[side][:3]] == (practice.journal("X1")["id"], "#5")
    assert origins["PID-11"] == (practice.journal("O1")["id"], "#4")


# -- three states -----------------------------------------------------------------------------------------------------------

PHONE = "^PRN^PH^^1^555^0100"


@pytest.mark.parametrize(
    ("said", "kept"), [("", PHONE), ("^^", PHONE), ('""', None), ('^PRN^PH^^1^""^0101', "^PRN^PH^^1^^0101")]
)
@pytest.mark.parametrize("setup", SETUPS)
async def test_three_states_of_a_field_from_the_wire_to_the_registry_to_the_copy__any(
    opened: Opening, setup: str, said: str, kept: str | None
) -> None:
    practice = await opened(setup)
    await known(practice)
    side = practice.patients
    sent = adt("X1", "A08", BOTH, sender=side).replace(PHONE.encode(), said.encode())
    await practice.accepted(side, sent)
    assert practice.field("7050", "PID-13") == kept
    await practice.assert_relayed(sent, other(side))


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        ((), INSURANCE),
        (("IN1|1",), INSURANCE),
        (('IN1|1|""',), None),
        (("IN1|1|NEW", "IN1|2|SECOND"), "IN1|1|NEW\rIN1|2|SECOND"),
    ],
)
@pytest.mark.parametrize("setup", SETUPS)
async def test_three_states_of_a_set_of_segments_from_the_wire_to_the_registry_to_the_copy__any(
    opened: Opening, setup: str, lines: tuple[str, ...], kept: str | None
) -> None:
    practice = await opened(setup)
    await known(practice)
    await practice.accepted("pm", adt("P1", "A08", OWN["pm"], INSURANCE, sent="20260105080100"))  # the PM's in every set-up
    sent = adt("P2", "A08", OWN["pm"], *lines, sent="20260105080200")
    await practice.accepted("pm", sent)
    assert practice.field("7050", "IN1") == kept
    if practice.patients == "pm":
        await practice.assert_relayed(sent, "emr")


@pytest.mark.parametrize("how", ['blank = "delete"', 'blank_deletes = ["PID-13", "PID-5"]'])
@pytest.mark.parametrize("setup", SETUPS)
async def test_three_states_where_a_blank_means_delete__any(opened: Opening, setup: str, how: str, tmp_path: Path) -> None:
    practice = await opened(setup, **profiles(tmp_path, owner_of(setup), of_owner=f"[fields]\n{how}\n"))
    await known(practice)
    side = practice.patients
    line = pid(BOTH)
    truncated = line[: line.index("||^PRN")]
    absent, blank = (
        message("ADT^A08", number, f"EVN||{at}", text, sender=side, sent=at)
        for number, text, at in (("X1", truncated, "20260105080100"), ("X2", truncated + "|||", "20260105080200"))
    )
    await practice.accepted(side, absent)
    assert practice.field("7050", "PID-13") == PHONE
    await practice.accepted(side, blank)
    assert practice.field("7050", "PID-13") is None
    nameless = adt("X3", "A08", BOTH, sender=side, sent="20260105080300").replace(b"ADAMSKI^RUTH", b"")
    await practice.accepted(side, nameless)
    assert practice.decided("X3") == ("held", "#11")
    practice.assert_kept_back(nameless)


@pytest.mark.parametrize("said", ['""^RUTH', 'ADAMSKI^""'])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_11_half_a_name_is_not_deleted_unseen__any(opened: Opening, setup: str, said: str) -> None:
    practice = await opened(setup)
    await known(practice)
    sent = adt("X1", "A08", BOTH, sender=practice.patients).replace(b"ADAMSKI^RUTH", said.encode())
    await practice.accepted(practice.patients, sent)
    assert practice.decided("X1") == ("held", "#11")
    practice.assert_kept_back(sent)


# -- 2: where ids stand -----------------------------------------------------------------------------------------------------


async def test_section_2_a_pm_that_names_its_patients_in_pid_2_and_looks_for_its_id_there(
    opened: Opening, tmp_path: Path
) -> None:
    text = '[ids]\nkeys = ["PID-2"]\nexpects = "PID-2"\n'
    practice = await opened(PM_OWNS, PM_PROFILE=profile(tmp_path, "ecw", text))
    line = "PID|1|7050|||ADAMSKI^RUTH||20180412|F"
    sent = message("ADT^A04", "P1", "EVN|A04|20260105", line, sender="pm")
    await practice.accepted("pm", sent)
    await practice.assert_relayed(sent, "emr")
    await practice.accepted("emr", adt("E1", "A08", BOTH, sender="emr"))
    charge = dft("D1", who=OWN["emr"])
    await practice.accepted("emr", charge)
    (said,) = segments(await practice.copy_of(charge, "pm"), b"PID")
    assert said.decode().split("|")[2:4] == ["7050", "7050^^^PM^MR~E-50^^^EMR^MR"]
    merge = message("ADT^A40", "M1", "EVN|A40|20260105", line, "MRG||||7051", sender="pm")
    await practice.accepted("pm", merge)
    assert practice.merges() == [("7051", "7050", True, False, "one_sided")]


async def test_section_2_an_emr_that_sends_the_pms_id_bare_in_pid_4(opened: Opening, tmp_path: Path) -> None:
    practice = await opened(PM_OWNS, EMR_PROFILE=profile(tmp_path, "emr", '[ids]\nours = ["PID-4"]\n'))
    await practice.accepted("pm", adt("P1", "A28"))
    line = "PID|1||E-50^^^EMR^MR|7050|ADAMSKI^RUTH||20180412|F"
    await practice.accepted("emr", message("ADT^A08", "E1", "EVN|A08|20260105", line, sender="emr"))
    patient, same = practice.patient("7050"), practice.patient("E-50", "EMR")
    assert patient is not None
    assert same is not None
    assert patient["id"] == same["id"]
    assert practice.drift() == []


# -- 12: scenarios ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", SETUPS)
async def test_scenario_an_edit_of_the_other_side_with_the_patients_own_fields_blank(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    await known(practice)
    side = other(practice.patients)
    blank = message("ADT^A08", "X1", "EVN|A08|2026", f"PID|1||{OWN[side].pid_3}||^|||||||^^^^||^||||", KEPT[side], sender=side)
    await practice.accepted(side, blank)
    before = practice.patient("7050")
    assert before is not None
    assert before["fields"]["PID-5"] == "ADAMSKI^RUTH"
    assert before["fields"]["PID-11"] == ELM
    assert practice.drift() == []
    practice.assert_kept_back(blank)


@pytest.mark.parametrize("setup", SETUPS)
async def test_scenario_the_first_day_on_an_empty_registry(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    side = practice.patients
    update, charge = adt("O1", "A08", BOTH, sender=side), dft("C1", who=replace(OSCAR, ids="7051^^^PM^MR~E-51^^^EMR^MR"))
    await practice.accepted(side, update)
    await practice.assert_relayed(update, other(side))
    await practice.accepted("emr", charge)
    assert practice.state("C1") == "held"
    newcomer = adt("O2", "A31", replace(OSCAR, ids="7051^^^PM^MR~E-51^^^EMR^MR"), sender=side)
    await practice.accepted(side, newcomer)
    assert practice.state("C1") == "accepted"
    await practice.assert_relayed(charge, "pm")


@pytest.mark.parametrize("setup", SETUPS)
async def test_scenario_a_shared_social_security_number_joins_nobody(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    side = practice.patients
    shared = "~999-99-9999^^^USSSA^SS"
    first = adt("O1", "A28", replace(BOTH, ids=BOTH.pid_3 + shared), sender=side)
    second = adt("O2", "A28", replace(OSCAR, ids="7051^^^PM^MR~E-51^^^EMR^MR" + shared), sender=side)
    await practice.accepted(side, first, second)
    assert practice.count("patient") == 2
    assert practice.holds() == []


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_scenario_a_returning_child(opened: Opening, setup: str) -> None:
    """Inactive for years, then booked again: the same chart, in use, with what was known of it."""
    practice = await opened(setup)
    await known(practice)
    side = practice.patients
    await practice.accepted(side, adt("GONE", "A29", BOTH, sender=side, sent="20260105090000"))
    booking = siu("S1", "S12", Visit("S-9", start="20300105093000"), BOTH, sender=side, sent="20260106080000")
    await practice.accepted(side, booking)
    assert practice.decided("S1") == ("accepted", "#9")
    patient = practice.patient("7050")
    assert patient is not None
    assert patient[f"inactive_{side}"] is None
    assert patient["fields"]["PID-11"] == ELM
    assert practice.count("patient") == 1
