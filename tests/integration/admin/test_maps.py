"""Code tables over HTTP: the profile's and people's, what has no entry, and what is asked for wrongly."""

from __future__ import annotations

import pytest

from ophl7.domain.profile import CodeTable, Profile
from ophl7.engine.acts import NotDone
from ophl7.errors import StoreRefused
from tests.integration.admin.practice import Desk, Practice, adt, body_for

ENTRY = body_for("/maps")


async def test_the_lists_join_profile_and_people(practice: Practice, desk: Desk) -> None:
    practice.code("JHS", "202")
    practice.code("NEW", "103")
    await practice.commit()
    found = await desk.items("/maps", peer="emr")
    assert [(one["code"], one["to"], one["origin"], one["of_profile"], one["used"]) for one in found] == [
        ("JHS", "202", "person", "102", True),
        ("NEW", "103", "person", None, True),
    ]
    assert [(one["peer"], one["to"], one["by"]) for one in await desk.items("/maps", peer="pm")] == [("pm", "102", None)]
    assert len(await desk.items("/maps")) == 3
    assert await desk.items("/maps", table="room") == []
    desk.profiles["emr"] = Profile()
    assert [one["used"] for one in await desk.items("/maps", peer="emr")] == [False, False]


async def test_a_code_that_the_profile_has_learned_is_no_task(practice: Practice, desk: Desk) -> None:
    practice.message(adt())
    for code in ("DRS", "JHS", "DRT"):
        practice.code(code)
    await practice.commit()
    assert [one["code"] for one in await desk.items("/maps/tasks")] == ["DRT", "DRS"]
    first = (await desk.get("/api/v1/maps/tasks", limit=2)).json()
    assert ([one["code"] for one in first["items"]], first["next"]) == (["DRT"], "2")
    rest = (await desk.get("/api/v1/maps/tasks", limit=2, cursor="2")).json()
    assert ([one["code"] for one in rest["items"]], rest["next"]) == (["DRS"], None)
    assert await desk.items("/maps/tasks", peer="pm") == []


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"peer": "lab"}, "peer"),
        ({"peer": ["pm"]}, "peer"),
        ({"table": ""}, "table"),
        ({"code": " "}, "code"),
        ({"code": 7}, "code"),
        ({"to": ""}, "to"),
        ({"to": "1\u20282"}, "to"),
        ({"to": "x" * 201}, "to"),
        ({"reason": ""}, "reason"),
    ],
)
async def test_what_is_wrong_with_an_entry_is_named(desk: Desk, changed: dict[str, object], named: str) -> None:
    answer = await desk.post("/maps", ENTRY | changed)
    assert (answer.status_code, answer.json()["parameter"], desk.entries) == (422, named, [])


async def test_an_entry_without_a_word_on_what_it_is_called_takes_nothing_back(desk: Desk) -> None:
    answer = await desk.post("/maps", {name: text for name, text in ENTRY.items() if name != "to"})
    assert (answer.status_code, desk.entries) == (422, [])
    assert (await desk.post("/maps", ENTRY | {"to": None})).status_code == 200
    assert [entry.to for entry in desk.entries] == [None]


@pytest.mark.parametrize(
    ("outcome", "status"), [(NotDone(still_open=True, reason="no table"), 409), (StoreRefused("x"), 500), (TimeoutError(), 503)]
)
async def test_what_came_of_it_is_told(desk: Desk, outcome: NotDone | Exception, status: int) -> None:
    desk.entered = outcome
    assert (await desk.post("/maps", ENTRY)).status_code == status


async def test_an_export_wants_a_peer_and_leaves_out_what_the_profile_has_no_table_for(practice: Practice, desk: Desk) -> None:
    practice.code("DRS", '1"\\2')
    await practice.commit()
    assert (await desk.get("/api/v1/maps/export")).status_code == 400
    assert '"DRS" = "1\\"\\\\2"' in (await desk.get("/api/v1/maps/export", peer="emr")).text
    desk.profiles["emr"] = Profile(maps={"room": CodeTable(("AIL-3",))})
    text = (await desk.get("/api/v1/maps/export", peer="emr")).text
    assert "DRS" not in text
    assert "[maps.room]" in text
