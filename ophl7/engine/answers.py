"""Our answer to a message: from ruling to bytes, in the sender's version form (decisions 10, domain 3.1 to 3.3)."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from ophl7.domain.verdicts import Verdict
from ophl7.engine.arrival import Arrival
from ophl7.engine.ports import Damage
from ophl7.engine.ruling import Ruling
from ophl7.errors import Unreadable
from ophl7.hl7v2.ack import AckCode, AckError, Location, build
from ophl7.hl7v2.codes import CODES
from ophl7.hl7v2.header import read_header
from ophl7.hl7v2.message import Message

_DAMAGE = {
    "fs_inside": "the frame holds an end mark inside its data",
    "cut_off": "the frame was cut off by the start of another one",
    "too_big": "the message is too big",
    "too_many": "too many messages in one frame; send at most 1000",
}


def answer_ruling(message: Message, ruling: Ruling, control_id: str, when: datetime, zone: ZoneInfo) -> tuple[AckCode, bytes]:
    """The code and the answer: AR where the header decided, AE where the content did, else AA with its warnings."""
    deciding = ruling.deciding
    if deciding is None:
        errors = tuple(_warning(verdict) for verdict in ruling.warnings)
        return "AA", build(message, "AA", control_id, when, zone, errors=errors)
    code: AckCode = "AR" if deciding.header else "AE"
    # The deciding refusal first: receivers that show only one ERR show the right one.
    refusals = [deciding, *(verdict for verdict in ruling.refusals if verdict is not deciding)]
    return code, build(message, code, control_id, when, zone, errors=tuple(_refusal(verdict) for verdict in refusals))


def answer_unreadable(
    arrival: Arrival, trouble: Unreadable, control_id: str, when: datetime, zone: ZoneInfo
) -> tuple[AckCode, bytes]:
    """AR 100/102 with what of the header can be echoed (#90)."""
    error = AckError(trouble.error, "E", Location(trouble.segment, field=trouble.field), "", str(trouble))
    return "AR", build(read_header(arrival.body), "AR", control_id, when, zone, errors=(error,))


def answer_damaged(head: bytes, damage: Damage, control_id: str, when: datetime, zone: ZoneInfo) -> tuple[AckCode, bytes]:
    """AR 100 for a frame that is not one block (#90b), AR 199 for one too big (#91), AE 199 for too many members."""
    number = 199 if damage.reason in {"too_big", "too_many"} else 100
    code: AckCode = "AE" if damage.reason == "too_many" else "AR"
    error = AckError(number, "E", None, "", _DAMAGE.get(damage.reason, "the frame is damaged"))
    return code, build(read_header(head), code, control_id, when, zone, errors=(error,))


def _refusal(verdict: Verdict) -> AckError:
    ours = CODES.get(verdict.code)
    number = verdict.error or (ours.hl7 if ours is not None else 207)
    return AckError(number, "E", verdict.location, verdict.code, verdict.text)


def _warning(verdict: Verdict) -> AckError:
    return AckError(verdict.error, "W", verdict.location, verdict.code, verdict.text)
