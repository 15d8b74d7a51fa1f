"""Changes that know how a message is built: without them a fuzzer spends its time on what no reader gets past.

Half of all changes are libFuzzer's own (bytes, and what comparisons in the code asked for); the other half move, repeat, drop
and mix lines, fields, components and blocks, or put in words of HL7.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

MARKS = b"|^~\\&\r\n"
NAMES = (
    b"MSH EVN PID PV1 MRG SCH RGS AIG AIL AIP AIS FT1 PR1 NTE IN1 GT1 AL1 DG1 MSA ERR BHS BTS FHS FTS ZPI OBR OBX NK1".split()
)
EVENTS = [
    *(
        b"ADT^A%02d" % number
        for number in (1, 2, 3, 4, 5, 8, 9, 11, 18, 23, 24, 28, 29, 30, 31, 34, 35, 39, 40, 41, 44, 45, 47)
    ),
    *(b"SIU^S%02d" % number for number in (12, 13, 14, 15, 16, 17, 18, 19, 20, 23, 24, 26, 27)),
    *(
        b"DFT^P03",
        b"DFT^P11",
        b"BAR^P01",
        b"SRM^S01",
        b"ORU^R01",
        b"ACK",
        b"ACK^A08^ACK",
        b"ADT^A40^ADT_A39",
        b"MFN^M02",
        b"ADT",
    ),
]
WORDS = [
    *NAMES,
    *EVENTS,
    *(b"MSH|^~\\&|", b"\rMSH|^~\\&|", b"\rPID|1||", b"\rFT1|1|"),
    *(b"7050^^^PM^MR", b"7051^^^PM^MR", b"C9^^^EMR^PI", b'""', b"&&", b"^^^", b"~"),
    *(b"20240301100000", b"20240301", b"2024030110", b"20240310023000"),
    *(b"+0200", b"-0500", b"99999999", b"0000", b"-1", b"1e9", b"0.00"),
    *(b"\\F\\", b"\\S\\", b"\\T\\", b"\\R\\", b"\\E\\", b"\\X0D\\"),
    *(b"\\.br\\", b"\\H\\", b"\\X", b"\\\\", b"^~\\\\&", b"^~&", b"|^~\\&#|"),
    *(b"\xff", b"\xc3\xbc", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xe5\xb1\xb1"),
    *(b"\x1b$B", b"\x00", b"\x81\x5c", b"\xc2\x85", b"\xe2\x80\xa8"),
    *(b"UNICODE UTF-8", b"8859/1", b"8859/15", b"ISO IR87"),
    *(b"GB 18030-2000", b"BIG-5", b"ISO IR14", b"KS X 1001", b"utf-7", b"idna"),
    *(b"2.1", b"2.2", b"2.3", b"2.4", b"2.5.1", b"2.7", b"2.9", b"3.0", b"AL", b"NE", b"ER", b"T", b"P"),
    *(b"CG", b"CD", b"CR", b"PY", b"SL", b"Booked", b"Arrived", b"Cancelled", b"Roomed", b"MR", b"SS", b"T1", b"F1", b"D1"),
]  # fmt: skip
_LINE_ENDS = re.compile(rb"(?<=[\r\n])")


def mutated(
    data: bytes,
    longest: int,
    chance: Random,
    tokens: Sequence[bytes],
    head: int,
    plain: Callable[[bytes, int], bytes] | None = None,
) -> bytes:
    """`data` changed in one to four places. head: bytes at its start that are choices, no text. plain: the fuzzer's own way."""
    front, body = data[:head].ljust(head, b"\0"), data[head:]
    if head and chance.random() < 0.15:
        place = chance.randrange(head)
        front = front[:place] + bytes((chance.randrange(256),)) + front[place + 1 :]
    for _ in range(chance.choice((1, 1, 1, 2, 2, 4))):
        if plain is not None and chance.random() < 0.5:
            body = plain(body, max(1, longest - head))
        else:
            body = chance.choice(_WAYS)(body, chance, tokens)
    return (front + body)[:longest]


def crossed(first: bytes, second: bytes, longest: int, chance: Random, head: int) -> bytes:
    """The choices of one; lines of both."""
    lines, others = _lines(first[head:]), _lines(second[head:])
    keep = lines[: chance.randint(0, len(lines))]
    return (first[:head].ljust(head, b"\0") + b"".join(keep + others[chance.randint(0, len(others)) :]))[:longest]


def _lines(body: bytes) -> list[bytes]:
    return _LINE_ENDS.split(body)


def _word(chance: Random, tokens: Sequence[bytes]) -> bytes:
    return chance.choice(tokens if tokens and chance.random() < 0.4 else WORDS)


def _put_word(body: bytes, chance: Random, tokens: Sequence[bytes]) -> bytes:
    place = chance.randint(0, len(body))
    return body[:place] + _word(chance, tokens) + body[place:]


def _overwrite(body: bytes, chance: Random, tokens: Sequence[bytes]) -> bytes:
    place, word = chance.randint(0, len(body)), _word(chance, tokens)
    return body[:place] + word + body[place + len(word) :]


def _replace_part(body: bytes, chance: Random, tokens: Sequence[bytes]) -> bytes:
    """One field, component or line becomes a word, another part of the message, or nothing."""
    places = [place for place, byte in enumerate(body) if byte in MARKS]
    if not places:
        return _put_word(body, chance, tokens)
    start = chance.choice(places) + 1
    end = next((place for place in places if place >= start), len(body))
    other = chance.choice(places) + 1
    borrowed = body[other : next((place for place in places if place >= other), len(body))]
    return body[:start] + chance.choice((b"", _word(chance, tokens), borrowed, b'""')) + body[end:]


def _move_lines(body: bytes, chance: Random, _tokens: Sequence[bytes]) -> bytes:
    lines = _lines(body)
    place, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    what = chance.randrange(4)
    if what == 0:
        lines[place], lines[other] = lines[other], lines[place]
    elif what == 1:
        lines.insert(place, lines[other])
    elif what == 2:
        del lines[place]
    else:
        lines[place:place] = [lines[other]] * chance.choice((2, 5, 20))
    return b"".join(lines)


def _repeat_stretch(body: bytes, chance: Random, _tokens: Sequence[bytes]) -> bytes:
    start = chance.randint(0, len(body))
    end = min(len(body), start + chance.choice((1, 2, 5, 30, 200)))
    return body[:end] + body[start:end] * chance.choice((1, 2, 9, 60)) + body[end:]


def _cut_out(body: bytes, chance: Random, _tokens: Sequence[bytes]) -> bytes:
    start = chance.randint(0, len(body))
    return body[:start] + body[start + chance.choice((1, 2, 5, 30, 200)) :]


def _other_mark(body: bytes, chance: Random, _tokens: Sequence[bytes]) -> bytes:
    """One structural character becomes another everywhere, or in one place."""
    old = MARKS[chance.randrange(len(MARKS))]
    new = b"|^~\\&\r\n#$%!@*;:,./ \x00"[chance.randrange(20)]
    if chance.random() < 0.5:
        return body.replace(bytes((old,)), bytes((new,)))
    place = body.find(old, chance.randint(0, len(body)))
    return body if place < 0 else body[:place] + bytes((new,)) + body[place + 1 :]


_WAYS = (
    *(_put_word, _put_word, _overwrite, _replace_part, _replace_part, _replace_part),
    *(_move_lines, _repeat_stretch, _cut_out, _other_mark),
)
