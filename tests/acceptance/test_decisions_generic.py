"""decisions 7, row by row, from socket to socket: headers, repetitions, broken frames, our own trouble."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from ophl7.mllp.framing import frame
from ophl7.testing.peers import Client
from tests.acceptance.messages import FEE, RUTH, VISIT, Fee, Side, adt, dft, message, relayed, siu
from tests.acceptance.practice import PM_OWNS, SETUPS, Opening, Practice, owner_of_patients
from tests.acceptance.replies import VERSIONS, assert_refused, read_reply

pytestmark = pytest.mark.timeout(30)

SIDES: tuple[Side, ...] = ("pm", "emr")


# -- 80 -------------------------------------------------------------------------------------------------------------------

UNKNOWN = {
    "ORU^R01": 200,
    "MDM^T02": 200,
    "XYZ^Z99": 200,
    "SIU^S99": 201,
    "DFT^P99": 201,
    "BAR^P99": 201,
    "SIU": 201,
    "DFT": 201,
    "ADT": 201,
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("side", "event"),  # of the PM every DFT is row 55's
    [(side, event) for side in SIDES for event in UNKNOWN if (side, event[:3]) != ("pm", "DFT")],
)
async def test_row_80_an_unknown_type_or_event_is_refused_by_its_header__any(
    opened: Opening, side: Side, event: str, version: str
) -> None:
    practice = await opened(PM_OWNS)
    sent = message(event, "X80", "PID|1||7050^^^PM^MR", sender=side, version=version)
    assert_refused(await practice.send(side, sent), "AR", "", UNKNOWN[event])
    assert practice.decided("X80") == ("rejected", "#80")
    practice.assert_kept_back(sent)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_80_the_ignore_list_turns_it_into_aa_without_effect__any(opened: Opening, setup: str, side: Side) -> None:
    practice = await opened(setup, **{f"{side.upper()}_IGNORE_EVENTS": "ORU^R01,ADT^A28"})
    for number, event in enumerate(["ORU^R01", "ADT^A28"]):
        sent = message(event, f"X{number}", "PID|1||7050^^^PM^MR||ADAMSKI^RUTH||20180412|F", sender=side)
        await practice.accepted(side, sent)
        assert practice.decided(f"X{number}") == ("ignored", "#80")
        practice.assert_kept_back(sent)
    assert practice.patient("7050") is None


# -- 81, 82, 83 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("side", SIDES)
async def test_row_81_another_processing_id_is_refused__any(opened: Opening, side: Side, version: str) -> None:
    practice = await opened(PM_OWNS)
    for mode in ("T", "D", "X"):
        sent = message("ADT^A28", f"X{mode}", "PID|1||7050^^^PM^MR", sender=side, version=version, mode=mode)
        assert_refused(await practice.send(side, sent), "AR", "", 202)
        assert practice.decided(f"X{mode}") == ("rejected", "#81")
    assert practice.patient("7050") is None


@pytest.mark.parametrize(("wanted", "mode"), [("any", "T"), ("P,T", "T"), ("T", "T")])
async def test_row_81_what_the_setting_wants_is_taken__any(opened: Opening, wanted: str, mode: str) -> None:
    practice = await opened(PM_OWNS, PROCESSING_ID=wanted)
    sent = adt("X81", "A28").replace(b"|P|2.3.1", f"|{mode}|2.3.1".encode())
    await practice.accepted("pm", sent)
    await practice.assert_relayed(sent, "emr")


@pytest.mark.parametrize("wanted", ["P", "T,P", "any"])
async def test_row_81_a_blank_processing_id_counts_as_p_with_a_warning__any(opened: Opening, wanted: str) -> None:
    practice = await opened(PM_OWNS, PROCESSING_ID=wanted)
    sent = adt("X81", "A28", version="2.5.1").replace(b"|P|2.5.1", b"||2.5.1")
    reply = await practice.accepted("pm", sent)
    assert [(fault.code, fault.severity, fault.ours) for fault in reply.faults] == [(0, "W", "")]
    assert reply.faults[0].place == ("MSH", "1", "11")
    assert practice.decided("X81") == ("accepted", "#81")
    await practice.assert_relayed(sent, "emr")


@pytest.mark.parametrize("version", VERSIONS)
async def test_row_81_a_blank_processing_id_makes_no_effect_out_of_nothing__any(opened: Opening, version: str) -> None:
    """What changes nothing is ignored (#37, #48) whatever its header looks like; the warning is given all the same."""
    practice = await opened(PM_OWNS)
    await practice.accepted("pm", adt("REG", "A28"))
    await practice.accepted("emr", dft("C1"))
    sent = dft("C2", version=version).replace(f"|P|{version}".encode(), f"||{version}".encode())
    reply = await practice.accepted("emr", sent)
    assert practice.decided("C2") == ("ignored", "#48")
    assert [fault.severity for fault in reply.faults] == (["W"] if version >= "2.5" else [])
    assert practice.charges() == [("T-1", "sent")]


async def test_row_81_a_blank_processing_id_is_refused_where_p_is_not_wanted__any(opened: Opening) -> None:
    practice = await opened(PM_OWNS, PROCESSING_ID="T")
    sent = adt("X81", "A28", version="2.5.1").replace(b"|P|2.5.1", b"||2.5.1")
    assert_refused(await practice.send("pm", sent), "AR", "", 202)


@pytest.mark.parametrize("version", ["1.0", "2.0", "3.0", "2.10", "nonsense"])
@pytest.mark.parametrize("side", SIDES)
async def test_row_82_an_unknown_version_is_refused_in_the_2_5_form__any(opened: Opening, side: Side, version: str) -> None:
    practice = await opened(PM_OWNS)
    sent = adt("X82", "A28", sender=side, version=version)
    reply = await practice.send(side, sent)
    assert_refused(reply, "AR", "", 203)
    assert reply.version == "2.5"
    assert practice.decided("X82") == ("rejected", "#82")
    practice.assert_kept_back(sent)


@pytest.mark.parametrize(
    "version", ["2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.2", "2.9", ""]
)
async def test_row_82_every_version_from_2_1_to_2_9_is_taken_and_blank_counts_as_2_3__any(
    opened: Opening, version: str
) -> None:
    practice = await opened(PM_OWNS)
    sent = adt("X82", "A28", version=version)
    reply = await practice.accepted("pm", sent)
    assert reply.version == (version or "2.3")
    await practice.assert_relayed(sent, "emr")


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_83_other_names_in_msh_3_to_6_are_taken_and_leave_as_they_came__any(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    side = owner_of_patients(setup)
    sent = adt("X83", "A28", sender=side).split(b"|", 6)
    sent[2:6] = [b"ELSEWHERE^1.2^ISO", b"", b"SOMEBODY", b"ELSE"]
    payload = b"|".join(sent)
    await practice.accepted(side, payload)
    await practice.assert_relayed(payload, "emr" if side == "pm" else "pm")


def called(payload: bytes, application: str, facility: str) -> bytes:
    """The same message with another MSH-3 and MSH-4."""
    fields = payload.split(b"|", 4)
    fields[2:4] = [application.encode(), facility.encode()]
    return b"|".join(fields)


NAMES = "OFFICE,PM|MAIN,PM|ANNEX,LAB^1.2^ISO,|OLD HOUSE"


@pytest.mark.parametrize(
    ("application", "facility", "known"),
    [
        ("OFFICE", "", True),
        ("OFFICE", "ANYWHERE", True),
        ("OFFICE^1.2.3^ISO", "ANYWHERE", True),  # by its namespace, HD.1
        ("PM", "MAIN", True),
        (" PM ", "ANNEX^9.9^ISO", True),
        ("LAB^1.2^ISO", "X", True),
        ("", "OLD HOUSE", True),
        ("PM", "ELSEWHERE", False),
        ("PM", "", False),
        ("office", "", False),
        ("LAB", "", False),
        ("", "", False),
    ],
)
async def test_row_83_names_that_are_not_this_links_are_taken_with_a_warning__any(
    opened: Opening, application: str, facility: str, known: bool
) -> None:
    practice = await opened(PM_OWNS, PM_NAMES=NAMES)
    sent = called(adt("X83", "A28", version="2.5.1"), application, facility)
    reply = await practice.accepted("pm", sent)
    assert [(fault.code, fault.severity, fault.ours, fault.place) for fault in reply.faults] == (
        [] if known else [(0, "W", "", ("MSH", "1", "3"))]
    )
    assert (practice.journal("X83")["decision_row"] == "#83") is not known
    await practice.assert_relayed(sent, "emr")


async def test_row_83_before_2_5_the_warning_is_in_the_audit_only_and_the_names_never_are__any(opened: Opening) -> None:
    practice = await opened(PM_OWNS, PM_NAMES="OFFICE")
    reply = await practice.accepted("pm", called(adt("X83", "A28"), "STRANGER", "STRANGEPLACE"))
    assert reply.faults == ()
    row = practice.journal("X83")
    assert (row["state"], row["decision_row"]) == ("accepted", "#83")
    assert '"#83"' in row["detail"]
    assert "STRANGE" not in row["reason"] + row["detail"]  # nor in a log: test_privacy.py


async def test_row_83_each_link_has_its_own_names_and_without_any_all_are_welcome__any(opened: Opening) -> None:
    practice = await opened(PM_OWNS, EMR_NAMES="CHART")
    assert (await practice.accepted("pm", adt("P83", "A28", version="2.5.1"))).faults == ()
    assert [fault.severity for fault in (await practice.accepted("emr", dft("E83", version="2.5.1"))).faults] == ["W"]
    assert practice.decided("E83") == ("accepted", "#83")


async def test_row_83_a_warning_about_the_header_hides_no_other__any(opened: Opening) -> None:
    practice = await opened(PM_OWNS, PM_NAMES="OFFICE")
    await practice.accepted("pm", adt("X83", "A28", version="2.5.1"))
    reply = await practice.accepted("pm", siu("X83", "S12", VISIT, version="2.5.1"))
    assert [fault.ours for fault in reply.faults] == ["", "W04"]
    assert practice.decided("X83") == ("accepted", "#85")


# -- 84, 84b, 85, 86 ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_84_the_same_message_again_gets_the_first_answer_and_has_no_second_effect__any(
    opened: Opening, setup: str
) -> None:
    practice = await opened(setup)
    side = owner_of_patients(setup)
    first = adt("X84", "A28", sender=side)
    # MSH-7 and MSH-8 are not compared: a sender may stamp each try.
    again = first.replace(b"|20260105080000||ADT", b"|20260105080030|secret|ADT")
    assert again != first
    line = await practice.line(side)
    answer = await line.send(first)
    assert await line.send(again) == answer
    assert await line.pipeline(first, again) == [answer, answer]
    rows = practice.rows("SELECT state, repeats FROM journal ORDER BY id")
    assert [(row["state"], row["repeats"]) for row in rows] == [("accepted", None), *[("duplicate", 1)] * 3]
    assert (practice.count("patient"), practice.count("delivery")) == (1, 1)


async def test_row_84_two_copies_in_one_packet_have_one_effect__any(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    await practice.accepted("pm", adt("REG", "A28"))
    sent = dft("C84")
    answers = await (await practice.line("emr")).pipeline(sent, sent)
    assert answers[0] == answers[1]
    assert practice.charges() == [("T-1", "sent")]
    states = practice.rows("SELECT state FROM journal WHERE control_id = 'C84' ORDER BY id")
    assert [row["state"] for row in states] == ["accepted", "duplicate"]


async def test_row_84_the_other_peer_may_use_the_same_control_id__any(opened: Opening) -> None:
    practice = await opened("pm/pm")
    await practice.accepted("pm", adt("1", "A28"))
    reply = await practice.accepted("emr", dft("1", version="2.5.1"))
    assert reply.faults == ()
    assert practice.charges() == [("T-1", "sent")]


async def test_row_84b_a_refused_message_is_judged_again_and_counted_once__any(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    edit = adt("B84", "A08", RUTH, "AL1|1|DA|PCN^PENICILLIN", sender="emr")
    for _ in range(2):
        assert_refused(await practice.send("emr", edit), "AE", "P01", 204)
    await practice.accepted("pm", adt("REG", "A28"))
    await practice.accepted("emr", edit)
    rows = practice.rows("SELECT id, state, repeats FROM journal WHERE control_id = 'B84' ORDER BY id")
    assert [row["state"] for row in rows] == ["rejected", "rejected", "accepted"]
    assert rows[0]["repeats"] is None
    assert rows[1]["repeats"] == rows[0]["id"]
    assert rows[2]["repeats"] in {rows[0]["id"], rows[1]["id"]}
    assert practice.field("7050", "AL1") == "AL1|1|DA|PCN^PENICILLIN"


async def test_row_84b_charges_of_a_refused_message_that_comes_again_are_counted_once__any(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    await practice.accepted("pm", adt("REG", "A28"))
    bad = dft("C84", [FEE, Fee("T-2", amount="abc")])
    for _ in range(3):
        assert_refused(await practice.send("emr", bad), "AE", "C01", 102)
    assert practice.charges() == [("T-1", "rejected"), ("T-2", "rejected")]


@pytest.mark.parametrize("version", VERSIONS)
async def test_row_85_the_control_id_again_with_another_content_is_a_new_message__any(opened: Opening, version: str) -> None:
    practice = await opened(PM_OWNS)
    await practice.accepted("pm", adt("X85", "A28", version=version))
    other = siu("X85", "S12", VISIT, version=version)
    reply = await practice.accepted("pm", other)
    assert reply.warnings == (["W04"] if version >= "2.5" else [])
    assert practice.decided("X85") == ("accepted", "#85")
    assert '"W04"' in practice.journal("X85")["detail"]
    assert practice.appointment("S-100") is not None
    await practice.assert_relayed(other, "emr")


async def test_row_85_both_contents_are_remembered_and_in_one_packet_too__any(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    one, two = adt("X85", "A28", version="2.5.1"), siu("X85", "S12", VISIT, version="2.5.1")
    line = await practice.line("pm")
    first, second, *again = await line.pipeline(one, two, one, two)
    assert [read_reply(answer).warnings for answer in (first, second)] == [[], ["W04"]]
    assert again == [first, second]
    assert (practice.count("patient"), practice.count("appointment"), practice.count("delivery")) == (1, 1, 2)


async def test_row_85_a_refused_message_with_a_used_control_id_is_refused_like_any_other__any(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    await practice.accepted("pm", adt("X85", "A28", version="2.5.1"))
    reply = await practice.send("pm", message("ORU^R01", "X85", sender="pm", version="2.5.1"))
    assert_refused(reply, "AR", "", 200)
    assert reply.warnings == []


@pytest.mark.parametrize("weak", [False, True], ids=["blank MSH-10", "CONTROL_ID=weak"])
async def test_row_86_arrive_un_arrive_arrive_within_a_minute_survives__any(opened: Opening, weak: bool) -> None:
    practice = await opened(PM_OWNS, **({"PM_CONTROL_ID": "weak"} if weak else {}))
    number = "7" if weak else ""
    line = await practice.line("pm")
    await line.send(adt(number, "A28"))
    from_desk = [
        siu(number, "S14", type(VISIT)(status=status), sent=sent)
        for status, sent in (("Arrived", "20260105092500"), ("Booked", "20260105092520"), ("Arrived", "20260105092540"))
    ]
    for sent in from_desk:
        assert read_reply(await line.send(sent)).code == "AA"
        assert read_reply(await line.send(sent)).code == "AA"  # the same again: a duplicate of the lane's last
    states = practice.rows("SELECT state FROM journal WHERE event = 'SIU^S14' ORDER BY id")
    assert [row["state"] for row in states] == ["accepted", "duplicate"] * 3
    row = practice.appointment("S-100")
    assert row is not None
    assert row["status"] == "arrived"
    payloads = (await practice.quiet())["emr"]
    assert len(payloads) == 4


# -- 90, 90b, 91 ----------------------------------------------------------------------------------------------------------

UNREADABLE = {
    "no MSH": b"PID|1||7050\r",
    "rubbish": b"GET / HTTP/1.1\r\n\r\n",
    "nothing": b"",
    "an empty MSH-9": b"MSH|^~\\&|PM|DESK|EMR|CLINIC|20260105||  |X90|P|2.3.1\rPID|1||7050\r".replace(b"|  |", b"||"),
    "a cut MSH": b"MSH|^~",
    "binary": bytes(range(32, 256)),
}


@pytest.mark.parametrize("case", UNREADABLE)
@pytest.mark.parametrize("side", SIDES)
async def test_row_90_a_frame_that_is_no_readable_hl7_is_kept_and_refused__any(opened: Opening, side: Side, case: str) -> None:
    practice = await opened(PM_OWNS)
    line = await practice.line(side)
    reply = read_reply(await line.send(UNREADABLE[case]))
    assert reply.code == "AR"
    assert reply.faults[0].code in {100, 102}
    assert reply.control_id == ("X90" if case == "an empty MSH-9" else "")
    (row,) = practice.rows("SELECT * FROM journal")
    assert (row["state"], row["raw"]) == ("error", UNREADABLE[case])
    await practice.send(side, message("ADT^A24", "X91", sender=side))  # the connection goes on


async def test_row_90b_an_end_mark_inside_the_data_damages_one_frame_only__any(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    line = await practice.line("pm")
    broken = adt("X90", "A28").replace(b"ADAMSKI", b"ADA\x1cMSKI")
    await line.send_raw(b"\x0b" + broken + b"\x1c\r" + frame(adt("X91", "A28")))
    first, second = read_reply(await line.read_answer()), read_reply(await line.read_answer())
    assert (first.code, first.faults[0].code) == ("AR", 100)
    assert (second.code, second.control_id) == ("AA", "X91")
    states = practice.rows("SELECT state, raw FROM journal ORDER BY id")
    assert [row["state"] for row in states] == ["error", "accepted"]


async def test_row_90b_a_frame_cut_off_by_the_next_one_gets_no_answer_of_its_own__any(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    line = await practice.line("pm")
    await line.send_raw(b"\x0b" + adt("X90", "A28")[:60] + frame(adt("X91", "A28")))
    assert read_reply(await line.read_answer()).control_id == "X91"
    states = practice.rows("SELECT state, ack_code FROM journal ORDER BY id")
    assert [(row["state"], row["ack_code"]) for row in states] == [("error", ""), ("accepted", "AA")]
    assert len(practice.rows("SELECT 1 FROM journal")) == 2


@pytest.mark.parametrize("end", [b"\x1c\r", b"\x1c\n", b"\x1c\x00", b"\x1c "])
async def test_row_90b_fs_ends_a_frame_before_cr_lf_nul_and_space__any(opened: Opening, end: bytes) -> None:
    practice = await opened(PM_OWNS)
    line = await practice.line("pm")
    await line.send_raw(b"\x0b" + adt("X90", "A28") + end)
    assert read_reply(await line.read_answer()).code == "AA"


async def test_row_90b_fs_alone_ends_a_frame_after_a_short_silence__any(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    line = await practice.line("pm")
    await line.send_raw(b"\x0b" + adt("X90", "A28") + b"\x1c")
    assert read_reply(await line.read_answer()).code == "AA"


@pytest.mark.parametrize("side", SIDES)
async def test_row_91_a_message_too_big_is_refused_and_the_connection_closed__any(opened: Opening, side: Side) -> None:
    practice = await opened(PM_OWNS, **{f"{side.upper()}_MAX_BYTES": "2KiB"})
    async with Client(*practice.address(side)) as line:
        await line.send_raw(frame(adt("X91", "A28", RUTH, "NTE|1||" + "x" * 5000, sender=side)))
        reply = read_reply(await line.read_answer())
        await line.closed()
    assert (reply.code, reply.control_id) == ("AR", "X91")
    assert reply.faults[0].code == 199
    (row,) = practice.rows("SELECT state, decision_row, raw FROM journal")
    assert (row["state"], row["decision_row"]) == ("error", "#91")
    assert bytes(row["raw"]).startswith(b"MSH|")
    assert practice.patient("7050") is None


# -- 92, 93 ---------------------------------------------------------------------------------------------------------------


async def test_row_92_unknown_segments_pass_untouched__any(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    odd = ("ZPI|1|a^b~c&d\\F\\", "XYZ|", "QRD", "ZÄÖ|é", "OBX|1|TX|||line one\\.br\\line two")
    for sent in (
        adt("X92", "A28", RUTH, *odd),
        siu("X93", "S12", VISIT, RUTH, *odd),
        # latin-1 and LF terminators are the sender's own
        adt("X94", "A08", RUTH, "ZLA|M\u00dcLLER").decode().encode("latin-1"),
    ):
        await practice.accepted("pm", sent)
        await practice.assert_relayed(sent, "emr")
    charged = dft("C92", [FEE], RUTH, *odd)
    await practice.accepted("emr", charged)
    await practice.assert_relayed(charged, "pm")


@pytest.mark.parametrize("side", SIDES)
async def test_row_93_an_ack_on_a_listener_is_never_answered__any(opened: Opening, side: Side) -> None:
    practice = await opened(PM_OWNS)
    line = await practice.line(side)
    await line.send_raw(frame(message("ACK^A08", "K93", "MSA|AA|1", sender=side)) + frame(b"MSH|^~\\&|||||||ACK|K94|P|2.3\r"))
    reply = await practice.send(side, message("ADT^A24", "X93", sender=side))  # the next answer is the next message's
    assert reply.control_id == "X93"
    for number in ("K93", "K94"):
        assert practice.decided(number) == ("ignored", "#93")
        assert practice.journal(number)["answer"] is None


# -- 94 -------------------------------------------------------------------------------------------------------------------


async def test_row_94_while_the_disk_is_full_nothing_is_answered_and_nothing_lost__any(
    opened: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice = await opened(PM_OWNS)
    line = await practice.line("pm")
    await practice.accepted("pm", adt("X94", "A28"))
    practice.broker.engine.close_for("disk")
    await line.send_raw(frame(siu("X95", "S12")))
    await line.closed()
    assert practice.broker.health.readiness().reasons["disk"] is not None
    assert practice.rows("SELECT 1 FROM journal WHERE control_id = 'X95'") == []
    practice.broker.engine.open_for("disk")
    async with Client(*practice.address("pm")) as again:
        assert read_reply(await again.send(siu("X95", "S12"))).code == "AA"


# -- 95 -------------------------------------------------------------------------------------------------------------------

FAILING = """
from ophl7.kit import Handlers, Rules

handlers = Handlers("desk_notes")


@handlers.on("ADT^A08")
async def note(msh, ctx):
    if ctx.message.first("ZBD") is not None:
        raise KeyError(ctx.message.text("PID-5"))
    return []


@handlers.on("SIU^S14")
async def wait(msh, ctx):
    import asyncio
    await asyncio.sleep(60)


@handlers.on("ADT^A31")
async def compute(msh, ctx):
    while True:
        pass
"""


def mounted(tmp_path: Path) -> str:
    folder = tmp_path / "mounted"
    folder.mkdir(mode=0o755)
    (folder / "desk_notes.py").write_text(FAILING)
    return str(folder)


async def test_row_95_a_failing_handler_costs_its_message_only__any(
    opened: Opening, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    practice = await opened(PM_OWNS, HANDLERS_PATH=mounted(tmp_path))
    others = type(RUTH)("7051", "BERGER", "OSCAR", "20150930", "M")
    await practice.accepted("pm", adt("R1", "A28"), adt("R2", "A28", others))
    moved = type(RUTH)(street="9 NEW RD")
    bad = adt("X95", "A08", moved, "ZBD|1")
    await practice.accepted("pm", bad)
    assert practice.decided("X95") == ("held", "#95")
    assert practice.holds() == ["handler:desk_notes.note"]
    assert practice.field("7050", "PID-11") == "1 ELM ST^^SPRINGFIELD^NY^12345"  # rolled back as a whole
    practice.assert_kept_back(bad)
    # Later messages of that record wait, everybody else goes on.
    await practice.accepted("pm", adt("X96", "A08", moved), adt("X97", "A08", others), siu("X98", "S12"))
    assert [practice.state(number) for number in ("X96", "X97", "X98")] == ["held", "accepted", "accepted"]
    assert "ADAMSKI" not in "".join(capfd.readouterr())  # an exception's text may quote a patient


async def test_row_95_a_handler_that_waits_is_broken_off__any(opened: Opening, tmp_path: Path) -> None:
    practice = await opened(PM_OWNS, HANDLERS_PATH=mounted(tmp_path))
    await practice.accepted("pm", adt("R1", "A28"))
    await asyncio.wait_for(practice.accepted("pm", siu("X95", "S14")), 5)
    assert practice.decided("X95") == ("held", "#95")
    assert practice.holds() == ["handler:desk_notes.wait"]


async def test_row_95_a_handler_that_computes_for_ever_is_broken_off__any(
    opened: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ophl7.broker.HANDLER_SECONDS", 0.1)
    practice = await opened(PM_OWNS, HANDLERS_PATH=mounted(tmp_path))
    await practice.accepted("pm", adt("R1", "A28"), adt("X95", "A31"), adt("X96", "A08", type(RUTH)("7052")))
    assert [practice.state(number) for number in ("X95", "X96")] == ["held", "accepted"]


async def test_row_95_the_same_handler_on_five_lanes_in_a_row_closes_that_peers_listener__any(
    opened: Opening, tmp_path: Path
) -> None:
    practice = await opened(PM_OWNS, HANDLERS_PATH=mounted(tmp_path))
    line = await practice.line("pm")
    for number in range(5):
        await practice.accepted("pm", adt(f"X{number}", "A08", type(RUTH)(f"710{number}"), "ZBD|1"))
    await line.closed()
    with pytest.raises(ConnectionRefusedError):
        await practice.client("pm")
    reasons = practice.broker.health.readiness().reasons
    assert [name for name, reason in reasons.items() if reason is not None] == ["listeners"]
    assert "desk_notes.note" in str(reasons["listeners"])
    async with Client(*practice.address("emr")) as emr:
        assert read_reply(await emr.send(message("ADT^A24", "E1", sender="emr"))).control_id == "E1"


async def test_row_95_four_lanes_and_a_good_one_in_between_close_nothing__any(opened: Opening, tmp_path: Path) -> None:
    practice = await opened(PM_OWNS, HANDLERS_PATH=mounted(tmp_path))
    for number in range(8):
        more = () if number == 4 else ("ZBD|1",)
        await practice.accepted("pm", adt(f"X{number}", "A08", type(RUTH)(f"710{number}"), *more))
    for _ in range(6):  # one lane that fails again and again is one lane
        await practice.accepted("pm", adt(f"Y{_}", "A08", type(RUTH)("7107"), "ZBD|1"))
    await practice.client("pm")


# -- several messages in one frame ----------------------------------------------------------------------------------------


async def test_section_7_a_batch_is_judged_one_by_one_and_answered_in_one_frame(opened: Opening) -> None:
    practice: Practice = await opened(PM_OWNS)
    first, second = adt("X1", "A28"), message("ORU^R01", "X2", sender="pm")
    line = await practice.line("pm")
    answer = await line.send(b"FHS|^~\\&|PM\rBHS|^~\\&|PM\r" + first + second + b"BTS|2\rFTS|1\r")
    lines = answer.split(b"\r")
    assert [part[:3] for part in lines if part] == [b"FHS", b"BHS", b"MSH", b"MSA", b"MSH", b"MSA", b"ERR", b"BTS", b"FTS"]
    assert b"MSA|AA|X1" in lines
    payload = await practice.copy_of(first, "emr")
    assert payload == relayed(first, payload.split(b"|")[9].decode())
    bare = await line.send(siu("X3", "S12") + siu("X4", "S12", type(VISIT)("S-101")))
    assert [part for part in bare.split(b"\r") if part.startswith(b"MSA")] == [b"MSA|AA|X3", b"MSA|AA|X4"]


async def test_section_7_more_than_a_thousand_messages_in_a_frame_are_refused(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    many = b"".join(message("ADT^A24", f"X{number}", sender="pm") for number in range(1001))
    reply = read_reply(await (await practice.line("pm")).send(many))
    assert (reply.code, reply.faults[0].code) == ("AE", 199)
    assert practice.count("patient") == 0


async def test_section_7_the_members_that_are_acks_get_none_and_the_envelope_is_answered(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    line = await practice.line("pm")
    ack = message("ACK^A08", "K1", "MSA|AA|1", sender="pm")
    answer = await line.send(b"BHS|^~\\&|PM\r" + ack + adt("X1", "A28") + b"BTS|2\r")
    assert [part[:3] for part in answer.split(b"\r") if part] == [b"BHS", b"MSH", b"MSA", b"BTS"]
    answer = await line.send(b"BHS|^~\\&|PM\r" + ack + b"BTS|1\r")
    assert [part[:3] for part in answer.split(b"\r") if part] == [b"BHS", b"BTS"]


BHS = b"BHS|^~\\&|PM|DESK|EMR|CLINIC|20260105||||B-7\r"


async def test_section_7_the_members_of_a_frame_share_its_bytes_and_their_commit(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    raw = BHS + adt("X1", "A28") + siu("X2", "S12") + b"BTS|2\r"
    await (await practice.line("pm")).send(raw)
    rows = practice.rows('SELECT raw, start, "end", control_id FROM journal ORDER BY id')
    assert [row["raw"] for row in rows] == [raw, raw]
    assert [raw[row["start"] : row["end"]] for row in rows] == [adt("X1", "A28"), siu("X2", "S12")]
    # The booking met the patient whom the member before it had made.
    assert practice.state("X2") == "accepted"


async def test_section_7_a_repeated_frame_meets_the_stored_answers_in_an_envelope_of_its_own(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    raw = BHS + adt("X1", "A28") + siu("X2", "S12") + message("ORU^R01", "X3", sender="pm") + b"BTS|3\r"
    line = await practice.line("pm")
    first, second = await line.send(raw), await line.send(raw)
    answers = [re.split(rb"(?=MSH\|)", answer) for answer in (first, second)]
    assert answers[0][1:3] == answers[1][1:3]  # what was taken, byte for byte; what was refused is judged again
    assert answers[0][3].split(b"\r")[1] == answers[1][3].split(b"\r")[1]
    assert answers[0][0].split(b"|")[10] != answers[1][0].split(b"|")[10]  # BHS-11: each envelope is a batch of ours
    assert [answer[0].split(b"|")[11] for answer in answers] == [b"B-7\r"] * 2  # BHS-12: theirs
    states = practice.rows("SELECT state FROM journal ORDER BY id")
    assert [row["state"] for row in states] == ["accepted", "accepted", "rejected", "duplicate", "duplicate", "rejected"]
    assert practice.count("delivery") == 2


async def test_section_7_a_member_that_is_there_twice_is_taken_once(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    answer = await (await practice.line("pm")).send(adt("X1", "A28") * 2)
    first, second = re.findall(rb"MSH.*?\rMSA[^\r]*\r", answer, re.DOTALL)
    assert first == second
    assert practice.count("delivery") == 1


COUNTS = {
    "BTS-1 says 3, 2 came": BHS + adt("X1", "A28", version="2.5.1") + siu("X2", "S12", version="2.5.1") + b"BTS|3\r",
    "FTS-1 says 2, 1 came": b"FHS|^~\\&|PM\r" + BHS + adt("X1", "A28", version="2.5.1") + b"BTS|1\rFTS|2\r",
    "BTS without BHS": adt("X1", "A28", version="2.5.1") + siu("X2", "S12", version="2.5.1") + b"BTS|2\r",
}


@pytest.mark.parametrize("problem", COUNTS)
async def test_section_7_a_count_that_is_wrong_is_a_warning_and_noted_and_costs_no_message(
    opened: Opening, problem: str
) -> None:
    practice = await opened(PM_OWNS)
    raw = COUNTS[problem]
    answer = await (await practice.line("pm")).send(raw)
    assert [part.split(b"|")[1] for part in answer.split(b"\r") if part.startswith(b"MSA")] == [b"AA"] * raw.count(b"MSH|")
    warnings = [part for part in answer.decode().split("\r") if part.startswith("ERR")]
    assert warnings == [f"ERR|||0^Message accepted^HL70357|W||||{problem}"]  # told once a frame
    row = practice.journal("X1")
    assert (row["state"], row["decision_row"], row["reason"]) == ("accepted", "batch", problem)


async def test_section_7_the_warning_about_a_frame_is_on_the_first_member_that_is_judged(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    ack, broken = message("ACK^A08", "K1", "MSA|AA|1", sender="pm"), b"MSH|^~\\&|PM\r"
    await (await practice.line("pm")).send(BHS + ack + broken + adt("X1", "A28") + siu("X2", "S12") + b"BTS|9\r")
    rows = practice.rows("SELECT control_id, state, decision_row, reason FROM journal ORDER BY id")
    assert [(row["state"], row["decision_row"]) for row in rows] == [
        ("ignored", "#93"),
        ("error", "#90"),
        ("accepted", "batch"),
        ("accepted", "#20"),
    ]
    assert rows[2]["reason"] == "BTS-1 says 9, 4 came"


async def test_section_7_our_own_trouble_with_a_batch_silences_all_of_it(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    line = await practice.line("pm")
    practice.broker.engine.close_for("disk")
    await line.send_raw(frame(BHS + adt("X1", "A28") + adt("X2", "A28") + b"BTS|2\r"))
    await line.closed()
    assert practice.count("journal") == 0


@pytest.mark.parametrize(
    ("raw", "expected"),
    [(b"BHS|^~\\&|PM\rBTS|0\r", "the batch holds no message"), (adt("X1", "A28") * 1001, "too many messages in one frame")],
)
async def test_section_7_why_a_frame_was_not_judged_is_said_in_words(opened: Opening, raw: bytes, expected: str) -> None:
    practice = await opened(PM_OWNS)
    await (await practice.line("pm")).send(raw)
    (row,) = practice.rows("SELECT reason FROM journal")
    assert row["reason"].startswith(expected)
