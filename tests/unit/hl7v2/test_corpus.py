"""Real messages of others: 350 good ones and 122 broken ones (tests/corpus, tests/malformed, SOURCES.md in each).

python-hl7 serves as an independent second opinion, field by field.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ophl7.errors import Unreadable
from ophl7.hl7v2 import batch
from ophl7.hl7v2.charset import choose, encode
from ophl7.hl7v2.message import Message, Segment, read_header
from ophl7.hl7v2.rewrite import rewrite, with_control_id

TESTS = Path(__file__).parents[2]
CORPUS = sorted((TESTS / "corpus").glob("*.hl7"))
MALFORMED = sorted((TESTS / "malformed").glob("*.hl7"))

# python-hl7 strips white space from the end of the whole text, where it is data: the last field is a blank.
KEPT_BLANK = {("oru-r01-19.hl7", "OBX", 19)}

# What no reading can save: no MSH, delimiters that are none, no message type.
UNREADABLE = {
    **dict.fromkeys(["batch-03.hl7", "batch-04.hl7", "batch-05.hl7", "batch-06.hl7"], 100),
    **dict.fromkeys(["junk-before-msh-01.hl7", "junk-before-msh-02.hl7", "not-hl7-01.hl7", "not-hl7-02.hl7"], 100),
    **{f"no-msh-0{number}.hl7": 100 for number in (1, 2, 3)},
    **{f"fuzz-{number:02}.hl7": 102 for number in (1, *range(4, 16), 17, 18)},
    **{f"msh2-{number:02}.hl7": 102 for number in (1, *range(3, 15))},
    **{f"msh-truncated-{number:02}.hl7": 102 for number in range(1, 7)},
    **{f"no-msh9-{number:02}.hl7": 102 for number in range(1, 11)},
    "msh2-escaped-06.hl7": 102,
    "batch-02.hl7": 102,  # one member of it
}


def members(path: Path) -> list[bytes]:
    raw = path.read_bytes()
    return [raw[start:end] for start, end in batch.split(raw).members]


def test_the_collections_are_here() -> None:
    assert (len(CORPUS), len(MALFORMED)) == (350, 122)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_every_real_message_is_read(path: Path) -> None:
    for raw in members(path):
        message = Message.parse(raw)
        assert message.segments[0].name == "MSH"
        assert message.type
        for segment in message.segments[1:]:
            for number in range(1, len(segment) + 1):
                assert (segment.value(str(number)) is None) is (
                    not segment.repetitions(number) or not segment.repetitions(number)[0]
                )


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_python_hl7_agrees_field_by_field(path: Path) -> None:
    for raw in members(path):
        message = Message.parse(raw)
        assert len(message.hl7) == len(message.segments)
        for segment, theirs in zip(message.segments, message.hl7, strict=True):
            assert [str(theirs[0]), len(theirs) - 1] == [segment.name, len(segment)]
            for number in range(1, len(segment) + 1):
                if (path.name, segment.name, number) in KEPT_BLANK:
                    assert segment.field(number).strip() == str(theirs[number])
                elif segment.name == "MSH" and number <= 2:
                    assert segment.field(number) == str(theirs[number])
                else:
                    assert pieces(segment, number) == [
                        [str(component) for component in ([repetition] if isinstance(repetition, str) else repetition)]
                        for repetition in theirs[number]
                        if str(theirs[number])
                    ]


def pieces(segment: Segment, number: int) -> list[list[str]]:
    return [segment.components(repetition) for repetition in segment.repetitions(number)]


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_only_the_control_id_differs_in_what_leaves(path: Path) -> None:
    for raw in members(path):
        before, left = Message.parse(raw), with_control_id(raw, "NEW-1")
        after = Message.parse(left)
        assert left.endswith(b"\r")
        assert after.control_id == "NEW-1"
        assert after.encoding == before.encoding
        assert after.lines[1:] == before.lines[1:]
        assert rewrite(before, "NEW-1") == left


@pytest.mark.parametrize("path", CORPUS + MALFORMED, ids=lambda path: path.stem)
def test_no_byte_is_lost_between_bytes_and_text(path: Path) -> None:
    raw = path.read_bytes()
    for forced in (None, "utf-8", "8859/1", "8859/7", "GB 18030-2000"):
        found = choose(raw, forced)
        assert encode(found.text, found.encoding) == raw


@pytest.mark.parametrize("path", MALFORMED, ids=lambda path: path.stem)
def test_a_broken_message_is_read_or_refused_and_nothing_else_happens(path: Path) -> None:
    expected = UNREADABLE.get(path.name)
    refused = None
    for raw in members(path) or [path.read_bytes()]:
        try:
            message = Message.parse(raw)
        except Unreadable as error:
            refused = error.error
            continue
        for segment in message.segments:
            segment.canonical_line  # noqa: B018  # must not raise
            for number in range(1, len(segment) + 1):
                segment.value(f"{number}.1.1")
        message.digest()
    assert refused == expected


@pytest.mark.parametrize("path", MALFORMED, ids=lambda path: path.stem)
def test_the_header_of_a_broken_message_is_found_where_there_is_one(path: Path) -> None:
    raw = path.read_bytes()
    has_one = path.name not in UNREADABLE or UNREADABLE[path.name] != 100
    found = read_header(raw)
    assert (found is not None) is (has_one or b"\rMSH|" in raw or b"\nMSH|" in raw)
