"""Eight senders that know nothing of each other, and never forget what was not answered."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ophl7.mllp.framing import frame
from ophl7.testing.peers import Client
from tests.acceptance.messages import RUTH, Fee, Person, Side, Visit, adt, dft, siu
from tests.acceptance.replies import read_reply

WINDOW = 4  # frames on the way at once: kills meet queues as well as single messages


@dataclass(frozen=True, slots=True)
class Sent:
    """One message of a sender. lane: `side stream patient`; number: its place there, from 0."""

    control_id: str
    payload: bytes
    lane: str
    number: int


@dataclass(slots=True)
class Sender:
    """One connection: what it has sent, what was answered, what must be sent again. Its patients are nobody else's."""

    name: str
    side: Side
    patients: tuple[Person, ...]
    unanswered: deque[Sent] = field(default_factory=deque)
    answered: list[Sent] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    resent: int = 0
    _turns: int = 0
    _numbers: dict[str, int] = field(default_factory=dict)

    def next(self) -> Sent:
        """A message that was never sent before: in turn a change of an appointment or of a chart, or a charge."""
        turn = self._turns
        self._turns += 1
        who = self.patients[turn % len(self.patients)]
        stream = "charges" if self.side == "emr" else "record"
        lane = f"{stream} {who.id}"
        number = self._numbers[lane] = self._numbers.get(lane, -1) + 1
        control_id = f"{self.name}-{turn}"
        mark = f"ZID|{control_id}"  # MSH-10 will be ours where it arrives: this one stays
        stamp = f"20260105{8 + turn // 3600:02}{turn // 60 % 60:02}{turn % 60:02}"
        if self.side == "emr":
            fee = Fee(f"T-{control_id}", amount=f"{turn}.00")
            return Sent(control_id, dft(control_id, [fee], who, mark, sent=stamp), lane, number)
        if number % 2:
            moved = replace(who, street=f"{number} ELM ST")
            return Sent(control_id, adt(control_id, "A08", moved, mark, sent=stamp), lane, number)
        visit = Visit(f"S-{who.id}", start=f"20260106{8 + number // 3600 % 10:02}{number // 60 % 60:02}{number % 60:02}")
        return Sent(control_id, siu(control_id, "S13", visit, who, mark, sent=stamp), lane, number)

    async def work(self, address: tuple[str, int], counted: asyncio.Semaphore) -> None:
        """Sends until the connection is gone: first what was never answered, in its order, then new messages."""
        try:
            async with Client(*address) as line:
                for sent in self.unanswered:
                    self.resent += 1
                    await line.send_raw(frame(sent.payload))
                while True:
                    while len(self.unanswered) < WINDOW:
                        sent = self.next()
                        self.unanswered.append(sent)  # before the first byte leaves: a kill may come at any time
                        await line.send_raw(frame(sent.payload))
                    self._take(await line.read_answer())
                    counted.release()
        except (EOFError, ConnectionError, OSError):
            return  # the broker is gone; what was not answered is sent again

    async def finish(self, address: tuple[str, int]) -> None:
        """Sends what was never answered, and nothing new."""
        async with Client(*address) as line:
            for sent in self.unanswered:
                self.resent += 1
                await line.send_raw(frame(sent.payload))
            while self.unanswered:
                self._take(await line.read_answer())

    def _take(self, answer: bytes) -> None:
        """Answers come in the order of the frames."""
        reply, sent = read_reply(answer), self.unanswered[0]
        assert reply.control_id == sent.control_id, "an answer to another message"
        self.unanswered.popleft()
        self.answered.append(sent)
        if reply.code != "AA":
            self.refused.append(sent.control_id)


def senders(each: int, patients: int) -> list[Sender]:
    """`each` connections of either side; the two sides' senders share patients, as the two systems do."""
    found = []
    for number in range(each):
        people = tuple(
            replace(RUTH, id=f"{8000 + number * patients + place}", family=f"FAMILY{number}", given=f"CHILD{place}")
            for place in range(patients)
        )
        found += [Sender(f"P{number}", "pm", people), Sender(f"E{number}", "emr", people)]
    return found


def registrations(workers: list[Sender]) -> Iterator[bytes]:
    """Everybody is known before the load begins."""
    for worker in workers:
        if worker.side == "pm":
            for who in worker.patients:
                yield adt(f"REG{who.id}", "A28", who, f"ZID|REG{who.id}", sent="20260105070000")
