"""Field owners against a model that is too simple to be wrong: registry, drift, origins, and every byte that leaves."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from ophl7.domain.patient import Side
from ophl7.domain.policy import PeerPolicy
from ophl7.domain.profile import FieldRules, Profile
from ophl7.domain.provenance import origins_of
from ophl7.hl7v2.message import Message
from tests.unit.engine.desk import Desk, message, msh

IDS = {"pm": "7050^^^PM^MR", "emr": "C9^^^EMR^PI"}
IDENTITY = {"PID-5": "Rivers^Ada", "PID-7": "20150412", "PID-8": "F"}

# Of decisions 9, written down a second time: path -> owner where the PM and where the EMR owns the patients.
OWNERS: dict[str, tuple[str, str]] = {
    "PID-10": ("shared", "shared"),
    "PID-11": ("pm", "emr"),
    "PID-13": ("pm", "emr"),
    "PID-18": ("pm", "pm"),
    "PID-22": ("shared", "shared"),
    "PID-40": ("emr", "emr"),
    "NK1": ("pm", "emr"),
    "IN1": ("pm", "pm"),
    "AL1": ("emr", "emr"),
}
VALUES = st.sampled_from(["", "", '""', "one", "two", "three^", "three"])


@dataclass
class Edit:
    """One A08: what it says of each path, "" for nothing."""

    sender: Side
    said: dict[str, str]

    def raw(self, number: int) -> bytes:
        pid = {"PID-1": "1", "PID-3": IDS[self.sender], **IDENTITY}
        pid |= {path: value for path, value in self.said.items() if path.startswith("PID-")}
        fields = [pid.get(f"PID-{number}", "") for number in range(1, 41)]
        lines = [f"{path}|1|{value}" for path, value in self.said.items() if not path.startswith("PID-") and value]
        return message(msh("ADT^A08", f"C{number}"), "EVN||2024", "|".join(["PID", *fields]), *lines)


EDITS = st.builds(Edit, st.sampled_from(("pm", "emr")), st.fixed_dictionaries(dict.fromkeys(OWNERS, VALUES)))


@dataclass
class Model:
    """What the rules say. changed: path -> number of the message that its value came by."""

    authority: Side
    owners: dict[str, str]
    takes: set[str]
    registry: dict[str, str] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    drift: list[tuple[str, str, str | None]] = field(default_factory=list)

    def may(self, path: str, sender: str) -> bool:
        owner = self.owners[path]
        return owner == sender or (owner == "shared" and (sender == self.authority or path not in self.registry))

    def take(self, edit: Edit, number: int) -> dict[str, str] | None:
        """What the copy for the other side says of each path; None when none leaves."""
        refused: dict[str, str] = {}
        taken: set[str] = set()
        for path in OWNERS:  # in the order in which a message has them
            text, known = edit.said[path], self.registry.get(path)
            if not text or (text == '""' and known is None) or text.rstrip("^") == (known or "").rstrip("^"):
                continue
            if not self.may(path, edit.sender):
                self.drift.append((path, text, known))
                refused[path] = known or ""
                continue
            taken.add(path)
            if text == '""':
                del self.registry[path], self.changed[path]
            else:
                self.registry[path], self.changed[path] = text, number
        if edit.sender == self.authority:
            return edit.said | refused
        return None if taken.isdisjoint(self.takes) else self.for_owner(edit, refused)

    def for_owner(self, edit: Edit, refused: dict[str, str]) -> dict[str, str]:
        leaves: dict[str, str] = {}
        for path, text in edit.said.items():
            wanted = path in self.takes
            if wanted and text and path not in refused:
                leaves[path] = text
            elif not wanted and self.owners[path] == edit.sender:
                leaves[path] = ""
            elif path.startswith("PID-") or text:  # a set that is not there says nothing
                leaves[path] = self.registry.get(path, "")
            else:
                leaves[path] = ""
        return leaves


def said_in(body: bytes) -> dict[str, str]:
    read = Message.parse(body)
    pid = read.segments[2]
    found = {path: pid.field(int(path[4:])) for path in OWNERS if path.startswith("PID-")}
    return found | {path: "".join(line.split("|")[2] for line in read.lines_of(path)) for path in OWNERS if "-" not in path}


def content(registry: dict[str, str]) -> dict[str, str]:
    return {path: text.split("|")[2] if "|" in text else text for path, text in registry.items() if path in OWNERS}


async def play(authority: Side, takes: set[str], overrides: dict[str, Any], edits: list[Edit], batches: list[int]) -> None:
    owners = {path: owner[authority == "emr"] for path, owner in OWNERS.items()} | overrides
    model = Model(authority, owners, takes)
    other: Side = "emr" if authority == "pm" else "pm"
    profiles = {authority: Profile(fields=FieldRules(takes=frozenset(takes), owners=overrides)), other: Profile()}
    peers = {"pm": PeerPolicy("PM", profile=profiles["pm"]), "emr": PeerPolicy("EMR", profile=profiles["emr"])}
    async with Desk(patient_authority=authority, schedule_authority="emr", peers=peers) as desk:
        both = f"{IDS['pm']}~{IDS['emr']}"
        await desk.send(authority, message(msh("ADT^A28", "C0"), "EVN||2024", f"PID|1||{both}||Rivers^Ada||20150412|F"))
        expected: list[tuple[str, dict[str, str]]] = []
        pending: list[tuple[str, bytes]] = []
        for number, edit in enumerate(edits, 1):
            leaves = model.take(edit, number)
            if leaves is not None:
                expected.append(("emr" if edit.sender == "pm" else "pm", leaves))
            pending.append((edit.sender, edit.raw(number)))
            if number in batches:
                await desk.one_batch(*pending)
                pending = []
        await desk.one_batch(*pending)

        (patient,) = desk.memory.patients.values()
        assert content(dict(patient.fields)) == model.registry
        plain = [(row.field, row.offered.split("|")[-1], (row.kept or "").split("|")[-1] or None) for row in desk.memory.drift]
        assert plain == model.drift
        origins = {path: desk.memory.journal[origin.message].control_id for path, origin in origins_of(patient.origins).items()}
        assert {path: number for path, number in origins.items() if path in OWNERS} == {
            path: f"C{number}" for path, number in model.changed.items()
        }
        assert [(row.destination, said_in(body or b"")) for row, body in desk.seen.fed[1:]] == expected


OVERRIDES: st.SearchStrategy[dict[str, Literal["pm", "emr", "shared"]]] = st.dictionaries(
    st.sampled_from(sorted(OWNERS)), st.sampled_from(("pm", "emr", "shared")), max_size=2
)


@settings(max_examples=80, deadline=None)
@given(
    authority=st.sampled_from(("pm", "emr")),
    takes=st.sets(st.sampled_from(sorted(OWNERS)), max_size=4),
    overrides=OVERRIDES,
    edits=st.lists(EDITS, min_size=1, max_size=8),
    batches=st.lists(st.integers(1, 8)),
)
def test_registry_drift_and_copies_are_those_of_the_owners(
    authority: Side, takes: set[str], overrides: dict[str, Any], edits: list[Edit], batches: list[int]
) -> None:
    asyncio.run(play(authority, takes, overrides, edits, batches))


async def echo(authority: Side, edits: list[Edit], marks: list[str]) -> None:
    """The receiver sends back what it was sent, with other marks behind its values: nothing happens at all."""
    other: Side = "emr" if authority == "pm" else "pm"
    profiles = {authority: Profile(), other: Profile(fields=FieldRules(drift="restore"))}
    peers = {"pm": PeerPolicy("PM", profile=profiles["pm"]), "emr": PeerPolicy("EMR", profile=profiles["emr"])}
    async with Desk(patient_authority=authority, schedule_authority="emr", peers=peers) as desk:
        both = f"{IDS['pm']}~{IDS['emr']}"
        await desk.send(authority, message(msh("ADT^A28", "C0"), "EVN||2024", f"PID|1||{both}||Rivers^Ada||20150412|F"))
        for number, edit in enumerate(edits, 1):
            await desk.send(authority, Edit(authority, edit.said).raw(number))
        copies = [body or b"" for _, body in desk.seen.fed]
        drift = len(desk.memory.drift)
        # Of a field that was changed since then, the older copy says something else: that is no echo of what is current.
        for number, body in enumerate(copies[-1:]):
            lines = body.decode().split("\r")[:-1]
            lines[0] = msh("ADT^A08", f"E{number}")
            lines[2] = lines[2].replace(IDS[authority], f"{IDS[other]}~{IDS[authority]}").replace("Rivers^Ada", "Rivers^Ada^^")
            lines = [line + mark for line, mark in zip(lines, ["", "", *marks * len(lines)], strict=False)]
            await desk.send(other, message(*lines))
            assert desk.journal(f"E{number}").state == "ignored"
        assert len(desk.memory.drift) == drift
        assert len(desk.seen.fed) == len(copies)


@settings(max_examples=40, deadline=None)
@given(
    authority=st.sampled_from(("pm", "emr")),
    edits=st.lists(EDITS, max_size=4),
    marks=st.lists(st.sampled_from(["", "|", "||", "^", "&", "^^|"]), min_size=1, max_size=5),
)
def test_what_the_receiver_sends_back_as_it_got_it_changes_nothing(
    authority: Side, edits: list[Edit], marks: list[str]
) -> None:
    asyncio.run(echo(authority, edits, marks))
