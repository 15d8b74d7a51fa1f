"""Lines into rows: a damaged row costs itself and nothing else."""

from __future__ import annotations

import pytest

from ophl7.golive.records import lines
from ophl7.golive.tables import LONGEST_LINE, MOST_LINES, Row, Shape, decode, line_end, named_delimiter, rows


def read(data: bytes, width: int, delimiter: str = ",", breakable: int = 1) -> list[Row]:
    return list(rows(lines([data], line_end(data), 0, LONGEST_LINE), 1, Shape(delimiter, width, frozenset({breakable}))))


def cells(data: bytes, width: int, delimiter: str = ",") -> list[tuple[str, ...]]:
    return [row.cells for row in read(data, width, delimiter)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_rows_end_as_each_system_ends_them(end: bytes) -> None:
    found = read(end.join([b"1,A", b"2,B", b"3,C"]) + end, 2)
    assert [(row.line, row.cells) for row in found] == [(2, ("1", "A")), (3, ("2", "B")), (4, ("3", "C"))]
    assert [row.end for row in found] == [(3 + len(end)) * n for n in (1, 2, 3)]


def test_quotes_delimiters_and_line_breaks_inside_a_cell_are_data() -> None:
    data = b'1,"Smith, Jr"\n2,"said ""hi"""\n3,"1 Elm\nApt 4"\n4, "x"\n5,5" pipe\n'
    found = read(data, 2)
    assert [row.cells[1] for row in found] == ["Smith, Jr", 'said "hi"', "1 Elm\nApt 4", "x", '5" pipe']
    assert [(row.line, row.last) for row in found] == [(2, 2), (3, 3), (4, 5), (6, 6), (7, 7)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_each_delimiter_leaves_the_others_alone(delimiter: str) -> None:
    others = "".join({",", ";"} - {delimiter})
    assert cells(f"1{delimiter}a{others}b\n".encode(), 2, delimiter) == [("1", f"a{others}b")]


def test_blank_rows_are_no_rows_but_count_as_lines() -> None:
    assert [(row.line, row.cells) for row in read(b"\n,,\n1,A,\n\r\n  \n", 3)] == [(4, ("1", "A", ""))]


def test_cells_too_many_or_too_few_are_told_and_blank_ones_at_the_end_are_not_too_many() -> None:
    found = read(b"1,A\n2\n3,C,X\n4,D,,\n", 2)
    assert [row.fault.reason if row.fault else row.cells for row in found] == [
        ("1", "A"),
        "the row has 1 cells, the header has 2",
        "the row has 3 cells, the header has 2",
        ("4", "D"),
    ]


@pytest.mark.parametrize(
    "wrong", [b'2,"B', b'2,"B"x', b'2,"B\n2,x', b"2,\xff\x81", b"2," + b"x" * LONGEST_LINE, b"2,B\rC"], ids=range(6)
)
def test_a_damaged_row_costs_its_line_and_the_rest_is_read(wrong: bytes) -> None:
    rest = b"".join(b"%d,Z\n" % number for number in range(9, 9 + 2 * MOST_LINES))
    found = read(b"1,A\n" + wrong + b"\n" + rest, 2)
    assert found[0].cells == ("1", "A")
    assert found[1].fault is not None
    assert found[1].line == 3
    assert [row.cells for row in found if row.cells[1:] == ("Z",)] == [
        (str(number), "Z") for number in range(9, 9 + 2 * MOST_LINES)
    ]


def test_a_quotation_mark_that_a_later_row_closes_does_not_join_two_patients() -> None:
    found = read(b'1,"A,x\n2,B",x\n3,C,x\n', 3, breakable=2)
    assert [(row.line, row.cells) for row in found if row.fault is None] == [(4, ("3", "C", "x"))]
    assert [(row.line, row.end) for row in found if row.fault is not None] == [(2, 7), (3, 14)]
    nicknamed = read(b'1,"Robert ""Bob""",x\n', 3, breakable=2)
    assert nicknamed[0].cells[1] == 'Robert "Bob"'


def test_each_line_is_utf_8_or_windows_1252_for_itself() -> None:
    assert cells("1,é\n".encode() + "2,é\n".encode("cp1252"), 2) == [("1", "é"), ("2", "é")]
    assert decode(b"\xef\xbb\xbfid") == "id"
    assert decode(b"\x81") is None


@pytest.mark.parametrize(("line", "said"), [("sep=;\r\n", ";"), ("SEP=,", ","), ("sep=x", None), ("id;x", None)])
def test_the_line_with_which_excel_names_its_delimiter(line: str, said: str | None) -> None:
    assert named_delimiter(line) == said
