"""The opt-in check by hl7apy."""

from __future__ import annotations

from pathlib import Path

import pytest

from ophl7.errors import Unreadable
from ophl7.hl7v2.conformance import Finding, check

GOOD = (
    b"MSH|^~\\&|PM|F|E|H|20240101120000||ADT^A08^ADT_A01|1|P|2.5\rEVN||20240101120000\r"
    b"PID|||7050^^^PM^MR||DOE^JANE||19800102|F\rPV1||O\r"
)


def test_a_conforming_message_has_no_findings() -> None:
    assert check(GOOD) == []


def test_a_missing_segment_is_named() -> None:
    assert check(GOOD.replace(b"PV1||O\r", b"")) == [Finding("ADT_A01.PV1", "is required and missing")]


def test_the_structure_is_supplied_where_the_sender_leaves_it_out() -> None:
    assert check(GOOD.replace(b"^ADT_A01", b"")) == []
    assert check(GOOD.replace(b"^ADT_A01", b"").replace(b"|2.5\r", b"|2.3\r").replace(b"EVN|", b"EVN|A08")) == []


def test_findings_hold_no_values() -> None:
    found = check(GOOD.replace(b"|F\r", b"|SECRET\r"))
    assert found
    assert "SECRET" not in str(found)


@pytest.mark.parametrize("change", [(b"|2.5\r", b"|2.99\r"), (b"ADT^A08^ADT_A01", b"QQQ")])
def test_what_the_check_cannot_judge_is_one_finding(change: tuple[bytes, bytes]) -> None:
    assert len(check(GOOD.replace(*change))) == 1


def test_what_is_no_message_is_unreadable() -> None:
    with pytest.raises(Unreadable):
        check(b"PID|1\r")


def test_no_message_of_the_public_collection_breaks_the_check() -> None:
    """Every ninth of them, at 20 ms each; the findings themselves are hl7apy's opinion."""
    folder = Path(__file__).parents[2] / "corpus"
    for path in sorted(folder.glob("*.hl7"))[::9]:
        raw = path.read_bytes()
        try:
            findings = check(raw)
        except Unreadable:
            continue
        assert all(finding.problem for finding in findings), path.name
