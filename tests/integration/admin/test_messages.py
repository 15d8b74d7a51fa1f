"""Messages over the API: names, filters, pages, opening one, its bytes, its way."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from ophl7.domain.identifiers import Identifier, subject_of
from ophl7.engine.storage import ClosedHold
from ophl7.errors import StoreAway
from tests.integration.admin.practice import ANNA, BOB, NOON, Desk, Practice, adt, dft, verdicts


async def test_a_message_carries_the_names_that_others_rely_on(practice: Practice, desk: Desk) -> None:
    anna = practice.patient(ANNA)
    practice.message(adt(), subject=anna.subject)
    await practice.commit()
    answer = await desk.get("/api/v1/messages")
    assert answer.json() == {
        "items": [
            {
                "id": 1,
                "peer": "pm",
                "received_at": "2026-11-23T12:00:00-05:00",
                "type": "ADT^A08",
                "control_id": "C1",
                "state": "accepted",
                "ack": "AA",
                "reason": None,
                "patient": "PM:7050",
                "row": "#4",
                "repeats": None,
                "replay_of": None,
            }
        ],
        "next": None,
    }


async def test_a_frame_without_header_and_answer_says_null(practice: Practice, desk: Desk) -> None:
    practice.message(b"garbage", event="", control_id="", state="error", ack="", answer=None, row="#90")
    await practice.commit()
    (item,) = await desk.items("/messages")
    assert (item["type"], item["control_id"], item["ack"], item["patient"]) == (None, None, None, None)


async def test_a_message_of_somebody_unknown_is_named_by_its_own_identifier(practice: Practice, desk: Desk) -> None:
    practice.message(dft("999", "C2"), peer="emr", event="DFT^P03", subject=subject_of(Identifier("EMR", "999")))
    await practice.commit()
    (item,) = await desk.items("/messages")
    assert item["patient"] == "EMR:999"


async def test_a_huge_message_never_names_half_an_identifier(practice: Practice, desk: Desk) -> None:
    header = b"MSH|^~\\&|PM|DESK|EMR|DESK|20261123||ADT^A08|C1|P|2.5\r"
    filler = b"ZZZ|" + b"x" * (16384 - len(header) - 4 - 1 - len(b"PID|1||70")) + b"\r"
    practice.message(header + filler + b"PID|1||7050^^^PM^MR\r", subject=1)
    practice.message(header + b"PID|1||7051^^^PM^MR\r" + filler, subject=2)
    await practice.commit()
    assert [item["patient"] for item in await desk.items("/messages")] == ["PM:7051", None]


async def test_a_member_of_a_batch_is_named_by_its_own_segments(practice: Practice, desk: Desk) -> None:
    first, second = adt("7050", "C1"), adt("7051", "C2")
    practice.message(first + second, start=len(first), end=len(first + second), control_id="C2")
    await practice.commit()
    (item,) = await desk.items("/messages")
    assert item["patient"] == "PM:7051"
    opened = (await desk.get("/api/v1/messages/1")).json()
    assert [segment["name"] for segment in opened["segments"]] == ["MSH", "EVN", "PID"]
    assert (await desk.get("/api/v1/messages/1/raw")).content == first + second


@pytest.fixture
async def day(practice: Practice) -> None:
    """1 to 6: an ADT and its copy, an EMR's DFT, a refused A28, a SIU without a patient, an ADT of a day later."""
    anna = practice.patient(ANNA)
    practice.message(adt(), subject=anna.subject)
    practice.message(adt(), subject=anna.subject, state="duplicate", repeats=1, at=NOON + 60, row="#84")
    practice.message(
        dft("999", "C3"),
        peer="emr",
        event="DFT^P03",
        control_id="C3",
        state="held",
        subject=subject_of(Identifier("EMR", "999")),
        at=NOON + 120,
    )
    practice.message(
        adt("888", "C4"),
        peer="emr",
        event="ADT^A28",
        control_id="C4",
        state="rejected",
        ack="AE",
        subject=subject_of(Identifier("PM", "888")),
        at=NOON + 180,
    )
    practice.message(b"MSH|^~\\&|PM", event="SIU^S23", control_id="C5", at=NOON + 240)
    practice.message(adt(control_id="C6"), control_id="C6", subject=anna.subject, at=NOON + 86400)
    await practice.commit()


@pytest.mark.usefixtures("day")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, [6, 5, 4, 3, 2, 1]),
        ({"peer": "emr"}, [4, 3]),
        ({"type": "ADT^A08"}, [6, 2, 1]),
        ({"type": "adt"}, [6, 4, 2, 1]),
        ({"type": "AD"}, None),
        ({"control_id": "C1"}, [2, 1]),
        ({"control_id": "C4"}, [4]),
        ({"control_id": "nobody's"}, []),
        ({"state": "held"}, [3]),
        ({"patient": "7050"}, [6, 2, 1]),
        ({"patient": "PM:7050"}, [6, 2, 1]),
        ({"patient": "999"}, [3]),
        ({"patient": "EMR:999"}, [3]),
        ({"patient": "PM:999"}, []),
        ({"patient": "PM:888"}, [4]),
        ({"since": "2026-11-24"}, [6]),
        ({"until": "2026-11-23"}, [5, 4, 3, 2, 1]),
        ({"since": "2026-11-23T17:02:00Z", "until": "2026-11-23T17:04:00Z"}, [4, 3]),
        ({"since": "2026-11-23T12:02:00", "until": "2026-11-23T12:04:00"}, [4, 3]),
        ({"patient": "7050", "state": "duplicate"}, [2]),
    ],
)
async def test_filters_find_what_they_name(desk: Desk, query: dict[str, str], found: list[int] | None) -> None:
    if found is None:
        assert (await desk.get("/api/v1/messages", **query)).status_code == 400
    else:
        assert [item["id"] for item in await desk.items("/messages", **query)] == found


async def test_an_offset_whose_plus_was_not_encoded_is_understood(practice: Practice, desk: Desk) -> None:
    practice.message(adt())
    await practice.commit()
    async with desk.client() as client:
        answer = await client.get("/api/v1/messages?since=2026-11-23T19:00:00+02:00")
        late = await client.get("/api/v1/messages?since=2026-11-23T19:00:01+02:00")
    assert (len(answer.json()["items"]), len(late.json()["items"])) == (1, 0)


async def test_an_opened_message_shows_segments_verdicts_and_answer_and_is_audited(practice: Practice, desk: Desk) -> None:
    detail = verdicts(
        ["patient.update", "PID-11", "strip", "#5", "W01", "fields not taken"],
        ["message.deliver", "", "apply"],
        warnings=[["#5", "W01", "fields not taken"]],
    )
    practice.message(adt(), detail=detail)
    practice.close_hold(practice.hold(1, "payment:T1"), "accepted", "somebody", "so")
    practice.hold(1)
    await practice.commit()
    opened = (await desk.get("/api/v1/messages/1")).json()
    assert opened["segments"][2] == {
        "name": "PID",
        "fields": ["1", "", "7050^^^PM^MR", "", "Specimen^Anna^B^Jr^Ms", "", "20180402", "F"],
    }
    assert opened["segments"][0]["fields"][:2] == ["|", "^~\\&"]
    assert opened["verdicts"] == [
        {
            "change": "patient.update",
            "path": "PID-11",
            "outcome": "strip",
            "row": "#5",
            "code": "W01",
            "text": "fields not taken",
        },
        {"change": "message.deliver", "path": "", "outcome": "apply", "row": "", "code": "", "text": ""},
    ]
    assert opened["warnings"] == [{"row": "#5", "code": "W01", "text": "fields not taken"}]
    assert opened["waits_for"] == ["patient:PM:7050"], "what a person has set aside is not waited for"
    assert opened["answer"] == "MSH|^~\\&|OPHL7|||||ACK|A1|P|2.5\rMSA|AA|C1\r"
    assert "HUSH" not in str(opened)
    assert desk.audited == [("api 127.0.0.1", "view-message", "message 1", "")]


async def test_bytes_that_no_charset_explains_are_shown_all_the_same(practice: Practice, desk: Desk) -> None:
    raw = b"MSH|^~\\&|PM|DESK|EMR|DESK|20261123||ADT^A08|C1|P|2.5|||||US|UTF-8\rPID|1||7050||M\xfcller^\xc3\x84nne\r"
    practice.message(raw)
    await practice.commit()
    opened = (await desk.get("/api/v1/messages/1")).json()
    assert opened["segments"][1]["fields"][4] == "M\ufffdller^\u00c4nne"
    assert (await desk.get("/api/v1/messages/1/raw")).content == raw


async def test_the_bytes_come_as_they_came_and_only_after_the_audit_has_them(practice: Practice, desk: Desk) -> None:
    practice.message(adt())
    await practice.commit()
    answer = await desk.get("/api/v1/messages/1/raw")
    assert (answer.content, answer.headers["content-type"]) == (adt(), "application/hl7-v2")
    assert desk.audited == [("api 127.0.0.1", "view-raw", "message 1", "")]


@pytest.mark.parametrize("path", ["/api/v1/messages/1/raw", "/api/v1/messages/1"])
async def test_what_cannot_be_audited_is_not_shown(
    practice: Practice, desk: Desk, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    async def away(*_: str) -> None:
        raise StoreAway

    monkeypatch.setattr(desk, "audit", away)
    practice.message(adt())
    await practice.commit()
    answer = await desk.get(path)
    assert answer.status_code == 503
    assert "Specimen" not in answer.text


async def test_an_unknown_number_is_404_and_audits_nothing(practice: Practice, desk: Desk) -> None:
    await practice.commit()
    practice.message(adt())
    await practice.commit()
    for number in ("2", "0", "-1", "abc", "9" * 30, "\uff11"):
        for tail in ("", "/raw", "/timeline"):
            assert (await desk.get(f"/api/v1/messages/{number}{tail}")).status_code == 404
    assert desk.audited == []


async def test_the_way_of_a_message_is_told_in_the_order_of_time(practice: Practice, desk: Desk) -> None:
    number = practice.message(dft("7050", "C1"), peer="emr", event="DFT^P03", reason="released", row="#43")
    hold = practice.hold(number)
    practice.rows.closed_holds.append(ClosedHold(hold, NOON + 4, "released"))
    delivery = practice.delivery(number, "accepted", "pm")
    practice.charge(number, 1, delivery=delivery, line=0)
    await practice.commit()
    told = (await desk.get(f"/api/v1/messages/{number}/timeline")).json()
    assert [step["step"] for step in told["items"]] == [
        "received",
        "decided",
        "answered",
        "held",
        "queued",
        "hold_closed",
        "decided",
        "charge",
        "accepted",
    ]
    assert told["items"][0] == {
        "at": "2026-11-23T12:00:00-05:00",
        "step": "received",
        "text": "Received DFT^P03 from the EMR, control id C1",
    }
    assert (
        told["items"][-1]["text"]
        == "Copy 1 for the practice management was accepted after 2 tries, answer AE 204 (it does not know this id)"
    )
    assert told["items"][-1]["at"] == "2026-11-23T12:00:05-05:00"
    assert "7050" not in str(told)


async def test_a_copy_points_to_the_message_that_it_repeats(practice: Practice, desk: Desk) -> None:
    practice.message(adt())
    practice.message(adt(), state="duplicate", repeats=1, row="#84")
    await practice.commit()
    told = (await desk.get("/api/v1/messages/2/timeline")).json()
    assert "first seen as message 1" in told["items"][1]["text"]


async def test_two_readings_of_a_bare_id_are_both_found_while_nobody_has_it(practice: Practice, desk: Desk) -> None:
    for authority in ("PM", "EMR"):
        practice.message(adt("5"), subject=subject_of(Identifier(authority, "5")))
    practice.message(adt("7051"), subject=practice.patient(BOB).subject)
    await practice.commit()
    assert [item["id"] for item in await desk.items("/messages", patient="5")] == [2, 1]


async def test_bytes_that_retention_has_removed_are_gone_not_unknown(practice: Practice, desk: Desk) -> None:
    practice.message(adt())
    await practice.commit()
    with closing(sqlite3.connect(practice.path)) as connection, connection:
        connection.execute("UPDATE journal SET raw = NULL, answer = NULL, detail = ''")
    answer = await desk.get("/api/v1/messages/1/raw")
    assert (answer.status_code, answer.headers["content-type"]) == (410, "application/problem+json")
    opened = (await desk.get("/api/v1/messages/1")).json()
    assert (opened["segments"], opened["answer"], opened["verdicts"], opened["patient"]) == ([], None, [], None)
    assert [item["patient"] for item in await desk.items("/messages")] == [None]


async def test_a_frame_that_is_no_message_opens_without_segments(practice: Practice, desk: Desk) -> None:
    practice.message(b"garbage", event="", control_id="", state="error", ack="AR")
    await practice.commit()
    assert (await desk.get("/api/v1/messages/1")).json()["segments"] == []
    assert (await desk.get("/api/v1/messages/1/raw")).content == b"garbage"
