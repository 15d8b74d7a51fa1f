"""Escape sequences (HL7 v2.5.1, 2.7): what stands between two escape characters is a code, not text."""

from __future__ import annotations

import re
from functools import lru_cache

from ophl7.errors import Unwritable
from ophl7.hl7v2.delimiters import STANDARD, Delimiters

# Every sequence that the standard defines. Those that we do not decode are matched as well, so that their closing
# escape character is never taken for the opening one of the next (`\H\F\N\` is a highlighted F, not a separator).
_HEX = "[0-9A-Fa-f]"
_BODY = rf"[FSTREPHN]|X(?:{_HEX}{{2}})+|\.[A-Za-z]{{2}}(?:[+-]?[0-9]+)?|C{_HEX}{{4}}|M{_HEX}{{4}}(?:{_HEX}{{2}})?|Z[A-Za-z0-9]*"
# These would end a segment or a frame if they were written as they are.
_CONTROLS = {"\r": "X0D", "\n": "X0A", "\x0b": "X0B", "\x1c": "X1C"}


@lru_cache(maxsize=64)
def _sequences(escape: str) -> re.Pattern[str]:
    mark = re.escape(escape)
    return re.compile(f"{mark}({_BODY}){mark}")


@lru_cache(maxsize=64)
def _names(delimiters: Delimiters) -> dict[str, str]:
    """What each one-letter sequence stands for."""
    return {
        "F": delimiters.field,
        "S": delimiters.component or STANDARD.component,
        "R": delimiters.repetition or STANDARD.repetition,
        "E": delimiters.escape,
        "T": delimiters.subcomponent or STANDARD.subcomponent,
        "P": "#",  # truncation character, 2.7
    }


@lru_cache(maxsize=64)
def _codes(delimiters: Delimiters) -> dict[str, str]:
    """The sequence for each character that may not be written as it is."""
    codes = {
        delimiters.field: "F",
        delimiters.component: "S",
        delimiters.repetition: "R",
        delimiters.escape: "E",
        delimiters.subcomponent: "T",
        **_CONTROLS,
    }
    codes.pop("", None)
    return codes


@lru_cache(maxsize=64)
def _special(delimiters: Delimiters) -> re.Pattern[str]:
    return re.compile("[" + re.escape("".join(_codes(delimiters))) + "]")


def _decoded(body: str, delimiters: Delimiters) -> str | None:
    """The text that a sequence stands for, None where it has no meaning that we know."""
    if len(body) == 1:
        return _names(delimiters).get(body)
    if body[0] == "X":
        raw = bytes.fromhex(body[1:])
        # "Locally defined" (2.7.5): only 7-bit values mean the same everywhere.
        return raw.decode("ascii") if raw.isascii() else None
    return "\n" if body.lower() == ".br" else None


def unescape(text: str, delimiters: Delimiters = STANDARD) -> str:
    """`text` with its escape sequences replaced by what they stand for.

    Unknown sequences stay verbatim and a lone escape character is data. Never raises.
    """
    mark = delimiters.escape
    if not mark or mark not in text:
        return text

    def replace(found: re.Match[str]) -> str:
        decoded = _decoded(found[1], delimiters)
        return found[0] if decoded is None else decoded

    return _sequences(mark).sub(replace, text)


def escape(text: str, delimiters: Delimiters = STANDARD) -> str:
    """`text` written so that `unescape` gives it back and no delimiter, CR, LF, VT or FS stands in it.

    Raises Unwritable if an escape is needed and the delimiters have no escape character.
    """
    special = _special(delimiters)
    if special.search(text) is None:
        return text
    mark = delimiters.escape
    if not mark:
        raise Unwritable("a value holds a delimiter, and this message's MSH-2 names no escape character")
    codes = _codes(delimiters)
    return special.sub(lambda found: f"{mark}{codes[found[0]]}{mark}", text)


def transcode(text: str, source: Delimiters, target: Delimiters) -> str:
    """A field or a whole segment line, written in `source` delimiters, rewritten in `target` ones.

    Structure stays structure, data stays data, sequences that we do not decode keep their body. The same object when the
    delimiters are equal. Raises Unwritable when `target` lacks a delimiter that the text needs.
    """
    if source is target or source == target:
        return text
    structure = _structure(source, target)
    pieces: list[str] = []
    position = 0
    if source.escape and source.escape in text:
        for found in _sequences(source.escape).finditer(text):
            pieces.append(_rewritten(text[position : found.start()], structure, target))
            decoded = _decoded(found[1], source) if found[1] in "FSRET" else None
            if decoded is not None:
                pieces.append(escape(decoded, target))
            elif not target.escape:
                raise Unwritable("a value holds an escape sequence, and this message's MSH-2 names no escape character")
            else:
                pieces.append(f"{target.escape}{found[1]}{target.escape}")
            position = found.end()
    pieces.append(_rewritten(text[position:], structure, target))
    return "".join(pieces)


@lru_cache(maxsize=64)
def _structure(source: Delimiters, target: Delimiters) -> dict[str, str]:
    pairs = {
        source.field: target.field,
        source.component: target.component,
        source.repetition: target.repetition,
        source.subcomponent: target.subcomponent,
    }
    pairs.pop("", None)
    return pairs


def _rewritten(text: str, structure: dict[str, str], target: Delimiters) -> str:
    """A stretch without escape sequences: each structural character mapped, all between them escaped anew."""
    if not text:
        return text
    pieces: list[str] = []
    start = 0
    for position, character in enumerate(text):
        mapped = structure.get(character)
        if mapped is None:
            continue
        if not mapped:
            raise Unwritable("a value needs a delimiter that this message's MSH-2 does not name")
        pieces.append(_data(text[start:position], target))
        pieces.append(mapped)
        start = position + 1
    pieces.append(_data(text[start:], target))
    return "".join(pieces)


def _data(text: str, target: Delimiters) -> str:
    # LF inside a CR-terminated message is data and stays as it was sent (domain 3.7).
    return "\n".join(escape(part, target) for part in text.split("\n")) if "\n" in text else escape(text, target)
