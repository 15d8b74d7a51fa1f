"""What became of a message, step by step, in words that somebody at a desk understands. No patient data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from zoneinfo import ZoneInfo

from ophl7.admin.instants import iso
from ophl7.admin.ports import Document, Row
from ophl7.admin.provenance import provenance
from ophl7.admin.wording import CHANGES, DELIVERIES, PEERS, STATES, answered, field_name, waits_for
from ophl7.domain.decisions import DECISIONS
from ophl7.hl7v2.redact import safe_control_id, safe_event

# How a hold ended; `renewed` and `unreadable` go on as another hold of the same message.
_GOES_ON = frozenset({"renewed", "unreadable"})


@dataclass(frozen=True, slots=True)
class Story:
    """What the database knows of one message: rows of admin.ports.Reads, oldest first.

    again: the same message when it came again, and its replays. charges: (line from 0, state).
    """

    message: Row
    custody: Sequence[Row] = ()
    deliveries: Sequence[Row] = ()
    charges: Sequence[tuple[int, str]] = ()
    again: Sequence[Row] = ()


class _Step(NamedTuple):
    at: float
    step: str
    text: str


def timeline(story: Story, zone: ZoneInfo) -> list[Document]:
    """The steps in the order of time: `{"at": iso | null, "step": word, "text": sentence}`."""
    steps = [*_arrival(story), *_custody(story.custody), *_outcome(story)]
    for delivery in story.deliveries:
        steps += _sent(delivery)
    steps += [_came_again(row) for row in story.again]
    if (removed := story.message["body_removed_at"]) is not None:
        steps.append(_Step(removed, "body_removed", "The body was removed by retention; what was decided about it stays"))
    ordered = sorted(steps, key=lambda one: one.at)  # what has the same time stays in this order
    return [{"at": iso(one.at, zone), "step": one.step, "text": one.text} for one in ordered]


def _arrival(story: Story) -> Iterable[_Step]:
    message = story.message
    arrived: float = message["received_at"]
    yield _Step(arrived, "received", _received(message))
    if story.custody:
        yield _Step(arrived, "decided", STATES["held"])
    else:
        yield from _decided(story, arrived)
    if message["ack_code"]:
        yield _Step(arrived, "answered", f"Answered {message['ack_code']}")
    else:
        yield _Step(arrived, "answered", "No answer was given")


def _received(message: Row) -> str:
    event = safe_event(message["event"])
    control_id = safe_control_id(message["control_id"])
    named = f", control id {control_id}" if control_id else ""
    who = PEERS[message["peer"]]
    if message["replay_of"] is not None:
        return f"A person had message {message['replay_of']} of {who} judged again: {event}{named}"
    if not message["control_id"] and not message["ack_code"] and message["state"] == "accepted":
        return f"Taken from a list of {who}: {event}"
    return f"Received {event if message['event'] else 'something'} from {who}{named}"


def _outcome(story: Story) -> Iterable[_Step]:
    """What was decided in the end about a message that had to wait."""
    if story.custody and story.message["state"] != "held":
        at = max(row["closed_at"] or row["since"] for row in story.custody)
        if any(row["closed_how"] == "discarded" for row in story.custody):
            yield _Step(at, "decided", f"{STATES['ignored']}: a person has discarded it")
            yield from _charges(story, at)
        else:
            yield from _decided(story, at)


def _charges(story: Story, at: float) -> Iterable[_Step]:
    for line, state in story.charges:
        yield _Step(at, "charge", f"Charge {line + 1} of the message: {state}")


def _decided(story: Story, at: float) -> Iterable[_Step]:
    message = story.message
    yield _Step(at, "decided", _decision(message))
    told = provenance(message["detail"])
    if message["state"] == "accepted":
        taken = [field_name(one["path"]) for one in told["verdicts"] if one["path"] and one["outcome"] == "apply"]
        left = [field_name(one["path"]) for one in told["verdicts"] if one["path"] and one["outcome"] == "strip"]
        if taken:
            yield _Step(at, "taken", f"Taken: {', '.join(dict.fromkeys(taken))}")
        if left:
            owner = "what the other system keeps stays as it is there"
            yield _Step(at, "not_taken", f"Not taken: {', '.join(dict.fromkeys(left))}; {owner}")
        done = [CHANGES[one["change"]] for one in told["verdicts"] if one["outcome"] == "apply" and one["change"] in CHANGES]
        for words in dict.fromkeys(done):
            yield _Step(at, "effect", words)
    if any(one["change"] == "message.deliver" and one["outcome"] == "strip" for one in told["verdicts"]):
        yield _Step(at, "spared", "Not sent again: a copy of this message was made before")
    for warning in told["warnings"]:
        if warning["row"] != message["decision_row"] and warning["text"]:
            yield _Step(at, "warning", f"With a warning: {warning['text']} (rule {warning['row']})")
    yield from _charges(story, at)


def _decision(message: Row) -> str:
    """State, what its row says to people, the reason of this one message, and the number by which the row is looked up."""
    number, reason = message["decision_row"], message["reason"]
    row = DECISIONS.get(number)
    text = STATES[message["state"]]
    if row is not None:
        text += f". {row.plain.rstrip('.')}"
    if reason:
        text += f" ({reason})"
    if number:
        text += f", rule {number}"
    if message["repeats"] is not None:
        text += f"; first seen as message {message['repeats']}"
    return text


def _custody(custody: Sequence[Row]) -> Iterable[_Step]:
    """Each thing that was waited for once, however many ids or rows it took."""
    first: dict[tuple[str, str], Row] = {}
    for hold in custody:
        kind = str(hold["key"]).partition(":")[0]
        if (kind, hold["reason"]) not in first:
            first[kind, hold["reason"]] = hold
            yield _Step(hold["since"], "held", f"Waits for {waits_for(kind)}: {hold['reason']}")
    ends: dict[str, Row] = {}
    for hold in custody:
        if hold["closed_at"] is not None and hold["closed_how"] not in _GOES_ON:
            ends[str(hold["key"]).partition(":")[0]] = hold
    for kind, hold in ends.items():
        yield _Step(hold["closed_at"], "hold_closed", f"No longer waits for {waits_for(kind)}: {_ended(hold)}")


def _ended(hold: Row) -> str:
    """By which message or by whom; not for which reason: that is a person's own text."""
    how, by, cause = hold["closed_how"], hold["closed_by"], hold["closed_by_message"]
    if how == "discarded":
        return f"the message was discarded by {by or 'a person'}"
    if how == "accepted":
        return f"{by or 'a person'} has set that aside"
    if by:
        return f"released by {by}"
    return f"message {cause} has brought it" if cause is not None else "the condition has cleared"


def _sent(delivery: Row) -> Iterable[_Step]:
    to = PEERS[delivery["destination"]]
    yield _Step(delivery["created_at"], "queued", f"Copy {delivery['id']} made for {to}, control id {delivery['control_id']}")
    if delivery["changed_at"] is None:
        return
    tries = "1 try" if delivery["attempts"] == 1 else f"{delivery['attempts']} tries"
    answer = f", answer {answered(delivery['last_answer'])}" if delivery["last_answer"] else ""
    words, colon, then = DELIVERIES[delivery["state"]].partition(": ")
    text = f"Copy {delivery['id']} for {to} {words} after {tries}{answer}{colon}{then}"
    yield _Step(delivery["changed_at"], delivery["state"], text)


def _came_again(row: Row) -> _Step:
    number, state = row["id"], row["state"]
    if row["replay_of"] is not None:
        text = f"A person had it judged again, as message {number}: {state}"
        return _Step(row["received_at"], "replayed", text)
    if state == "duplicate":
        text = f"It came again as message {number}: the same answer, and no second effect"
        return _Step(row["received_at"], "duplicate", text)
    return _Step(row["received_at"], "sent_again", f"It came again as message {number} and was judged again: {state}")
