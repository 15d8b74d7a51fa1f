"""The practice's set-up, as the rules need it: who owns what, and what each peer is like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from zoneinfo import ZoneInfo

from ophl7.domain.identifiers import KEY_TYPES, Naming
from ophl7.domain.ownership import FieldOwners, owners_in
from ophl7.domain.patient import Side, other_side
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
    """Who owns patients and schedule, and the practice's zone. processing_ids None: any MSH-11 is wanted.

    field_owners, namings: worked out from the rest once, for they are asked for every field of every message.
    """

    patient_authority: Side
    schedule_authority: Side
    zone: ZoneInfo
    peers: Mapping[Side, PeerPolicy]
    foreign_fields: Literal["strip", "reject", "hold"] = "strip"
    processing_ids: frozenset[str] | None = field(default_factory=lambda: frozenset({"P"}))
    learn_until: float = 0.0  # seconds since the epoch; before it, patients are learned from any complete message (decisions 2)

    field_owners: FieldOwners = field(init=False)
    namings: Mapping[Side, Naming] = field(init=False)  # how each side names a patient in what it sends

    def __post_init__(self) -> None:
        peers = self.peers
        owners = owners_in(self.patient_authority, *(peer.profile.fields.owners for peer in peers.values()))
        object.__setattr__(self, "field_owners", owners)
        namings = {side: _naming(peer, peers[other_side(side)].authority) for side, peer in peers.items()}
        object.__setattr__(self, "namings", namings)

    def authority_of(self, side: Side) -> str:
        """The assigning authority of ids that this side sends bare."""
        return self.peers[side].authority

    @property
    def owners(self) -> Mapping[str, Side]:
        """Authority -> the side that assigns its ids."""
        return {peer.authority: side for side, peer in self.peers.items()}

    def key_types(self, authority: str) -> frozenset[str]:
        """The types of key ids among those of this authority: as the side writes them that assigns them."""
        side = self.owners.get(authority)
        return KEY_TYPES if side is None else self.namings[side].types


def _naming(peer: PeerPolicy, others: str) -> Naming:
    ids = peer.profile.ids
    number = {path: int(path.removeprefix("PID-")) for path in (*ids.keys, *ids.ours, ids.expects)}
    return Naming(
        authority=peer.authority,
        keys=tuple(number[path] for path in ids.keys),
        types=ids.types,
        ours=tuple(number[path] for path in ids.ours),
        others=others,
        expects=number[ids.expects],
    )
