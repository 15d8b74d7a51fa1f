"""A message that a person has judged again (design, "Replay"), from socket to socket."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.acceptance.asking import REASON, get, post, replay
from tests.acceptance.billing import lines_sent, profile, registered
from tests.acceptance.messages import FEE, RUTH, VISIT, Fee, adt, dft, merged, message, siu
from tests.acceptance.practice import SETUPS, Opening, Practice, other, owner_of_patients

pytestmark = pytest.mark.timeout(30)

EARLIER, SENT, LATER = "20260105080000", "20260105080500", "20260105081000"


def runs(practice: Practice, control_id: str) -> list[tuple[str, str]]:
    found = practice.rows("SELECT state, decision_row FROM journal WHERE control_id = ? ORDER BY id", control_id)
    return [(row["state"], row["decision_row"]) for row in found]


@pytest.mark.parametrize("setup", SETUPS)
async def test_a_stale_message_is_applied_by_hand_and_sent_on(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    side = owner_of_patients(setup)
    await practice.accepted(side, adt("REG", "A28", sender=side, sent=LATER))
    late = adt("U1", "A08", replace(RUTH, street="3 LATE ST"), sender=side, sent=SENT)
    await practice.accepted(side, late)
    again = (await replay(practice, "U1")).json()
    assert (again["state"], again["row"], again["deliveries"]) == ("stale", "#87", [])
    done = (await replay(practice, "U1", apply_stale=True)).json()
    assert (done["state"], done["replay_of"], [one["destination"] for one in done["deliveries"]]) == (
        "accepted", practice.rows("SELECT min(id) AS id FROM journal WHERE control_id = 'U1'")[0]["id"], [other(side)],
    )  # fmt: skip
    assert str(practice.field("7050", "PID-11")).startswith("3 LATE ST")
    await practice.assert_relayed(late, other(side))
    # By hand it is no newer than it was: what was stale before is stale still.
    await practice.accepted(side, adt("U2", "A08", replace(RUTH, street="4 LATE ST"), sender=side, sent=SENT))
    assert practice.decided("U2") == ("stale", "#87")


async def test_a_replay_is_a_row_of_its_own_linked_to_what_came_and_audited_without_an_answer(opened: Opening) -> None:
    practice = await opened()
    await practice.accepted("pm", adt("REG", "A28"))
    line = await practice.line("pm")
    done = (await replay(practice, "REG")).json()
    assert await line.send(adt("X1", "A08"))  # the next answer on the line is this one's
    row = practice.rows("SELECT * FROM journal WHERE id = ?", done["id"])[0]
    assert (row["replay_of"], row["ack_code"], row["answer"], row["raw"]) == (1, "", None, adt("REG", "A28"))
    listed = (await get(practice, "/messages", control_id="REG")).json()["items"]
    assert [(one["id"], one["replay_of"]) for one in listed] == [(2, 1), (1, None)]
    assert (await get(practice, "/messages/2")).json()["replay_of"] == 1
    (audited,) = practice.rows("SELECT * FROM audit WHERE action = 'replay-message'")
    assert (audited["target"], audited["reason"]) == ("message 1 as message 2", REASON)
    assert audited["actor"].startswith("api ")


@pytest.mark.parametrize("setup", SETUPS)
async def test_a_copy_that_was_made_is_not_made_again_unless_asked(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    side = owner_of_patients(setup)
    sent = adt("REG", "A28", sender=side)
    await practice.accepted(side, sent)
    first = (await replay(practice, "REG")).json()
    assert (first["deliveries"], first["spared"]) == ([], [other(side)])
    second = (await replay(practice, "REG", resend=True)).json()
    assert ([one["destination"] for one in second["deliveries"]], second["spared"]) == ([other(side)], [])
    third = (await replay(practice, "REG")).json()
    assert (third["deliveries"], third["replay_of"]) == ([], 1)
    copies = await practice.quiet(other(side))
    assert len(copies[other(side)]) == 2


@pytest.mark.parametrize("setup", SETUPS)
async def test_a_charge_is_never_sent_twice_by_a_replay(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    side = owner_of_patients(setup)
    await practice.accepted(side, adt("REG", "A28", sender=side))
    await practice.accepted("emr", dft("C1", [FEE, Fee("T-2")]))
    for resend in (False, True):
        done = (await replay(practice, "C1", resend=resend)).json()
        assert (done["state"], done["row"], done["deliveries"]) == ("ignored", "#48", [])
    assert practice.charges() == [("T-1", "sent"), ("T-2", "sent")]


async def test_refused_charges_count_once_however_often_they_are_replayed(opened: Opening) -> None:
    practice = await opened("emr/emr")
    assert (await practice.send("emr", dft("C1", trigger="P99"))).code == "AR"
    assert (await practice.send("emr", dft("C2", [Fee(code="")], RUTH))).code == "AE"
    refused = (await replay(practice, "C2")).json()
    assert (refused["state"], refused["row"]) == ("rejected", "#41")
    again = (await replay(practice, "C1")).json()
    assert (again["state"], again["row"]) == ("rejected", "#80")
    assert practice.charges() == [("T-1", "rejected"), ("T-1", "rejected")]  # one of each message, however often it was judged


async def test_what_was_refused_for_want_of_a_patient_is_taken_by_a_replay_and_its_copy_is_a_duplicate(opened: Opening) -> None:
    practice = await opened()
    edit = adt("B84", "A08", RUTH, "AL1|1|DA|PCN^PENICILLIN", sender="emr")
    assert (await practice.send("emr", edit)).code == "AE"
    await practice.accepted("pm", adt("REG", "A28"))
    assert (await replay(practice, "B84")).json()["state"] == "accepted"
    assert practice.field("7050", "AL1") == "AL1|1|DA|PCN^PENICILLIN"
    reply = await practice.accepted("emr", edit)
    assert reply.faults == ()
    assert [state for state, _ in runs(practice, "B84")] == ["rejected", "accepted", "duplicate"]


async def test_a_copy_of_a_message_that_was_taken_gets_its_first_answer_whatever_a_replay_said(opened: Opening) -> None:
    practice = await opened()
    line = await practice.line("pm")
    answer = await line.send(adt("REG", "A28"))
    await replay(practice, "REG")
    assert await line.send(adt("REG", "A28")) == answer
    assert practice.rows("SELECT repeats FROM journal WHERE state = 'duplicate'")[0]["repeats"] == 1


async def test_a_replay_may_be_held_and_a_release_spares_who_had_a_copy(opened: Opening) -> None:
    practice = await opened()
    await practice.accepted("pm", adt("REG", "A28"))
    update = adt("U1", "A08", replace(RUTH, birth="20010101"))
    await practice.accepted("pm", update)
    await practice.accepted("pm", adt("U2", "A08", replace(RUTH, birth="20180412", given="EVE", sex="M")))
    held = (await post(practice, "/messages/2/replay", reason=REASON)).json()
    assert held["state"] in {"held", "accepted"}
    for one in practice.rows("SELECT id FROM hold WHERE closed_at IS NULL ORDER BY id"):
        await post(practice, f"/holds/{one['id']}/release", reason=REASON)
    copies = practice.rows("SELECT message FROM delivery ORDER BY id")
    assert [row["message"] for row in copies].count(held["id"]) == 0


async def test_a_booking_and_a_merge_are_replayed_like_anything_else(opened: Opening) -> None:
    practice = await opened()
    other_chart = replace(RUTH, id="7052")
    await practice.accepted("pm", adt("A1", "A28"), adt("A2", "A28", other_chart), siu("S1", "S12", VISIT))
    await practice.accepted("pm", merged("M1", (other_chart, RUTH)))
    booked = (await replay(practice, "S1")).json()
    assert (booked["state"], booked["deliveries"], booked["spared"]) == ("accepted", [], ["emr"])
    assert practice.count("appointment") == 1
    assert (await replay(practice, "M1")).json()["row"] == "#63"
    assert len(practice.merges()) == 1


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("held", "waits in custody"),
        ("duplicate", "is a copy"),
        ("ack", "acknowledgment"),
        ("piece", "no whole message"),
        ("unreadable", "cannot be read"),
    ],
)
async def test_what_cannot_be_replayed_is_said_with_what_to_do_instead(opened: Opening, case: str, words: str) -> None:
    practice = await opened()
    line = await practice.line("pm")
    if case == "held":
        await practice.accepted("emr", dft("C1"))
    elif case == "duplicate":
        await practice.accepted("pm", adt("A1", "A28"), adt("A1", "A28"))
    elif case == "ack":
        await line.send_raw(b"\x0b" + message("ACK^A08", "K1", "MSA|AA|1", sender="pm") + b"\x1c\r")
        await practice.until(lambda: practice.count("journal") == 1)
    elif case == "piece":
        await line.send_raw(b"\x0bMSH|^~\\&|PM\x1cX|rest\x1c\r")
        await practice.until(lambda: practice.count("journal") >= 1)
    else:
        await line.send(b"MSH|^~\\&|PM\r")
    number = practice.count("journal")
    answer = await post(practice, f"/messages/{number}/replay", reason=REASON)
    assert answer.status_code == 409, answer.text
    assert words in answer.json()["detail"]
    assert practice.count("journal") == number
    assert practice.rows("SELECT * FROM audit WHERE action = 'replay-message'") == []


async def test_a_replay_needs_a_reason_and_a_message(opened: Opening) -> None:
    practice = await opened()
    await practice.accepted("pm", adt("A1", "A28"))
    assert (await post(practice, "/messages/1/replay")).status_code == 422
    assert (await post(practice, "/messages/1/replay", reason=" ")).status_code == 422
    assert (await post(practice, "/messages/1/replay", reason="x", resend="yes")).status_code == 422
    assert (await post(practice, "/messages/1/replay", reason="x", force=True)).status_code == 422
    assert (await post(practice, "/messages/9/replay", reason="x")).status_code == 404
    assert practice.count("journal") == 1


async def test_a_weak_sender_s_last_message_is_still_the_last_that_came(opened: Opening) -> None:
    """Arrive, un-arrive, a replay of the first, and the first again: it is no repetition of the last one (#86)."""
    practice = await opened(PM_CONTROL_ID="weak")
    line = await practice.line("pm")
    await line.send(adt("7", "A28"))
    there, not_there = (siu("7", "S14", replace(VISIT, status=status)) for status in ("Arrived", "Booked"))
    await line.send(there)
    await line.send(not_there)
    await post(practice, "/messages/2/replay", reason=REASON)
    await line.send(there)
    assert practice.rows("SELECT state FROM journal ORDER BY id DESC LIMIT 1")[0]["state"] == "accepted"


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_49_a_replay_of_a_corrected_charge_takes_nothing_back_and_counts_once(
    opened: Opening, setup: str, tmp_path: Path
) -> None:
    practice = await registered(opened, setup, **profile(tmp_path, "pm", 'corrections = "replace"'))
    await practice.accepted("emr", dft("C1"), dft("C2", [replace(FEE, amount="150.00")]))
    done = (await replay(practice, "C1")).json()
    assert (done["state"], done["deliveries"], done["waits_for"]) == ("ignored", [], [])
    await practice.accepted("emr", dft("C3", [replace(FEE, amount="160.00")]))  # takes back what the PM has: C2
    await practice.quiet()
    assert [(kind, amount) for kind, amount in lines_sent(practice, 6, 11)] == [
        ("CG", "125.00"), ("CD", "125.00"), ("CG", "150.00"), ("CD", "150.00"), ("CG", "160.00"),
    ]  # fmt: skip
    report = (await get(practice, "/reconciliation")).json()
    assert (report["adds_up"], report["received"]["count"], report["accepted"]["count"]) == (True, 3, 3)


async def test_row_57_a_replay_of_charges_without_numbers_asks_nobody_whether_they_were_done_twice(opened: Opening) -> None:
    practice = await registered(opened, SETUPS[0])
    await practice.accepted("emr", dft("C1", [Fee("")]))
    done = (await replay(practice, "C1")).json()
    assert (done["state"], done["waits_for"]) == ("ignored", [])
    again = (await replay(practice, "C1", resend=True)).json()
    assert (again["state"], again["waits_for"]) == ("held", ["repeat:3"])
    report = (await get(practice, "/reconciliation")).json()
    assert (report["adds_up"], report["received"]["count"]) == (True, 2)
