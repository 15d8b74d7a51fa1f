"""What became of a message, in plain words, scenario by scenario, against the texts in `timelines/`.

After a change of words: REWRITE_TIMELINES=1 .venv/bin/python -m pytest tests/acceptance/test_timelines.py, then read the
differences.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from ophl7.testing.peers import refuse
from tests.acceptance.asking import REASON, get, post, replay
from tests.acceptance.messages import FEE, OSCAR, RUTH, VISIT, Fee, Side, adt, dft, merged, message, siu
from tests.acceptance.practice import EMR_OWNS, PM_OWNS, Opening, Practice

pytestmark = pytest.mark.timeout(30)

TEXTS = Path(__file__).parent / "timelines"
EARLIER, SENT, LATER = "20260105080000", "20260105080500", "20260105081000"


@dataclass(frozen=True)
class Decide:
    """A person ends the open hold whose key begins so."""

    verb: str
    key: str


@dataclass(frozen=True)
class Again:
    """A person has a message judged again."""

    control_id: str
    flags: Mapping[str, bool] = field(default_factory=dict)


Step = tuple[Side, bytes] | Decide | Again


@dataclass(frozen=True)
class Scenario:
    """steps: what happens. about: the MSH-10 of the message whose way is told; which: of several with it, from 0."""

    steps: Sequence[Step]
    about: str
    setup: str = PM_OWNS
    settings: Mapping[str, str] = field(default_factory=dict)
    which: int = 0


REGISTERED: Step = ("pm", adt("REG", "A28", sent=EARLIER))
BROTHER: Step = ("pm", adt("REG2", "A28", OSCAR, sent=EARLIER))
OTHER_CHART = replace(RUTH, id="7052")
TWO_CHARTS: Sequence[Step] = (REGISTERED, ("pm", adt("REG3", "A28", OTHER_CHART, sent=EARLIER)))
OVERWRITTEN = replace(RUTH, birth="20010101", given="EVE")

# MSA-1, ERR-3 (0: no ERR) and what becomes of the copy.
ANSWERS: Mapping[str, tuple[str, int, str]] = {
    "the EMR does not know the patient": ("AE", 204, "held"),
    "the EMR refuses for good": ("AE", 102, "parked"),
    "the EMR refuses without saying why": ("AE", 0, "parked"),
}

SCENARIOS: Mapping[str, Scenario] = {
    "a registration goes to the EMR": Scenario([REGISTERED], "REG"),
    "an update that changes the address": Scenario(
        [REGISTERED, ("pm", adt("U1", "A08", replace(RUTH, street="2 NEW ST")))], "U1"
    ),
    "the EMR may change its own fields only": Scenario(
        [REGISTERED, ("emr", adt("U1", "A08", replace(RUTH, street="9 EMR ST"), "AL1|1|DA|PCN", sender="emr"))], "U1"
    ),
    "the EMR says what is known": Scenario([REGISTERED, ("emr", adt("U1", "A08", sender="emr"))], "U1"),
    "the EMR may not create a patient": Scenario([("emr", adt("U1", "A28", sender="emr"))], "U1"),
    "the EMR may not delete a patient": Scenario([REGISTERED, ("emr", adt("U1", "A29", sender="emr"))], "U1"),
    "a chart that may be overwritten waits and a person takes it": Scenario(
        [REGISTERED, ("pm", adt("U1", "A08", OVERWRITTEN)), Decide("release", "demographics")], "U1"
    ),
    "a booking goes to the EMR": Scenario([REGISTERED, ("pm", siu("S1", "S12"))], "S1"),
    "a booking before its registration": Scenario([("pm", siu("S1", "S12"))], "S1"),
    "a cancellation": Scenario([REGISTERED, ("pm", siu("S1", "S12")), ("pm", siu("S2", "S15", sent=LATER))], "S2"),
    "a cancellation that overtook its booking": Scenario(
        [REGISTERED, ("pm", siu("S2", "S15", sent=LATER)), ("pm", siu("S1", "S12", sent=SENT))], "S1"
    ),
    "an unknown status code": Scenario([REGISTERED, ("pm", siu("S1", "S12", replace(VISIT, status="Purple")))], "S1"),
    "a patient booking in the EMR is refused": Scenario([REGISTERED, ("emr", siu("S1", "S12", sender="emr"))], "S1"),
    "charges go to the practice management": Scenario(
        [REGISTERED, ("emr", dft("C1", [FEE, Fee("T-2", "90460", "30.00")]))], "C1"
    ),
    "charges wait for the registration": Scenario([("emr", dft("C1")), REGISTERED], "C1"),
    "charges that were discarded": Scenario([("emr", dft("C1")), Decide("discard", "patient")], "C1"),
    "charges that still wait": Scenario([("emr", dft("C1"))], "C1"),
    "the same charges signed again": Scenario([REGISTERED, ("emr", dft("C1")), ("emr", dft("C2"))], "C2"),
    "incomplete charges are refused": Scenario([REGISTERED, ("emr", dft("C1", [Fee(code="")]))], "C1"),
    "charges from the practice management are refused": Scenario([("pm", dft("C1", sender="pm"))], "C1"),
    "a claim is refused": Scenario([("emr", message("BAR^P01", "B1", "PID|1||7050^^^PM^MR", sender="emr"))], "B1"),
    "a merge": Scenario([*TWO_CHARTS, ("pm", merged("M1", (OTHER_CHART, RUTH)))], "M1"),
    "charges of a merged chart": Scenario(
        [*TWO_CHARTS, ("pm", merged("M1", (OTHER_CHART, RUTH))), ("emr", dft("C1", [FEE], OTHER_CHART))], "C1"
    ),
    "two ids of different patients": Scenario(
        [REGISTERED, BROTHER, ("pm", adt("U1", "A08", replace(RUTH, ids="7050^^^PM^MR~7051^^^PM^MR")))], "U1"
    ),
    "an update that came too late": Scenario(
        [
            REGISTERED,
            ("pm", adt("U2", "A08", sent=LATER)),
            ("pm", adt("U1", "A08", replace(RUTH, street="2 LATE ST"), sent=SENT)),
        ],
        "U1",
    ),
    "an update that came too late and was applied by hand": Scenario(
        [
            REGISTERED,
            ("pm", adt("U2", "A08", sent=LATER)),
            ("pm", adt("U1", "A08", replace(RUTH, street="2 LATE ST"), sent=SENT)),
            Again("U1", {"apply_stale": True}),
        ],
        "U1",
    ),
    "a replay tells what it repeats": Scenario([REGISTERED, Again("REG")], "REG", which=1),
    "a message that came twice": Scenario([REGISTERED, REGISTERED], "REG"),
    "the second copy": Scenario([REGISTERED, REGISTERED], "REG", which=1),
    "a refused message that was taken when it came again": Scenario(
        [
            ("emr", adt("U1", "A08", RUTH, "AL1|1|DA|PCN", sender="emr")),
            REGISTERED,
            ("emr", adt("U1", "A08", RUTH, "AL1|1|DA|PCN", sender="emr")),
        ],
        "U1",
    ),
    "a message number that was used before": Scenario([REGISTERED, ("pm", siu("REG", "S12"))], "REG", which=1),
    "a message of a kind that is not used": Scenario([("pm", message("ORU^R01", "X1", sender="pm"))], "X1"),
    "a message from the ignore list": Scenario(
        [("pm", message("ORU^R01", "X1", sender="pm"))], "X1", settings={"PM_IGNORE_EVENTS": "ORU^R01"}
    ),
    "the EMR owns the patients": Scenario([("emr", adt("R1", "A28", sender="emr"))], "R1", setup=EMR_OWNS),
    "what cannot be read": Scenario([("pm", b"MSH|^~\\&|PM\r")], ""),
}


async def play(practice: Practice, scenario: Scenario) -> int:
    """Has it happen; the number of the message that it is about."""
    for step in scenario.steps:
        if isinstance(step, Decide):
            (hold,) = practice.rows("SELECT id FROM hold WHERE closed_at IS NULL AND key LIKE ? LIMIT 1", f"{step.key}:%")
            assert (await post(practice, f"/holds/{hold['id']}/{step.verb}", reason=REASON)).status_code == 200
        elif isinstance(step, Again):
            assert (await replay(practice, step.control_id, **step.flags)).status_code == 200
        else:
            side, raw = step
            await (await practice.line(side)).send(raw)
        await practice.quiet()
    found = practice.rows("SELECT id FROM journal WHERE control_id = ? ORDER BY id", scenario.about)
    return int(found[scenario.which]["id"])


async def told(practice: Practice, number: int) -> str:
    """One line a step, without what differs from run to run: times, and the prefix of our control ids."""
    (prefix,) = practice.rows("SELECT value FROM meta WHERE name = 'prefix'")
    items = (await get(practice, f"/messages/{number}/timeline")).json()["items"]
    lines = [f"{step['step']:<12} {step['text']}\n" for step in items]
    assert [step["at"] for step in items] == sorted(step["at"] for step in items)
    return "".join(lines).replace(prefix["value"], "OURS")


def compare(name: str, text: str) -> None:
    path = TEXTS / f"{re.sub('[^a-z0-9]+', '-', name.lower())}.txt"
    if os.environ.get("REWRITE_TIMELINES"):
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")


@pytest.mark.parametrize("name", SCENARIOS)
async def test_the_way_of_a_message_in_plain_words(opened: Opening, name: str) -> None:
    scenario = SCENARIOS[name]
    practice = await opened(scenario.setup, **scenario.settings)
    compare(name, await told(practice, await play(practice, scenario)))


def test_every_text_belongs_to_a_scenario() -> None:
    names = {re.sub("[^a-z0-9]+", "-", name.lower()) for name in [*SCENARIOS, *ANSWERS]}
    assert {path.stem for path in TEXTS.glob("*.txt")} == names
    assert len(names) >= 20


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_timeline_tells_of_whom_the_message_is(name: str) -> None:
    text = (TEXTS / f"{re.sub('[^a-z0-9]+', '-', name.lower())}.txt").read_text("utf-8")
    for secret in ("ADAMSKI", "BERGER", "RUTH", "ELM ST", "NEW ST", "LATE ST", "7050", "7051", "7052", "20180412", REASON):
        assert secret not in text


# -- what the other system answers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ANSWERS)
async def test_what_the_other_system_answered_is_told_with_what_it_means(opened: Opening, name: str) -> None:
    practice = await opened()
    code, error, state = ANSWERS[name]
    practice.desk["emr"].script.append(refuse(code, error))
    await practice.accepted("pm", adt("REG", "A28"))
    await practice.until(lambda: practice.deliveries("REG")[0]["state"] == state)
    compare(name, await told(practice, 1))
