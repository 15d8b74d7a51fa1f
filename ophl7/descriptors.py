"""File descriptors: as many as the settings ask for, and what is done where the system does not give them.

A process that has none left cannot even accept a connection to close it: its peers would hang in the queue of the system. So
the numbers of connections are fitted to what there is, and one too many is closed and told like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ophl7.domain.patient import Side
from ophl7.links import SIDES
from ophl7.observe.logs import Log
from ophl7.settings import Settings

# The database with its companions, the loop, the log, the console's connections, and some that libraries open for a moment.
RESERVED: Final = 320


def granted(wanted: int) -> int:
    """How many the process may open, after asking the system for `wanted`. No limit is known: `wanted`."""
    try:
        import resource  # noqa: PLC0415 - there is none on Windows
    except ImportError:
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    except (OSError, ValueError):  # the system has a mind of its own
        return soft
    return target


def fitted(wanted: Mapping[Side, int], outbound: int, granted: int) -> dict[Side, int]:
    """Connections that each listener may have: what is `wanted`, or a part of it where descriptors are few; 1 at least.

    outbound: connections of ours to the peers, which come first.
    """
    room = granted - RESERVED - outbound
    total = sum(wanted.values())
    if total <= room:
        return dict(wanted)
    return {side: max(1, room * count // total) for side, count in wanted.items()}


def fit_connections(settings: Settings, log: Log) -> dict[Side, int]:
    """Inbound connections that each peer may have: its setting, or fewer where the system gives too few descriptors (told)."""
    peers = {side: settings.peer(side) for side in SIDES}
    wanted, ours = (
        {side: peer.max_connections for side, peer in peers.items()},
        sum(peer.connections for peer in peers.values()),
    )
    limit = granted(sum(wanted.values()) + ours + RESERVED)
    fit = fitted(wanted, ours, limit)
    for side in SIDES:
        if fit[side] < wanted[side]:
            log.warning("few_descriptors", peer=side, connections=fit[side], limit=wanted[side], count=limit)
    return fit
