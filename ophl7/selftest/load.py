"""Senders that know nothing of each other, and never forget what was not answered. All people are invented."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from ophl7.mllp.framing import frame
from ophl7.testing.peers import Client

Side = Literal["pm", "emr"]

WINDOW: Final = 4  # frames on the way at once: a kill meets queues as well as single messages
ANSWER_SECONDS: Final = 30.0

_ROUTES: Final = {"pm": "PM|DESK|EMR|CLINIC", "emr": "EMR|CLINIC|PM|DESK"}


@dataclass(frozen=True, slots=True)
class Sent:
    """One message. what: `chart`, `visit` or `charge`; lane: patient and stream; number: its place there; value: what it says.

    value: the street of a chart, the start of a visit, the amount of a charge.
    """

    control_id: str
    payload: bytes
    patient: str
    what: Literal["chart", "visit", "charge"]
    number: int
    value: str

    @property
    def lane(self) -> str:
        """Within it, order is promised (decisions.md 8): charges are a stream of their own."""
        return f"{self.patient} {'charges' if self.what == 'charge' else 'record'}"


def _message(event: str, control_id: str, side: Side, second: int, *segments: str) -> bytes:
    """second: of the day, for MSH-7. The last segment names the message, for MSH-10 will be ours where it arrives."""
    stamp = f"20260105{8 + second // 3600 % 12:02}{second // 60 % 60:02}{second % 60:02}"
    msh = f"MSH|^~\\&|{_ROUTES[side]}|{stamp}||{event}|{control_id}|P|2.3.1"
    return "".join(f"{line}\r" for line in (msh, *segments, f"ZST|{control_id}")).encode("ascii")


def _pid(patient: str, street: str) -> str:
    return f"PID|1||{patient}^^^PM^MR||SELFTEST^CHILD{patient}||20180412|F|||{street}^^SPRINGFIELD^NY^12345"


@dataclass(slots=True)
class Sender:
    """One connection: what it has sent, what was acknowledged, what must be sent again. A side's senders share no patient."""

    name: str
    side: Side
    patients: tuple[str, ...]
    unanswered: deque[Sent] = field(default_factory=deque)
    acknowledged: list[Sent] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    resent: int = 0
    _turns: int = 0
    _numbers: dict[str, int] = field(default_factory=dict)

    def next(self) -> Sent:
        """A message that was never sent before: by turns a change of a visit or of a chart; from the EMR a charge."""
        turn = self._turns
        self._turns += 1
        patient = self.patients[turn % len(self.patients)]
        number = self._numbers[patient] = self._numbers.get(patient, -1) + 1
        control_id = f"{self.name}-{turn}"
        if self.side == "emr":
            amount = f"{turn}.00"
            ft1 = f"FT1|1|T-{control_id}|B1|20260105|20260105|CG|99213^OFFICE VISIT^C4|||1|{amount}||||||||J06.9^URI^I10"
            payload = _message("DFT^P03", control_id, "emr", turn, "EVN|P03", _pid(patient, "1 ELM ST"), "PV1|1|O", ft1)
            return Sent(control_id, payload, patient, "charge", number, amount)
        if number % 2:
            street = f"{number} ELM ST"
            payload = _message("ADT^A08", control_id, "pm", turn, "EVN|A08", _pid(patient, street))
            return Sent(control_id, payload, patient, "chart", number, street)
        start = f"20260106{8 + number // 3600 % 10:02}{number // 60 % 60:02}{number % 60:02}"
        sch = f"SCH||S-{patient}|||||WELL^Well visit||15|min|^^15^{start}|||||DESK||||DESK|||||Booked"
        lines = (sch, _pid(patient, "1 ELM ST"), "PV1|1|O", "RGS|1", "AIL|1||ROOM1")
        return Sent(control_id, _message("SIU^S13", control_id, "pm", turn, *lines), patient, "visit", number, start)

    async def work(self, address: tuple[str, int], counted: asyncio.Semaphore) -> None:
        """Sends until the connection is gone: first what was never answered, in its order, then new messages."""
        try:
            async with Client(*address) as line:
                await self._again(line)
                while True:
                    while len(self.unanswered) < WINDOW:
                        sent = self.next()
                        self.unanswered.append(sent)  # before the first byte leaves: the end may come at any time
                        await line.send_raw(frame(sent.payload))
                    self._take(await line.read_answer(ANSWER_SECONDS))
                    counted.release()
        except (EOFError, OSError):
            return  # the broker is gone, or silent; what was not answered is sent again

    async def finish(self, address: tuple[str, int]) -> None:
        """Sends what was never answered, and nothing new. Raises EOFError, OSError, TimeoutError."""
        async with Client(*address) as line:
            await self._again(line)
            while self.unanswered:
                self._take(await line.read_answer(ANSWER_SECONDS))

    async def _again(self, line: Client) -> None:
        for sent in self.unanswered:
            self.resent += 1
            await line.send_raw(frame(sent.payload))

    def _take(self, answer: bytes) -> None:
        """Answers come in the order of the frames. Raises EOFError for one that answers something else: the line is over."""
        code, control_id = _msa(answer)
        if control_id != self.unanswered[0].control_id:
            raise EOFError("an answer to another message")
        sent = self.unanswered.popleft()
        if code == "AA":
            self.acknowledged.append(sent)
        else:
            self.refused.append(f"{sent.control_id} ({sent.what}) was answered {code}")


def _msa(answer: bytes) -> tuple[str, str]:
    """MSA-1 and MSA-2 of an answer as the broker writes it."""
    for line in answer.split(b"\r"):
        if line.startswith(b"MSA|"):
            fields = [*line.decode("utf-8", "replace").split("|"), "", ""]
            return fields[1], fields[2]
    return "", ""


def senders(each: int, patients: int) -> list[Sender]:
    """`each` connections of either side; a PM's sender and an EMR's share patients, as the two systems do."""
    found = []
    for number in range(each):
        people = tuple(str(8000 + number * patients + place) for place in range(patients))
        found += [Sender(f"P{number}", "pm", people), Sender(f"E{number}", "emr", people)]
    return found


async def register(address: tuple[str, int], workers: list[Sender]) -> None:
    """Makes every patient known before the load begins. Raises EOFError when the broker does not accept one; OSError."""
    async with Client(*address) as line:
        for worker in workers:
            for patient in worker.patients if worker.side == "pm" else ():
                control_id = f"REG{patient}"
                payload = _message("ADT^A28", control_id, "pm", 0, "EVN|A28", _pid(patient, "1 ELM ST"))
                if _msa(await line.send(payload, ANSWER_SECONDS)) != ("AA", control_id):
                    raise EOFError(f"the registration of the invented patient {patient} was not accepted")


def named(payload: bytes) -> str:
    """The message that a delivered copy belongs to, by the segment that names it."""
    return payload.rpartition(b"\rZST|")[2].rstrip(b"\r").decode("ascii", "replace")


def control_id_of(payload: bytes) -> str:
    """MSH-10."""
    return payload.partition(b"\r")[0].split(b"|")[9].decode("ascii", "replace")


def relayed(payload: bytes, control_id: str) -> bytes:
    """What must leave: every byte as it came, but MSH-10 (contract: answers on the wire)."""
    header, _, rest = payload.partition(b"\r")
    fields = header.split(b"|")
    fields[9] = control_id.encode("ascii")
    return b"|".join(fields) + b"\r" + rest


def everything(workers: list[Sender]) -> Iterator[Sent]:
    """All that was acknowledged."""
    for worker in workers:
        yield from worker.acknowledged
