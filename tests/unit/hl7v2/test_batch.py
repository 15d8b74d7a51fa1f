"""Several messages in one frame (HL7 v2.5.1, 2.10.3; decisions 7)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ophl7.hl7v2 import ack, batch

ONE = b"MSH|^~\\&|a|b|c|d|e||ADT^A08|1|P|2.3\rPID|1\r"
TWO = b"MSH|^~\\&|a|b|c|d|e||ADT^A08|2|P|2.3\rPID|1\r"


def members(raw: bytes) -> list[bytes]:
    return [raw[start:end] for start, end in batch.split(raw).members]


def test_a_single_message_is_one_member() -> None:
    assert batch.split(ONE) == batch.Batch([(0, len(ONE))])


@pytest.mark.parametrize(
    "inside", [b"NTE|1||MSH|BHS|FHS\r", b"NTE|1||x\nMSH|^~\\&|\r", b"OBX|1||MSH\r", b"MSHX|1\r", b"ZBHS|1\r"]
)
def test_a_name_inside_a_segment_is_data(inside: bytes) -> None:
    assert batch.split(ONE + inside).members == [(0, len(ONE + inside))]


@pytest.mark.parametrize("raw", [b"", b"PID|1\r", b"{}", b"BTS|1\r"])
def test_what_has_no_message_is_left_to_its_reader(raw: bytes) -> None:
    assert batch.split(raw).members == [(0, len(raw))]


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_bare_messages_one_after_another(end: bytes) -> None:
    raw = (ONE + TWO).replace(b"\r", end)
    assert members(raw) == [ONE.replace(b"\r", end), TWO.replace(b"\r", end)]
    assert batch.split(raw).envelope == "none"
    assert batch.split(raw).problems == ()


def test_an_envelope_is_taken_off() -> None:
    head = b"FHS|^~\\&|a\rBHS|^~\\&|a\r"
    raw = head + ONE + TWO + b"BTS|2\rFTS|1\r"
    found = batch.split(raw)
    assert members(raw) == [ONE, TWO]
    assert (found.envelope, found.problems) == ("fhs", ())
    assert raw[slice(*found.head)] == head


def test_a_bom_in_front_moves_nothing() -> None:
    raw = b"\xef\xbb\xbfBHS|^~\\&|a\r" + ONE + b"BTS|1\r"
    assert members(raw) == [ONE]
    assert batch.split(raw).envelope == "bhs"


def test_an_empty_batch_has_no_members_and_says_so() -> None:
    found = batch.split(b"FHS|^~\\&|a\rBHS|^~\\&|a\rBTS|0\rFTS|1\r")
    assert found.members == []
    assert found.problems == ("the batch holds no message",)


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"BHS|^~\\&|a\r" + ONE + b"BTS|5\r", "BTS-1 says 5, 1 came"),
        (b"FHS|^~\\&|a\rBHS|^~\\&|a\r" + ONE + b"BTS|1\rFTS|2\r", "FTS-1 says 2, 1 came"),
        (ONE + TWO + b"BTS|2\r", "BTS without BHS"),
        (b"BHS|^~\\&|a\rPID|1\r" + ONE + b"BTS|1\r", "segments after BHS belong to no message"),
        (b"hello\rBHS|^~\\&|a\r" + ONE + b"BTS|1\r", "text stands before the first header"),
    ],
)
def test_a_broken_envelope_is_reported_and_its_messages_are_kept(raw: bytes, problem: str) -> None:
    assert problem in batch.split(raw).problems
    assert members(raw)[0] == ONE


def test_an_empty_count_says_nothing() -> None:
    assert batch.split(b"BHS|^~\\&|a\r" + ONE + b"BTS||comment\r").problems == ()


def test_each_batch_of_a_file_is_counted_alone() -> None:
    part = b"BHS|^~\\&|a\r" + ONE + b"BTS|1\r"
    found = batch.split(b"FHS|^~\\&|a\r" + part + part + b"FTS|2\r")
    assert (len(found.members), found.problems) == (2, ())


def test_more_than_a_thousand_are_reported() -> None:
    assert not batch.split(ONE * 1000).too_many
    found = batch.split(ONE * 1001)
    assert found.too_many
    assert "1001 messages in one frame; at most 1000 are taken" in found.problems


@pytest.mark.timeout(20)
def test_a_frame_full_of_trailers_is_read_in_one_pass() -> None:
    """260,000 of them fill a frame; looking back over all of them at each would take many minutes."""
    raw = b"BHS|^~\\&|A\rMSH|^~\\&|A|B|C|D|20240301||ADT^A04|C1|P|2.5\r" + b"BTS|1\r" * 170_000
    found = batch.split(raw)
    assert (len(found.members), found.envelope) == (1, "bhs")


def test_a_file_without_batches_counts_as_one() -> None:
    """The BHS is optional within FHS and FTS (2.10.3), and FTS-1 is then 1."""
    assert batch.split(b"FHS|^~\\&|a\r" + ONE + TWO + b"FTS|1\r").problems == ()
    assert batch.split(b"FHS|^~\\&|a\r" + ONE + TWO + b"FTS|2\r").problems == ("FTS-1 says 2, 1 came",)


@pytest.mark.parametrize("separator", [b"\x0b", b"\x1c"])
def test_an_envelope_whose_separator_would_break_our_frame_is_left_out_of_the_answer(separator: bytes) -> None:
    envelope = b"BHS" + separator + b"^~\\&" + separator + b"A\r"
    assert ack.batch(envelope, [b"MSH|1\r"], "B1", datetime(2024, 7, 4, tzinfo=UTC), UTC) == b"MSH|1\r"
