"""Names, steps and problems: pure functions of the HTTP face."""

from __future__ import annotations

import json
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest

from ophl7.admin.naming import named_in
from ophl7.admin.people import name
from ophl7.admin.problems import Problem
from ophl7.admin.timeline import Story, timeline
from ophl7.domain.identifiers import Naming
from ophl7.engine.storage import DeliveryState, MessageState

ZONE = ZoneInfo("America/New_York")
HEADER = b"MSH|^~\\&|PM|DESK|EMR|DESK|20261123||ADT^A08|C1|P|2.5\r"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", {}),
        ("Specimen", {"family": "Specimen"}),
        ("Specimen^Anna^B^Jr^Ms", {"family": "Specimen", "given": "Anna", "middle": "B", "suffix": "Jr", "prefix": "Ms"}),
        ("Specimen^Anna~Nick^Name", {"family": "Specimen", "given": "Anna"}),
        ("van Specimen&van&Specimen^Anna", {"family": "van Specimen", "given": "Anna"}),
        ("O\\T\\H^A\\S\\B", {"family": "O&H", "given": "A^B"}),
        ('""^Anna', {"given": "Anna"}),
        ("^ Anna ", {"given": "Anna"}),
        ("A^B^C^D^E^F^G", {"family": "A", "given": "B", "middle": "C", "suffix": "D", "prefix": "E"}),
    ],
)
def test_a_name_is_read_part_by_part(text: str, said: dict[str, str]) -> None:
    assert name(text) == dict.fromkeys(("family", "given", "middle", "suffix", "prefix")) | said


@pytest.mark.parametrize(
    ("head", "named"),
    [
        (None, None),
        (b"", None),
        (b"garbage", None),
        (HEADER, None),
        (HEADER + b"PID|1||7050\r", "PM:7050"),
        (HEADER + b"PID|1||7050^^^CLINIC^MR\r", "CLINIC:7050"),
        (HEADER + b"PID|1||999-99-9999^^^SSA^SS\r", None),
        (HEADER + b"PID|1|22|1^^^X^SS\r", "PM:22"),
    ],
)
def test_a_message_names_its_patient_by_a_key_id_only(head: bytes | None, named: str | None) -> None:
    assert named_in(head, Naming("PM")) == named


def row(**more: Any) -> dict[str, Any]:  # noqa: ANN401 - a row holds anything
    return {
        "received_at": 0.0,
        "peer": "pm",
        "event": "ADT^A08",
        "control_id": "C1",
        "state": "accepted",
        "reason": "",
        "decision_row": "",
        "repeats": None,
        "replay_of": None,
        "detail": "",
        "ack_code": "AA",
        "body_removed_at": None,
    } | more


@pytest.mark.parametrize("state", get_args(MessageState))
def test_every_state_of_a_message_has_its_sentence(state: str) -> None:
    steps = timeline(Story(row(state=state)), ZONE)
    assert [step["step"] for step in steps] == ["received", "decided", "answered"]
    assert len({step["text"] for step in steps}) == 3


@pytest.mark.parametrize("state", get_args(DeliveryState))
def test_every_state_of_a_delivery_has_its_sentence(state: str) -> None:
    sent = {
        "id": 9,
        "destination": "emr",
        "control_id": "D9",
        "created_at": 1.0,
        "changed_at": 2.0,
        "attempts": 1,
        "last_answer": "",
        "state": state,
    }
    last = timeline(Story(row(), deliveries=[sent]), ZONE)[-1]
    assert (last["step"], last["text"].startswith("Copy 9 for the EMR "), "after 1 try" in last["text"]) == (state, True, True)


def test_what_a_sender_wrote_into_its_header_is_not_repeated_when_it_is_no_code() -> None:
    steps = timeline(Story(row(event="Specimen^Anna", control_id="Specimen Anna")), ZONE)
    assert "Specimen" not in str(steps)


def test_no_answer_is_said_as_such() -> None:
    assert timeline(Story(row(ack_code="")), ZONE)[2]["text"] == "No answer was given"


def test_a_problem_is_a_document_of_rfc_9457() -> None:
    answer = Problem(409, "several", patients=["PM:1", "EMR:1"]).response()
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(bytes(answer.body)) == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "several",
        "patients": ["PM:1", "EMR:1"],
    }
