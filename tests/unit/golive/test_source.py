"""A list is looked at before anything is done: what it is, which columns it has, whether it can be taken up again."""

from __future__ import annotations

import os
import threading
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from ophl7.errors import ListUnusable
from ophl7.golive.rows import Setup
from ophl7.golive.source import Source, look_at
from ophl7.hl7v2.message import Message

SETUP = Setup("pm", {"pm": "PM", "emr": "EMR"}, "P", date(2026, 3, 1))
HEADER = "id,last_name,first_name,birth_date,sex"
TABLE = f"{HEADER}\n1,A,B,2018-04-12,F\n2,C,D,2018-04-13,M\n".encode()
MESSAGES = b"".join(b"MSH|^~\\&|A|||||ADT^A28|%d|P|2.5\rPID|1||%d\r" % (number, number) for number in (1, 2))


def looked(path: Path, *, owner: bool = True) -> Source:
    return look_at(str(path), SETUP, owner=owner, longest=10_000)


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "list.csv"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("data", "places", "at"), [(TABLE, "line", [2, 3]), (MESSAGES, "message", [1, 2])], ids=["table", "messages"]
)
def test_a_file_says_itself_what_it_is(tmp_path: Path, data: bytes, places: str, at: list[int]) -> None:
    with closing(looked(written(tmp_path, data))) as source:
        assert (source.places, source.size, len(source.digest)) == (places, len(data), 64)
        assert source.can_resume
        first, second = source.records(0, 0)
        assert [first.place, second.place] == at
        assert second.end == len(data)
        assert list(source.records(first.end, first.last)) == [second]
        assert list(source.records(0, 0)) == [first, second]


@pytest.mark.parametrize(
    "data",
    [
        TABLE.replace(b",", b";"),
        b"sep=;\r\n" + TABLE.replace(b",", b";").replace(b"\n", b"\r\n"),
        TABLE.replace(b",", b"\t").replace(b"\n", b"\r"),
        b"\xef\xbb\xbf\n\n" + TABLE,
        TABLE.replace(b"\n", b",\n"),
    ],
    ids=["semicolon", "excel", "tab and cr", "bom and blank lines", "a comma too many everywhere"],
)
def test_a_table_is_read_however_it_was_exported(tmp_path: Path, data: bytes) -> None:
    with closing(looked(written(tmp_path, data))) as source:
        assert [Message.parse(record.body or b"").text("PID-5.1") for record in source.records(0, 0)] == ["A", "C"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (TABLE.decode().encode("utf-16"), "is in UTF-16; save it as CSV in UTF-8"),
        (b"PK\x03\x04\x00\x00xl/worksheets", "save the spreadsheet as CSV"),
        (b"7050,EVERYWOMAN,EVE\n", "has no header"),
        (b"id,last_name\n", "has no column first_name, birth_date, sex: without them no patient can be created"),
    ],
)
def test_a_list_that_cannot_be_loaded_says_what_to_change(tmp_path: Path, data: bytes, why: str) -> None:
    path = written(tmp_path, data)
    with pytest.raises(ListUnusable, match=why) as refused:
        looked(path)
    assert str(refused.value).startswith(str(path))
    assert "EVERYWOMAN" not in str(refused.value)


def test_a_wrong_row_is_a_record_with_its_line_and_reason(tmp_path: Path) -> None:
    data = TABLE + b"3,E,F,4/12/18,F\n4,G\n5,H,I,2018-04-12,F\n"
    with closing(looked(written(tmp_path, data))) as source:
        found = list(source.records(0, 0))
    assert [(record.place, record.fault.reason if record.fault else "") for record in found[2:]] == [
        (4, "birth_date has a year of two digits, which may be of either century; write 2018-04-12 or 4/12/2018"),
        (5, "the row has 2 cells, the header has 5"),
        (6, ""),
    ]


def test_a_file_that_was_changed_meanwhile_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path, TABLE)
    with closing(looked(path)) as source:
        assert not source.changed()
        path.write_bytes(TABLE + b"3,E,F,2018-04-12,F\n")
        assert source.changed()


def test_a_pipe_is_read_once_and_has_no_digest(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(TABLE,))
    writer.start()
    with closing(looked(pipe)) as source:
        assert (source.size, source.digest, source.can_resume, source.changed()) == (None, "", False, False)
        assert [record.place for record in source.records(0, 0)] == [2, 3]
    writer.join()


def test_a_list_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ListUnusable, match="cannot be read: No such file"):
        looked(tmp_path / "nowhere.csv")
