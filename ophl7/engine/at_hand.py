"""Bytes of fresh deliveries that are kept at hand, so that the first try needs no reading; never more than a bound."""

from __future__ import annotations

from collections import OrderedDict

_MOST_BYTES = 16 * 1024 * 1024


class AtHand:
    """Delivery -> its bytes before our control id; the oldest are dropped first."""

    def __init__(self) -> None:
        self._bodies: OrderedDict[int, bytes] = OrderedDict()
        self.size = 0  # bytes

    def __len__(self) -> int:
        return len(self._bodies)

    def keep(self, delivery: int, body: bytes) -> None:
        """Keeps them until they are forgotten, or others need the room."""
        self._bodies[delivery] = body
        self.size += len(body)
        while self.size > _MOST_BYTES:
            _, dropped = self._bodies.popitem(last=False)
            self.size -= len(dropped)

    def get(self, delivery: int) -> bytes | None:
        """None where they must be read."""
        return self._bodies.get(delivery)

    def forget(self, delivery: int) -> None:
        """They are needed no more, or hold no more."""
        body = self._bodies.pop(delivery, None)
        if body is not None:
            self.size -= len(body)

    def clear(self) -> None:
        """Forgets all."""
        self._bodies.clear()
        self.size = 0
