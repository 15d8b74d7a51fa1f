"""What becomes of every ADT, SIU and DFT that others have written: `corpus_table.tsv`, made by reading each of them.

The table was written out of decisions.md and the bytes of the files, before a broker had seen them; where the two first
differed, docs/decisions/0046 says which was wrong. Columns: MSH-9, -12 and -11; whether MSH-15 asks for the enhanced family;
the ids that may match (by `generic`); then the answer (MSA-1, ERR-3, our code), the state and the row for each sender in each
set-up, with an empty registry and any MSH-11; and in pm/pm after the PM has registered the patient (id, name, birth date, sex).
"""

from __future__ import annotations

import asyncio
import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from tests.acceptance.messages import Side, message
from tests.acceptance.practice import Opening, Practice, other
from tests.acceptance.replies import Reply, read_reply
from tests.acceptance.test_others_messages import CORPUS, payload_of

pytestmark = pytest.mark.timeout(120)

TABLE = Path(__file__).with_name("corpus_table.tsv")
COLUMNS: list[tuple[Side, str]] = [("pm", "pm/pm"), ("emr", "pm/pm"), ("emr", "emr/emr"), ("pm", "emr/emr")]

KEY_TYPES = {"MR", "PI", "PT", "MRN", ""}

# Where patients, accounts and appointments are named.
_IDS = {b"PID": (2, 3, 4, 18), b"MRG": (1, 2, 3, 4, 5), b"SCH": (1, 2)}


@dataclass(frozen=True)
class Entry:
    """One line of the table. said: column -> what it expects."""

    file: str
    raw: bytes
    said: dict[str, str]

    @cached_property
    def names(self) -> frozenset[bytes]:
        """All that could make two messages be about one thing: ids of patients, accounts and appointments, and MSH-10."""
        header, *lines = re.split(rb"[\r\n]+", self.raw)
        separator, marks = header[3:4], header[4:8]
        found = {b"MSH-10 " + header.split(separator)[9]}
        for line in lines:
            fields = line.split(separator)
            for number in _IDS.get(fields[0], ()):
                for repetition in fields[number].split(marks[1:2]) if number < len(fields) else ():
                    found.add(repetition.split(marks[:1])[0])
        return frozenset(found - {b"", b'""'})


def entries() -> list[Entry]:
    # One author's files carry an EVN-2 of August 2029: until then they would be told #89 as well, and the table be another one.
    files = {path.stem: payload_of(path).replace(b"20290801", b"20190801") for path in CORPUS}
    with TABLE.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [Entry(row["file"], files[row["file"]], row) for row in rows]


ENTRIES = entries()


def strangers(wanted: Iterable[Entry]) -> list[list[Entry]]:
    """As few groups as it takes that nobody meets somebody else's id or control id: each finds the practice as if empty."""
    groups: list[list[Entry]] = []
    for entry in wanted:
        free = (group for group in groups if all(entry.names.isdisjoint(one.names) for one in group))
        group = next(free, None)
        if group is None:
            groups.append([entry])
        else:
            group.append(entry)
    return groups


def told(reply: Reply, state: str, row: str) -> str:
    """An outcome as the table writes it."""
    first = reply.faults[0] if reply.faults and reply.faults[0].severity == "E" else None
    if first is None:
        return f"{reply.code} {state} {row}"
    ours = re.match(r"([PSCM]\d\d) ", reply.text)
    code = first.ours or (ours[1] if ours else "")
    return " ".join(part for part in (reply.code, str(first.code), code, state, row) if part)


async def sent(practice: Practice, side: Side, entry: Entry) -> str:
    reply = read_reply(await (await practice.line(side)).send(entry.raw))
    found = practice.rows("SELECT state, decision_row, raw FROM journal ORDER BY id DESC LIMIT 1")[0]
    assert found["raw"] == entry.raw
    return told(reply, found["state"], found["decision_row"])


def assert_followed(practice: Practice, side: Side, entry: Entry, outcome: str) -> None:
    """What the table's words mean in the database: copies, and the patient under the ids of the column `key`, and no others."""
    state, row = outcome.split(" ")[-2:]
    copies = practice.rows("SELECT destination FROM delivery WHERE message = (SELECT max(id) FROM journal)")
    assert [copy["destination"] for copy in copies] == ([other(side)] if state == "accepted" else []), entry.file
    keys = set() if entry.said["key"] == "-" else set(entry.said["key"].split(" "))
    found = practice.rows("SELECT DISTINCT patient, type, value FROM alias")
    named = {one["patient"] for one in found if one["value"] in keys}
    if state == "accepted" and row != "#12":
        assert len(named) == 1, entry.file
        kept = {one["value"] for one in found if one["patient"] in named and one["type"] in KEY_TYPES}
        assert kept == keys, entry.file
    else:
        assert named == set(), entry.file
    if row in {"#3", "#30", "#43"} and state == "held":
        waiting = {key.split(":", 2)[2] for key in practice.holds() if key.startswith("patient:")}
        assert keys <= waiting, entry.file


def registration(control_id: str, entry: Entry, side: Side) -> bytes:
    """What the PM announces of this message's patient: ids (bare ones are the sender's), name, birth date and sex; no more."""
    header, *lines = re.split(rb"[\r\n]+", entry.raw)
    separator = header[3:4]
    (fields, *_) = [line.split(separator) + [b""] * 9 for line in lines if line.split(separator)[0] == b"PID"]
    ids = [named(place, side) for place in (fields[2], fields[3])]
    who = b"|".join([b"PID", b"1", ids[0], ids[1], b"", fields[5], b"", fields[7], fields[8]])
    return message("ADT^A28", control_id, "EVN|A28", sender="pm", sent="") + who + b"\r"


def named(ids: bytes, side: Side) -> bytes:
    """The same ids, each with its authority (CX.4)."""
    whole = []
    for repetition in ids.split(b"~"):
        parts = [*repetition.split(b"^"), b"", b"", b"", b""]
        parts[3] = parts[3] or side.upper().encode()
        whole.append(b"^".join(parts[:5]) if parts[0] not in {b"", b'""'} else b"")
    return b"~".join(one for one in whole if one)


def differing(expected: str, outcomes: dict[str, str]) -> str:
    table = {entry.file: entry.said[expected] for entry in ENTRIES}
    return "\n".join(
        f"{file}: the table says {table[file]}, it was {was}" for file, was in sorted(outcomes.items()) if table[file] != was
    )


def test_the_table_has_every_adt_siu_and_dft_of_the_corpus_once() -> None:
    assert [entry.file for entry in ENTRIES] == [p.stem for p in CORPUS if p.stem.startswith(("adt", "siu", "dft"))]
    assert len(ENTRIES) == 173


@pytest.mark.parametrize(("side", "setup"), COLUMNS, ids=lambda value: value)
async def test_each_gets_what_the_table_says(opened: Opening, tmp_path: Path, side: Side, setup: str) -> None:
    outcomes: dict[str, str] = {}

    async def practised(number: int, group: list[Entry]) -> None:
        async with Practice(tmp_path / f"{number}.db", setup, PROCESSING_ID="any") as practice:
            for entry in group:
                outcomes[entry.file] = await sent(practice, side, entry)
                assert_followed(practice, side, entry, outcomes[entry.file])
            assert not [key for key in practice.holds() if key.startswith("handler:")]

    await asyncio.gather(*(practised(number, group) for number, group in enumerate(strangers(ENTRIES))))
    assert len(outcomes) == len(ENTRIES)
    assert differing(f"{side} in {setup}", outcomes) == ""


async def test_with_the_usual_settings_what_is_no_production_is_refused_before_all_else(opened: Opening) -> None:
    practice = await opened()
    outcomes: dict[str, str] = {}
    others = [entry for entry in ENTRIES if entry.said["mode"] not in {"P", "-"}]
    for entry in others:
        outcomes[entry.file] = await sent(practice, "pm", entry)
        asked = "CR" if entry.said["asks"] == "yes" else "AR"
        if outcomes[entry.file] == f"{asked} 202 rejected #81":
            del outcomes[entry.file]
    assert len(others) > 20
    assert outcomes == {}
    assert practice.count("patient") == 0


@pytest.mark.parametrize("side", ["pm", "emr"])
async def test_each_gets_what_the_table_says_when_the_owner_has_registered_the_patient(tmp_path: Path, side: Side) -> None:
    outcomes: dict[str, str] = {}
    wanted = [entry for entry in ENTRIES if entry.said[f"{side}, known"] != "-"]

    async def practised(number: int, group: list[Entry]) -> None:
        async with Practice(tmp_path / f"{number}.db", "pm/pm", PROCESSING_ID="any") as practice:
            for place, entry in enumerate(group):
                await practice.accepted("pm", registration(f"REG{place}", entry, side))
                outcomes[entry.file] = await sent(practice, side, entry)
            assert not [key for key in practice.holds() if key.startswith("handler:")]

    await asyncio.gather(*(practised(number, group) for number, group in enumerate(strangers(wanted))))
    assert len(outcomes) == len(wanted) > 150
    assert not differing(f"{side}, known", outcomes), differing(f"{side}, known", outcomes)
