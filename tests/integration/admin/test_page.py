"""The console's first page: plain words, no patient data, no script."""

from __future__ import annotations

import pytest

from ophl7.errors import StoreAway
from tests.integration.admin.practice import ANNA, LINK, Desk, Practice, adt


@pytest.fixture
async def text(practice: Practice, desk: Desk) -> str:
    anna = practice.patient(ANNA, more={"fields": {"PID-5": "Specimen^Anna"}})
    practice.message(adt(), subject=anna.subject)
    practice.message(adt(), control_id="<b>&Specimen</b>", event="Specimen", subject=anna.subject, state="held")
    practice.hold(2)
    await practice.commit()
    answer = await desk.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    return answer.text


async def test_it_says_what_listens_where_and_what_waits(text: str) -> None:
    for words in (
        "Ready: messages are taken",
        "127.0.0.1:2575 (TLS)",
        "mllp://127.0.0.1:6661",
        "the practice management",
        "3 s",
    ):
        assert words in text
    assert "the patient is not known" in text
    assert "1 accepted, 1 held" in text


async def test_a_peer_that_is_drained_is_seen_to_be(practice: Practice, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await practice.commit()
    assert "nothing more is taken" not in (await desk.get("/")).text
    door = {**LINK["listener"], "state": "draining", "drained_because": "a move"}
    monkeypatch.setattr("tests.integration.admin.practice.LINK", {**LINK, "listener": door})
    assert "127.0.0.1:2575 (TLS), draining: nothing more is taken" in (await desk.get("/")).text


async def test_it_shows_no_patient_data(text: str) -> None:
    for secret in ("7050", "Specimen", "Anna", "HUSH", "20180402"):
        assert secret not in text


async def test_it_works_without_script_and_refreshes_itself(text: str) -> None:
    assert "<script" not in text
    assert 'http-equiv="refresh"' in text
    assert " style=" not in text  # the policy would not let it through


async def test_nothing_received_yet_tells_what_to_try(practice: Practice, desk: Desk) -> None:
    practice.audit("start")
    await practice.commit()
    assert "No message has come yet" in (await desk.get("/")).text


async def test_a_database_that_is_away_leaves_links_and_reasons(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(**_: object) -> None:
        raise StoreAway

    monkeypatch.setattr(desk.reads, "holds", away)
    desk.ready = (503, {"ready": False, "checks": {"store": {"ok": False, "reason": "the disk is full"}}})
    page = (await desk.get("/")).text
    assert "Not ready" in page
    assert "the disk is full" in page
    assert "127.0.0.1:2575" in page
    assert "cannot be read just now" in page


async def test_a_link_without_destination_is_no_fault_of_the_page(
    practice: Practice, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice.audit("start")
    await practice.commit()
    nowhere = {"url": None, "state": "unset", "queued": 0, "oldest_seconds": None, "parked": 0, "last_error": None}
    monkeypatch.setitem(LINK, "destination", nowhere)
    page = (await desk.get("/")).text
    assert "nothing is lost" in page


async def test_the_style_comes_from_here(desk: Desk) -> None:
    answer = await desk.get("/style.css")
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "text/css")
