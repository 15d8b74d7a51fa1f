"""Log lines: one JSON object a line, and nothing in them that is not known."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from typing import Any, Literal

import pytest

from ophl7.errors import HandlerFailed, LinkDown
from ophl7.observe.logs import FIELDS, LibraryLines, Lines, RefusedField, loop_faults, make_log


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_time_level_and_event() -> None:
    out = io.StringIO()
    make_log(stream=out, clock=lambda: 1767225600.25).info("message_committed", peer="pm", message_id=7, control_id="A1")
    assert lines(out) == [
        {
            "ts": "2026-01-01T00:00:00.250Z",
            "level": "info",
            "event": "message_committed",
            "peer": "pm",
            "message_id": 7,
            "control_id": "A1",
        }
    ]


def test_a_line_begins_with_what_every_line_has() -> None:
    out = io.StringIO()
    make_log(stream=out).bind(peer="pm").info("ack_sent", code="AA")
    assert list(lines(out)[0]) == ["ts", "level", "event", "peer", "code"]


def test_a_line_below_the_level_is_not_written() -> None:
    out = io.StringIO()
    log = make_log("warning", stream=out)
    log.info("ack_sent")
    log.warning("frame_error")
    assert [line["event"] for line in lines(out)] == ["frame_error"]


def test_a_field_that_is_not_known_is_dropped_and_named() -> None:
    out = io.StringIO()
    make_log(stream=out).info("x", peer="pm", patient="EVERYWOMAN^EVE", pid_5="EVERYWOMAN")
    assert "EVERYWOMAN" not in out.getvalue()
    assert lines(out)[0]["refused_fields"] == ["patient", "pid_5"]
    assert lines(out)[0]["peer"] == "pm"


def test_a_bound_field_that_is_not_known_is_dropped_too() -> None:
    out = io.StringIO()
    make_log(stream=out).bind(name="EVERYWOMAN").info("x")
    assert "EVERYWOMAN" not in out.getvalue()


def test_in_tests_an_unknown_field_is_an_error() -> None:
    with pytest.raises(RefusedField, match="patient"):
        make_log(stream=io.StringIO(), strict=True).info("x", patient="EVERYWOMAN")


@pytest.mark.parametrize("name", ["patient", "name", "text", "payload", "pid", "mrn", "birth_date", "lane", "key", "value"])
def test_no_field_invites_what_belongs_to_a_patient(name: str) -> None:
    if name == "pid":  # the process, not the segment: it is a number
        assert name in FIELDS
    else:
        assert name not in FIELDS


def test_a_type_or_trigger_that_is_no_code_is_not_shown() -> None:
    out = io.StringIO()
    make_log(stream=out).info("message_received", message_type="ADT", trigger="EVERYWOMAN^EVE")
    assert lines(out)[0]["message_type"] == "ADT"
    assert lines(out)[0]["trigger"] == "other"


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_value_cannot_make_a_line_of_any_length(form: Literal["json", "console"]) -> None:
    out = io.StringIO()
    make_log(form=form, stream=out).info("x", control_id="9" * 100_000)
    assert 300 <= len(out.getvalue()) < 1000


def test_a_traceback_tells_types_and_places_but_no_text() -> None:
    out = io.StringIO()
    try:
        int("EVERYWOMAN")
    except ValueError:
        make_log(stream=out).exception("handler_failed", handler="patient")
    (line,) = lines(out)
    assert "EVERYWOMAN" not in out.getvalue()
    assert line["error"] == "ValueError"
    assert line["where"][-1].endswith("test_a_traceback_tells_types_and_places_but_no_text")


def test_a_traceback_goes_down_to_the_cause_and_into_a_group() -> None:
    out = io.StringIO()
    try:
        try:
            int("EVERYWOMAN")
        except ValueError as error:
            raise HandlerFailed("patient", "ValueError") from error
    except HandlerFailed as error:
        make_log(stream=out).error("x", exc_info=ExceptionGroup("EVERYWOMAN", [error]))
    (line,) = lines(out)
    assert "EVERYWOMAN" not in out.getvalue()
    assert (line["where"][0], line["where"][2]) == ("member HandlerFailed", "caused by ValueError")


def test_an_error_of_ours_may_speak_because_it_carries_no_patient_data() -> None:
    out = io.StringIO()
    make_log(stream=out).error("delivery_failed", exc_info=LinkDown("timeout", "did not answer within 30 s"))
    (line,) = lines(out)
    assert (line["error_code"], line["reason"]) == ("OPHL7-E110", "did not answer within 30 s")


def test_a_closed_stream_costs_lines_but_never_the_message() -> None:
    out = io.StringIO()
    writer = Lines(out)
    writer.msg("one")
    out.close()
    writer.msg("two")
    assert writer.lost == 1


def test_on_a_terminal_the_line_is_for_people() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    make_log(stream=out).info("listening", address="127.0.0.1:2575")
    assert "listening" in out.getvalue()
    with pytest.raises(json.JSONDecodeError):
        json.loads(out.getvalue())
    forced = Terminal()
    make_log(form="json", stream=forced).info("listening")
    assert lines(forced)[0]["event"] == "listening"


def test_a_value_that_json_does_not_know_is_named_by_its_type() -> None:
    class Patient:
        def __repr__(self) -> str:
            return "EVERYWOMAN"

    out = io.StringIO()
    make_log(stream=out).info("x", reason=Patient())
    assert lines(out)[0]["reason"] == "Patient"


def test_time_goes_on_within_and_over_a_second() -> None:
    out = io.StringIO()
    times = iter([1767225600.25, 1767225600.75, 1767225601.0])
    log = make_log(stream=out, clock=lambda: next(times))
    for _ in range(3):
        log.info("x")
    assert [line["ts"][17:] for line in lines(out)] == ["00.250Z", "00.750Z", "01.000Z"]


def test_two_logs_know_nothing_of_each_other() -> None:
    one, two = io.StringIO(), io.StringIO()
    make_log("debug", stream=one).debug("a")
    make_log("error", stream=two).debug("b")
    assert "a" in one.getvalue()
    assert two.getvalue() == ""


def test_what_a_library_logs_is_told_without_its_text() -> None:
    out = io.StringIO()
    logger = logging.getLogger("some.library")
    handler = LibraryLines(make_log(stream=out, strict=True))
    logger.addHandler(handler)
    try:
        logger.warning("cannot parse %s", "EVERYWOMAN")
        try:
            int("EVERYWOMAN")
        except ValueError:
            logger.exception("failed")
        logger.info("not worth a line")
    finally:
        logger.removeHandler(handler)
    assert "EVERYWOMAN" not in out.getvalue()
    assert [(line["event"], line["logger"], line.get("error")) for line in lines(out)] == [
        ("library_log", "some.library", None),
        ("library_log", "some.library", "ValueError"),
    ]


async def test_what_no_task_caught_is_told_without_its_text() -> None:
    out = io.StringIO()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(loop_faults(make_log(stream=out, strict=True)))
    try:
        loop.call_exception_handler({"message": "Task failed", "exception": ValueError("EVERYWOMAN")})
        loop.call_exception_handler({"message": "something odd"})
    finally:
        loop.set_exception_handler(None)
    assert "EVERYWOMAN" not in out.getvalue()
    assert [(line["event"], line.get("error"), line.get("reason")) for line in lines(out)] == [
        ("loop_fault", "ValueError", None),
        ("loop_fault", None, "something odd"),
    ]
