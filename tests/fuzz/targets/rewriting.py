"""With another MSH-10, or one more edit, only that field differs: every other byte leaves as it came, and is read again.

Input: which segment and field is edited, with what; then the bytes.
"""

from __future__ import annotations

import re

from ophl7.errors import Unreadable, Unwritable
from ophl7.hl7v2.lines import split_lines
from ophl7.hl7v2.message import Message
from ophl7.hl7v2.rewrite import DropSegment, InsertAfter, SetField, rewrite, with_control_id
from tests.fuzz.seeds import messages

HEAD = 3
BUDGET_SECONDS = 2.0
TOKENS = (
    b"\r\n",
    b"\n",
    b"\r\r",
    b"\r \r",
    b"\x1b$B;3ED\x1b(B",
    b"\x81\x7c",
    b"ISO IR87",
    b"ISO IR14",
    b"BIG-5",
    b"MSH#",
    b"MSH|^~\\&#|",
)
NEW = "N1X9"
TEXTS = ("", '""', "x^y", "a\\F\\b\\S\\c\\T\\d", "7~8&9", "\\H\\x\\N\\", "é", "山", "\\X0D\\")
_FIRST = re.compile(rb"(?:\xef\xbb\xbf|[\s\x00])*")


def seeds() -> list[bytes]:
    """Every third published message in two ways."""
    return [prefix + raw for prefix in (b"\0\3\0", b"\1\5\3") for raw in messages(b"", 6)]


def check(data: bytes) -> None:
    """Raises AssertionError where the sentence above does not hold."""
    head, raw = data[:HEAD].ljust(HEAD, b"\0"), data[HEAD:]
    try:
        message = Message.parse_lenient(raw)
    except Unreadable:
        return
    separator = message.delimiters.field.encode()
    before = by_bytes(raw, message.terminator)
    assert len(before) == len(message.lines)
    plain = with_control_id(raw, NEW)
    after = lines(plain)
    assert after[1:] == before[1:]
    same_but(before[0], after[0], separator, 9, message)
    assert lines(rewrite(message, NEW)) == after
    again = Message.parse_lenient(plain)
    # Bytes that do not fit the charset may be gone with the old MSH-10: then it is read in another one, and cut elsewhere.
    assert message.damaged or (again.control_id, again.delimiters) == (NEW, message.delimiters)
    index, number, text = head[0] % len(before), 1 + head[1] % 40, TEXTS[head[2] % len(TEXTS)]
    if number > 2 and (index, number) != (0, 10):
        try:
            edited = lines(rewrite(message, NEW, [SetField(index, number, text)]))
        except Unwritable:
            return
        assert edited[:index] + edited[index + 1 :] == after[:index] + after[index + 1 :]
        same_but(
            after[index],
            edited[index],
            separator,
            number - (message.lines[index].split(separator.decode())[0] == "MSH"),
            message,
        )
    if index:
        dropped = rewrite(message, NEW, [DropSegment(index), InsertAfter(index, "ZZZ")])
        assert lines(dropped) == [*after[:index], b"ZZZ", *after[index + 1 :]]


def by_bytes(raw: bytes, end: str) -> list[bytes]:
    """The segments that came, found among the bytes."""
    text = raw[_FIRST.match(raw).end() :].decode("latin-1")  # type: ignore[union-attr]  # it matches nothing at least
    return [line.encode("latin-1") for line in split_lines(text, end)]


def lines(written: bytes) -> list[bytes]:
    """The segments that leave: CR ends each. A blank line may leave as it came, or not at all."""
    assert written.endswith(b"\r")
    return [line for line in written.split(b"\r")[:-1] if line.strip(b" \t\r\n\x00\x0b\x1c")]


def same_but(before: bytes, after: bytes, separator: bytes, place: int, message: Message) -> None:
    """Field by field, as text where a second byte may look like a separator."""
    if message.encoding in {
        "gb18030",
        "gbk",
        "big5",
        "shift_jis",
        "iso2022_jp",
        "cp932",
        "big5hkscs",
        "cp950",
        "cp949",
        "euc_kr",
    }:
        mark = separator.decode()
        old, new = before.decode(message.encoding).split(mark), after.decode(message.encoding).split(mark)
        assert padded(old, place, "") == padded(new, place, "")
        return
    assert padded(before.split(separator), place, b"") == padded(after.split(separator), place, b"")


def padded(fields: list[bytes] | list[str], place: int, nothing: bytes | str) -> list[bytes | str]:
    """All fields but one, as many as that one needs."""
    filled = [*fields, *[nothing] * (place + 1 - len(fields))]
    return filled[:place] + filled[place + 1 :]
