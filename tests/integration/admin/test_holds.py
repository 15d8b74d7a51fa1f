"""A person's release or discard over HTTP: what is asked for, what comes back, and what is refused before anything is done."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ophl7.domain.identifiers import Identifier
from ophl7.engine.acts import Act, Done, NotDone
from ophl7.errors import StoreAway, StoreRefused
from tests.integration.admin.practice import NOON, Desk, Practice, adt, dft

WHY = {"reason": "the mother was called"}


@pytest.fixture
async def waiting(practice: Practice) -> None:
    """Message 1 waits under hold 1; hold 2 was discarded by a person."""
    practice.hold(practice.message(adt(), peer="emr", state="held"), "demographics:PM:7050")
    ended = practice.hold(practice.message(adt(), state="ignored"))
    practice.close_hold(ended, "discarded", "api 192.0.2.1", "sent twice")
    await practice.commit()


OPEN = {
    "id": 1,
    "reason": "the patient is not known",
    "key": "demographics:PM:7050",
    "message": 1,
    "since": "2026-11-23T12:00:00-05:00",
    "peer": "emr",
}


@pytest.mark.usefixtures("waiting")
async def test_a_hold_that_was_closed_tells_by_whom_and_why(desk: Desk) -> None:
    open_one, closed = (await desk.get("/api/v1/holds/1")).json(), (await desk.get("/api/v1/holds/2")).json()
    assert open_one == OPEN | dict.fromkeys(("closed_at", "closed_how", "closed_by", "closed_reason", "redirected_to"))
    ends = (closed["closed_at"], closed["closed_how"], closed["closed_by"], closed["closed_reason"])
    assert ends == ("2026-11-23T12:01:00-05:00", "discarded", "api 192.0.2.1", "sent twice")


@pytest.mark.usefixtures("waiting")
async def test_a_release_answers_with_the_hold_and_what_its_message_is_now(desk: Desk) -> None:
    answer = await desk.post("/holds/1/release", WHY)
    assert (answer.status_code, answer.json()) == (
        200,
        OPEN
        | {
            "closed_at": "2026-11-23T12:01:00-05:00",
            "closed_how": "accepted",
            "closed_by": "api 127.0.0.1",
            "closed_reason": "the mother was called",
            "redirected_to": None,
            "state": "accepted",
            "waits_for": [],
            "released": 2,
        },
    )
    assert desk.acts == [Act("release", 1, 1, "api 127.0.0.1", "the mother was called")]


@pytest.mark.usefixtures("waiting")
async def test_a_discard_is_handed_on_as_such(desk: Desk) -> None:
    desk.outcome = Done(NOON, "discarded", "ignored")
    answer = (await desk.post("/holds/1/discard", WHY)).json()
    assert (answer["closed_how"], answer["state"], answer["released"]) == ("discarded", "ignored", 0)
    assert [act.verb for act in desk.acts] == ["discard"]


@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize("verb", ["release", "discard"])
async def test_a_closed_hold_answers_what_became_of_it_and_nothing_happens(desk: Desk, verb: str) -> None:
    answer = await desk.post(f"/holds/2/{verb}", WHY)
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
    assert "a person has discarded the message" in answer.json()["detail"]
    assert answer.json()["hold"]["closed_by"] == "api 192.0.2.1"
    assert desk.acts == []


@pytest.mark.usefixtures("waiting")
async def test_a_hold_that_closes_while_somebody_writes_answers_the_same(desk: Desk) -> None:
    desk.outcome = NotDone(still_open=False, reason="")
    answer = await desk.post("/holds/1/release", WHY)
    assert (answer.status_code, answer.json()["hold"]["id"]) == (409, 1)


@pytest.mark.usefixtures("waiting")
async def test_what_a_release_cannot_do_is_said_with_what_to_do_instead(desk: Desk) -> None:
    desk.outcome = NotDone(still_open=True, reason="register the patient; the message then goes on by itself")
    answer = await desk.post("/holds/1/release", WHY)
    assert (answer.status_code, answer.json()["detail"]) == (409, "register the patient; the message then goes on by itself")


@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize("number", ["3", "0", "99999999999999999999", "x", "-1"])
async def test_an_unknown_hold_is_404_without_an_echo(desk: Desk, number: str) -> None:
    answer = await desk.post(f"/holds/{number}/release", WHY)
    assert (answer.status_code, answer.json()["detail"]) == (404, "no hold has this number")


@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reason": None},
        {"reason": ""},
        {"reason": " \n\t "},
        {"reason": "x" * 501},
        {"reason": 7},
        {"reason": ["x"]},
        {"reason": "a\x00b"},
        {"reason": "\ud800"},
        {"reason": "\u202eevil"},
    ],
)
async def test_a_reason_that_is_none_is_422_and_names_the_field(desk: Desk, body: dict[str, Any]) -> None:
    async with desk.client() as client:
        answer = await client.post("/api/v1/holds/1/release", content=json.dumps(body))
    assert (answer.status_code, answer.json()["parameter"]) == (422, "reason")
    assert answer.json()["detail"].startswith("reason: ")
    assert desk.acts == []


@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"reason=x", 400),
        (b"[]", 400),
        (b'"x"', 400),
        (b"\xff", 400),
        (b'{"reason": "x", "other": 1}', 422),
        (b'{"reason": "' + b"x" * 17000 + b'"}', 413),
        (b"[" * 10000, 400),
    ],
)
async def test_another_body_is_refused_and_never_quoted(desk: Desk, body: bytes, status: int) -> None:
    async with desk.client() as client:
        answer = await client.post("/api/v1/holds/1/release", content=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert "other" not in answer.text
    assert desk.acts == []


@pytest.mark.usefixtures("waiting")
async def test_a_reason_of_several_lines_becomes_one(desk: Desk) -> None:
    await desk.post("/holds/1/release", {"reason": "  the mother\r\n was   called "})
    assert desk.acts[0].reason == "the mother was called"


@pytest.mark.usefixtures("waiting")
async def test_while_the_database_is_away_nothing_is_decided(desk: Desk) -> None:
    desk.outcome = StoreAway("/data/x")
    answer = await desk.post("/holds/1/release", WHY)
    assert (answer.status_code, "/data/x" in answer.text) == (503, False)


@pytest.mark.usefixtures("waiting")
async def test_what_is_not_on_disk_in_time_may_have_happened_and_the_answer_says_so(desk: Desk) -> None:
    desk.outcome = TimeoutError()
    answer = await desk.post("/holds/1/release", WHY)
    assert (answer.status_code, "look at the hold again" in answer.json()["detail"]) == (503, True)


@pytest.mark.usefixtures("waiting")
async def test_rows_that_the_database_refuses_change_nothing(desk: Desk) -> None:
    desk.outcome = StoreRefused("a row")
    answer = await desk.post("/holds/1/release", WHY)
    assert (answer.status_code, answer.json()["code"]) == (500, "OPHL7-E302")
    assert "nothing was changed" in answer.json()["detail"]


@pytest.mark.usefixtures("waiting")
async def test_neither_a_get_nor_the_console_s_cookie_decides_anything_in_the_api(desk: Desk) -> None:
    async with desk.client(token=None) as client:
        await client.get("/?token=a-token-for-tests")
        assert (await client.get("/api/v1/holds/1")).status_code == 200
        assert (await client.post("/api/v1/holds/1/release", json=WHY)).status_code == 401
        assert (await client.get("/api/v1/holds/1/release")).status_code == 405
    assert desk.acts == []


async def test_a_redirect_names_a_patient_whom_somebody_has(practice: Practice, desk: Desk) -> None:
    number = practice.hold(practice.message(dft("7501", "C2"), event="DFT^P03"))
    practice.patient(Identifier("PM", "7050", "MR"))
    practice.patient(Identifier("PM", "88", "MR"))
    practice.patient(Identifier("EMR", "88", "MR"))
    await practice.commit()
    path, why = f"/holds/{number}/redirect", {"reason": "a slip of the pen"}
    answer = await desk.post(path, {"patient": "PM:7050", **why})
    assert (answer.status_code, answer.json()["redirected_to"]) == (200, "PM:7050")
    assert [(act.verb, act.patient) for act in desk.acts] == [("redirect", Identifier("PM", "7050", "MR"))]
    for whose, status in (("PM:1", 422), ("", 422), (7050, 422), ("88", 409)):
        assert (await desk.post(path, {"patient": whose, **why})).status_code == status
    assert len(desk.acts) == 1
