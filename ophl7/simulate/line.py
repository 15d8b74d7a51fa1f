"""How a simulated system sends: one message in flight, and the same message again until somebody answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from ophl7.errors import LinkDown, Unreadable
from ophl7.hl7v2.message import Message
from ophl7.mllp.sender import Address, MllpSender

Rest = Callable[[float], Awaitable[None]]
"""Lets that many seconds pass. Whoever plays fast, or tests, hands in another one than asyncio's."""

_FIRST_DELAY: Final = 0.25
_LONGEST_DELAY: Final = 2.0
_ACK_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Reply:
    """The broker's answer. reason: its application code (ERR-5, before 2.5 the first word of MSA-3); text: its words."""

    raw: bytes
    code: str
    control_id: str
    reason: str
    text: str

    @classmethod
    def read(cls, raw: bytes) -> Reply:
        """Raises LinkDown for what is no answer."""
        try:
            message = Message.parse_lenient(raw)
        except Unreadable as error:
            raise LinkDown("garbage", f"the answer cannot be read: {error}") from error
        msa, err = message.first("MSA"), message.first("ERR")
        if msa is None:
            raise LinkDown("garbage", "the answer has no MSA segment")
        text = msa.text("3") or (err.text("8") if err is not None else "")
        reason = err.text("5.1") if err is not None else ""
        first, _, rest = text.partition(" ")
        if not reason and len(first) == 3 and first[0].isupper() and first[1:].isdecimal():
            reason = first
        return cls(raw, msa.text("1"), msa.field(2), reason, rest if first == reason else text)


class Line:
    """One connection to the broker's listener. It connects when there is something to say, and stays."""

    def __init__(self, to: Address, rest: Rest, patience: float, tells: Callable[[str], None]) -> None:
        """patience: seconds of waiting after which a broker that does not answer is given up; 0 for never."""
        self._to = to
        self._sender = MllpSender(to.host, to.port, _ACK_SECONDS)
        self._rest = rest
        self._patience = patience
        self._tells = tells
        self.tried_again = 0

    async def exchange(self, payload: bytes, control_id: str) -> Reply:
        """Sends until there is an answer to just this message, and returns it. Raises LinkDown when the patience is over."""
        delay, waited = _FIRST_DELAY, 0.0
        while True:
            try:
                return await self._ask(payload, control_id)
            except LinkDown as error:
                await self.hang_up()  # a late answer is never taken for the next message's
                if self._patience and waited >= self._patience:
                    raise LinkDown(error.kind, f"{error}; given up after {waited:g} s") from error
                if not waited:
                    self._tells(f"{error}; trying again")
            self.tried_again += 1
            await self._rest(delay)
            waited += delay
            delay = min(delay * 2, _LONGEST_DELAY)

    async def _ask(self, payload: bytes, control_id: str) -> Reply:
        reply = Reply.read(await self._sender.exchange_raw(payload))
        if reply.control_id != control_id:
            raise LinkDown("foreign", f"{self._to} answered to another message")
        return reply

    async def hang_up(self) -> None:
        """Closes; the next message connects again. Idempotent."""
        await self._sender.close()
