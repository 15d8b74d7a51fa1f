"""Whose a field is, what is passed on of it, where its value came from, and what goes back (decisions 2, 3, 9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ophl7.domain.patient import Patient
from ophl7.domain.policy import PeerPolicy
from ophl7.domain.profile import CodeTable, FieldRules, IdPlaces, Profile
from ophl7.domain.provenance import origins_of
from ophl7.hl7v2.rewrite import with_control_id
from tests.unit.engine.desk import Desk, adt, dft, ft1, message, msh, pid, siu

KNOWN = "7050^^^PM^MR~C9^^^EMR^PI"
EMR_IDS = "C9^^^EMR^PI"
STREET, OTHER_STREET = "||1 ELM ST", "||9 NEW RD"
PHONE = "||555-0100"


def peers(pm: Profile | None = None, emr: Profile | None = None) -> dict[str, Any]:
    return {"pm": PeerPolicy("PM", profile=pm or Profile()), "emr": PeerPolicy("EMR", profile=emr or Profile())}


def fields(**rules: Any) -> Profile:  # noqa: ANN401 - any field of FieldRules
    return Profile(fields=FieldRules(**rules))


def places(**said: Any) -> Profile:  # noqa: ANN401 - any field of IdPlaces
    return Profile(ids=IdPlaces(**said))


def left(desk: Desk, place: int = -1) -> list[str]:
    """The segments of a delivery, as the outbox would send them."""
    row, body = desk.seen.fed[place]
    assert body is not None
    return with_control_id(body, row.control_id).decode("utf-8").split("\r")[:-1]


def segment(lines: list[str], name: str) -> list[str]:
    (found,) = [line for line in lines if line.startswith(f"{name}|")]
    return found.split("|")


def only_patient(desk: Desk) -> Patient:
    (patient,) = desk.memory.patients.values()
    return patient


def by_number(pid_line: list[str], number: int) -> str:
    return pid_line[number] if number < len(pid_line) else ""


# -- owners ---------------------------------------------------------------------------------------------------------------


async def test_a_profile_gives_a_field_another_owner() -> None:
    async with Desk(peers=peers(pm=fields(owners={"PID-11": "emr", "AL1": "pm", "PID-8": "shared"}))) as desk:
        await desk.send("pm", adt("P1", ids=KNOWN, rest="|" + STREET))
        await desk.send("emr", adt("E1", "A08", ids=EMR_IDS, sex="M", rest="|" + OTHER_STREET) + b"AL1|1||peanut\r")
        assert only_patient(desk).fields["PID-11"] == "9 NEW RD"
        assert [row.field for row in desk.memory.drift] == ["PID-8", "AL1"]


async def test_every_foreign_field_is_named_when_the_message_is_refused_or_held() -> None:
    for choice, code in (("reject", "AE"), ("hold", "AA")):
        async with Desk(foreign_fields=choice) as desk:
            await desk.send("pm", adt("P1", ids=KNOWN, rest="|" + STREET))
            sent = adt("E1", "A08", ids=EMR_IDS, name="Rivers^Eve", rest="|" + OTHER_STREET) + b"IN1|1|X\rAL1|1||peanut\r"
            assert await desk.send("emr", sent) == [code]
            assert "AL1" not in only_patient(desk).fields  # never partly applied
            assert desk.memory.drift == []
            if choice == "reject":
                answer = (desk.lines["emr"].answers[-1] or b"").decode().split("\r")
                located = [line.split("|")[2] for line in answer if line.startswith("ERR")]
                assert located == ["PID^1^5", "PID^1^11", "IN1^1"]
                assert all("P02" in line for line in answer if line.startswith("ERR"))
            else:
                (row,) = desk.memory.holds.values()
                assert row.key == "fields:EMR:C9"
                assert all(path in row.reason for path in ("PID-5", "PID-11", "IN1"))


# -- what the owner wants to hear (takes) ----------------------------------------------------------------------------------


async def test_the_owner_hears_of_the_fields_that_it_takes_with_its_own_values_in_all_others() -> None:
    async with Desk(peers=peers(pm=fields(takes={"PID-40", "AL1"}))) as desk:
        await desk.send("pm", adt("P1", ids=KNOWN, rest="|" + STREET + PHONE) + b"IN1|1|PLAN\r")
        before = len(desk.seen.fed)
        # Its own: the contact preference and the allergies. Not its own: sex blank, another street, no phone, a plan, a set of
        # next of kin that nobody has; and problems, which the PM does not want.
        lines = [
            msh("ADT^A08", "E1"),
            "EVN||2024",
            "PID|1||" + EMR_IDS + "||Rivers^Ada||20150412||||9 NEW RD" + "|" * 29 + "^NET^Internet^a@b.example",
            "NK1|1|FOREIGN",
            "PV1|1|O",
            "AL1|1||peanut",
            "AL1|2||latex",
            "DG1|1||J06.9",
            "IN1|1|OTHER",
            "ZZZ|1",
        ]
        assert await desk.send("emr", message(*lines)) == ["AA"]
        assert len(desk.seen.fed) == before + 1
        sent = left(desk)
        assert desk.seen.fed[-1][0].destination == "pm"
        said = segment(sent, "PID")
        assert said[3] == "7050^^^PM^MR~C9^^^EMR^PI"
        assert said[5:9] == ["Rivers^Ada", "", "20150412", "F"]
        assert (said[11], said[13], said[40]) == ("1 ELM ST", "555-0100", "^NET^Internet^a@b.example")
        assert [line.split("|")[0] for line in sent] == ["MSH", "EVN", "PID", "PV1", "AL1", "AL1", "IN1", "ZZZ"]
        assert segment(sent, "IN1") == ["IN1", "1", "PLAN"]
        assert only_patient(desk).fields["DG1"] == "DG1|1||J06.9"


@pytest.mark.parametrize("event", ["A08", "A31", "A28"])
async def test_where_nothing_that_it_takes_has_changed_the_owner_hears_nothing(event: str) -> None:
    async with Desk(peers=peers(pm=fields(takes={"PID-40"}))) as desk:
        await desk.send("pm", adt("P1", ids=KNOWN))
        before = len(desk.seen.fed)
        await desk.send("emr", adt("E1", event, ids=EMR_IDS) + b"AL1|1||peanut\r")
        assert desk.journal("E1").state == "accepted"
        await desk.send("emr", adt("E2", event, ids=EMR_IDS, rest="|" + OTHER_STREET))
        await desk.send("emr", adt("E3", event, ids=EMR_IDS))
        assert desk.journal("E3").state == "ignored"
        assert len(desk.seen.fed) == before


async def test_a_visit_of_the_other_side_is_not_passed_on_for_a_field_that_the_owner_takes() -> None:
    async with Desk(peers=peers(pm=fields(takes={"AL1"}))) as desk:
        await desk.send("pm", adt("P1", ids=KNOWN))
        before = len(desk.seen.fed)
        await desk.send("emr", adt("E1", "A03", ids=EMR_IDS) + b"AL1|1||peanut\r")
        assert only_patient(desk).fields["AL1"] == "AL1|1||peanut"
        assert len(desk.seen.fed) == before


async def test_where_the_emr_owns_the_patients_it_takes_the_pms_insurance() -> None:
    both = peers(emr=fields(takes={"IN1"}))
    async with Desk(patient_authority="emr", schedule_authority="emr", peers=both) as desk:
        await desk.send("emr", adt("E1", ids=KNOWN, rest="|" + STREET))
        await desk.send("pm", adt("P1", "A08", ids="7050^^^PM^MR", rest="|" + OTHER_STREET) + b"IN1|1|PLAN\r")
        assert desk.seen.fed[-1][0].destination == "emr"
        assert segment(left(desk), "PID")[11] == "1 ELM ST"
        assert segment(left(desk), "IN1") == ["IN1", "1", "PLAN"]


# -- where a value came from -----------------------------------------------------------------------------------------------


async def test_each_current_value_knows_its_message_its_row_and_its_time() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1", ids=KNOWN, rest="|" + STREET))
        first = desk.clock.moment
        desk.clock.moment += 60
        await desk.send("emr", adt("E1", "A08", ids=EMR_IDS, rest="|" + OTHER_STREET) + b"AL1|1||peanut\r")
        desk.clock.moment += 60
        await desk.send("pm", adt("P2", "A08", ids=KNOWN, rest='|||""'))
        found = origins_of(only_patient(desk).origins)
        assert set(found) == set(only_patient(desk).fields) == {"PID-5", "PID-7", "PID-8", "AL1"}
        assert found["PID-5"] == (desk.journal("P1").id, "#1", first)
        assert found["AL1"] == (desk.journal("E1").id, "#5", first + 60)


# -- drift that is restored ------------------------------------------------------------------------------------------------

RESTORING = peers(emr=fields(drift="restore"))


async def test_a_value_that_was_not_taken_is_answered_once_with_the_owners() -> None:
    async with Desk(peers=RESTORING) as desk:
        await desk.send("pm", adt("P1", ids=KNOWN, rest="|" + STREET + PHONE) + b"IN1|1|PLAN\rIN2|55\rIN1|2|SECOND\r")
        edit = adt("E1", "A31", ids=EMR_IDS, rest="|" + OTHER_STREET)
        assert await desk.send("emr", edit) == ["AA"]
        row, _ = desk.seen.fed[-1]
        assert (row.destination, row.stream, row.lane) == ("emr", "record", only_patient(desk).lane)
        lines = left(desk)
        assert [line.split("|")[0] for line in lines] == ["MSH", "EVN", "PID", "PV1"]
        header = segment(lines, "MSH")
        assert header[2:6] == ["HUB", "HUB", "APP", "FAC"]
        assert (header[8], header[9], header[10], header[11]) == ("ADT^A31", row.control_id, "P", "2.5")
        said = segment(lines, "PID")
        assert said[3] == EMR_IDS
        assert (said[5], said[7], said[8], said[11], said[13]) == ("Rivers^Ada", "20150412", "F", "1 ELM ST", "555-0100")
        # The same value again is a person's; so is it in the same batch, and with other marks behind it.
        before = len(desk.seen.fed)
        await desk.send("emr", *[adt(f"E{n}", "A08", ids=EMR_IDS, rest="|" + OTHER_STREET + "^^") for n in (2, 3)])
        assert len(desk.seen.fed) == before
        assert [row.restored for row in desk.memory.drift] == ["sent", "task", "task"]


async def test_a_segment_that_was_not_taken_is_answered_with_the_owners_whole_set() -> None:
    async with Desk(peers=RESTORING) as desk:
        await desk.send("pm", adt("P1", ids=KNOWN) + b"IN1|1|PLAN\rIN2|55\rIN1|2|SECOND\rNK1|1|KIN\r")
        await desk.send("emr", adt("E1", "A08", ids=EMR_IDS) + b"IN1|1|OTHER\r")
        lines = left(desk)
        assert [line.split("|")[0] for line in lines] == ["MSH", "EVN", "PID", "PV1", "IN1", "IN2", "IN1"]
        assert segment(lines, "MSH")[8] == "ADT^A08"


async def test_a_restored_value_is_written_in_the_codes_of_whom_it_is_sent_to() -> None:
    plans = CodeTable(("IN1-3",), {"P1": "E1"})
    theirs = CodeTable(("AL1-3",), {"P1": "not for a field of the receiver's own"})
    pm = Profile(maps={"plan": plans, "allergy": theirs})
    async with Desk(peers=peers(pm=pm, emr=fields(drift="restore"))) as desk:
        await desk.send("pm", adt("P1", ids=KNOWN) + b"IN1|1|X|P1^Blue\rIN1|2|X|P2\r")
        await desk.send("emr", adt("E1", "A08", ids=EMR_IDS) + b"IN1|1|X|E9\rAL1|1||P1\r")
        assert [line for line in left(desk) if line.startswith("IN1")] == ["IN1|1|X|E1^Blue", "IN1|2|X|P2"]
        await desk.enter("P2", "E2", peer="pm", table="plan")
        await desk.send("emr", adt("E2", "A08", ids=EMR_IDS) + b"IN1|1|X|E8\r")
        assert [line for line in left(desk) if line.startswith("IN1")] == ["IN1|1|X|E1^Blue", "IN1|2|X|E2"]


async def test_the_owner_too_is_answered_with_what_the_other_side_keeps_when_it_asks_for_it() -> None:
    async with Desk(peers=peers(pm=fields(drift="restore"))) as desk:
        await desk.send("pm", adt("P1", ids=KNOWN))
        await desk.send("emr", adt("E1", "A08", ids=EMR_IDS) + b"AL1|1||peanut\r")
        await desk.send("pm", adt("P2", "A08", ids=KNOWN) + b"AL1|1||none\r")
        to = [row.destination for row, _ in desk.seen.fed]
        assert to == ["emr", "emr", "pm"]
        assert segment(left(desk), "AL1") == ["AL1", "1", "", "peanut"]


async def test_where_the_owner_has_no_value_there_is_nothing_to_send_back() -> None:
    async with Desk(peers=RESTORING) as desk:
        await desk.send("pm", adt("P1", ids=KNOWN))
        before = len(desk.seen.fed)
        await desk.send("emr", adt("E1", "A08", ids=EMR_IDS, rest="|" + OTHER_STREET))
        assert len(desk.seen.fed) == before
        assert [row.restored for row in desk.memory.drift] == ["task"]


async def test_a_value_that_changes_each_time_is_not_sent_back_for_ever() -> None:
    async with Desk(peers=RESTORING) as desk:
        await desk.send("pm", adt("P1", ids=KNOWN, rest="|" + STREET))
        for number in range(6):
            await desk.send("emr", adt(f"E{number}", "A08", ids=EMR_IDS, rest=f"|||{number} OTHER ST"))
        assert [row.restored for row in desk.memory.drift] == ["sent"] * 3 + ["task"] * 3
        desk.clock.moment += 25 * 3600
        await desk.send("emr", adt("E7", "A08", ids=EMR_IDS, rest="|||77 OTHER ST"))
        assert desk.memory.drift[-1].restored == "sent"


async def test_what_the_senders_charset_cannot_hold_is_a_persons_task_and_costs_nothing_else() -> None:
    async with Desk(peers=RESTORING) as desk:
        await desk.send("pm", adt("P1", ids=KNOWN, name="Σίγμα^Ada", rest="|" + STREET))
        sent = message(msh("ADT^A08", "E1") + "||||||8859/1", "EVN||2024", pid(EMR_IDS, "Σίγμα^Ada", rest="|" + OTHER_STREET))
        assert await desk.send("emr", sent.replace("Σίγμα".encode(), b"Sigma")) == ["AA"]
        assert desk.journal("E1").state == "accepted"
        assert {row.restored for row in desk.memory.drift} == {"task"}


async def test_without_the_profile_drift_is_reported_and_nothing_goes_back() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1", ids=KNOWN, rest="|" + STREET))
        before = len(desk.seen.fed)
        await desk.send("emr", adt("E1", "A08", ids=EMR_IDS, rest="|" + OTHER_STREET))
        assert len(desk.seen.fed) == before
        assert [row.restored for row in desk.memory.drift] == [None]


# -- where ids stand -------------------------------------------------------------------------------------------------------


async def test_a_profile_says_where_the_key_id_and_the_other_systems_id_stand() -> None:
    async with Desk(peers=peers(emr=places(keys=("PID-2",), ours=("PID-4",)))) as desk:
        await desk.send("pm", adt("P1"))
        named = "PID|1|C9|88^^^PM^MR|7050|Rivers^Ada||20150412|F"
        assert await desk.send("emr", message(msh("ADT^A08", "E1"), "EVN||2024", named)) == ["AA"]
        assert [str(one) for one in only_patient(desk).identifiers] == ["PM:7050", "EMR:C9"]
        assert desk.memory.drift == []  # an id is no field
        alone = dft("D1", ft1("T1")).replace(pid().encode(), b"PID|1|C9|||Rivers^Ada||20150412|F")
        assert await desk.send("emr", alone) == ["AA"]
        assert segment(left(desk), "PID")[2:4] == ["C9", "7050^^^PM^MR"]


async def test_a_receiver_finds_its_own_id_where_it_expects_it_beside_the_list_as_it_came() -> None:
    async with Desk(peers=peers(pm=places(keys=("PID-2", "PID-3"), expects="PID-2"))) as desk:
        await desk.send("pm", message(msh("ADT^A04", "P1"), "EVN||2024", "PID|1|7050|||Rivers^Ada||20150412|F"))
        await desk.send("pm", message(msh("ADT^A08", "P2"), "EVN||2024", "PID|1|7050|C9^^^EMR^PI||Rivers^Ada||20150412|F"))
        learned = message(msh("ADT^A08", "E1"), "EVN||2024", pid("7050^^^PM^MR~C9^^^EMR^PI"))
        await desk.send("emr", learned)
        await desk.send("emr", dft("D1", ft1("T1"), ids=EMR_IDS))
        said = segment(left(desk), "PID")
        assert said[2:4] == ["7050", "7050^^^PM^MR~C9^^^EMR^PI"]


async def test_the_owners_own_messages_carry_the_receivers_id_too_where_it_expects_it() -> None:
    async with Desk(peers=peers(emr=places(expects="PID-4"))) as desk:
        await desk.send("pm", adt("P1", ids=KNOWN))
        assert segment(left(desk), "PID")[2:5] == ["", KNOWN, "C9"]
        await desk.send("pm", siu("S1"))
        assert segment(left(desk), "PID")[2:5] == ["", "7050^^^PM^MR", "C9"]
        echo = message(msh("ADT^A08", "E1"), "EVN||2024", segment_text(left(desk, 0), "PID"))
        await desk.send("emr", echo)
        assert desk.journal("E1").state == "ignored"


@pytest.mark.parametrize("place", ["PID-2", "PID-4"])
async def test_an_id_of_the_owners_that_the_sender_writes_elsewhere_is_supplied_where_the_owner_looks(place: str) -> None:
    async with Desk(peers=peers(emr=places(ours=(place,)))) as desk:
        await desk.send("pm", adt("P1"))
        named = f"PID|1|{'7050' * (place == 'PID-2')}|{{}}|{'7050' * (place == 'PID-4')}|Rivers^Ada||20150412|F"
        for number, (came, leaves) in enumerate(
            [("C9", "7050^^^PM^MR~C9"), ("C9~7050^^^PM^MR", "C9~7050^^^PM^MR"), ("", "7050^^^PM^MR")]
        ):
            charge = dft(f"D{number}", ft1(f"T{number}")).replace(pid().encode(), named.format(came).encode())
            assert await desk.send("emr", charge) == ["AA"]
            body = desk.seen.fed[-1][1]
            said = segment((body or charge).decode().split("\r"), "PID")
            assert said[3] == leaves
            assert said[int(place[-1])] == "7050"


def segment_text(lines: list[str], name: str) -> str:
    return "|".join(segment(lines, name))


async def test_a_merge_of_a_peer_whose_ids_stand_elsewhere_names_its_charts_there() -> None:
    async with Desk(peers=peers(pm=places(keys=("PID-2",)))) as desk:
        for number in ("1", "2"):
            await desk.send("pm", message(msh("ADT^A04", f"P{number}"), "EVN||2024", f"PID|1|{number}|||R^A||20150412|F"))
        merge = message(msh("ADT^A40", "M1"), "EVN||2024", "PID|1|2|||R^A||20150412|F", "MRG||||1")
        assert await desk.send("pm", merge) == ["AA"]
        retired = desk.memory.patients[desk.memory.aliases["PM", "1"]]
        assert retired.merged_pm == desk.memory.aliases["PM", "2"]


async def test_an_id_that_we_supplied_where_the_receiver_expects_it_follows_a_merge_of_the_receiver() -> None:
    async with Desk(peers=peers(emr=places(expects="PID-2"))) as desk:
        await desk.send("pm", adt("P1", ids="1^^^PM^MR~C1^^^EMR^PI"), adt("P2", ids="2^^^PM^MR~C2^^^EMR^PI"))
        waiting = next(place for place, (row, _) in enumerate(desk.seen.fed) if desk.journal("P1").id == row.message)
        merge = message(msh("ADT^A40", "M1"), "EVN||2024", pid("C2^^^EMR^PI"), "MRG|C1^^^EMR^PI")
        assert await desk.send("emr", merge) == ["AA"]
        made = {rendering.id: rendering.body for rendering in desk.seen.rendered}
        said = segment(made[desk.seen.fed[waiting][0].id].decode().split("\r"), "PID")
        assert said[2:4] == ["C2", "2^^^PM^MR~C2^^^EMR^PI"]


async def test_types_of_a_profile_are_key_ids_in_and_out() -> None:
    async with Desk(peers=peers(emr=places(types={"XX"}))) as desk:
        await desk.send("pm", adt("P1"))
        learned = message(msh("ADT^A08", "E1"), "EVN||2024", pid("C9^^^EMR^XX~7050^^^PM^XX~3^^^EMR^MR"))
        await desk.send("emr", learned)
        assert ("EMR", "C9") in desk.memory.aliases
        assert ("EMR", "3") not in desk.memory.aliases


# -- three states ----------------------------------------------------------------------------------------------------------

DELETES: Mapping[str, Profile] = {
    "all": fields(blank="delete"),
    "these": fields(blank_deletes={"PID-11", "PID-13", "IN1", "PID-5", "PID-7", "PID-8"}),
}


@pytest.mark.parametrize("kind", DELETES)
async def test_where_a_blank_means_delete_it_deletes_and_what_is_absent_does_not(kind: str) -> None:
    async with Desk(peers=peers(pm=DELETES[kind])) as desk:
        await desk.send("pm", adt("P1", ids=KNOWN, rest="|" + STREET + PHONE + "|W") + b"IN1|1|PLAN\r")
        short = adt("P2", "A08", ids=KNOWN, rest="|||")  # PID-11 stands there blank; PID-13 and IN1 are not there
        await desk.send("pm", short)
        assert set(only_patient(desk).fields) == {"PID-5", "PID-7", "PID-8", "PID-13", "PID-14", "IN1"}
        await desk.send("pm", adt("P3", "A08", ids=KNOWN, rest="|||||^^") + b"IN1|1\r")
        assert set(only_patient(desk).fields) == {"PID-5", "PID-7", "PID-8", "PID-14"}


@pytest.mark.parametrize("kind", DELETES)
@pytest.mark.parametrize("said", [{"name": ""}, {"name": "^"}, {"born": ""}, {"sex": ""}])
async def test_a_blank_that_would_delete_what_identifies_a_patient_is_held(kind: str, said: dict[str, str]) -> None:
    async with Desk(peers=peers(pm=DELETES[kind])) as desk:
        await desk.send("pm", adt("P1", ids=KNOWN))
        before = len(desk.seen.fed)
        assert await desk.send("pm", adt("P2", "A08", ids=KNOWN, rest="|||", **said)) == ["AA"]
        assert (desk.journal("P2").state, desk.journal("P2").row) == ("held", "#11")
        assert len(desk.seen.fed) == before


async def test_a_blank_has_nothing_to_delete_of_somebody_new() -> None:
    async with Desk(peers=peers(pm=fields(blank="delete"))) as desk:
        assert await desk.send("pm", adt("P1", ids=KNOWN, sex="", rest="|||")) == ["AA"]
        assert desk.journal("P1").state == "accepted"


# -- what a blank that deletes is for the other side -------------------------------------------------------------------------


async def test_a_blank_that_deletes_leaves_as_the_delete_indicator_for_to_others_a_blank_says_nothing() -> None:
    async with Desk(peers=peers(pm=fields(blank="delete"))) as desk:
        await desk.send("pm", adt("P1", ids=KNOWN, rest="|" + STREET + PHONE) + b"IN1|1|PLAN\r")
        await desk.send("pm", adt("P2", "A08", ids=KNOWN, rest="|||^|" + PHONE) + b"IN1|1\rIN1|2\r")
        said = left(desk)
        assert segment(said, "PID")[11] == '""'
        assert segment(said, "PID")[9:11] == ["", ""]  # there was nothing to delete
        assert segment(said, "IN1") == ["IN1", "1", '""']


@pytest.mark.parametrize("written", ["", "^", '""'])
async def test_what_the_other_side_deletes_by_a_blank_the_owner_is_told_as_a_deletion(written: str) -> None:
    async with Desk(peers=peers(pm=fields(takes={"PID-40"}), emr=fields(blank_deletes={"PID-40"}))) as desk:
        await desk.send("pm", adt("P1", ids=KNOWN))
        await desk.send("emr", adt("E1", "A08", ids=EMR_IDS, rest="|" * 32 + "555-0100"))
        assert segment(left(desk), "PID")[40] == "555-0100"
        await desk.send("emr", adt("E2", "A08", ids=EMR_IDS, rest="|" * 32 + written))
        assert "PID-40" not in only_patient(desk).fields
        assert segment(left(desk), "PID")[40] == '""'


async def test_a_set_of_the_owners_stays_in_the_copy_also_behind_one_that_does_not_leave() -> None:
    rules = FieldRules(takes=frozenset({"AL1", "IN1"}))
    peers = {"pm": PeerPolicy("PM", profile=Profile(fields=rules)), "emr": PeerPolicy("EMR")}
    both = "7050^^^PM^MR~C9^^^EMR^PI"
    async with Desk(peers=peers) as desk:
        await desk.send("pm", adt("P1", ids=both), message(msh("ADT^A08", "P2"), pid(both), "NK1|1|one"))
        said = message(msh("ADT^A08", "E1"), pid(both), "IN1|1|one", 'NK1|1|""', "AL1|1|two")
        assert await desk.send("emr", said) == ["AA"]
        row, body = desk.seen.fed[-1]
        assert row.destination == "pm"
        assert [line.split(b"|")[0] for line in (body or b"").split(b"\r") if line][-2:] == [b"NK1", b"AL1"]
        assert b"NK1|1|one\r" in (body or b"")
