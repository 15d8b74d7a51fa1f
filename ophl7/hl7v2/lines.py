"""Where segments end. CR by the standard (2.6.3); LF and CRLF are common, and LF inside a CR message is data."""

from __future__ import annotations

import re

_BLANK = " \t\r\n\x00\x0b\x1c"
_TAIL = "\r\n\x00\x0b\x1c"  # behind the last segment: a terminator of another kind, or what is left of a frame in a file
_SEGMENT_AFTER_LF = re.compile(r"\n[A-Z][A-Z0-9]{2}(?:[^A-Za-z0-9\s]|\Z)")


def terminator(text: str) -> str:
    """CR, CRLF or LF: LF only if the text has no CR (but one at its very end, or CRLF, behind LF-separated segments)."""
    first = text.find("\r")
    if first < 0:
        return "\n"
    if "\n" in text[:first] and not text[first:].strip(_BLANK) and _SEGMENT_AFTER_LF.search(text, 0, first):
        return "\n"
    return "\r\n" if text.startswith("\n", first + 1) else "\r"


def split_lines(text: str, end: str) -> list[str]:
    """The segments of `text` without terminators; blank lines are left out. `end`: what `terminator` said."""
    if text and text[-1] in _TAIL:
        text = text.rstrip(_TAIL)
    if end == "\n":
        lines = text.partition("\r")[0].split("\n")  # from the first CR on it is blank, says `terminator`
    elif "\n" in text:
        # Behind a CR a segment begins, so an LF there belongs to the terminator, also where senders mix CR and CRLF.
        lines = [line.lstrip("\n") for line in text.split("\r")]
    else:
        lines = text.split("\r")
    return [line for line in lines if line and (line[0] > " " or line.strip(_BLANK))]
