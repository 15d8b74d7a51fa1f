"""What may stand in a log (contract 7)."""

from __future__ import annotations

import pytest

from ophl7.hl7v2.message import Message
from ophl7.hl7v2.redact import outline, safe_control_id, safe_event


@pytest.mark.parametrize("text", ["ADT^A08", "ACK", "SIU^S12", "ZZZ^Z01"])
def test_an_event_is_shown(text: str) -> None:
    assert safe_event(text) == text


@pytest.mark.parametrize("text", ["", "DOE^JANE", "adt^a08", "ADT^A08^ADT_A01", "ADT\n"])
def test_anything_else_is_not(text: str) -> None:
    assert safe_event(text) == "unreadable"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("20240101.1-A_b", "20240101.1-A_b"),
        ("DOE JANE", "unreadable"),
        ("DOE^JANE", "unreadable"),
        ("x" * 65, "unreadable"),
        ("é", "unreadable"),
    ],
)
def test_a_control_id_is_one_short_word(text: str, shown: str) -> None:
    assert safe_control_id(text) == shown


def test_an_outline_has_names_and_counts_only() -> None:
    message = Message.parse(b"MSH|^~\\&|a|b|c|d|e||ADT^A08|1\rPID|1||77\rJane Doe|x\r")
    assert outline(message) == (("MSH", 10), ("PID", 3), ("???", 1))
