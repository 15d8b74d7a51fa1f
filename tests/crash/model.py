"""What must be true after any number of kills, and what is counted when it is not."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.acceptance.messages import Side, control_id_of, relayed, segments
from tests.acceptance.practice import Ledger
from tests.crash.load import Sender, Sent


@dataclass(slots=True)
class Findings:
    """One line for each broken promise; empty lists are what is wanted."""

    messages: int = 0
    deliveries: int = 0
    repeated: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.out_of_order or self.altered or self.invented)

    def first(self, count: int = 5) -> str:
        """The first broken promises of each kind, one a line."""
        kinds = (self.lost, self.doubled, self.out_of_order, self.altered, self.invented)
        return "\n".join(line for kind in kinds for line in kind[:count])


def examine(ledger: Ledger, workers: Sequence[Sender], received: dict[Side, list[bytes]]) -> Findings:
    """Holds the database and what the destinations got against what the senders know."""
    found = Findings()
    sent = {one.control_id: one for worker in workers for one in worker.answered}
    found.messages = len(sent)
    _journal(ledger, sent, found)
    _effects(ledger, workers, found)
    _deliveries(ledger, sent, received, found)
    return found


def _journal(ledger: Ledger, sent: dict[str, Sent], found: Findings) -> None:
    """Each acknowledged message is there once, accepted, with its very bytes; each answer to a copy was the first one's."""
    rows = ledger.rows("SELECT control_id, state, raw, answer, repeats, id FROM journal ORDER BY id")
    first = {row["control_id"]: row for row in rows if row["state"] != "duplicate"}
    counts = Counter(row["control_id"] for row in rows if row["state"] != "duplicate")
    for control_id, one in sent.items():
        row = first.get(control_id)
        if row is None or row["state"] != "accepted":
            found.lost.append(f"{control_id} is not in the journal")
        elif row["raw"] != one.payload:
            found.altered.append(f"{control_id} is stored with other bytes")
        if counts[control_id] > 1:
            found.doubled.append(f"{control_id} was judged {counts[control_id]} times")
    for row in rows:
        if row["state"] == "duplicate":
            original = first[row["control_id"]]
            if (row["repeats"], row["answer"]) != (original["id"], original["answer"]):
                found.doubled.append(f"a copy of {row['control_id']} got an answer of its own")


def _effects(ledger: Ledger, workers: Sequence[Sender], found: Findings) -> None:
    """One charge for each DFT; each appointment and each chart as its last message said."""
    charges = Counter(row["transaction_id"] for row in ledger.rows("SELECT transaction_id FROM charge WHERE state = 'sent'"))
    last: dict[tuple[str, bytes], Sent] = {}
    for worker in workers:
        for one in worker.answered:
            if worker.side == "emr":
                times = charges.pop(f"T-{one.control_id}", 0)
                if times != 1:
                    (found.doubled if times else found.lost).append(f"the charge of {one.control_id} stands {times} times")
            else:
                last[one.lane, one.payload.split(b"|")[8]] = one
    found.invented += [f"the charge {number} belongs to no message" for number in charges]
    for (lane, event), one in last.items():
        patient = lane.split()[1]
        if event.startswith(b"SIU"):
            row = ledger.appointment(f"S-{patient}")
            said = segments(one.payload, b"SCH")[0].split(b"|")[11].split(b"^")[3].decode()
            kept = row["start"] if row else None
        else:
            said = segments(one.payload, b"PID")[0].split(b"|")[11].decode()
            kept = ledger.field(patient, "PID-11")
        if kept != said:
            found.lost.append(f"the effect of {one.control_id}: {said} became {kept}")


def _deliveries(ledger: Ledger, sent: dict[str, Sent], received: dict[Side, list[bytes]], found: Findings) -> None:
    """Each copy arrived, under one MSH-10 and with equal bytes each time, in the order of its lane, and was stored before."""
    rows = ledger.rows(
        "SELECT d.control_id AS ours, d.destination, d.state, j.control_id AS theirs, j.raw"
        " FROM delivery d JOIN journal j ON j.id = d.message"
    )
    stored = {row["ours"]: row for row in rows}
    found.deliveries = len(stored)
    arrived: dict[str, int] = Counter()
    orders: dict[str, list[int]] = defaultdict(list)
    for side, payloads in received.items():
        seen: set[str] = set()
        for payload in payloads:
            ours = control_id_of(payload)
            row = stored.get(ours)
            if row is None or row["destination"] != side:
                found.invented.append(f"{ours} was delivered to the {side} and is not stored")
                continue
            if payload != relayed(row["raw"], ours):
                found.altered.append(f"{ours} left with other bytes")
            if ours in seen:
                found.repeated += 1
                continue
            seen.add(ours)
            arrived[row["theirs"]] += 1
            if row["theirs"] in sent:
                one = sent[row["theirs"]]
                orders[one.lane].append(one.number)
    for control_id in sent:
        if arrived[control_id] != 1:
            (found.doubled if arrived[control_id] else found.lost).append(
                f"{control_id} was delivered under {arrived[control_id]} control ids"
            )
    for lane, numbers in orders.items():
        if numbers != sorted(numbers):
            found.out_of_order.append(f"lane {lane}: {numbers}")
    found.lost += [f"{row['ours']} is {row['state']}" for row in rows if row["state"] != "accepted"]
