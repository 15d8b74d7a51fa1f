"""A practice's day with merges: on both sides, one-sided for a while, with charges under way on both ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tests.acceptance.day import Step, both, first_of_each
from tests.acceptance.messages import RUTH, Fee, Person, Side, Visit, adt, control_id_of, dft, merged, segments, siu
from tests.acceptance.practice import Ledger, owner_of_patients

TWIN = replace(RUTH, id="7051")
OSCAR = Person("7052", "BERGER", "OSCAR", "20150930", "M", "22 OAK AVE")
GHOST = replace(OSCAR, id="7060")  # an id of which nobody has heard before it is merged away
DEADLY = ("M1", "C7", "M3")


@dataclass(frozen=True, slots=True)
class MergedEvening:
    """The final state. received: destination and lane (its PM ids) -> originals' MSH-10 and PID-3 of the copy, in order."""

    merged_into: Mapping[str, tuple[str | None, str | None]]
    merges: tuple[tuple[str, str, bool, bool, str], ...]
    schedule: Mapping[str, tuple[str, str]]
    charges: tuple[tuple[str, str], ...]
    states: Mapping[str, str]
    answers: Mapping[str, str]
    received: Mapping[tuple[Side, str, frozenset[str]], tuple[tuple[str, str], ...]]
    waiting: int


def known_to(side: Side, who: Person) -> Person:
    """As that side's own staff write it."""
    return who if side == "pm" else replace(who, ids=f"{who.id.replace('70', 'E-')}^^^EMR^MR")


def merge_day(setup: str) -> list[Step]:
    owner: Side = owner_of_patients(setup)
    second: Side = "emr" if owner == "pm" else "pm"
    ruth, twin, oscar = both(RUTH), both(TWIN), both(OSCAR)
    clock = iter(range(60))

    def sent() -> str:
        return f"202601050900{next(clock):02}"

    visit, other = Visit("S-1"), Visit("S-2", "20260105093000")
    return [
        Step(owner, adt("R1", "A28", ruth, sender=owner, sent=sent()), "AA"),
        Step(owner, adt("R2", "A28", twin, sender=owner, sent=sent()), "AA"),
        Step(owner, adt("R3", "A28", oscar, sender=owner, sent=sent()), "AA"),
        Step(owner, siu("B1", "S12", visit, known_to(owner, TWIN), sender=owner, sent=sent()), "AA"),
        Step(owner, siu("B2", "S12", other, known_to(owner, RUTH), sender=owner, sent=sent()), "AA"),
        Step("emr", dft("C1", [Fee("T-1")], twin, sent=sent()), "AA"),
        Step("emr", dft("C2", [Fee("T-2")], TWIN, sent=sent()), "AA", "begins"),
        Step("emr", dft("C3", [Fee("T-3")], RUTH, sent=sent()), "AA"),
        Step("emr", dft("C4", [Fee("T-4")], known_to("emr", TWIN), sent=sent()), "AA"),
        Step("pm", merged("M1", (TWIN, RUTH), sent=sent()), "AA"),
        Step("emr", dft("C5", [Fee("T-5")], TWIN, sent=sent()), "AA"),
        Step("emr", dft("C6", [Fee("T-6")], RUTH, sent=sent()), "AA"),
        Step(owner, siu("B3", "S14", replace(visit, status="Arrived"), known_to(owner, RUTH), sender=owner, sent=sent()), "AA"),
        Step("emr", dft("C7", [Fee("T-7")], TWIN, sent=sent()), "AA", "ends"),
        Step("emr", merged("M2", (known_to("emr", TWIN), known_to("emr", RUTH)), sender="emr", sent=sent()), "AA"),
        Step(
            owner, siu("B4", "S14", replace(visit, status="Checked In"), known_to(owner, TWIN), sender=owner, sent=sent()), "AA"
        ),
        Step(owner, adt("U1", "A08", replace(known_to(owner, TWIN), street="9 NEW RD"), sender=owner, sent=sent()), "AA"),
        Step("emr", dft("C8", [Fee("T-8")], GHOST, sent=sent()), "AA"),
        Step("pm", merged("M3", (GHOST, OSCAR), sent=sent()), "AA"),
        Step("emr", dft("C9", [Fee("T-9")], GHOST, sent=sent()), "AA"),
        Step("pm", merged("M4", (TWIN, RUTH), sent=sent()), "AA"),
        Step("pm", merged("M5", (RUTH, RUTH), sent=sent()), "AE"),
        Step(second, adt("N1", "A28", replace(RUTH, id="7099"), sender=second, sent=sent()), "AE"),
        Step(owner, adt("U2", "A08", replace(known_to(owner, RUTH), street="3 OLD RD"), sender=owner, sent=sent()), "AA"),
    ]


def look_merged(ledger: Ledger, answers: Mapping[str, str], received: Mapping[Side, list[bytes]]) -> MergedEvening:
    """The database, and what the destinations got, whatever their ids of our own are."""
    ids = {row["value"]: row for row in ledger.rows(_PATIENTS)}
    # What was settled before a merge keeps its lane of then, which is the subject of somebody in the united one.
    lanes = {
        row["subject"]: frozenset(other for other, mate in ids.items() if mate["lane"] == row["lane"]) for row in ids.values()
    }
    copies = {row["ours"]: row for row in ledger.rows(_COPIES)}
    arrived: dict[tuple[Side, str, frozenset[str]], tuple[tuple[str, str], ...]] = {}
    for side, payloads in received.items():
        for payload in first_of_each(payloads, control_id_of):
            row = copies[control_id_of(payload)]
            key = (side, row["stream"], lanes[row["lane"]])
            arrived[key] = (*arrived.get(key, ()), (row["theirs"], segments(payload, b"PID")[0].split(b"|")[3].decode()))
    return MergedEvening(
        merged_into={value: (ledger.merged_into(value, "pm"), ledger.merged_into(value, "emr")) for value in ids},
        merges=tuple(ledger.merges()),
        schedule={row["filler"]: (row["status"], row["value"]) for row in ledger.rows(_SCHEDULE)},
        charges=tuple(sorted((row["transaction_id"], row["state"]) for row in ledger.rows("SELECT * FROM charge"))),
        states={row["control_id"]: row["state"] for row in ledger.rows(_STATES)},
        answers=dict(answers),
        received=arrived,
        waiting=len(ledger.rows("SELECT 1 FROM delivery WHERE state <> 'accepted'"))
        + len(ledger.rows("SELECT 1 FROM hold WHERE closed_at IS NULL")),
    )


_PATIENTS = "SELECT a.value, p.lane, p.subject FROM alias a JOIN patient p ON p.id = a.patient WHERE a.authority = 'PM'"
_SCHEDULE = """
    SELECT s.filler, s.status, a.value FROM appointment s JOIN alias a ON a.patient = s.patient AND a.authority = 'PM'
"""
_COPIES = """
    SELECT d.control_id AS ours, d.stream, d.lane, j.control_id AS theirs FROM delivery d JOIN journal j ON j.id = d.message
"""
_STATES = "SELECT control_id, state FROM journal WHERE state <> 'duplicate' ORDER BY id"
