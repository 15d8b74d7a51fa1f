"""One practice's day without merges: what is sent, and what must be true in the evening, as values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from tests.acceptance.messages import OSCAR, RUTH, Fee, Person, Side, Visit, adt, control_id_of, dft, message, relayed, siu
from tests.acceptance.practice import Ledger, owner_of_patients

IVY = Person("7052", "CASTILLO", "IVY", "20190101", "F", "5 BAY LN")
LATE = Person("7053", "DUPREE", "LEO", "20210707", "M", "8 KEY ST")
NOBODY = Person("7099", "NEMO", "N", "20200202", "M")


@dataclass(frozen=True, slots=True)
class Step:
    """One message and the MSA-1 that it must get. outage: what happens to the destinations just before it."""

    side: Side
    payload: bytes
    code: str
    outage: str = ""

    @property
    def control_id(self) -> str:
        return control_id_of(self.payload)


@dataclass(frozen=True, slots=True)
class Evening:
    """The final state. delivered: for each destination and patient or block, the originals' MSH-10 in the order of arrival."""

    patients: Mapping[str, tuple[str, str]]
    schedule: Mapping[tuple[str, str], tuple[str, str]]
    charges: tuple[tuple[str, str, str, str], ...]
    answers: Mapping[str, str]
    states: Mapping[str, str]
    delivered: Mapping[tuple[Side, str], tuple[str, ...]]
    waiting: int


def both(who: Person) -> Person:
    """With the ids of both sides."""
    return replace(who, ids=f"{who.id}^^^PM^MR~{who.id.replace('70', 'E-')}^^^EMR^MR")


def day(setup: str) -> list[Step]:
    """pm/pm or emr/emr: the owner registers and books, the other side is stripped, refused or kept, the EMR charges."""
    owner: Side = owner_of_patients(setup)
    second: Side = "emr" if owner == "pm" else "pm"
    ruth, oscar, ivy, late = (both(who) for who in (RUTH, OSCAR, IVY, LATE))
    clock = iter(range(100000))

    def sent() -> str:
        minute, seconds = divmod(next(clock), 60)
        return f"202601050800{seconds:02}" if not minute else f"2026010508{minute:02}{seconds:02}"

    own_segment = "AL1|1|DA|PCN^PENICILLIN" if second == "emr" else "IN1|1|PLAN^HMO|77|ACME HEALTH"
    first, other_time, third = Visit("S-1"), Visit("S-2", "20260105093000"), Visit("S-3", "20260105100000")
    moved = replace(other_time, start="20260105110000")
    seen = [
        Step(owner, adt("R1", "A28", ruth, sender=owner, sent=sent()), "AA"),
        Step(owner, adt("R2", "A04", oscar, sender=owner, sent=sent()), "AA"),
        Step(owner, adt("R3", "A28", ivy, "ZIV|1|kept", sender=owner, sent=sent()), "AA"),
        Step(owner, siu("B1", "S12", first, ruth, sender=owner, sent=sent()), "AA"),
        Step(owner, siu("B2", "S12", other_time, oscar, sender=owner, sent=sent()), "AA"),
        Step(owner, siu("B3", "S12", third, ivy, sender=owner, sent=sent()), "AA"),
        Step(second, adt("N1", "A28", NOBODY, sender=second, sent=sent()), "AE"),
        Step(second, adt("U1", "A08", replace(ruth, street="9 NEW RD"), own_segment, sender=second, sent=sent()), "AA"),
        Step(owner, siu("B4", "S13", moved, oscar, sender=owner, sent=sent()), "AA"),
        Step(second, siu("N2", "S12", Visit("S-9"), oscar, sender=second, sent=sent()), "AE"),
        Step(owner, siu("K1", "S23", Visit("BLK-1", room="LUNCH"), None, sender=owner, sent=sent()), "AA"),
        Step(second, siu("K2", "S12", Visit("REP-1", room="DRUGREP"), None, sender=second, sent=sent()), "AA"),
        Step(owner, siu("C1", "S14", replace(first, status="Arrived"), ruth, sender=owner, sent=sent()), "AA"),
        Step(owner, siu("B5", "S15", replace(third, status=""), ivy, sender=owner, sent=sent()), "AA", "begins"),
        Step(owner, siu("C2", "S14", replace(first, status="Checked In"), ruth, sender=owner, sent=sent()), "AA"),
        Step("emr", dft("D1", [Fee("T-1"), Fee("T-2", "90460", "30.00")], ruth, sent=sent()), "AA"),
        Step("emr", dft("D2", [Fee("T-1"), Fee("T-2", "90460", "30.00")], ruth, sent=sent()), "AA"),
        Step("emr", dft("D3", [Fee("T-9", "99203", "180.00")], replace(late, ids="7053^^^PM^MR"), sent=sent()), "AA"),
        Step("emr", dft("N3", [Fee("T-8", amount="abc")], ivy, sent=sent()), "AE"),
        Step("pm", dft("N4", [Fee("T-7")], ruth, sender="pm", sent=sent()), "AR"),
        Step("pm", message("BAR^P01", "N5", "PID|1||7050^^^PM^MR", sender="pm", sent=sent()), "AR"),
        Step(owner, siu("B6", "S26", replace(moved, status=""), oscar, sender=owner, sent=sent()), "AA"),
        Step(owner, adt("R4", "A28", late, sender=owner, sent=sent()), "AA", "ends"),
        Step(second, siu("N6", "S14", replace(first, status="Roomed"), ruth, sender=second, sent=sent()), "AE"),
        Step(owner, siu("C3", "S14", replace(first, status="Complete"), ruth, sender=owner, sent=sent()), "AA"),
        Step("emr", dft("D4", [Fee("T-1", kind="CD")], ruth, sent=sent()), "AA"),
        Step(owner, adt("R5", "A08", replace(ivy, street="6 BAY LN"), "ZIV|1|kept", sender=owner, sent=sent()), "AA"),
    ]
    return seen


def evening(setup: str) -> Evening:
    """What decisions.md makes of that day."""
    owner = owner_of_patients(setup)
    second: Side = "emr" if owner == "pm" else "pm"
    steps = day(setup)
    refused = {step.control_id for step in steps if step.code != "AA"}
    states = {step.control_id: "rejected" if step.control_id in refused else "accepted" for step in steps}
    states["D2"] = "ignored"
    records = {
        "7050": ("R1", "B1", "C1", "C2", "C3"),
        "7051": ("R2", "B2", "B4", "B6"),
        "7052": ("R3", "B3", "B5", "R5"),
        "7053": ("R4",),
        "BLK-1": ("K1",),
    }
    delivered = {(second, f"record {lane}"): ids for lane, ids in records.items()}
    delivered |= {("pm", "charges 7050"): ("D1", "D4"), ("pm", "charges 7053"): ("D3",)}
    return Evening(
        patients={
            "7050": ("ADAMSKI^RUTH", "1 ELM ST"),
            "7051": ("BERGER^OSCAR", "22 OAK AVE"),
            "7052": ("CASTILLO^IVY", "6 BAY LN"),
            "7053": ("DUPREE^LEO", "8 KEY ST"),
        },
        schedule={
            (owner, "S-1"): ("checked_out", "20260105093000"),
            (owner, "S-2"): ("no_show", "20260105110000"),
            (owner, "S-3"): ("cancelled", "20260105100000"),
            (owner, "BLK-1"): ("booked", "20260105093000"),
            (second, "REP-1"): ("booked", "20260105093000"),
        },
        charges=(
            ("7050", "T-1", "CD", "sent"),
            ("7050", "T-1", "CG", "sent"),
            ("7050", "T-2", "CG", "sent"),
            ("7052", "T-8", "CG", "rejected"),
            ("7053", "T-9", "CG", "sent"),
        ),
        answers={step.control_id: step.code for step in steps},
        states=states,
        delivered=delivered,
        waiting=0,
    )


def look(ledger: Ledger, steps: list[Step], answers: Mapping[str, str], received: Mapping[Side, list[bytes]]) -> Evening:
    """The same, read from the database and from what the destinations got. Copies that are not byte for byte raise."""
    subjects = {row["subject"]: row["value"] for row in ledger.rows(_SUBJECTS)}
    sent = {step.control_id: step.payload for step in steps}
    originals = {row["ours"]: row for row in ledger.rows(_COPIES)}
    assert len({(row["message"], row["destination"]) for row in originals.values()}) == len(originals)
    delivered: dict[tuple[Side, str], tuple[str, ...]] = {}
    for side, payloads in received.items():
        for payload in first_of_each(payloads, control_id_of):
            row = originals[control_id_of(payload)]
            assert payload == relayed(sent[row["theirs"]], row["ours"])
            assert row["destination"] == side
            key = (side, f"{row['stream']} {subjects.get(row['lane'], 'BLK-1')}")
            delivered[key] = (*delivered.get(key, ()), row["theirs"])
    patients = ledger.rows("SELECT a.value, a.authority FROM alias a WHERE a.authority = 'PM' ORDER BY a.value")
    return Evening(
        patients={
            row["value"]: (str(ledger.field(row["value"], "PID-5")), str(ledger.field(row["value"], "PID-11")).split("^")[0])
            for row in patients
        },
        schedule={
            (row["origin"], row["filler"]): (row["status"], row["start"]) for row in ledger.rows("SELECT * FROM appointment")
        },
        charges=tuple(
            sorted(
                (subjects[row["subject"]], row["transaction_id"], row["kind"], row["state"])
                for row in ledger.rows("SELECT * FROM charge WHERE state <> 'superseded'")
            )
        ),
        answers=dict(answers),
        states={row["control_id"]: row["state"] for row in ledger.rows(_STATES)},
        delivered=delivered,
        waiting=len(ledger.rows("SELECT 1 FROM delivery WHERE state <> 'accepted'"))
        + len(ledger.rows("SELECT 1 FROM hold WHERE closed_at IS NULL")),
    )


def first_of_each(payloads: list[bytes], key: Callable[[bytes], str]) -> Iterator[bytes]:
    """Without what was sent again after an outage; a second try must be the same bytes."""
    seen: dict[str, bytes] = {}
    for payload in payloads:
        if key(payload) not in seen:
            seen[key(payload)] = payload
            yield payload
        assert seen[key(payload)] == payload


_SUBJECTS = "SELECT p.subject, a.value FROM patient p JOIN alias a ON a.patient = p.id AND a.authority = 'PM'"
_COPIES = """
    SELECT d.control_id AS ours, d.destination, d.stream, d.lane, d.message, j.control_id AS theirs
    FROM delivery d JOIN journal j ON j.id = d.message
"""
# A refused message that came again is judged again (#84b): its last judgement counts.
_STATES = "SELECT control_id, state FROM journal WHERE state <> 'duplicate' ORDER BY id"
