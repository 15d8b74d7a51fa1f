"""Bytes to text and back (domain 3.6)."""

from __future__ import annotations

import pytest

from ophl7.errors import Unwritable
from ophl7.hl7v2.charset import choose, codec, encode, readable


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", None),
        ("ASCII", None),
        ("8859/1", "cp1252"),
        ("ISO-8859-1", "cp1252"),
        ("8859/15", "iso8859_15"),
        ("ISO8859-15", "iso8859_15"),
        ("UNICODE", "utf-8"),
        ("UNICODE UTF-8\r", "utf-8"),
        ("utf-8", "utf-8"),
        ("windows-1252", "cp1252"),
        ("UTF-16", None),
        ("base64", None),
        ("KOI8-R", "koi8-r"),
        ("GBK", "gbk"),
        # Python knows these, but with them bytes do not come back from text, or some ASCII is no ASCII.
        *(
            (name, None)
            for name in (
                "idna",
                "punycode",
                "utf-7",
                "hz",
                "raw_unicode_escape",
                "unicode_escape",
                "iso2022_kr",
                "iso2022_jp_2",
                "johab",
            )
        ),
        ("no such thing", None),
    ],
)
def test_names_of_charsets(name: str, expected: str | None) -> None:
    assert codec(name) == expected


@pytest.mark.parametrize(
    ("raw", "forced", "msh18", "text", "encoding", "damaged"),
    [
        (b"plain", None, b"", "plain", "utf-8", False),
        (b"plain", None, b"8859/1", "plain", "cp1252", False),
        ("Mü".encode(), None, b"", "Mü", "utf-8", False),
        (b"M\xfc", None, b"", "Mü", "cp1252", False),
        (b"M\xfc\x80", None, b"8859/1", "Mü€", "cp1252", False),
        (b"M\xfc", None, b"UNICODE UTF-8", "Mü", "cp1252", True),
        ("Mü".encode() + b"\xc3", None, b"UNICODE UTF-8", "Mü\udcc3", "utf-8", True),
        (b"M\xfc", "utf-8", b"8859/1", "M\udcfc", "utf-8", True),
        (b"\x81", None, b"", "\udc81", "cp1252", True),
        ("Mü".encode(), "cp1252", b"UNICODE UTF-8", "MÃ¼", "cp1252", False),
        ("\ufeffMü".encode(), "cp1252", b"8859/1", "\ufeffMü", "utf-8", False),
        ("山".encode("gb18030"), None, b"GB 18030-2000", "山", "gb18030", False),
        ("山".encode("iso2022_jp"), None, b"ISO IR87", "山", "iso2022_jp", False),
        (b"\xff\xff", None, b"GB 18030-2000", "ÿÿ", "cp1252", True),
        (b"a~~b \\u0041 caf\xe9", None, b"hz", "a~~b \\u0041 café", "cp1252", False),
        (b"xn--\xff.example", None, b"idna", "xn--ÿ.example", "cp1252", False),
        (b"a\\u0041\xff", None, b"raw_unicode_escape", "a\\u0041ÿ", "cp1252", False),
        ("山".encode("gbk") + b"\x81\x01", None, b"GBK", "É½\udc81\x01", "cp1252", True),
        # Decodes, but would come back without its needless switch to ASCII.
        (b"\x1b(Bplain", None, b"ISO IR87", "\x1b(Bplain", "cp1252", True),
    ],
)
def test_the_charset_is_chosen_in_order_and_no_byte_is_lost(
    raw: bytes, forced: str | None, msh18: bytes, text: str, encoding: str, damaged: bool
) -> None:
    found = choose(raw, forced, msh18)
    assert (found.text, found.encoding, found.damaged) == (text, encoding, damaged)
    assert encode(found.text, found.encoding) == raw


def test_a_character_that_the_charset_lacks_is_refused_and_never_becomes_a_question_mark() -> None:
    with pytest.raises(Unwritable) as refused:
        encode("name 山", "cp1252")
    assert "U+5C71" in str(refused.value)
    assert "name" not in str(refused.value)


def test_text_for_a_database_holds_no_lone_surrogate() -> None:
    assert readable("M\udcfcller") == "M\ufffdller"
