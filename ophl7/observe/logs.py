"""Log lines: one JSON object a line (a readable line on a terminal), with stable event names and no patient data.

No patient data gets in because nothing unknown gets in: the last step before rendering lets only the fields of :data:`FIELDS`
through. Tracebacks are reduced to types and places, because the text of an exception may quote the message that caused it.
Nothing is configured globally: a :data:`Log` is a value that is made once, in `app`, and handed down.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from ophl7.errors import Ophl7Error

Log = FilteringBoundLogger
"""A bound logger: `log.info("message_committed", peer="pm", message_id=7)`, `log.bind(peer="pm")`."""

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

_OF_A_MESSAGE = """
    ts level event listener peer conn_id message_id control_id message_type trigger bytes sha256_8 handler rule
    outcome ack_code queue destination attempt duration_ms error_code
"""
_OF_THE_HOUSE = """
    address alarm alarm_id alarms audit batch bodies check code connections count delivery_id error field file grace_s hold_id
    kept kind limit logger merge_id path pid plugin port reason remote resend_id rows segment setting signal state todo url
    version waiting where
    refused_fields
"""
FIELDS: frozenset[str] = frozenset((_OF_A_MESSAGE + _OF_THE_HOUSE).split())
"""Every field that a log line may carry. Free text of a peer, names, dates, ids of patients and MSH-8 have none."""

# These two come out of the message's own header, so only what looks like a code of HL7 tables 0076 and 0003 is shown.
_CODES = ("message_type", "trigger")
_CODE = re.compile(r"[A-Z0-9]{1,4}", re.ASCII)
_LONG_LINE = 1000  # characters; in a longer line every value is cut to
_LONGEST = 300  # characters: no field needs more, and no peer may fill the disk with one line


class RefusedField(ValueError):
    """A log call used a field that is not in FIELDS."""


class Lines:
    """Writes whole lines to a stream and never raises: a closed pipe must not stop the broker. `lost` counts unwritten ones."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost = 0

    def msg(self, line: str) -> None:
        """Writes one line and flushes it."""
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # ValueError: the stream is closed
            self.lost += 1

    debug = info = warning = error = critical = log = msg


def make_log(
    level: str = "info",
    form: Literal["auto", "json", "console"] = "auto",
    *,
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.time,
    strict: bool = False,
) -> Log:
    """A log that writes lines of `level` and above to `stream` (standard error).

    `form`: `auto` is `console` on a terminal and `json` elsewhere. `clock` gives seconds since the epoch.
    `strict` is for tests: a field outside of FIELDS raises RefusedField instead of being dropped and named in `refused_fields`.
    """
    out = sys.stderr if stream is None else stream
    console = form == "console" or (form == "auto" and out.isatty())
    renderer = _for_people(colours=out.isatty()) if console else _json()
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        _stamp(clock),
        _reduce_traceback,
        _gate(strict=strict),
        renderer,
    ]
    log: Log = structlog.wrap_logger(
        Lines(out),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        context_class=dict,
        cache_logger_on_first_use=False,
    ).bind()
    return log


def places(error: BaseException) -> list[str]:
    """Where an exception came through, innermost last, as `file:line function`; no source lines, no values.

    What caused it, and the members of a group, follow after a line that names their type.
    """
    found: list[str] = []
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        found.append(f"{code.co_filename}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        found += [f"caused by {type(cause).__name__}", *places(cause)]
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            found += [f"member {type(member).__name__}", *places(member)]
    return found


class LibraryLines(logging.Handler):
    """Brings what libraries log through the standard logging module into our log, without its text.

    The text may quote data (asyncio prints the exception of a forgotten task), so a line says who spoke, where, and which
    exception it was.
    """

    def __init__(self, log: Log, level: int = logging.WARNING) -> None:
        super().__init__(level)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one line with the event `library_log`."""
        where = f"{record.pathname}:{record.lineno}"
        error = record.exc_info[1] if record.exc_info else None
        method = self._log.error if record.levelno >= logging.ERROR else self._log.warning
        if error is None:
            method("library_log", logger=record.name, where=where)
        else:
            method("library_log", logger=record.name, where=[where, *places(error)], error=type(error).__name__)


def loop_faults(log: Log) -> Callable[[object, Mapping[str, object]], None]:
    """A handler for `loop.set_exception_handler`: what no task caught becomes an event `loop_fault`, without its text."""

    def report(_loop: object, context: Mapping[str, object]) -> None:
        error = context.get("exception")
        if isinstance(error, BaseException):
            log.error("loop_fault", exc_info=error)
        else:
            log.error("loop_fault", reason=str(context.get("message", "")).partition("\n")[0])

    return report


def _stamp(clock: Callable[[], float]) -> Processor:
    second, prefix = -1, ""  # a line is written for each message: the text of a second is made once

    def stamp(_logger: object, _method: str, event: EventDict) -> EventDict:
        nonlocal second, prefix
        now = clock()
        if int(now) != second:
            second = int(now)
            prefix = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        event["ts"] = f"{prefix}.{int((now - second) * 1000):03d}Z"
        return event

    return stamp


def _shortened(event: Mapping[str, object]) -> dict[str, object]:
    return {name: value[:_LONGEST] if isinstance(value, str) else value for name, value in event.items()}


def _for_people(*, colours: bool) -> Processor:
    console = structlog.dev.ConsoleRenderer(colors=colours, timestamp_key="ts")

    def render(logger: object, method: str, event: EventDict) -> str:
        return console(logger, method, _shortened(event))

    return render


def _json() -> Processor:
    # One encoder for all lines; json.dumps would make one a line. A value that JSON does not know is named by its type only.
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=lambda value: type(value).__name__).encode

    def render(_logger: object, _method: str, event: EventDict) -> str:
        ordered = {"ts": event.pop("ts"), "level": event.pop("level"), "event": event.pop("event"), **event}
        line = encode(ordered)
        return line if len(line) <= _LONG_LINE else encode(_shortened(ordered))

    return render


def _reduce_traceback(_logger: object, _method: str, event: EventDict) -> EventDict:
    given = event.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()[1]
    if isinstance(given, BaseException):
        event["error"] = type(given).__name__
        event["where"] = places(given)
        if isinstance(given, Ophl7Error):  # ours carry no patient data (ophl7.errors)
            event["error_code"] = given.code
            event["reason"] = str(given)
    return event


def _gate(*, strict: bool) -> Processor:
    def gate(_logger: object, _method: str, event: EventDict) -> EventDict:
        if not event.keys() <= FIELDS:
            _drop_unknown(event, strict=strict)
        for name in _CODES:
            value = event.get(name)
            if value is not None and not _CODE.fullmatch(str(value)):
                event[name] = "other"
        return event

    return gate


def _drop_unknown(event: MutableMapping[str, object], *, strict: bool) -> None:
    unknown = sorted(event.keys() - FIELDS)
    if strict:
        raise RefusedField(f"no field of a log line: {', '.join(unknown)} (ophl7.observe.logs.FIELDS)")
    for name in unknown:
        del event[name]
    event["refused_fields"] = unknown
