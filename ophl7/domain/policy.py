"""The practice's set-up, as the rules need it: who owns what, and what each peer is like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from zoneinfo import ZoneInfo

from ophl7.domain.patient import Side
from ophl7.domain.profile import GENERIC, Profile
from ophl7.hl7v2.ack import AckMode


@dataclass(frozen=True, slots=True)
class PeerPolicy:
    """What one peer is like.

    weak_control_ids: its MSH-10 repeat (#86). ignore_events: answered AA, no effect (#80). ack_mode: in which family of codes
    it is answered, if at all (domain 3.1). names: its MSH-3, with MSH-4 or with None for any; empty = any names (#83).
    profile: what its product is like.
    """

    authority: str
    encoding: str | None = None
    weak_control_ids: bool = False
    ignore_events: frozenset[str] = frozenset()
    ack_mode: AckMode = "auto"
    names: frozenset[tuple[str, str | None]] = frozenset()
    profile: Profile = GENERIC


@dataclass(frozen=True, slots=True)
class Policy:
    """Who owns patients and schedule, and the practice's zone. processing_ids None: any MSH-11 is wanted."""

    patient_authority: Side
    schedule_authority: Side
    zone: ZoneInfo
    peers: Mapping[Side, PeerPolicy]
    foreign_fields: Literal["strip", "reject", "hold"] = "strip"
    processing_ids: frozenset[str] | None = field(default_factory=lambda: frozenset({"P"}))
    learn_until: float = 0.0  # seconds since the epoch; before it, patients are learned from any complete message (decisions 2)

    def authority_of(self, side: Side) -> str:
        """The assigning authority of ids that this side sends bare."""
        return self.peers[side].authority

    @property
    def owners(self) -> Mapping[str, Side]:
        """Authority -> the side that assigns its ids."""
        return {peer.authority: side for side, peer in self.peers.items()}
