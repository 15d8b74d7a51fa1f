"""Both links at a glance: what sends to us, what we deliver to, and how that goes. For the API, the console and the metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ophl7.domain.patient import Side
from ophl7.engine.link import LinkStatus
from ophl7.engine.outbox import Outbox
from ophl7.mllp.listener import Listener
from ophl7.observe.metrics import Metrics
from ophl7.settings import Settings

SIDES: tuple[Side, Side] = ("pm", "emr")


def describe_links(
    settings: Settings, listeners: Mapping[Side, Listener], outboxes: Mapping[Side, Outbox], drained: Mapping[Side, str]
) -> list[dict[str, Any]]:
    """One object a peer, with the fields of contract 6 (`GET /links`). drained: peers from which nothing is taken, with why."""
    found: list[dict[str, Any]] = []
    for side in SIDES:
        listener, status, url = listeners.get(side), outboxes[side].status, settings.peer(side).url
        found.append(
            {
                "peer": side,
                "listener": {
                    "address": ":".join(map(str, listener.address)) if listener is not None else None,
                    "connections": listener.connections if listener is not None else 0,
                    "tls": settings.peer(side).tls_cert is not None,
                    "state": _door(listener, status, drained=side in drained),
                    "drained_because": drained.get(side),
                },
                "profile": {
                    "name": settings.peer(side).profile.name,
                    "product": settings.peer(side).profile.about.product or None,
                    "source": settings.peer(side).profile.about.source or None,
                    "verified": settings.peer(side).profile.about.verified,
                },
                "destination": {
                    "url": str(url) if url is not None else None,
                    "state": status.state,
                    "queued": status.queued,
                    "oldest_seconds": status.oldest_seconds,
                    "parked": status.parked,
                    "last_error": status.last_error,
                    "paused_because": status.paused_because,
                },
            }
        )
    return found


def _door(listener: Listener | None, status: LinkStatus, *, drained: bool) -> str:
    """drained: nothing more comes, every answer was given, and what waited for that peer has left but for what is stopped."""
    if not drained:
        return "open" if listener is not None and listener.accepting else "closed"
    busy = listener is not None and (listener.accepting or listener.connections)
    return "draining" if busy or status.queued else "drained"


def add_link_gauges(metrics: Metrics, listeners: Mapping[Side, Listener], outboxes: Mapping[Side, Outbox]) -> None:
    """Connections in, queues out. The mappings may still be filled afterwards. Raises ValueError for a second time."""

    def statuses() -> dict[Side, LinkStatus]:
        return {side: outbox.status for side, outbox in outboxes.items()}

    metrics.gauge(
        "ophl7_connections",
        "Open connections of a peer.",
        ("listener",),
        lambda: {(side,): float(listener.connections) for side, listener in listeners.items()},
    )
    metrics.gauge(
        "ophl7_queue_depth",
        "Deliveries that wait.",
        ("queue",),
        lambda: {(side,): float(status.queued) for side, status in statuses().items()},
    )
    metrics.gauge(
        "ophl7_queue_oldest_age_seconds",
        "Age of the oldest delivery that waits.",
        ("queue",),
        lambda: {(side,): status.oldest_seconds or 0.0 for side, status in statuses().items()},
    )
    metrics.gauge(
        "ophl7_dead_letters",
        "Deliveries that wait for a person.",
        ("queue",),
        lambda: {(side,): float(status.parked) for side, status in statuses().items()},
    )
