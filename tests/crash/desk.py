"""A destination that keeps nothing but digests, dedupes on MSH-10 as strict systems do, and now and then is a nuisance."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from ophl7.testing.peers import Incoming, ScriptedPeer, acknowledgment
from tests.acceptance.messages import control_id_of
from tests.crash.load import digest, plain


@dataclass(frozen=True, slots=True)
class Arrived:
    """The first time that an MSH-10 came. mark: of the message it is a copy of; name: the id in PID-3."""

    mark: str
    name: str
    raw: bytes
    plain: bytes


@dataclass(slots=True)
class Book:
    """What arrived, in its order."""

    first: dict[str, Arrived] = field(default_factory=dict)  # MSH-10 -> what came first under it
    repeated: int = 0
    altered: list[str] = field(default_factory=list)  # came again with other bytes

    def take(self, payload: bytes) -> None:
        """Once for each message that comes."""
        ours, raw = control_id_of(payload), digest(payload)
        known = self.first.get(ours)
        if known is None:
            self.first[ours] = Arrived(
                _field(payload, b"ZID", 1), _field(payload, b"PID", 3).split("^")[0], raw, plain(payload)
            )
            return
        self.repeated += 1
        if known.raw != raw:
            what = "the id of its patient" if known.plain == plain(payload) else "its content"
            now = _field(payload, b"PID", 3).split("^")[0]
            self.altered.append(
                f"{ours}, the copy of {known.mark}, came again with other bytes: {what}, {known.name} then {now}"
            )


class Desk(ScriptedPeer):
    """Writes into its book. nuisance: the share of messages after which it closes instead of answering."""

    def __init__(self, chance: random.Random, nuisance: float = 0.0) -> None:
        super().__init__(then=self._treat)
        self.book = Book()
        self._chance = chance
        self._nuisance = nuisance

    async def _treat(self, message: Incoming) -> None:
        self.messages.clear()  # a long run keeps no bytes
        self.book.take(message.payload)
        if self._chance.random() < self._nuisance:
            await message.wire.close()
        else:
            await message.reply(acknowledgment(message.payload))


def _field(payload: bytes, segment: bytes, number: int) -> str:
    """The first segment of that name."""
    start = payload.find(b"\r" + segment + b"|")
    return payload[start + 1 :].split(b"\r", 1)[0].split(b"|")[number].decode() if start >= 0 else ""
