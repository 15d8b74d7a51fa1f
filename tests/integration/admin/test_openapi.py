"""What `/openapi.json` says is what the routes do: paths, parameters, and every answer down to its types."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.routing import Route

from ophl7.admin.app import make_app
from ophl7.domain.identifiers import Identifier
from ophl7.engine.alarm_rows import AlarmRow
from tests.integration.admin.practice import ANNA, BOB, NOON, Desk, Practice, adt, bar, body_for, dft, verdicts

BODIES: dict[str, dict[str, Any]] = {
    "/api/v1/charges/roll-ups": {"charges": [1], "claim": "C-1", "note": "as agreed"},
    "/api/v1/links/{peer}/resend": body_for("/resend"),
    "/api/v1/holds/{id}/redirect": {"patient": "PM:7050", "reason": "the mother was called"},
}
# For browsers, or the description itself.
NOT_DESCRIBED = {"/", "/books", "/schedule", "/style.css", "/openapi.json", "/holds/{id}/{verb}"}
TYPES: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "array": (list,),
    "object": (dict,),
}


@pytest.fixture
async def document(practice: Practice, desk: Desk) -> dict[str, Any]:
    """And a database with something in every list."""
    anna = practice.patient(ANNA, more={"fields": {"PID-5": "Specimen^Anna"}})
    number = practice.message(adt(), subject=anna.subject, detail=verdicts(["patient.update", "PID-5", "apply", ""]))
    practice.message(dft("1", "C2"), event="DFT^P03", ack="", answer=None)
    practice.appointment(anna, NOON)
    practice.charge(number, anna.subject)
    practice.hold(number, "mapping:provider:DRS")
    practice.code("DRS")
    practice.code("OLD", "103")
    practice.drift(number, anna)
    practice.merge(practice.patient(BOB), anna, "one_sided", pm=NOON)
    practice.delivery(number)
    practice.delivery(number, "held")
    practice.audit("start")
    practice.rows.alarms[1] = desk.acknowledging = AlarmRow(1, "silent", "pm", "nothing came", NOON)
    practice.charge(number, anna.subject, "sent", practice.delivery(number, "accepted", "pm"), line=7)
    practice.roll_up(practice.charge(number, anna.subject, "sent", 3, line=8))
    practice.appointment(practice.patient(Identifier("PM", "7052", "MR")), NOON, "checked_out")
    practice.message(bar("P01", "C3"), event="BAR^P01", state="rejected", row="#56")
    await practice.commit()
    described: dict[str, Any] = (await desk.get("/openapi.json")).json()
    return described


async def test_every_route_is_described_and_everything_described_is_a_route(document: dict[str, Any], desk: Desk) -> None:
    routes = [route for route in make_app(desk.face()).routes if isinstance(route, Route)]
    served = {
        (re.sub(r":\w+\}", "}", route.path), method.lower())
        for route in routes
        if route.path not in NOT_DESCRIBED
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert {(path, method) for path, methods in document["paths"].items() for method in methods} == served


async def test_every_parameter_described_is_taken_and_no_other(document: dict[str, Any], desk: Desk) -> None:
    needed = {"/api/v1/maps/export": {"peer": "emr"}}
    good = {"since": "2026-11-23", "until": "2026-11-23", "date": "2026-11-23", "type": "ADT", "limit": "5"}
    for path, methods in document["paths"].items():
        if not path.startswith("/api/v1") or "get" not in methods:
            continue
        asked = [one for one in methods["get"].get("parameters", ()) if one["in"] == "query"]
        address = path.replace("{id}", "1").replace("{identifier}", "7050").replace("{peer}", "pm")
        for one in asked:
            for value in one["schema"].get("enum", [good.get(one["name"], "1")]):
                assert (await desk.get(address, **{one["name"]: value})).status_code == 200, (path, one["name"], value)
            if "enum" in one["schema"]:
                assert (await desk.get(address, **{one["name"]: "none_of_them"})).status_code == 400
        unknown = await desk.get(address, **needed.get(path, {}), no_such_parameter="1")
        assert unknown.status_code == 400, path
        assert unknown.json()["parameter"] == "no_such_parameter"


async def test_every_answer_is_as_described(document: dict[str, Any], desk: Desk) -> None:
    calls = [(path, *one) for path, methods in document["paths"].items() for one in methods.items()]
    for path, method, operation in calls:
        (content,) = operation["responses"]["200"]["content"].items()
        address = path.replace("{id}", "1").replace("{identifier}", "7050").replace("{peer}", "pm")
        needed = {"peer": "emr"} if path.endswith("/maps/export") else None
        async with desk.client() as client:
            if path.endswith("/explain"):
                answer = await client.post(address, params={"peer": "pm"}, content=adt())
            else:
                body = BODIES.get(path, body_for(path)) if method == "post" else None
                answer = await client.request(method, address, json=body, params=needed)
        assert answer.headers["content-type"].split(";")[0] == content[0], path
        if content[0] == "application/json" and "schema" in content[1]:
            assert faults(answer.json(), content[1]["schema"], path) == []
            assert "items" not in answer.json() or answer.json()["items"], f"{path} had nothing to look at"


async def test_a_body_described_is_taken_and_nothing_more(document: dict[str, Any], desk: Desk) -> None:
    for path, methods in document["paths"].items():
        if "post" not in methods:
            continue
        content = methods["post"]["requestBody"]["content"]
        if "application/json" not in content:
            continue  # bytes of a message
        schema = content["application/json"]["schema"]
        address = path.removeprefix("/api/v1").replace("{id}", "1").replace("{peer}", "pm")
        properties = schema["properties"]
        good: dict[str, Any] = dict(BODIES.get(path, {}))
        good |= {
            name: properties[name]["enum"][0] if "enum" in properties[name] else "x" * properties[name]["maxLength"]
            for name in schema["required"]
            if name not in good or "maxLength" in properties[name]
        }
        flags = {name for name, one in properties.items() if one == {"type": "boolean", "default": False}}
        good |= {"patient": "PM:7050"} if "patient" in good else {}
        assert (await desk.post(address, good | dict.fromkeys(flags, True))).status_code == 200
        for name in flags:
            assert (await desk.post(address, {**good, name: "x"})).status_code == 422
        assert (await desk.post(address, good)).status_code == 200
        for name in schema["required"]:
            assert (await desk.post(address, {**good, name: good[name] + "x"})).status_code == 422
            assert (await desk.post(address, {key: one for key, one in good.items() if key != name})).status_code == 422
        assert (await desk.post(address, {**good, "more": "x"})).status_code == 422


async def test_a_problem_is_as_described(document: dict[str, Any], desk: Desk) -> None:
    schema = document["components"]["schemas"]["Problem"]
    for path in ("/api/v1/messages?limit=0", "/api/v1/messages/77", "/api/v1/nothing"):
        async with desk.client() as client:
            assert faults((await client.get(path)).json(), schema, path) == []


def test_the_check_of_answers_sees_what_is_wrong() -> None:
    schema = {"type": "object", "required": ["a"], "properties": {"a": {"type": ["integer", "null"], "enum": [1, None]}}}
    assert faults({"a": 1}, schema, "") == []
    assert faults({"a": 2}, schema, "") == [".a: 2 is none of the values"]
    assert faults({"a": True}, schema, "") == [".a: bool"]
    assert faults({"b": 1}, schema, "") == [": lacks a", ": has b, which is not described"]
    assert faults([{"a": "x"}], {"type": "array", "items": schema}, "") == ["[0].a: str"]


def faults(value: Any, schema: dict[str, Any], where: str) -> list[str]:  # noqa: ANN401 - any JSON
    """Where a value is not what the schema says; a name that the schema does not know is a fault too."""
    kinds = schema.get("type", list(TYPES))
    allowed = tuple(kind for name in ([kinds] if isinstance(kinds, str) else kinds) for kind in TYPES[name])
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        return [f"{where}: {type(value).__name__}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{where}: {value} is none of the values"]
    found: list[str] = []
    if isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        found += [f"{where}: lacks {name}" for name in schema.get("required", ()) if name not in value]
        found += [f"{where}: has {name}, which is not described" for name in value if name not in known]
        found += [fault for name in known if name in value for fault in faults(value[name], known[name], f"{where}.{name}")]
    if isinstance(value, list) and "items" in schema:
        found += [fault for at, one in enumerate(value) for fault in faults(one, schema["items"], f"{where}[{at}]")]
    return found
