"""What became of a message, step by step, in words that somebody at a desk understands. No patient data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from zoneinfo import ZoneInfo

from ophl7.admin.instants import iso
from ophl7.admin.ports import Document, Row
from ophl7.hl7v2.redact import safe_control_id, safe_event

PEERS = {"pm": "the practice management", "emr": "the EMR"}

_STATES = {
    "accepted": "Accepted: taken over and passed on as the rules say",
    "rejected": "Refused: its sender must act",
    "held": "Taken over, but waiting: its effects follow when the condition clears",
    "ignored": "Taken note of, without any effect",
    "duplicate": "The same message as one before: no second effect",
    "stale": "Older than what was applied already: kept, not applied",
    "error": "Could not be read: kept aside for a person",
}

DELIVERIES = {
    "queued": "waits to be sent",
    "sending": "is being sent",
    "accepted": "was accepted",
    "held": "was refused: the patient is not known there; it waits",
    "unknown": "was sent, but no answer came: a person must decide",
    "parked": "was refused and is parked until a person acts",
    "rejected": "was closed by a person",
    "skipped": "was skipped by a person",
}


def timeline(
    message: Row, custody: Sequence[Row], deliveries: Sequence[Row], charges: Iterable[tuple[int, str]], zone: ZoneInfo
) -> list[Document]:
    """The steps in the order of time: `{"at": iso | null, "step": word, "text": sentence}`. charges: (line from 0, state)."""
    arrived = message["received_at"]
    steps: list[tuple[float, str, str]] = [(arrived, "received", _received(message)), (arrived, "decided", _decided(message))]
    steps.append((arrived, "answered", f"Answered {message['ack_code']}" if message["ack_code"] else "No answer was given"))
    for hold in custody:
        kind = str(hold["key"]).partition(":")[0]
        steps.append((hold["since"], "held", f"Waits ({kind}): {hold['reason']}"))
        if hold["closed_at"] is not None:
            by = f" by {hold['closed_by']}" if hold["closed_by"] else ""  # not for which reason: that is a person's own text
            steps.append((hold["closed_at"], "hold_closed", f"No longer waits ({kind}): {hold['closed_how'] or 'closed'}{by}"))
    for line, state in charges:
        steps.append((arrived, "charge", f"Charge {line + 1} of the message: {state}"))
    for delivery in deliveries:
        steps.extend(_sent(delivery))
    return [{"at": iso(at, zone), "step": step, "text": text} for at, step, text in sorted(steps, key=lambda one: one[0])]


def _received(message: Row) -> str:
    event = safe_event(message["event"])
    control_id = safe_control_id(message["control_id"])
    named = f", control id {control_id}" if control_id else ""
    return f"Received {event} from {PEERS[message['peer']]}{named}"


def _decided(message: Row) -> str:
    text = _STATES[message["state"]]
    if message["reason"]:
        text += f" ({message['reason']})"
    if message["decision_row"]:
        text += f", rule {message['decision_row']}"
    if message["repeats"] is not None:
        text += f"; first seen as message {message['repeats']}"
    return text


def _sent(delivery: Row) -> Iterable[tuple[float, str, str]]:
    to = PEERS[delivery["destination"]]
    yield delivery["created_at"], "queued", f"Copy {delivery['id']} made for {to}, control id {delivery['control_id']}"
    if delivery["changed_at"] is None:
        return
    tries = "1 try" if delivery["attempts"] == 1 else f"{delivery['attempts']} tries"
    answer = f", answer {delivery['last_answer']}" if delivery["last_answer"] else ""
    words = DELIVERIES[delivery["state"]]
    yield delivery["changed_at"], delivery["state"], f"Copy {delivery['id']} for {to} {words} after {tries}{answer}"
