"""Bytes to text and back (domain 3.6): no byte is ever lost, none is ever replaced by a question mark.

Every codec here keeps CR and LF as single bytes of their own, so bytes and text have the same segments.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from functools import lru_cache

from ophl7.errors import Unwritable

UTF8_BOM = b"\xef\xbb\xbf"

# HL7 table 0211, and what senders write instead. 8859/1 is read as Windows-1252, its superset in practice. "UNICODE" means
# UTF-16 to some; a frame that starts with the bytes "MSH" cannot be that, so it is UTF-8. "ASCII" is not in the table: who
# writes it mostly wrote nothing on purpose, and the automatic choice reads ASCII as well.
_TABLE_0211 = {
    "8859/1": "cp1252",
    **{f"8859/{part}": f"iso8859_{part}" for part in (2, 3, 4, 5, 6, 7, 8, 9, 15)},
    "UNICODE": "utf-8",
    "UNICODE UTF-8": "utf-8",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "CNS 11643-1992": "big5",
    "BIG-5": "big5",
    "ISO IR14": "shift_jis",
    "ISO IR87": "iso2022_jp",
    "ISO IR159": "iso2022_jp",
}
_AUTOMATIC = frozenset({"", "ASCII", "US-ASCII", "ISO IR6", "ANSI"})
# Where a second byte may look like ASCII (a separator, say), and a lone undecodable byte cannot be kept in its place for sure.
MULTIBYTE = frozenset(
    {"gb18030", "gb2312", "gbk", "euc_kr", "cp949", "big5", "big5hkscs", "cp950", "shift_jis", "cp932", "euc_jp", "iso2022_jp"}
)
# Every byte, and what switches the charsets that have several: ISO 2022 by ESC, SO and SI, HZ by a tilde; and Python's escape.
_PROBE = bytes(range(256)) + b"\x1b$B!!\x1b(B\x1b$)C\x0e!!\x0f~{!!~}\\u0041"
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Decoded:
    """What bytes say in which charset.

    text: with a BOM as first character if the bytes had one. encoding: a Python codec name. damaged: some bytes did not fit
    the charset; they stand in the text as lone surrogates and come out again as they were.
    """

    text: str
    encoding: str
    damaged: bool


@lru_cache(maxsize=256)
def codec(name: str) -> str | None:
    """The Python codec for a charset name of MSH-18 or of a setting; None for blank, ASCII and unknown names."""
    plain = name.strip().upper()
    if plain in _AUTOMATIC:
        return None
    if plain in _TABLE_0211:
        return _TABLE_0211[plain]
    plain = plain.replace("ISO-8859-", "8859/").replace("ISO8859-", "8859/").replace("ISO_8859-", "8859/").replace("ISO ", "")
    if plain in _TABLE_0211:
        return _TABLE_0211[plain]
    try:
        found = codecs.lookup(plain).name
    except (LookupError, UnicodeError, TypeError, ValueError):
        return None
    if found not in MULTIBYTE | {"utf-8"} and not _is_of_bytes(found):
        return None
    return {"ascii": None, "iso8859-1": "cp1252"}.get(found, found)


def _is_of_bytes(name: str) -> bool:
    """Whether each byte is a character by itself or none, those of ASCII as there.

    Excludes UTF-16 and EBCDIC; codecs in which some ASCII means something else (UTF-7, HZ, ISO 2022, `raw_unicode_escape`), for
    with them bytes do not come back from text; and codecs that are no charsets (IDNA, Punycode, Base64).
    """
    try:
        if "MSH|\r\n".encode(name) != b"MSH|\r\n":
            return False
        text = _PROBE.decode(name, "surrogateescape")
        own = text[:128] == _PROBE[:128].decode("ascii") and len(text) == len(_PROBE)
        return own and text.encode(name, "surrogateescape") == _PROBE
    except (LookupError, UnicodeError, TypeError, ValueError):
        return False


def choose(raw: bytes, forced: str | None = None, msh18: bytes = b"") -> Decoded:
    """Decodes `raw`: a UTF-8 BOM decides, else `forced` (a setting), else MSH-18, else UTF-8 if it fits, else Windows-1252.

    `encode(result.text, result.encoding) == raw`, always. Never raises.
    """
    if raw.startswith(UTF8_BOM):
        return _decoded(raw, "utf-8")
    name = (codec(forced) if forced else None) or codec(msh18.decode("latin-1"))
    if raw.isascii() and name != "iso2022_jp":
        return Decoded(raw.decode("ascii"), name or "utf-8", damaged=False)
    if name == "utf-8" and not forced and _is_no_utf8(raw):
        # Says UTF-8 and holds not one character of it: a Latin-1 sender with a wrong MSH-18. Readable, but flagged.
        return Decoded(raw.decode("cp1252", "surrogateescape"), "cp1252", damaged=True)
    if name is not None:
        return _decoded(raw, name)
    try:
        return Decoded(raw.decode("utf-8"), "utf-8", damaged=False)
    except UnicodeDecodeError:
        return _decoded(raw, "cp1252")


def _is_no_utf8(raw: bytes) -> bool:
    text = raw.decode("utf-8", "surrogateescape")
    return all(character < "\x80" or "\udc80" <= character <= "\udcff" for character in text)


def _decoded(raw: bytes, encoding: str) -> Decoded:
    if encoding in MULTIBYTE:
        try:
            text = raw.decode(encoding)
            if text.encode(encoding) == raw:
                return Decoded(text, encoding, damaged=False)
        except UnicodeError:
            pass  # kept below in a charset that can hold every byte
        return Decoded(raw.decode("cp1252", "surrogateescape"), "cp1252", damaged=True)
    try:
        return Decoded(raw.decode(encoding), encoding, damaged=False)
    except UnicodeDecodeError:
        return Decoded(raw.decode(encoding, "surrogateescape"), encoding, damaged=True)


def encode(text: str, encoding: str) -> bytes:
    """The bytes of `text`: for text that `choose` gave, exactly those it came from.

    Raises Unwritable, naming the character's code point and not the text around it, when the charset does not hold one.
    """
    try:
        return text.encode(encoding, "surrogateescape")
    except UnicodeEncodeError as error:
        point = f"U+{ord(text[error.start]):04X}"
        raise Unwritable(f"the character {point} does not exist in this message's charset ({encoding})") from None


def readable(text: str) -> str:
    """`text` for a database, JSON or a screen: each byte that could not be decoded is shown as U+FFFD."""
    return _SURROGATE.sub("\ufffd", text)
