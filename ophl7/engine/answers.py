"""Our answer to a message: from ruling to bytes, in the sender's mode and version form (decisions 10, domain 3.1 to 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from ophl7.domain.verdicts import Verdict
from ophl7.engine.arrival import Arrival
from ophl7.engine.ports import Damage
from ophl7.engine.ruling import Ruling
from ophl7.engine.storage import Seen
from ophl7.errors import Unreadable
from ophl7.hl7v2.ack import AckCode, AckError, AckMode, Location, build, in_mode
from ophl7.hl7v2.batch import MOST_MEMBERS
from ophl7.hl7v2.codes import CODES
from ophl7.hl7v2.header import Answerable, read_header
from ophl7.hl7v2.message import Message

_DAMAGE = {
    "fs_inside": "the frame holds an end mark inside its data",
    "cut_off": "the frame was cut off by the start of another one",
    "too_big": "the message is too big",
    "too_many": f"too many messages in one frame; send at most {MOST_MEMBERS}",
    "no_members": "the batch holds no message",
}


def describe_damage(damage: Damage) -> str:
    """What is wrong with a frame, in one sentence for people."""
    return _DAMAGE.get(damage.reason, "the frame is damaged")


class Given(NamedTuple):
    """MSA-1 and the bytes of an answer; "" and None where none is given (ACK_MODE=none)."""

    code: str
    answer: bytes | None


@dataclass(frozen=True, slots=True)
class Voice:
    """How one peer is answered. What is called AA, AE and AR below is CA, CE and CR for whoever asked for it (domain 3.1)."""

    mode: AckMode
    zone: ZoneInfo

    def ruling(self, message: Message, ruling: Ruling, control_id: str, when: datetime) -> Given:
        """AR where the header decided, AE where the content did, else AA with its warnings."""
        deciding = ruling.deciding
        if deciding is None:
            return self._say(message, "AA", control_id, when, tuple(_warning(verdict) for verdict in ruling.warnings))
        # The deciding refusal first: receivers that show only one ERR show the right one.
        refusals = [deciding, *(verdict for verdict in ruling.refusals if verdict is not deciding)]
        code: AckCode = "AR" if deciding.header else "AE"
        return self._say(message, code, control_id, when, tuple(_refusal(verdict) for verdict in refusals))

    def again(self, message: Message, earlier: Seen, control_id: str, when: datetime) -> Given:
        """The first answer, byte for byte (#84); an AA of its own only where that one was never given or is kept no more."""
        if self.mode == "none":
            return Given("", None)
        if earlier.answer is not None:
            return Given(earlier.ack_code, earlier.answer)
        return self._say(message, "AA", control_id, when)

    def unreadable(self, arrival: Arrival, trouble: Unreadable, control_id: str, when: datetime) -> Given:
        """AR 100/102 with what of the header can be echoed (#90)."""
        error = AckError(trouble.error, "E", Location(trouble.segment, field=trouble.field), "", str(trouble))
        return self._say(read_header(arrival.body), "AR", control_id, when, (error,))

    def damaged(self, head: bytes, damage: Damage, control_id: str, when: datetime) -> Given:
        """AR 100 for a frame that is not one block (#90b), AR 199 for one too big (#91), AE 199 for too many members."""
        number = 199 if damage.reason in {"too_big", "too_many"} else 100
        code: AckCode = "AE" if damage.reason == "too_many" else "AR"
        error = AckError(number, "E", None, "", describe_damage(damage))
        return self._say(read_header(head), code, control_id, when, (error,))

    def _say(
        self, header: Answerable | None, code: AckCode, control_id: str, when: datetime, errors: tuple[AckError, ...] = ()
    ) -> Given:
        said = in_mode(code, self.mode, header)
        return Given("", None) if said is None else Given(said, build(header, said, control_id, when, self.zone, errors=errors))


def _refusal(verdict: Verdict) -> AckError:
    ours = CODES.get(verdict.code)
    number = verdict.error or (ours.hl7 if ours is not None else 207)
    return AckError(number, "E", verdict.location, verdict.code, verdict.text)


def _warning(verdict: Verdict) -> AckError:
    return AckError(verdict.error, "W", verdict.location, verdict.code, verdict.text)
