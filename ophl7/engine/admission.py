"""What no batch has taken yet, and which of it is next: fair between peers, then between their connections. Pure.

A peer that floods makes its own messages wait, not the other's: of a full batch each peer that has enough waiting gets the same
share, and each connection of a peer the same part of that. What is taken together is committed together, so inside a batch
nobody waits for anybody, and there it stands in the order in which it came.
"""

from __future__ import annotations

import sys
from collections import OrderedDict, deque

from ophl7.engine.ports import Envelope

Line = deque[tuple[int, Envelope]]


class Admission:
    """Envelopes in the order of each connection."""

    def __init__(self) -> None:
        # Peer -> connection -> what waits there, each with its place in the order of arrival. A turn moves to the end; who has
        # nothing waiting is not here, so nothing is left of a connection that has gone.
        self._peers: OrderedDict[str, OrderedDict[int, Line]] = OrderedDict()
        self._waiting = 0
        self._arrived = 0

    def __len__(self) -> int:
        return self._waiting

    def put(self, envelope: Envelope) -> None:
        """At the end of its connection."""
        lines = self._peers.setdefault(envelope.peer, OrderedDict())
        lines.setdefault(id(envelope.session), deque()).append((self._arrived, envelope))
        self._arrived += 1
        self._waiting += 1

    def take(self, most: int, most_bytes: int) -> list[Envelope]:
        """The next batch: one of each peer and connection in turn, up to `most`, or until `most_bytes` are reached.

        Something, if anything waits.
        """
        taken: list[tuple[int, Envelope]] = []
        size = 0
        while self._peers and len(taken) < most and (size < most_bytes or not taken):
            one = self._turn()
            taken.append(one)
            size += len(one[1].payload)
        self._waiting -= len(taken)
        taken.sort(key=lambda one: one[0])
        return [envelope for _, envelope in taken]

    def give_up(self) -> list[Envelope]:
        """All that waits, in the order in which it came; nothing waits afterwards."""
        return self.take(self._waiting, sys.maxsize)

    def _turn(self) -> tuple[int, Envelope]:
        peer, lines = self._peers.popitem(last=False)
        session, line = lines.popitem(last=False)
        one = line.popleft()
        if line:
            lines[session] = line
        if lines:
            self._peers[peer] = lines
        return one
