"""When a sender says that something happened, and whether it is older than what was applied before (decisions #87 to #89).

A watermark is the time of the last message that was applied from one sender to one object: a patient's record for ADT, that
appointment for SIU. A time is a span as wide as its precision: a minute that was written without its seconds is no older than
any second in it. Pure.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from ophl7.domain.merge import MERGE_TRIGGERS
from ophl7.hl7v2 import timestamps
from ophl7.hl7v2.message import Message

# A clock may be this far ahead of ours; beyond it, what it says is taken as now (#89). Microseconds.
MOST_AHEAD: Final = 10 * 60 * 1_000_000

_SECOND: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# How long what was written lasts, at most: a day in which clocks go back has 25 hours. Of a fraction its digits say it.
_WIDTHS: Final = {
    "second": _SECOND,
    "minute": 60 * _SECOND,
    "hour": 3600 * _SECOND,
    "day": 25 * 3600 * _SECOND,
    "month": (31 * 24 + 1) * 3600 * _SECOND,
    "year": (366 * 24 + 1) * 3600 * _SECOND,
}

Order = Literal["newer", "same", "older", "unknown"]


class Moment(NamedTuple):
    """A time as written. begin, width: microseconds since the epoch, and how long its span is.

    certain: False where a change of the clocks makes the local time exist twice, or not at all.
    """

    begin: int
    width: int
    certain: bool = True


class Times(NamedTuple):
    """What a message says of when. event: EVN-2, else MSH-7. updated: PID-33, of an ADT alone: of a SIU it is another's.

    ahead: the path of a time too far in the future, which counts as now; "" for none.
    """

    event: Moment | None
    updated: Moment | None
    ahead: str = ""


def has_order(message: Message) -> bool:
    """Whether this message may be stale: an ADT or SIU that is no merge (#87, #88)."""
    kind = message.type
    return kind == "SIU" or (kind == "ADT" and message.trigger not in MERGE_TRIGGERS)


def read_times(message: Message, zone: ZoneInfo, now: int) -> Times:
    """The times of a message. now: microseconds since the epoch."""
    event, path = None, "EVN-2"
    evn = message.first("EVN")
    if evn is not None:
        event = _moment(evn.lead(2), zone)
    if event is None:
        event, path = _moment(message.sent_at_text.partition(message.delimiters.component or "^")[0], zone), "MSH-7"
    updated = None
    if message.type == "ADT":
        pid = message.first("PID")
        if pid is not None and len(pid) >= 33:
            updated = _moment(pid.lead(33), zone)
    ahead = ""
    if event is not None and event.begin > now + MOST_AHEAD:
        event, ahead = Moment(now, 0), path
    if updated is not None and updated.begin > now + MOST_AHEAD:
        updated, ahead = Moment(now, 0), ahead or "PID-33"
    return Times(event, updated, ahead)


def compare(times: Times, mark: Times | None) -> tuple[Order, Moment | None, Moment | None]:
    """How a message stands to the watermark of its object, and the two times that were compared.

    mark: None where nothing was applied yet. `unknown`: it says no time, or one that a change of the clocks makes ambiguous.
    """
    both = times.updated is not None and mark is not None and mark.updated is not None
    said = times.updated if both else times.event
    known = None if mark is None else mark.updated if both else mark.event
    if said is None or not said.certain:
        return "unknown", said, known
    if known is None or (known.begin < said.begin and known.begin + known.width <= said.begin):
        return "newer", said, known
    if said.begin < known.begin and said.begin + said.width <= known.begin and not times.ahead:
        return "older", said, known
    return "same", said, known


def write_mark(times: Times) -> str:
    """A watermark as it is stored; "" for a message that says nothing certain."""
    event, updated = (_written(moment) for moment in (times.event, times.updated))
    return f"{event};{updated}" if updated else event


def read_mark(text: str | None) -> Times | None:
    """The inverse."""
    if not text:
        return None
    event, _, updated = text.partition(";")
    return Times(_read(event), _read(updated))


def in_words(moment: Moment | None, zone: ZoneInfo) -> str:
    """A time as people read it, in the practice's zone."""
    if moment is None:
        return "no time"
    return (_EPOCH + timedelta(microseconds=moment.begin)).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


@lru_cache(maxsize=2048)  # the same few seconds again and again, and the parser remembers them likewise
def _moment(text: str, zone: ZoneInfo) -> Moment | None:
    read = timestamps.parse(text, zone) if text else None
    if read is None:
        return None
    width = _WIDTHS.get(read.precision)
    if width is None:
        digits = len(text.partition(".")[2].partition("+")[0].partition("-")[0].strip())
        width = 10 ** max(0, 6 - digits)
    return Moment((read.instant - _EPOCH) // timedelta(microseconds=1), width, not read.uncertain)


def _written(moment: Moment | None) -> str:
    return f"{moment.begin}+{moment.width}" if moment is not None and moment.certain else ""


def _read(text: str) -> Moment | None:
    begin, _, width = text.partition("+")
    return Moment(int(begin), int(width)) if begin else None
