"""What is escaped comes back and breaks no structure, reading never fails, and other delimiters keep structure and values.

Input: ten choices of delimiters (two sets of five); then a text.
"""

from __future__ import annotations

import contextlib
import string

from ophl7.errors import Unreadable, Unwritable
from ophl7.hl7v2.delimiters import STANDARD, Delimiters, read_delimiters
from ophl7.hl7v2.escapes import _decoded, _sequences, escape, transcode, unescape

HEAD = 10
BUDGET_SECONDS = 2.0
_PUNCTUATION = string.punctuation.replace('"', "")
TOKENS = (
    *(b"\\F\\", b"\\S\\", b"\\T\\", b"\\R\\", b"\\E\\", b"\\H\\"),
    *(b"\\N\\", b"\\X0D0A\\", b"\\XFF\\", b"\\X0\\", b"\\.br\\", b"\\.sp+3\\"),
    *(b"\\C2842\\", b"\\M1B24\\", b"\\Zx1\\", b"\\ZF\\", b"\\F", b"\\\\"),
    *(b"|", b"^", b"~", b"&", b"#", b"\r", b"\n", b"\x0b", b"\x1c"),
)  # fmt: skip


def seeds() -> list[bytes]:
    """Texts with sequences of every kind, in the standard delimiters and in others."""
    texts = [
        b"".join(TOKENS),
        b"a\\F\\b^c~d&e\\X41\\|",
        b"\\H\\F\\N\\",
        "Müller\\E\\F\\E\\山".encode(),
        b"C:\\Temp\\File",
        b'""',
        b"",
    ]
    heads = [bytes(HEAD), b"\x01" * 10, b"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a", bytes(range(200, 210))]
    return [head + text for head in heads for text in texts]


def marks(choices: bytes) -> Delimiters:
    """Five different punctuation characters, or fewer as MSH-2 may have; the standard ones for zeros."""
    if not any(choices):
        return STANDARD
    left, used = list(_PUNCTUATION), ""
    for choice in choices:
        if choice == 255 and len(used) >= 2:
            break
        used += left.pop(choice % len(left))
    with contextlib.suppress(Unreadable):
        return read_delimiters(used[0], used[1:])
    return STANDARD


def check(data: bytes) -> None:
    """Raises AssertionError where the sentence above does not hold."""
    head = data[:HEAD].ljust(HEAD, b"\0")
    source, target = marks(head[:5]), marks(head[5:])
    text = data[HEAD:].decode("utf-8", "surrogateescape")
    unescape(text, source)
    try:
        written = escape(text, source)
    except Unwritable:
        assert not source.escape
    else:
        assert unescape(written, source) == text
        forbidden = {source.field, source.component, source.repetition, source.subcomponent, *"\r\n\x0b\x1c"} - {""}
        assert not forbidden & set(written)
    transcoded(text, source, target)


def transcoded(text: str, source: Delimiters, target: Delimiters) -> None:
    """Other delimiters: as many parts as before, each saying the same."""
    try:
        moved = transcode(text, source, target)
    except Unwritable:
        assert len(target.encoding_characters) < 4
        return
    if _ambiguous(text, source, source) or _ambiguous(text, source, target) or _ambiguous(moved, target, target):
        return
    pairs = [(source.field, target.field), (source.repetition, target.repetition)]
    pairs += [(source.component, target.component), (source.subcomponent, target.subcomponent)]
    before, after = [text], [moved]
    for old, new in pairs:
        if old:
            before = [part for whole in before for part in whole.split(old)]
            after = [part for whole in after for part in (whole.split(new) if new else [whole])]
            assert len(before) == len(after)
    assert [_meaning(part, source) for part in before] == [_meaning(part, target) for part in after]


def _ambiguous(text: str, marks: Delimiters, used_by: Delimiters) -> bool:
    """A delimiter stands inside an escape sequence (`\\.sp+3\\` where + is one): what is meant, nobody can say."""
    if not marks.escape:
        return False
    used = {used_by.field, *used_by.encoding_characters}
    return any(used & set(found[1]) for found in _sequences(marks.escape).finditer(text))


def _meaning(part: str, marks: Delimiters) -> list[str | tuple[str]]:
    """Data, and between it the bodies of sequences that we do not decode."""
    if not marks.escape:
        return [part]
    found: list[str | tuple[str]] = [""]
    at = 0
    for sequence in _sequences(marks.escape).finditer(part):
        decoded = _decoded(sequence[1], marks)
        data = part[at : sequence.start()] + (decoded or "")
        found[-1] = str(found[-1]) + data
        if decoded is None:
            found += [(sequence[1],), ""]
        at = sequence.end()
    found[-1] = str(found[-1]) + part[at:]
    return found
