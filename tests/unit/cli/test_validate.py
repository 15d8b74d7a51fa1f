"""`validate`: what is printed, the exit status, and files that nobody should open."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ophl7 import cli
from ophl7.cli.conformance import MOST_DEATHS, Checked, check_files
from ophl7.cli.exits import Exit
from ophl7.errors import OperationsError

TESTS = Path(__file__).parents[2]
GOOD = (
    b"MSH|^~\\&|PM|F|E|H|20240101120000||ADT^A08^ADT_A01|1|P|2.5\rEVN||20240101120000\r"
    b"PID|||7050^^^PM^MR||SECRET^JANE||19800102|F\rPV1||O\r"
)
BAD = GOOD.replace(b"19800102", b"2.1.80").replace(b"PV1||O\r", b"ZPV|SECRET\rZPW|1\r").replace(b"|1|P|", b"|CTRL77|P|")


@pytest.fixture
def good(tmp_path: Path) -> str:
    return write(tmp_path, "good.hl7", GOOD)


def write(folder: Path, name: str, data: bytes) -> str:
    path = folder / name
    path.write_bytes(data)
    return str(path)


def test_a_conforming_file_is_one_line_and_status_0(good: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["validate", good]) == Exit.OK
    output = capsys.readouterr()
    assert output.out == f"{good}, message 1 (ADT^A08, 2.5): conforms\n"
    assert output.err == "1 of 1 messages in 1 file conform\n"


def test_what_does_not_conform_is_told_in_order_with_its_place_and_status_4(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, "bad.hl7", GOOD + BAD)
    assert cli.run(["validate", file]) == Exit.REFUSED
    output = capsys.readouterr()
    assert output.out.splitlines() == [
        f"{file}, message 1 (ADT^A08, 2.5): conforms",
        f"{file}, message 2 (ADT^A08, 2.5): does not conform",
        "  error  PID-7.1       is no time (YYYYMMDDHHMMSS, as far as it is known)",
        "  note   Z??           is a local segment: its content was not checked (and at 1 place more)",
        "  error  PV1           is required in ADT_A01 and missing here",
    ]
    assert output.err == "1 of 2 messages in 1 file conform\n"
    for value in ("SECRET", "JANE", "7050", "2.1.80", "CTRL77"):
        assert value not in output.out + output.err


def test_json_has_one_object_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path, "bad.hl7", b"BHS|^~\\&|PM\r" + GOOD + BAD + b"BTS|7\r")
    assert cli.run(["validate", "--json", file]) == Exit.REFUSED
    documents: list[dict[str, Any]] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["file"], one["message"], one["conforms"]) for one in documents] == [
        (file, None, False),
        (file, 1, True),
        (file, 2, False),
    ]
    assert documents[0]["findings"][0]["problem"] == "BTS-1 says 7, 2 came"
    assert (documents[1]["event"], documents[1]["version"], documents[1]["structure"]) == ("ADT^A08", "2.5", "ADT_A01")
    assert documents[2]["findings"][0] == {
        "place": "PID-7.1",
        "severity": "error",
        "problem": "is no time (YYYYMMDDHHMMSS, as far as it is known)",
        "segment": "PID",
        "occurrence": 1,
        "field": 7,
        "repetition": 1,
        "component": 1,
        "subcomponent": 0,
    }


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "holds no HL7 message: no line begins with MSH, FHS or BHS"),
        (b"PID|1\r", "holds no HL7 message: no line begins with MSH, FHS or BHS"),
        (b"hello\r" + GOOD, "does not begin with a message: text stands before the first MSH"),
        (b"\x0b" + GOOD, "holds a damaged MLLP block (number 1: cut_off)"),
        (b"BHS|^~\\&|PM\rBTS|0\r", "the batch holds no message"),
        (b"BHS|^~\\&|PM\r" + GOOD + b"BTS|3\r", "BTS-1 says 3, 1 came"),
    ],
)
def test_what_is_wrong_with_a_file_is_a_sentence_and_status_4(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes, sentence: str
) -> None:
    file = write(tmp_path, "odd.hl7", data)
    assert cli.run(["validate", file]) == Exit.REFUSED
    assert capsys.readouterr().out.splitlines()[0] == f"{file}: {sentence}"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ((b"|2.5\r", b"|7.1\r"), "MSH-12        names no version that can be checked (2.1 to 2.8.2)"),
        ((b"ADT^A08^ADT_A01", b""), "MSH-9         cannot be read: MSH-9 names no message type"),
    ],
)
def test_a_message_that_cannot_be_checked_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: tuple[bytes, bytes], sentence: str
) -> None:
    file = write(tmp_path, "odd.hl7", GOOD.replace(*change) + GOOD)
    assert cli.run(["validate", file]) == Exit.REFUSED
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"  error  {sentence}"
    assert lines[2].startswith(f"{file}, message 2")


def test_a_file_that_cannot_be_opened_is_status_1_and_the_others_are_checked(
    tmp_path: Path, good: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ophl7.cli.validate.LARGEST", len(GOOD))
    missing, large = str(tmp_path / "missing.hl7"), write(tmp_path, "large.hl7", GOOD + GOOD)
    assert cli.run(["validate", missing, large, str(tmp_path), good]) == Exit.USAGE
    output = capsys.readouterr()
    assert output.out == f"{good}, message 1 (ADT^A08, 2.5): conforms\n"
    assert output.err.splitlines()[:3] == [
        f"{missing} cannot be read: No such file or directory",
        f"{large} cannot be read: it is larger than 0 MiB; split it",
        f"{tmp_path} cannot be read: Is a directory",
    ]


def test_nothing_to_check_is_a_fault_of_usage() -> None:
    assert cli.run(["validate"]) == Exit.USAGE


def test_a_message_may_come_through_a_pipe() -> None:
    command = [sys.executable, "-m", "ophl7", "validate", "-"]
    done = subprocess.run(command, input=GOOD.replace(b"\r", b"\n"), capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (Exit.OK, b"-, message 1 (ADT^A08, 2.5): conforms\n")


def test_every_file_of_both_collections_gets_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(path) for folder in ("corpus", "malformed") for path in sorted((TESTS / folder).glob("*.hl7"))]
    assert cli.run(["validate", "--json", *files]) == Exit.REFUSED
    output = capsys.readouterr()
    documents = [json.loads(line) for line in output.out.splitlines()]
    assert list(dict.fromkeys(one["file"] for one in documents)) == files
    assert all(one["conforms"] or one["findings"] for one in documents)
    assert "Traceback" not in output.out + output.err
    # Whatever is said is one of our own sentences, with names and numbers of HL7 in it: nothing of a message.
    said = {_NAMES.sub("#", finding["problem"]) for one in documents for finding in one["findings"]}
    assert said <= SENTENCES, said - SENTENCES


_NAMES = re.compile(r"\b(?:[A-Z]{2,3}_[A-Z0-9]{3}|[A-Z][A-Z0-9]{1,2}(?:-\d+)?|\d+(?:\.\d+)*)\b")
SENTENCES = {
    "# has no structure for this event: only the single segments were checked",
    "# has no such field: # ends with #",
    "# says #, # came",
    "# without #",
    "cannot be read: # is not usable as encoding characters; send ^~\\&",
    "cannot be read: # names no message type",
    "checked as #, the nearest version that is known here",
    "has components, and its type # has none",
    "has no place here in #",
    "has subcomponents, and its type # has none",
    "holds a code that # table # does not list",
    "holds a damaged MLLP block (number #: cut_off)",
    "holds no # message: no line begins with #, # or #",
    "is a local segment: its content was not checked",
    "is no date (YYYYMMDD, as far as it is known)",
    "is no number",
    "is no segment of #",
    "is no sequence number (up to # digits)",
    "is no time (YYYYMMDDHHMMSS, as far as it is known)",
    "is no time of day (HHMMSS, as far as it is known)",
    "is required and empty",
    "is required in # and missing here",
    "is required in the type # and empty",
    "its type # has # components only",
    "its type # has # subcomponents only",
    "names a message structure that # does not have",
    "names no version that can be checked (# to #)",
    "occurs # times and may not repeat",
    "occurs more often here than # allows",
    "segment # of the message does not begin with the name of a segment",
    "segments after # belong to no message",
    "the batch holds no message",
    "was withdrawn before # and must be empty",
}


# -- files that nobody should open ----------------------------------------------------------------------------------------

HOSTILE = """
import os, sys
from ophl7.cli import conformance_worker as worker

real = worker.check

def check(raw):
    if b"SLOW" in raw:
        while True: pass
    if b"DIES" in raw:
        os._exit(9)
    if b"HUGE" in raw:
        return bytearray(worker.MEMORY * 2)
    print("SECRET", file=sys.stderr)
    return real(raw)

worker.check = check
split = worker._split
worker._split = lambda data: os._exit(9) if data.startswith(b"FATAL") else split(data)
worker.SECONDS = 1
worker.MEMORY = 256 * 1024 * 1024
worker.main()
"""


async def checked(*files: bytes) -> list[tuple[int, int, str]]:
    """File, message, and the first problem of everything that comes back."""
    found: list[Checked] = [one async for one in check_files(files, (sys.executable, "-c", HOSTILE))]
    return [(one.file, one.message, one.report.findings[0].problem if one.report.findings else "") for one in found]


def like(word: str) -> bytes:
    return GOOD.replace(b"SECRET", word.encode())


LATE = "takes more than 10 s to check, and was left"
BROKE_OFF = "broke the check off, perhaps by needing more than 1024 MiB"


@pytest.mark.parametrize(
    ("word", "said"),
    [("SLOW", LATE), ("DIES", BROKE_OFF), ("HUGE", "needs too much memory to be checked")],
)
async def test_a_message_that_takes_too_much_costs_itself_and_no_other(word: str, said: str) -> None:
    assert await checked(GOOD + like(word) + GOOD, GOOD) == [(0, 1, ""), (0, 2, said), (0, 3, ""), (1, 1, "")]


async def test_a_file_that_breaks_the_reader_costs_itself_and_no_other() -> None:
    assert await checked(GOOD, b"FATAL", b"FATAL", GOOD) == [(0, 1, ""), (1, 0, BROKE_OFF), (2, 0, BROKE_OFF), (3, 1, "")]


async def test_a_message_at_the_end_of_a_file_is_that_files() -> None:
    assert await checked(GOOD + like("DIES"), GOOD) == [(0, 1, ""), (0, 2, BROKE_OFF), (1, 1, "")]
    assert await checked(like("DIES")) == [(0, 1, BROKE_OFF)]


async def test_a_file_full_of_them_is_left_after_a_few() -> None:
    found = await checked(like("DIES") * 20, GOOD)
    assert found == [
        *((0, number, BROKE_OFF) for number in range(1, MOST_DEATHS + 1)),
        (0, 0, "the check was given up after message 3 of 20"),
        (1, 1, ""),
    ]


async def test_what_is_wrong_around_the_messages_is_told_once() -> None:
    batch = b"BHS|^~\\&|PM\r" + GOOD + like("DIES") + GOOD + b"BTS|9\r"
    assert await checked(batch) == [(0, 0, "BTS-1 says 9, 3 came"), (0, 1, ""), (0, 2, BROKE_OFF), (0, 3, "")]


async def test_a_worker_that_cannot_be_started_is_said() -> None:
    with pytest.raises(OperationsError, match="cannot be started"):
        assert [one async for one in check_files([GOOD], ("/nonexistent/python",))]


async def test_no_secret_of_ours_reaches_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPHL7_API_TOKEN", "hush")
    script = (
        "import json, os, sys; sys.stdin.buffer.read(); told = [name for name in os.environ if name.startswith('OPHL7')];"
        "print(json.dumps({'file': 0, 'messages': 0, 'problems': ['told', *told]}))"
    )
    found = [one async for one in check_files([GOOD], (sys.executable, "-c", script))]
    assert [one.report.findings[0].problem for one in found] == ["told"]
    assert "OPHL7_API_TOKEN" in os.environ
