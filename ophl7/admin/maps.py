"""Code tables: what the two systems call the same thing, who said so, and which codes have no entry (#36, #46)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from starlette.responses import Response

from ophl7.admin.bodies import reason_in
from ophl7.admin.calls import Asked, Page
from ophl7.admin.holds import document, find
from ophl7.admin.instants import iso
from ophl7.admin.messages import PEERS
from ophl7.admin.parameters import Query
from ophl7.admin.ports import Document, Face, Row
from ophl7.admin.problems import Problem, bad_parameter
from ophl7.domain.coding import code_of_key
from ophl7.domain.patient import Side
from ophl7.engine.code_entries import Entered, Entry
from ophl7.errors import StoreRefused

LONGEST_CODE = 200  # characters
ORIGINS = ("profile", "person")

_SIDES: Mapping[str, Side] = {"pm": "pm", "emr": "emr"}


async def maps(face: Face, query: Query) -> Page:
    """`GET /maps`: every code with what it is called in the other system, a person's word over the profile's."""
    peer, table = query.one_of("peer", PEERS), query.text("table")
    entries = await face.reads.code_entries(peer=peer, table=table)
    items = [item for side in _SIDES.values() if peer in (None, side) for item in _of_side(face, side, table, entries)]
    return Page(items)


def _of_side(face: Face, side: Side, table: str | None, entries: Sequence[Row]) -> Iterable[Document]:
    tables = face.profiles[side].maps
    entered = {(row["name"], row["code"]): row for row in entries if row["peer"] == side}
    said = {(name, code) for name, one in tables.items() if table in (None, name) for code in one.codes}
    for name, code in sorted(said | entered.keys()):
        row = entered.get((name, code))
        of_profile = tables[name].codes.get(code) if name in tables else None
        yield {
            "peer": side,
            "table": name,
            "code": code,
            "to": row["target"] if row is not None else of_profile,
            "origin": "person" if row is not None else "profile",
            "of_profile": of_profile,
            "used": name in tables,
            "by": row["made_by"] if row is not None else None,
            "at": iso(row["made_at"], face.zone) if row is not None else None,
            "reason": row["reason"] if row is not None else None,
        }


async def tasks(face: Face, query: Query) -> Page:
    """`GET /maps/tasks`: codes that came and have no entry. One that the profile has come to know is no task any more."""
    found = await face.reads.code_tasks(
        peer=query.one_of("peer", PEERS), table=query.text("table"), before=query.before, limit=query.limit + 1
    )
    shown, rest = found[: query.limit], found[query.limit :]
    items: list[Document] = [
        {
            "id": row["id"],
            "peer": row["peer"],
            "table": row["name"],
            "code": row["code"],
            "first_message": row["first_message"],
            "last_message": row["last_message"],
            "first_at": iso(row["first_at"], face.zone),
            "last_at": iso(row["last_at"], face.zone),
            "count": row["messages"],
        }
        for row in shown
        if _is_open(face, row)
    ]
    return Page(items, str(shown[-1]["id"]) if rest else None)


def _is_open(face: Face, row: Row) -> bool:
    table = face.profiles[_SIDES[row["peer"]]].maps.get(row["name"])
    return table is not None and row["code"] not in table.codes


async def export(face: Face, asked: Asked) -> Response:
    """`GET /maps/export?peer=`: the tables of one peer as TOML, to be pasted into its profile in place of its own."""
    peer = asked.query.one_of("peer", PEERS)
    if peer is None:
        raise bad_parameter("peer", f"say whose tables: {' or '.join(PEERS)}")
    entries = await face.reads.code_entries(peer=peer)
    return Response(as_toml(face, _SIDES[peer], entries), media_type="application/toml")


def as_toml(face: Face, side: Side, entries: Sequence[Row]) -> str:
    """The tables of a peer with people's entries in them. Entries of a table that the profile has no more are left out."""
    profile = face.profiles[side]
    lines = [f"# The code tables of the {side.upper()} (profile {profile.name}), with what people have entered."]
    for name, table in profile.maps.items():
        entered = {row["code"]: row["target"] for row in entries if row["peer"] == side and row["name"] == name}
        lines += ["", f"[maps.{name}]", f"fields = [{', '.join(map(_quoted, table.fields))}]", f"[maps.{name}.codes]"]
        lines += [f"{_quoted(code)} = {_quoted(to)}" for code, to in sorted({**table.codes, **entered}.items())]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are TOML's, but DEL, which must not stand in one as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


async def enter(face: Face, asked: Asked, body: Mapping[str, Any]) -> Document:
    """`POST /maps`: makes, changes, or with null for `to` takes back an entry."""
    peer = body.get("peer")
    if not isinstance(peer, str) or peer not in _SIDES:
        raise _wrong("peer", f"one of {', '.join(PEERS)}")
    table = code_in(body, "table")
    if "to" not in body:
        raise _wrong("to", "what the other system calls it; null takes a person's entry back")
    to = code_in(body, "to") if body["to"] is not None else None
    entry = Entry(_SIDES[peer], table, code_in(body, "code"), to, asked.actor, reason_in(body))
    done = await carry_out(face, entry, None)
    return {**_said(entry), "at": iso(done.at, face.zone), "released": done.released}


async def map_hold(face: Face, asked: Asked, body: Mapping[str, Any]) -> Document:
    """`POST /holds/{id}/map`: says what the code is called that the hold waits for; whatever waited for just that goes on."""
    row = await find(face, asked.request)
    entry = entry_for(row, code_in(body, "to"), asked.actor, reason_in(body))
    done = await carry_out(face, entry, row)
    closed = await face.reads.hold(row["id"]) or row
    return {
        **document(face, closed),
        **_said(entry),
        "state": done.state,
        "waits_for": list(done.waits_for),
        "released": done.released,
    }


def entry_for(row: Row, to: str, actor: str, reason: str) -> Entry:
    """The entry that ends this hold. Raises Problem 409 for a hold that waits for something else than a code."""
    waits_for = code_of_key(row["key"])
    if waits_for is None:
        raise Problem(409, "this hold does not wait for a code; release it, discard it, or do what its reason says")
    return Entry(_SIDES[row["peer"]], *waits_for, to, actor, reason, row["id"], row["message"])


async def carry_out(face: Face, entry: Entry, row: Row | None) -> Entered:
    """Has it done, once. row: the hold that it is for, if any.

    Raises Problem 409 where it cannot be done, 500 where the database refuses it, 503 where it takes too long, and StoreAway.
    """
    more = {} if row is None else {"hold": document(face, row)}
    if row is not None and row["closed_at"] is not None:
        raise Problem(409, "this hold does not wait any more", **more)
    try:
        done = await face.enter_code(entry)
    except StoreRefused as refused:
        detail = "the database refused what would follow from this; nothing was changed: a fault of ophl7, please report it"
        raise Problem(500, detail, code=refused.code) from refused
    except TimeoutError:
        raise Problem(503, "it was not on disk in time; look at the list of codes before you try once more") from None
    if isinstance(done, Entered):
        return done
    raise Problem(409, done.reason, **more)


def _said(entry: Entry) -> Document:
    return {"peer": entry.peer, "table": entry.table, "code": entry.code, "to": entry.to}


def code_in(fields: Mapping[str, Any], name: str) -> str:
    """A code, or a table's name. Raises Problem 422, naming the field."""
    given = fields.get(name)
    if not isinstance(given, str) or not given.strip():
        raise _wrong(name, "a text that is not empty")
    text = given.strip()
    if len(text) > LONGEST_CODE or not text.isprintable():
        raise _wrong(name, f"at most {LONGEST_CODE} characters that can be shown")
    return text


def _wrong(name: str, wanted: str) -> Problem:
    return Problem(422, f"{name}: {wanted}", parameter=name)
