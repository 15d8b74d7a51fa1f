"""The conformance check: whatever the bytes are, it ends with a report, and no value of the message is in it."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from ophl7.errors import Unreadable
from ophl7.hl7v2.conformance import MOST_FINDINGS, check
from ophl7.hl7v2.grammar import Part, misfits
from ophl7.hl7v2.structures import VERSIONS

# What a value may be here, and what must then never be in a report. Part of it looks like a segment, a code or a number.
SECRETS = ("qsecret", "QSE|", "QSE^QSE", "QSE", "4711471147", "\\F\\QSE")
EVENTS = ("ADT^A08", "ADT^A40^ADT_A39", "SIU^S14", "DFT^P03^DFT_P03", "ORU^R01", "ACK^A08^ACK", "QSE^QSE^QSE_QSE", "ADT")
SEGMENTS = ("EVN", "PID", "PV1", "MRG", "SCH", "RGS", "AIS", "FT1", "PR1", "OBR", "OBX", "NTE", "MSA", "ZPI", "PRT", "QSE")
values = st.lists(st.sampled_from([*SECRETS, "", '""', "20240101", "1", "A"]), max_size=4).flatmap(
    lambda parts: st.sampled_from("^~&").map(lambda mark: mark.join(parts))
)
lines = st.tuples(st.sampled_from(SEGMENTS), st.lists(values, max_size=12)).map(lambda one: "|".join([one[0], *one[1]]))


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    version = draw(st.sampled_from([*VERSIONS, "2.9", "", "QSE"]))
    header = f"MSH|^~\\&|{draw(values)}|F|E|H|20240101||{draw(st.sampled_from(EVENTS))}|{draw(values)}|P|{version}"
    return "".join(f"{line}\r" for line in [header, *draw(st.lists(lines, max_size=12))]).encode()


@settings(max_examples=200, deadline=None)
@given(messages())
def test_no_value_is_in_a_report(raw: bytes) -> None:
    try:
        report = check(raw)
    except Unreadable:
        return
    text = str(report)
    assert not re.search("secret|4711", text)
    assert "QSE" not in text.replace("QSE^QSE", "")  # an event is shown where it looks like one, as in every log line
    assert len(report.findings) <= MOST_FINDINGS + 1


@settings(max_examples=200, deadline=None)
@given(st.binary() | st.binary().map(lambda tail: b"MSH|^~\\&|A|B|C|D|2024||ADT^A08|1|P|2.5\r" + tail))
def test_any_bytes_are_reported_or_unreadable(raw: bytes) -> None:
    try:
        report = check(raw)
    except Unreadable:
        return
    assert report.conforms is all(finding.severity == "note" for finding in report.findings)


NAMES = ("AAA", "BBB", "CCC", "DDD")


@st.composite
def structures(draw: st.DrawFn, depth: int = 2) -> tuple[Part, ...]:
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        least, most = draw(st.sampled_from([(0, 1), (1, 1), (0, -1), (1, -1)]))
        inner = draw(structures(depth - 1)) if depth and draw(st.booleans()) else None
        choice = inner is not None and draw(st.booleans())
        parts.append(Part(draw(st.sampled_from(NAMES)), least, most, inner, choice))
    return tuple(parts)


def written(draw: st.DrawFn, parts: tuple[Part, ...]) -> list[str]:
    """A message that follows the structure."""
    found: list[str] = []
    for part in parts:
        times = draw(st.integers(part.least, part.most if part.most > 0 else part.least + 2))
        for _ in range(times):
            if part.parts is None:
                found.append(part.name)
            elif part.choice:
                found += written(draw, (draw(st.sampled_from(part.parts)),))
            else:
                found += written(draw, part.parts)
    return found


@st.composite
def followed(draw: st.DrawFn) -> tuple[tuple[Part, ...], list[str]]:
    """A structure with each name in one place only, as nearly all of HL7's are, and a message that follows it."""
    names = iter(f"S{number:02}" for number in range(100))

    def distinct(parts: tuple[Part, ...]) -> tuple[Part, ...]:
        return tuple(
            Part(next(names), part.least, part.most, distinct(part.parts) if part.parts else None, part.choice)
            for part in parts
        )

    parts = distinct(draw(structures()))
    return parts, written(draw, parts)


@given(structures(), st.lists(st.sampled_from([*NAMES, "XXX"]), max_size=12))
def test_every_segment_is_looked_at_once_and_told_at_most_once(parts: tuple[Part, ...], names: list[str]) -> None:
    found = misfits(names, parts)
    told = [one.position for one in found if one.kind != "missing"]
    assert len(told) == len(set(told))
    assert all(names[one.position] == one.name for one in found if one.kind != "missing")
    assert [one.position for one in found] == sorted(one.position for one in found)
    assert {place for place, name in enumerate(names) if name == "XXX"} <= set(told)  # what no structure has is always told


@given(followed())
def test_what_follows_a_structure_fits(one: tuple[tuple[Part, ...], list[str]]) -> None:
    parts, names = one
    assert misfits(names, parts) == []
