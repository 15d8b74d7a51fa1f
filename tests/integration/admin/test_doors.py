"""Who is let in to what, and what an answer gives away."""

from __future__ import annotations

import re

import pytest
from starlette.routing import Route

from ophl7.admin.api import CALLS, PREFIX
from ophl7.admin.app import make_app
from ophl7.admin.calls import Deed, Inquiry
from ophl7.admin.guard import COOKIE, Guard
from ophl7.engine.alarm_rows import AlarmRow
from ophl7.errors import StoreAway
from tests.integration.admin.practice import ANNA, BOB, NOON, TOKEN, Desk, Practice, adt, body_for

OPEN = ["/healthz", "/readyz", "/metrics"]
CLOSED = [
    (
        "POST" if isinstance(call, Deed | Inquiry) else "GET",
        PREFIX
        + call.path.replace("{id}", "1").replace("{identifier}", "7050").replace("{peer}", "pm")
        + ("?peer=pm" if isinstance(call, Inquiry) or call.path == "/maps/export" else ""),
    )
    for call in CALLS
]
HERE, ALSO_HERE, MAPPED, ELSEWHERE = "127.0.0.1", "::1", "::ffff:127.0.0.1", "192.0.2.7"


@pytest.fixture
async def filled(practice: Practice, desk: Desk) -> None:
    anna = practice.patient(ANNA)
    message = practice.message(adt(), subject=anna.subject)
    practice.hold(message, "mapping:provider:DRS")
    practice.delivery(message)
    practice.roll_up(practice.charge(1, 1))
    practice.merge(practice.patient(BOB), anna, "one_sided", pm=1.0)
    practice.rows.alarms[1] = desk.acknowledging = AlarmRow(1, "silent", "pm", "nothing came", NOON)
    await practice.commit()


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(("method", "path"), CLOSED)
@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN + " ", TOKEN[:-1], "tökén"])
async def test_no_call_answers_without_the_token(desk: Desk, method: str, path: str, token: str | None) -> None:
    given = [(b"Authorization", f"Bearer {token}".encode())] if token is not None else []
    async with desk.client(token=None) as client:
        answer = await client.request(method, path, headers=given, json=body_for(path) if method == "POST" else None)
    wanted = 200 if token == TOKEN + " " else 401  # a blank at the end is no part of the header's value
    assert answer.status_code == wanted
    if wanted == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"
        assert desk.audited == []
        assert (desk.acts, desk.entries, desk.noted) == ([], [], [])


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(("method", "path"), CLOSED)
async def test_every_call_answers_with_the_token(desk: Desk, method: str, path: str) -> None:
    async with desk.client() as client:
        assert (await client.request(method, path, json=body_for(path) if method == "POST" else None)).status_code == 200


@pytest.mark.parametrize("scheme", ["Basic", "Token", "bearerx"])
async def test_another_scheme_is_no_token(desk: Desk, scheme: str) -> None:
    async with desk.client(token=None) as client:
        answer = await client.get("/api/v1/links", headers={"Authorization": f"{scheme} {TOKEN}"})
    assert answer.status_code == 401


@pytest.mark.parametrize("path", OPEN)
@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize("host", [HERE, ELSEWHERE])
async def test_health_and_metrics_are_open_to_all(desk: Desk, path: str, explicit: bool, host: str) -> None:
    desk.explicit = explicit
    async with desk.client(token=None, host=host) as client:
        assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("explicit", "host", "status"),
    [
        (True, HERE, 200),
        (True, ELSEWHERE, 200),
        (False, HERE, 200),
        (False, ALSO_HERE, 200),
        (False, MAPPED, 200),
        (False, ELSEWHERE, 403),
        (False, "2001:db8::7", 403),
        (False, "not an address", 403),
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/links", "/", "/schedule", "/openapi.json", "/style.css", f"/?token={TOKEN}"])
async def test_a_token_that_nobody_set_opens_this_machine_only(
    practice: Practice, desk: Desk, explicit: bool, host: str, status: int, path: str
) -> None:
    await practice.commit()
    await commit_nothing(practice)
    desk.explicit = explicit
    async with desk.client(host=host) as client:
        answer = await client.get(path)
    assert answer.status_code == (303 if "token" in path and status == 200 else status)
    assert (COOKIE in answer.cookies) == ("token" in path and status == 200)


async def commit_nothing(practice: Practice) -> None:
    practice.audit("start")
    await practice.commit()


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
async def test_behind_a_proxy_nobody_counts_as_this_machine(desk: Desk, header: str) -> None:
    desk.explicit = False
    async with desk.client() as client:
        assert (await client.get("/api/v1/links", headers={header: "127.0.0.1"})).status_code == 403


async def test_the_link_of_the_start_opens_the_console_and_leaves_the_address_line(practice: Practice, desk: Desk) -> None:
    await commit_nothing(practice)
    async with desk.client(token=None) as client:
        assert (await client.get("/")).status_code == 401
        entered = await client.get(f"/?token={TOKEN}")
        assert (entered.status_code, entered.headers["location"]) == (303, "/")
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert TOKEN not in cookie
        assert (await client.get("/")).status_code == 200
        assert (await client.get("/api/v1/links")).status_code == 200


async def test_a_wrong_link_opens_nothing(desk: Desk) -> None:
    async with desk.client(token=None) as client:
        answer = await client.get("/?token=wrong")
        assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
        client.cookies.set(COOKIE, "wrong")
        assert (await client.get("/api/v1/links")).status_code == 401


async def test_a_cookie_of_another_token_opens_nothing(desk: Desk) -> None:
    async with desk.client(token=None) as client:
        client.cookies.set(COOKIE, Guard("another", explicit=True).cookie)
        assert (await client.get("/api/v1/links")).status_code == 401


@pytest.mark.usefixtures("filled")
async def test_the_audit_tells_the_console_from_the_api(desk: Desk) -> None:
    async with desk.client(token=None) as client:
        await client.get(f"/?token={TOKEN}")
        await client.get("/api/v1/messages/1/raw")
    assert desk.audited == [("console 127.0.0.1", "view-raw", "message 1", "")]


async def test_an_empty_token_lets_nobody_start(desk: Desk) -> None:
    with pytest.raises(ValueError, match="empty"):
        Guard("", explicit=True)


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    "path", [*OPEN, "/", "/schedule", "/openapi.json", "/style.css", "/api/v1/messages", "/api/v1/messages/1/raw", "/no"]
)
async def test_every_answer_carries_the_security_headers(desk: Desk, path: str) -> None:
    answer = await desk.get(path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "same-origin"


async def test_a_fault_of_ours_is_a_problem_document_with_the_same_headers(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> bool:
        raise RuntimeError("Specimen^Anna")

    monkeypatch.setattr(desk.reads, "audit", broken)
    answer = await desk.get("/api/v1/audit")
    assert (answer.status_code, answer.json()["code"]) == (500, "OPHL7-E000")
    assert "Specimen" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("trouble", "status"), [(StoreAway("/data/x"), 503), (TimeoutError("a report"), 503)])
async def test_a_database_that_is_away_or_slow_is_said_in_words(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, trouble: Exception, status: int
) -> None:
    async def fails(**_: object) -> None:
        raise trouble

    monkeypatch.setattr(desk.reads, "audit", fails)
    answer = await desk.get("/api/v1/audit")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert "/data/x" not in answer.text


async def test_unknown_paths_and_methods_are_problems_too(desk: Desk) -> None:
    async with desk.client() as client:
        for answer, status in [(await client.get("/api/v1/nothing"), 404), (await client.post("/api/v1/messages"), 405)]:
            assert (answer.status_code, answer.json()["status"]) == (status, status)
            assert answer.headers["content-type"] == "application/problem+json"
        assert "GET" in (await client.post("/api/v1/messages")).headers["allow"]


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    "name", ["patient", "control_id", "state", "type", "peer", "since", "until", "limit", "cursor", "Specimen"]
)
async def test_no_problem_quotes_what_was_asked_for(desk: Desk, name: str) -> None:
    answer = await desk.get("/api/v1/messages", **{name: "Specimen^7050"})
    if answer.status_code != 200:
        assert (answer.status_code, "Specimen" in answer.text, "7050" in answer.text) == (400, False, False)
        assert name == "Specimen" or answer.json()["parameter"] == name
        assert name == "Specimen" or name in answer.json()["detail"]
    else:
        assert name in {"patient", "control_id"}


async def test_every_route_below_the_api_is_guarded(desk: Desk) -> None:
    """Whatever is added to the routes must refuse somebody without a token."""
    app = make_app(desk.face())
    async with desk.client(token=None) as client:
        for route in app.routes:
            assert isinstance(route, Route)
            asked = re.sub(r"\{[^}]*\}", "1", route.path)
            for method in (route.methods or set()) - {"HEAD"}:
                if asked not in {*OPEN, "/openapi.json", "/style.css"}:
                    form = {"reason": "so"} if method == "POST" else None
                    assert (await client.request(method, asked, data=form)).status_code == 401, route.path
