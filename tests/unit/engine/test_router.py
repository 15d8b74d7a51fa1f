"""The plan: a table made at start, the same on every start."""

from __future__ import annotations

import pytest

from ophl7.engine.router import Router
from ophl7.errors import RegistrationError
from ophl7.kit import Change, Context, Handlers, Rules, Segment, Verdict


def handlers(name: str, *calls: str) -> Handlers:
    found = Handlers(name)
    for call in calls:

        async def part(_segment: Segment, _ctx: Context) -> list[Change]:
            return []

        part.__name__ = call
        found.on("ADT^A04", "ADT^A08")(part)
    return found


def rules(name: str) -> Rules:
    found = Rules(name)

    @found.judge("patient.*", "message.deliver")
    async def judge(_change: Change, _ctx: Context) -> Verdict | None:
        return None

    return found


def test_the_order_is_that_of_registration() -> None:
    router = Router([*handlers("b", "two", "one").registered, *handlers("a", "three").registered], [])
    assert [part.name for part in router.plan("ADT^A04")] == ["b.two", "b.one", "a.three"]
    assert router.plan("ADT^A04") == router.plan("ADT^A08")
    assert set(router.routes) == {"ADT^A04", "ADT^A08"}


def test_an_event_that_nobody_takes_has_no_plan_but_its_type_may_be_known() -> None:
    router = Router(handlers("a", "one").registered, [])
    assert router.plan("ADT^A99") == ()
    assert router.knows_type("ADT")
    assert not router.knows_type("ORU")


def test_rules_are_found_by_the_kind_of_change() -> None:
    router = Router([], rules("own").registered)
    assert [rule.name for rule in router.rules_for("patient.field")] == ["own.judge"]
    assert [rule.name for rule in router.rules_for("message.deliver")] == ["own.judge"]
    assert list(router.rules_for("charge.add")) == []


def test_two_parts_of_one_name_are_an_error_but_a_handler_and_a_rule_may_share_it() -> None:
    with pytest.raises(RegistrationError, match=r"handler a\.one"):
        Router([*handlers("a", "one").registered, *handlers("a", "one").registered], [])
    with pytest.raises(RegistrationError, match=r"rule own\.judge"):
        Router([], [*rules("own").registered, *rules("own").registered])
    Router(handlers("own", "judge").registered, rules("own").registered)


@pytest.mark.parametrize("event", ["ADT", "adt^A04", "ADT^A4", "ADT^A04^ADT_A01", "", "ADT-A04"])
def test_a_typo_in_an_event_names_the_place(event: str) -> None:
    with pytest.raises(RegistrationError, match=r"handlers 'visits': .* is not an event"):
        Handlers("visits").on(event)


@pytest.mark.parametrize("segment", ["pid", "PIDX", "P", "1ST", ""])
def test_a_typo_in_a_segment_names_the_place(segment: str) -> None:
    with pytest.raises(RegistrationError, match=r"handlers 'visits': .* is not a segment name"):
        Handlers("visits").on("ADT^A04", segment=segment)


def test_a_typo_in_a_kind_of_change_says_which_there_are() -> None:
    with pytest.raises(RegistrationError, match=r"no change is called 'patient.creat'; there are .*patient.create"):
        Rules("own").judge("patient.creat")


def test_nothing_to_listen_for_and_an_unusable_name_are_errors() -> None:
    with pytest.raises(RegistrationError, match="no event given"):
        Handlers("visits").on()
    with pytest.raises(RegistrationError, match="no kind of change given"):
        Rules("own").judge()
    for name in ("", "Visits", "my-part", "1st"):
        with pytest.raises(RegistrationError, match="not a usable name"):
            Handlers(name)
        with pytest.raises(RegistrationError, match="not a usable name"):
            Rules(name)


def test_what_is_no_coroutine_cannot_be_registered() -> None:
    def plain(_segment: Segment, _ctx: Context) -> list[Change]:
        return []

    with pytest.raises(RegistrationError, match=r"visits\.plain is no coroutine"):
        Handlers("visits").on("ADT^A04")(plain)  # type: ignore[arg-type]
