"""The owner's day, as it is written before anybody plays it."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ophl7.simulate.desk import STATUSES, STORIES, Desk
from ophl7.simulate.hand import VERSIONS, Hand
from ophl7.simulate.people import MOST_PEOPLE, Households
from ophl7.simulate.reading import read
from ophl7.simulate.steps import PatientIs, Step, VisitIs
from tests.unit.simulate.table import DAY


def plan(seed: int = 1, patients: int = 12, day: date = DAY, version: str = "2.5.1") -> list[Step]:
    return Desk("pm", seed, version, patients).day(day)


def written(steps: list[Step], version: str = "2.5.1") -> list[bytes]:
    return [Hand("pm", version).write(step) for step in steps]


def charts(steps: list[Step]) -> set[str]:
    return {record.id for step in steps for record in step.records if isinstance(record, PatientIs)}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_same_seed_and_date_make_the_same_bytes(version: str) -> None:
    assert written(plan(version=version), version) == written(plan(version=version), version)


def test_another_seed_or_another_day_has_nobody_and_nothing_in_common() -> None:
    days = [plan(1), plan(2), plan(1, day=DAY + timedelta(days=1)), plan(11), plan(123)]
    for what in ([charts(day) for day in days], [{step.control_id for step in day} for day in days]):
        assert len(set[str]().union(*what)) == sum(len(one) for one in what)


def test_a_day_of_twelve_has_every_story_and_every_event() -> None:
    assert len(STORIES) == len(set(STORIES)) == 12
    events = {step.event for step in plan()}
    assert events == {
        *("ADT^A04", "ADT^A08", "ADT^A28", "ADT^A29", "ADT^A31", "ADT^A40"),
        *("SIU^S12", "SIU^S13", "SIU^S14", "SIU^S15", "SIU^S23", "SIU^S26"),
    }
    assert any(step.again for step in plan())
    assert any(step.fresh for step in plan())


def test_twins_share_everything_but_the_given_name_and_are_never_taken_for_one() -> None:
    known = [record for step in plan() for record in step.records if isinstance(record, PatientIs)]
    last = {record.id: record for record in known}
    first = {record.id: record for record in reversed(known)}
    for charts_of in (first, last):
        one, two = (next(r for r in charts_of.values() if r.id.endswith(number)) for number in ("005", "006"))
        assert (one.family, one.birth, one.sex) == (two.family, two.birth, two.sex)
        assert one.fields["PID-13"] == two.fields["PID-13"]
        assert one.given != two.given


def test_the_sibling_shares_family_and_telephone_with_the_first_child() -> None:
    last = {r.id[-3:]: r for step in plan() for r in step.records if isinstance(r, PatientIs)}
    assert (last["001"].family, last["001"].fields["PID-13"]) == (last["007"].family, last["007"].fields["PID-13"])
    assert last["001"].birth != last["007"].birth


def test_a_double_is_the_same_child_under_another_number_until_the_merge() -> None:
    steps = plan()
    merge = next(number for number, step in enumerate(steps) if step.event == "ADT^A40")
    before = {r.id[-3:]: r for step in steps[:merge] for r in step.records if isinstance(r, PatientIs)}
    one, two = before["010"], before["510"]
    assert (one.family, one.given, one.birth, one.sex) == (two.family, two.given, two.birth, two.sex)
    after = [step for step in steps[merge + 1 :] if step.event == "ADT^A08" and step.records[0].id == one.id]  # type: ignore[union-attr]
    assert len(after) == 1


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 99_999),
    patients=st.integers(1, 80),
    day=st.dates(date(2020, 1, 1), date(2046, 1, 1)),
    version=st.sampled_from(VERSIONS),
)
def test_any_day_is_in_the_order_of_its_clock_and_of_its_stories(seed: int, patients: int, day: date, version: str) -> None:
    steps = plan(seed, patients, day, version)
    assert [step.at for step in steps] == sorted(step.at for step in steps)
    assert {step.at.date() for step in steps} == {day}
    ids = [step.control_id for step in steps]
    assert len(set(ids)) == len(ids)
    assert max(len(name) for name in ids) <= 20  # MSH-10 of 2.3 to 2.5
    assert steps[-1].words == "closes the practice for today"
    registered: set[str] = set()
    course: dict[str, list[str]] = defaultdict(list)
    for step in steps:
        for record in step.records:
            if isinstance(record, PatientIs):
                registered.add(record.id)
            elif isinstance(record, VisitIs) and record.patient is not None:
                course[record.filler].append(record.status)
                assert record.patient in registered or "before there is a chart" in step.words
    ranks = {status: number for number, status in enumerate([*STATUSES.values(), "cancelled", "no_show"])}
    for statuses in course.values():
        assert statuses[0] == "booked"
        falls = [one for one, two in pairwise(statuses) if ranks[one] > ranks[two]]
        assert falls in ([], ["arrived"])  # the one who was ticked off by mistake


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 999), version=st.sampled_from(VERSIONS))
def test_what_is_written_says_what_the_truth_says(seed: int, version: str) -> None:
    for step in plan(seed, 20, version=version):
        heard = read(Hand("pm", version).write(step))
        assert (heard.event, heard.control_id, heard.at) == (step.event, step.control_id, step.at)
        assert heard.simulated
        for record in step.records:
            if isinstance(record, PatientIs):
                assert heard.chart is not None
                assert (f"PM:{heard.chart.ids['PM']}", heard.chart.same_child) == (
                    record.id,
                    (f"{record.family}^{record.given}", record.birth, record.sex),
                )
                assert record.family.startswith("DEMO-")
            elif isinstance(record, VisitIs):
                assert heard.booking is not None
                assert heard.booking.filler == record.filler


def test_as_many_children_as_a_day_may_have_have_a_number_each() -> None:
    steps = plan(patients=MOST_PEOPLE)
    assert len(charts(steps)) == MOST_PEOPLE + 1


@pytest.mark.parametrize("patients", [0, MOST_PEOPLE + 1])
def test_a_day_without_children_or_with_too_many_is_refused(patients: int) -> None:
    with pytest.raises(ValueError, match="a day has 1 to"):
        plan(patients=patients)


@pytest.mark.parametrize(("seed", "day"), [(-1, DAY), (1, date(2019, 12, 31))])
def test_seeds_and_days_that_no_number_can_be_made_of_are_refused(seed: int, day: date) -> None:
    with pytest.raises(ValueError, match="not before 2020"):
        Households(seed, day)
