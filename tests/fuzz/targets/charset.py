"""Any bytes in any charset become text without an error, with as many line ends as before, and become the same bytes again.

Input: which charset is forced; the name that MSH-18 gives, up to a GS; then the bytes.
"""

from __future__ import annotations

import codecs
import contextlib

from ophl7.errors import Unwritable
from ophl7.hl7v2.charset import UTF8_BOM, choose, codec, encode, readable
from tests.fuzz.seeds import published

HEAD = 1
BUDGET_SECONDS = 2.0
NAMES = (
    *("UNICODE UTF-8", "UNICODE", "8859/1", "8859/2", "8859/3"),
    *("8859/5", "8859/6", "8859/7", "8859/8", "8859/9", "8859/15", "ASCII"),
    *("GB 18030-2000", "KS X 1001", "CNS 11643-1992", "BIG-5"),
    *("ISO IR14", "ISO IR87", "ISO IR159", "koi8-r", "utf-7", "utf-16", "hz"),
    *("cp037", "punycode", "idna", "raw_unicode_escape", "unicode_escape"),
    *("rot13", "base64", "mac_roman", "iso2022_kr", "utf-8-sig"),
)  # fmt: skip
FORCED = (
    None,
    None,
    None,
    "utf-8",
    "8859/1",
    "8859/3",
    "8859/7",
    "GB 18030-2000",
    "ISO IR87",
    "ISO IR14",
    "BIG-5",
    "koi8-r",
    "cp1140",
)
SPOKEN = (
    *(("ISO IR87", "iso2022_jp"), ("ISO IR14", "shift_jis"), ("GB 18030-2000", "gb18030")),
    *(("KS X 1001", "euc_kr"), ("8859/7", "iso8859_7"), ("hz", "hz")),
)
TOKENS = (
    *(name.encode() for name in NAMES),
    b"\x1d",
    b"\x1b$B",
    b"\x1b(B",
    b"~{",
    b"~}",
    b"+AGE-",
    b"\x81\x30\x89\x38",
    b"\xa4\xa2",
    b"\r\n",
    b"\\u0041",
    b"\\N{DEL}",
    b"~~",
    b"\x0e",
    b"\x0f",
)


def seeds() -> list[bytes]:
    """Each name before a text of its own kind, and published messages that are not ASCII."""
    text = "MSH|^~\\&|Müller|山田|\r\nPID|é\r"
    named = [b"\x00" + name.encode() + b"\x1d" + text.encode("utf-8") for name in NAMES]
    own = [b"\x00" + name.encode() + b"\x1d" + text.encode(spoken, "replace") for name, spoken in SPOKEN]
    others = [raw for raw in published() if not raw.isascii()][:20]
    return [*named, *own, *(b"\x04\x1d" + raw for raw in others), b"\x00\x1d" + UTF8_BOM + b"MSH|^~\\&|\xff"]


def check(data: bytes) -> None:
    """Raises AssertionError where the sentence above does not hold."""
    forced = FORCED[data[0] % len(FORCED)] if data else None
    name, _, raw = data[1:].partition(b"\x1d")
    found = choose(raw, forced, name)
    assert encode(found.text, found.encoding) == raw
    assert [found.text.count(end) for end in "\r\n"] == [raw.count(end) for end in (b"\r", b"\n")]
    shown = readable(found.text)
    shown.encode("utf-8")
    assert len(shown) == len(found.text)
    named = codec(name.decode("latin-1"))
    if named is not None:
        assert codecs.lookup(named).name == codecs.lookup(named).name
        assert "MSH|\r\n".encode(named) == b"MSH|\r\n"
        with contextlib.suppress(Unwritable):
            encode(shown, named)
