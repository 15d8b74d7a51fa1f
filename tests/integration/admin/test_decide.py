"""A hold decided on the status page: a form without script, that no other page can send."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from ophl7.admin.guard import COOKIE
from ophl7.engine.acts import NotDone
from ophl7.errors import StoreAway
from tests.integration.admin.practice import TOKEN, Desk, Practice, adt

OWN = {"Origin": "http://desk", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
async def browser(practice: Practice, desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    """Let in by the link of the start, at a practice where message 1 waits under hold 1."""
    practice.hold(practice.message(adt(), peer="emr", state="held"), "demographics:PM:7050")
    await practice.commit()
    async with desk.client(token=None) as client:
        await client.get(f"/?token={TOKEN}")
        yield client


@pytest.fixture
async def coded(practice: Practice, desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    """The same, and what waits is a charge whose code nobody has mapped."""
    practice.hold(practice.message(adt(), peer="emr", state="held"), "mapping:provider:D<7")
    await practice.commit()
    async with desk.client(token=None) as client:
        await client.get(f"/?token={TOKEN}")
        yield client


async def test_a_code_is_mapped_with_the_form_of_its_hold(desk: Desk, coded: httpx.AsyncClient) -> None:
    page = (await coded.get("/?decide=1")).text
    assert "<code>D&lt;7</code> (table provider)" in page
    assert 'formaction="/holds/1/map"' in page
    given = {"form": await form_of(coded), "reason": "asked her", "to": " 107 "}
    answer = await coded.post("/holds/1/map", data=given, headers=OWN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?decided=1")
    (entry,) = desk.entries
    assert (entry.peer, entry.table, entry.code, entry.to) == ("emr", "provider", "D<7", "107")
    assert (entry.hold, entry.message, entry.actor, entry.reason) == (1, 1, "console 127.0.0.1", "asked her")


async def test_a_map_without_a_code_is_said_with_the_form_still_open(desk: Desk, coded: httpx.AsyncClient) -> None:
    answer = await coded.post("/holds/1/map", data={"form": await form_of(coded), "reason": "x <i>", "to": ""}, headers=OWN)
    assert (answer.status_code, desk.entries) == (422, [])
    assert "to: a text that is not empty" in answer.text
    assert 'value="x &lt;i&gt;"' in answer.text


async def test_what_a_map_cannot_do_is_said_and_what_was_written_stays(desk: Desk, coded: httpx.AsyncClient) -> None:
    desk.entered = NotDone(still_open=True, reason="the profile of the EMR has no table provider")
    answer = await coded.post("/holds/1/map", data={"form": await form_of(coded), "reason": "x", "to": "9<"}, headers=OWN)
    assert answer.status_code == 409
    assert "has no table provider" in answer.text
    assert 'value="9&lt;"' in answer.text


async def test_a_hold_that_waits_for_no_code_has_no_field_for_one(desk: Desk, browser: httpx.AsyncClient) -> None:
    assert "/holds/1/map" not in (await browser.get("/?decide=1")).text
    given = {"form": await form_of(browser), "reason": "x", "to": "1"}
    answer = await browser.post("/holds/1/map", data=given, headers=OWN)
    assert (answer.status_code, desk.entries) == (409, [])


async def form_of(browser: httpx.AsyncClient) -> str:
    """What the page puts into its own form."""
    found = re.search(r'name="form" value="([0-9a-f]+)"', (await browser.get("/?decide=1")).text)
    assert found is not None
    return found[1]


async def test_the_page_offers_each_hold_and_opens_its_form(browser: httpx.AsyncClient) -> None:
    page = (await browser.get("/")).text
    assert 'href="/?decide=1#holds"' in page
    assert "<form" not in page
    page = (await browser.get("/?decide=1")).text
    assert 'action="/holds/1/release"' in page
    assert 'formaction="/holds/1/discard"' in page
    assert "7050" not in page


async def test_the_page_does_not_renew_itself_under_somebody_who_writes(browser: httpx.AsyncClient) -> None:
    assert "http-equiv" in (await browser.get("/")).text
    assert "http-equiv" not in (await browser.get("/?decide=1")).text


@pytest.mark.parametrize("number", ["2", "0", "x", "", "9" * 30])
async def test_a_form_is_opened_for_an_open_hold_only(browser: httpx.AsyncClient, number: str) -> None:
    answer = await browser.get(f"/?decide={number}")
    assert (answer.status_code, "<form" in answer.text) == (200, False)


@pytest.mark.parametrize("verb", ["release", "discard"])
async def test_the_form_is_carried_out_once_and_shown_after_a_redirect(
    practice: Practice, desk: Desk, browser: httpx.AsyncClient, verb: str
) -> None:
    answer = await browser.post(
        f"/holds/1/{verb}", data={"form": await form_of(browser), "reason": "the mother was called"}, headers=OWN
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/?decided=1")
    assert [(act.verb, act.hold, act.actor, act.reason) for act in desk.acts] == [
        (verb, 1, "console 127.0.0.1", "the mother was called")
    ]
    practice.close_hold(1, "accepted", "console 127.0.0.1", "the mother was called")
    await practice.commit()
    page = (await browser.get("/?decided=1")).text
    assert "Hold 1 is closed: a person has set the condition aside. Message 1 is held now." in page
    assert "mother" not in page


async def test_what_is_missing_is_said_with_the_form_still_open(desk: Desk, browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/holds/1/release", data={"form": await form_of(browser), "reason": " "}, headers=OWN)
    assert (answer.status_code, desk.acts) == (422, [])
    assert "say why" in answer.text
    assert 'action="/holds/1/release"' in answer.text


async def test_what_a_release_cannot_do_is_said_and_what_was_written_stays(desk: Desk, browser: httpx.AsyncClient) -> None:
    desk.outcome = NotDone(still_open=True, reason="register the patient in the PM")
    text = 'called & "booked" <b>'
    answer = await browser.post("/holds/1/release", data={"form": await form_of(browser), "reason": text}, headers=OWN)
    assert answer.status_code == 409
    assert "register the patient in the PM" in answer.text
    assert "<b>" not in answer.text
    assert 'value="called &amp; &#34;booked&#34; &lt;b&gt;"' in answer.text


async def test_a_hold_that_is_gone_says_so(practice: Practice, browser: httpx.AsyncClient) -> None:
    form = await form_of(browser)
    practice.close_hold(1, "released", None, None)
    await practice.commit()
    answer = await browser.post("/holds/1/discard", data={"form": form, "reason": "so"}, headers=OWN)
    assert answer.status_code == 409
    assert "its condition has cleared" in answer.text


async def test_a_database_that_is_away_decides_nothing(desk: Desk, browser: httpx.AsyncClient) -> None:
    form = await form_of(browser)
    desk.outcome = StoreAway()
    answer = await browser.post("/holds/1/release", data={"form": form, "reason": "so"}, headers=OWN)
    assert (answer.status_code, "cannot be written just now" in answer.text) == (503, True)


async def test_an_unknown_hold_or_verb_is_404(desk: Desk, browser: httpx.AsyncClient) -> None:
    sent = {"form": await form_of(browser), "reason": "so"}
    for path in ("/holds/9/release", "/holds/x/release", "/holds/1/burn"):
        assert (await browser.post(path, data=sent, headers=OWN)).status_code == 404
    assert desk.acts == []


# -- other pages, other programs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://desk.evil.example"},
        {"Origin": "http://desk:8081"},
        {"Origin": "file://desk"},
        {"Origin": "http://desk", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://desk", "Sec-Fetch-Site": "same-site"},
    ],
)
async def test_another_page_cannot_send_the_form_although_the_cookie_comes_along(
    desk: Desk, browser: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    sent = {"form": await form_of(browser), "reason": "so"}
    answer = await browser.post("/holds/1/release", data=sent, headers=headers)
    assert (answer.status_code, desk.acts) == (403, [])
    assert "open the page anew" in answer.text


@pytest.mark.parametrize("form", [None, "", "wrong", "f" * 64])
async def test_a_form_that_was_not_made_here_is_refused(desk: Desk, browser: httpx.AsyncClient, form: str | None) -> None:
    sent = {"reason": "so"} | ({"form": form} if form is not None else {})
    assert (await browser.post("/holds/1/release", data=sent, headers=OWN)).status_code == 403
    assert desk.acts == []


async def test_the_cookie_is_not_what_the_form_carries(browser: httpx.AsyncClient) -> None:
    cookie = browser.cookies[COOKIE]
    assert await form_of(browser) != cookie
    answer = await browser.post("/holds/1/release", data={"form": cookie, "reason": "so"}, headers=OWN)
    assert answer.status_code == 403


async def test_without_the_cookie_a_form_opens_nothing_whoever_holds_the_token(desk: Desk, browser: httpx.AsyncClient) -> None:
    form = await form_of(browser)
    async with desk.client() as stranger:  # holds the token of the API
        answer = await stranger.post("/holds/1/release", data={"form": form, "reason": "so"}, headers=OWN)
    assert (answer.status_code, desk.acts) == (401, [])


async def test_only_a_form_is_read(desk: Desk, browser: httpx.AsyncClient) -> None:
    sent = {"form": await form_of(browser), "reason": "so"}
    assert (await browser.post("/holds/1/release", json=sent, headers=OWN)).status_code == 415
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    for body in (b"\xff", b"&".join(b"a=b" for _ in range(99)), b"reason=%ff"):
        assert (await browser.post("/holds/1/release", content=body, headers=OWN | kind)).status_code == 400
    assert (await browser.post("/holds/1/release", content=b"x" * 20000, headers=OWN | kind)).status_code == 413
    assert desk.acts == []


async def test_a_get_of_a_form_s_address_does_nothing(desk: Desk, browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/holds/1/release")).status_code == 405
    assert desk.acts == []


async def test_from_another_machine_the_form_is_closed_until_a_token_is_set(desk: Desk, browser: httpx.AsyncClient) -> None:
    sent = {"form": await form_of(browser), "reason": "so"}
    desk.explicit = False
    async with desk.client(token=None, host="192.0.2.7") as far:
        far.cookies.set(COOKIE, browser.cookies[COOKIE])
        assert (await far.post("/holds/1/release", data=sent, headers=OWN)).status_code == 403
    assert desk.acts == []


async def test_behind_a_proxy_that_adds_tls_the_form_is_our_own(desk: Desk, browser: httpx.AsyncClient) -> None:
    sent = {"form": await form_of(browser), "reason": "so"}
    answer = await browser.post("/holds/1/release", data=sent, headers={"Origin": "https://desk"})
    assert (answer.status_code, len(desk.acts)) == (303, 1)


async def test_copies_that_wait_for_somebody_are_shown(practice: Practice, browser: httpx.AsyncClient) -> None:
    practice.delivery(1, "parked", "pm")
    await practice.commit()
    page = (await browser.get("/")).text
    assert "is parked until a person acts" in page
    assert "AE 204" in page
    assert "2026-11-23T12:00:05-05:00" in page
