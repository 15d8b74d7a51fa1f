"""The query of a request: what is understood, and what is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from ophl7.admin.parameters import Query, path_number
from ophl7.admin.problems import Problem

ZONE = ZoneInfo("America/New_York")
KNOWN = ("name", "limit", "cursor")


def request(query: bytes = b"", **path: str) -> Request:
    return Request({"type": "http", "method": "GET", "path": "/", "query_string": query, "headers": [], "path_params": path})


def query(text: str) -> Query:
    return Query(request(text.encode()), KNOWN, ZONE)


def refusal(call: Callable[[], object]) -> Problem:
    with pytest.raises(Problem) as caught:
        call()
    assert caught.value.status == 400
    return caught.value


def test_an_unknown_parameter_is_refused_and_the_known_ones_are_told() -> None:
    problem = refusal(lambda: query("nmae=1"))
    assert problem.detail == "nmae: not known here; this call takes name, limit, cursor"
    assert problem.more == {"parameter": "nmae"}


def test_a_parameter_whose_name_is_odd_is_not_quoted() -> None:
    assert "7050" not in refusal(lambda: query("7050=1")).detail


def test_a_parameter_given_twice_is_refused() -> None:
    assert refusal(lambda: query("name=1&name=2")).detail == "name: given twice"


@pytest.mark.parametrize("text", ["name=", "name=%20"])
def test_an_empty_value_is_refused_because_it_was_meant_to_say_something(text: str) -> None:
    assert refusal(lambda: query(text).text("name")).detail == "name: it is empty"


def test_what_is_not_given_is_none() -> None:
    empty = query("")
    assert (empty.text("name"), empty.number("name"), empty.day("name"), empty.event("name")) == (None, None, None, None)
    assert (empty.instant("name", end=False), empty.one_of("name", ("a",)), empty.before, empty.limit) == (None, None, None, 50)


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("9223372036854775807", 2**63 - 1), ("007", 7)])
def test_a_number_is_an_id(text: str, number: int) -> None:
    assert query(f"name={text}").number("name") == number


@pytest.mark.parametrize("text", ["0", "-1", "1.0", "x", "9223372036854775808", "9" * 40, "%EF%BC%91", "1e3"])
def test_anything_else_is_none(text: str) -> None:
    assert refusal(lambda: query(f"name={text}").number("name")).more == {"parameter": "name"}
    assert path_number(request(id="x" if "%" in text else text)) is None


@pytest.mark.parametrize(("text", "limit"), [("1", 1), ("500", 500), ("501", 500), ("100000", 500)])
def test_a_limit_beyond_the_most_counts_as_the_most(text: str, limit: int) -> None:
    assert query(f"limit={text}").limit == limit


def test_a_wrong_limit_and_a_wrong_cursor_are_named() -> None:
    assert refusal(lambda: query("limit=0").limit).more == {"parameter": "limit"}
    assert "next" in refusal(lambda: query("cursor=x").before).detail


@pytest.mark.parametrize(
    ("text", "end", "instant"),
    [
        ("2026-11-23", False, "2026-11-23T00:00:00-05:00"),
        ("2026-11-23", True, "2026-11-24T00:00:00-05:00"),
        ("2026-11-01", True, "2026-11-02T00:00:00-05:00"),
        ("2026-11-23T08:30", False, "2026-11-23T08:30:00-05:00"),
        ("2026-11-23T08:30", True, "2026-11-23T08:30:00-05:00"),
        ("2026-11-23T08:30:00Z", False, "2026-11-23T08:30:00+00:00"),
        ("2026-11-23T08:30:00%2B02:00", False, "2026-11-23T08:30:00+02:00"),
        ("2026-11-23T08:30:00+02:00", False, "2026-11-23T08:30:00+02:00"),
        ("2026-11-23 08:30", False, "2026-11-23T08:30:00-05:00"),
    ],
)
def test_a_time_is_in_the_practices_zone_unless_it_says_otherwise(text: str, end: bool, instant: str) -> None:
    assert query(f"name={text}").instant("name", end=end) == datetime.fromisoformat(instant).timestamp()


@pytest.mark.parametrize("text", ["today", "2026-13-01", "2026-02-30", "23.11.2026", "9999-12-31", "0000-01-01"])
def test_what_is_no_day_is_refused(text: str) -> None:
    assert refusal(lambda: query(f"name={text}").day("name")).detail == "name: a date like 2026-11-23"
    assert text not in refusal(lambda: query(f"name={text}").instant("name", end=True)).detail


def test_a_day_is_a_day() -> None:
    assert query("name=2026-11-23").day("name") == date(2026, 11, 23)


@pytest.mark.parametrize(
    ("text", "event"), [("ADT^A08", "ADT^A08"), ("adt", "ADT"), ("ZZ1^Z01", "ZZ1^Z01"), ("SIU%5ES12", "SIU^S12")]
)
def test_an_event_is_a_type_with_or_without_a_trigger(text: str, event: str) -> None:
    assert query(f"name={text}").event("name") == event


@pytest.mark.parametrize("text", ["A08", "ADT^", "ADT_A08", "ADT^A08^ADT_A01", "%25", "AD"])
def test_an_event_that_is_none_is_refused_or_finds_its_type_only(text: str) -> None:
    if text == "A08":  # looks like a type; there is none of that name
        assert query(f"name={text}").event("name") == "A08"
    else:
        assert refusal(lambda: query(f"name={text}").event("name")).more == {"parameter": "name"}


@given(st.text(min_size=1), st.sampled_from(["number", "day", "event", "since", "until", "limit", "cursor"]))
def test_no_text_whatever_breaks_the_reading(text: str, how: str) -> None:
    name = how if how in {"limit", "cursor"} else "name"
    scope = request(urlencode({name: text}, errors="surrogatepass").encode())
    asked = Query(scope, KNOWN, ZONE)
    calls: dict[str, Callable[[], object]] = {
        "number": lambda: asked.number("name"),
        "day": lambda: asked.day("name"),
        "event": lambda: asked.event("name"),
        "since": lambda: asked.instant("name", end=False),
        "until": lambda: asked.instant("name", end=True),
        "limit": lambda: asked.limit,
        "cursor": lambda: asked.before,
    }
    try:
        calls[how]()
    except Problem as problem:
        assert problem.status == 400  # noqa: PT017 - any other exception is the failure
