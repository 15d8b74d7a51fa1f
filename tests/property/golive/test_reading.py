"""Reading lists: what is written comes back, whatever the bytes are the rest is read, and every place can be gone on from."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from ophl7.domain.identifiers import Naming, named_patient
from ophl7.golive import values
from ophl7.golive.messages import messages, segment_end
from ophl7.golive.records import Record, lines
from ophl7.golive.rows import Setup
from ophl7.golive.source import Source, look_at
from ophl7.golive.tables import DELIMITERS, LONGEST_LINE, Shape, line_end, rows
from ophl7.hl7v2.message import Message

SETUP = Setup("pm", {"pm": "PM", "emr": "EMR"}, "P", date(2026, 3, 1))
NAMES = ("id", "last_name", "first_name", "birth_date", "sex", "street")

# What people type: anything but control characters; quotation marks in pairs, or the row is taken for a damaged one.
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp"), exclude_characters='"\ufffd'), max_size=12)
WORDS = TEXT.map(lambda text: " ".join(text.split()))
QUOTED = st.tuples(WORDS, WORDS).map(lambda pair: f'{pair[0]}x"{pair[1]}"')
CELLS = WORDS | QUOTED
DAYS = st.dates(date(1880, 1, 1), SETUP.today)


@contextmanager
def looked_at(data: bytes) -> Iterator[Source]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list"
        path.write_bytes(data)
        source = look_at(str(path), SETUP, owner=False, longest=10_000)
        try:
            yield source
        finally:
            source.close()


def in_pieces(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    start = 0
    for size in sizes:
        yield data[start : start + size]
        start += size
    yield data[start:]


@given(
    table=st.lists(st.tuples(CELLS.filter(bool), CELLS, CELLS, DAYS, st.sampled_from("MFOU"), CELLS), max_size=6),
    delimiter=st.sampled_from(DELIMITERS),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    all_quoted=st.booleans(),
    bom=st.booleans(),
    broken=st.booleans(),
)
def test_what_is_in_a_cell_is_in_the_message(
    table: list[tuple[str, ...]], delimiter: str, end: str, all_quoted: bool, bom: bool, broken: bool
) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(
        file, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL
    )
    writer.writerow(NAMES)
    for row in table:
        writer.writerow([f"7{row[0]}", *row[1:5], f"{row[5]}{end}x" if broken else row[5]])
    data = file.getvalue().encode("utf-8-sig" if bom else "utf-8")
    with looked_at(data) as source:
        found = [Message.parse(record.body or b"") for record in source.records(0, 0)]
    assert len(found) == len(table)
    for (key, family, given_name, born, sex, street), message in zip(table, found, strict=True):
        assert [one.value for one in named_patient(message.first("PID"), Naming("X")).keys] == [f"7{key}"]
        assert message.text("PID-5.1") == family
        assert message.text("PID-5.2") == given_name
        assert message.text("PID-7") == f"{born:%Y%m%d}"
        assert message.text("PID-8") == sex
        assert message.text("PID-11.1") == (f"{street} x".strip() if broken else street)
        assert len(message.segments) == 3


@given(st.binary(max_size=400), st.sampled_from([b"", b'1,"A\n', b"1,A\n2,B\n"]), st.lists(st.integers(0, 40), max_size=9))
@example(b'"', b'1,"A\n', [])
@example(b"\r,\n", b"", [1])
def test_any_bytes_become_rows_in_order_and_each_row_can_be_gone_on_from(data: bytes, before: bytes, sizes: list[int]) -> None:
    data, shape = before + data, Shape(",", 2, frozenset({1}))
    end = line_end(data)
    found = list(rows(lines(in_pieces(data, sizes), end, 0, LONGEST_LINE), 0, shape))
    assert found == list(rows(lines([data], end, 0, LONGEST_LINE), 0, shape)), "however it is cut"
    assert [row.line for row in found] == sorted({row.line for row in found})
    for position, row in enumerate(found):
        assert row.line <= row.last
        assert (row.fault is None) == bool(row.cells)
        behind = list(rows(lines([data[row.end :]], end, row.end, LONGEST_LINE), row.last, shape))
        assert behind == found[position + 1 :]


PIECES = st.lists(
    st.sampled_from(
        [
            b"MSH|^~\\&|A|||||ADT^A28|1|P|2.5",
            b"PID|1||7",
            b"FHS|^~\\&",
            b"BTS|1",
            b"MSH",
            b"\r",
            b"\n",
            b"\x0b",
            b"\x1c",
            b"x" * 60,
        ]
    ),
    max_size=30,
).map(b"".join)


@given(PIECES, st.lists(st.integers(0, 40), max_size=9))
def test_any_bytes_become_messages_and_each_can_be_gone_on_from(data: bytes, sizes: list[int]) -> None:
    end, longest = segment_end(data), 150

    def cut(chunks: Iterator[bytes], offset: int, place: int) -> list[Record]:
        return list(messages(lines(chunks, end, offset, longest), end, place, longest))

    found = cut(in_pieces(data, sizes), 0, 0)
    assert found == cut(iter([data]), 0, 0), "however it is cut"
    assert [record.place for record in found] == list(range(1, len(found) + 1))
    for position, record in enumerate(found):
        assert (record.fault is None) == (record.body is not None)
        assert cut(iter([data[record.end :]]), record.end, record.place) == found[position + 1 :]


@given(DAYS)
def test_a_day_is_the_same_in_every_form(day: date) -> None:
    forms = (f"{day:%Y-%m-%d}", f"{day.month}/{day.day}/{day.year}", f"{day:%m/%d/%Y}", f"{day:%Y%m%d}", f"{day}T10:00:00")
    assert {values.day(form, SETUP.today) for form in forms} == {f"{day:%Y%m%d}"}


@given(st.text(max_size=30))
def test_no_text_breaks_a_reader_of_cells(text: str) -> None:
    for reader in (lambda cell: values.day(cell, SETUP.today), values.sex, values.yes_no, values.other_ids, values.authority):
        with suppress(ValueError):
            reader(text)
