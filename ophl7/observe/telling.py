"""What happens on the road, as log lines and numbers: one line a message, nothing of a patient in it."""

from __future__ import annotations

from collections.abc import Callable

from ophl7.domain.patient import Side
from ophl7.engine.deciding import Decision
from ophl7.engine.storage import DeliveryState
from ophl7.hl7v2.redact import safe_control_id
from ophl7.observe.alarms import Alarms
from ophl7.observe.logs import Log
from ophl7.observe.metrics import Counters

_FAILED_STATES = frozenset({"parked", "held", "unknown"})


class EngineTeller:
    """Implements engine.audience.Observer."""

    def __init__(
        self, log: Log, counters: Counters, alarms: Alarms, also: Callable[[Decision], None] = lambda _decision: None
    ) -> None:
        """also: told of each decision after it was written down."""
        self._log = log
        self._counters = counters
        self._alarms = alarms
        self._also = also

    def decided(self, decision: Decision) -> None:
        """One line a message, and its numbers."""
        kind, _, trigger = decision.event.partition("^")
        counters = self._counters
        counters.messages_received.add(decision.peer, kind, trigger)
        if decision.ack_code:
            counters.acks_sent.add(decision.peer, decision.ack_code)
        if decision.state == "duplicate":
            counters.duplicates.add("86" if decision.row == "#86" else "84")
        elif decision.state == "error":
            counters.frame_errors.add(decision.peer, decision.row)
        elif decision.state != "accepted":
            counters.authority_decisions.add(decision.row, decision.state)
        self._log.info(
            "message_committed",
            peer=decision.peer,
            conn_id=decision.connection,
            message_id=decision.message,
            control_id=safe_control_id(decision.control_id),
            message_type=kind,
            trigger=trigger,
            bytes=decision.size,
            outcome=decision.state,
            ack_code=decision.ack_code,
            rule=decision.row,
            error_code=decision.code,
        )
        if decision.clock:
            self._turned(decision)
        if decision.failed:
            name = decision.failed.partition(":")[2]
            counters.handler_errors.add(name, "failed")
            self._alarms.ring("handler", name, message_id=decision.message)
        if decision.unknown_status:
            self._alarms.ring("unknown_status", decision.peer, message_id=decision.message)
        self._also(decision)

    def _turned(self, decision: Decision) -> None:
        """A sender's clock goes back, or has passed what it said before (decisions 7)."""
        if decision.clock == "back":
            self._alarms.ring("sender_clock", decision.peer, message_id=decision.message)
        else:
            self._alarms.clear("sender_clock", decision.peer)

    def committed(self, frames: int, seconds: float) -> None:
        """A batch is on disk."""
        self._counters.commits.add("ok")
        self._counters.commit_duration.observe(seconds)
        self._log.debug("batch_committed", batch=frames, duration_ms=round(seconds * 1000, 3))

    def store_away(self, reason: str) -> None:
        """Nothing is accepted until the database can be written again."""
        self._counters.commits.add("store_away")
        self._alarms.ring("store", reason=reason)

    def store_back(self) -> None:
        """It can."""
        self._alarms.clear("store")

    def failed_alone(self, peer: str, reason: str) -> None:
        """A message in custody because it could not be written."""
        self._counters.commits.add("refused")
        self._log.error("message_kept", peer=peer, reason=reason)
        self._alarms.ring("message_kept", peer)


class LinkTeller:
    """Implements engine.outbox.OutboxObserver."""

    def __init__(self, log: Log, counters: Counters, alarms: Alarms) -> None:
        self._log = log
        self._counters = counters
        self._alarms = alarms

    def delivered(self, destination: Side, delivery: int, state: DeliveryState, answer: str, seconds: float) -> None:
        """One exchange ended."""
        self._counters.deliveries.add(destination, "retry" if state == "queued" else state)
        self._counters.delivery_duration.observe(seconds, destination)
        tell = self._log.info if state == "accepted" else self._log.warning
        tell(
            "delivery_" + ("retry" if state == "queued" else state),
            destination=destination,
            delivery_id=delivery,
            reason=answer,
            duration_ms=round(seconds * 1000, 3),
        )
        if state in _FAILED_STATES:
            self._alarms.ring("delivery_stopped", destination, delivery_id=delivery)

    def late_answer(self, destination: Side, control_id: str, code: str) -> None:
        """A peer that had committed a message says what it made of it. It changes nothing; a refusal is a person's."""
        self._counters.deliveries.add(destination, "late")
        known = safe_control_id(control_id)  # ours: the sender knows it
        self._log.info("delivery_late_answer", destination=destination, control_id=known, ack_code=code)
        if code != "AA":
            self._alarms.ring("late_refusal", destination, control_id=known)

    def link_down(self, destination: Side, kind: str, words: str) -> None:
        """The peer cannot be reached."""
        self._log.warning("link_down", destination=destination, kind=kind, reason=words)

    def link_up(self, destination: Side) -> None:
        """It answers again."""
        self._log.info("link_up", destination=destination)

    def link_paused(self, destination: Side, reason: str) -> None:  # noqa: ARG002 - see below
        """Nothing is sent until somebody resumes it: by a person, or because nothing of ours fits there.

        Why is not logged, for it may be a person's own text. Whether it rings is for `feeds` to say.
        """
        self._log.warning("link_paused", destination=destination)

    def link_resumed(self, destination: Side) -> None:
        """It is sent to again."""
        self._log.info("link_resumed", destination=destination)
        self._alarms.clear("link_paused", destination)


class ListenerTeller:
    """Implements mllp.session.ListenerObserver."""

    def __init__(self, log: Log, counters: Counters) -> None:
        self._log = log
        self._counters = counters

    def opened(self, peer: str, number: int, remote: str) -> None:
        """A connection was accepted."""
        self._log.info("connection_opened", peer=peer, conn_id=number, remote=remote)

    def closed(self, peer: str, number: int, reason: str) -> None:
        """It is gone."""
        self._log.info("connection_closed", peer=peer, conn_id=number, reason=reason)

    def refused(self, peer: str, reason: str, remote: str) -> None:
        """A connection was not accepted."""
        self._counters.connections_refused.add(peer, reason)
        self._log.warning("connection_refused", peer=peer, reason=reason, remote=remote)

    def tls_failed(self, peer: str, remote: str, kind: str, words: str) -> None:
        """A client got no TLS. That it hung up is worth no warning: whoever looks at a port does that."""
        self._counters.connections_refused.add(peer, "tls")
        tell = self._log.info if kind == "hung_up" else self._log.warning
        tell("tls_failed", peer=peer, remote=remote, kind=kind, reason=f"the client {words}")

    def junk(self, peer: str, number: int, count: int) -> None:
        """Bytes outside of frames were skipped."""
        self._counters.frame_errors.add(peer, "junk")
        self._log.info("junk_skipped", peer=peer, conn_id=number, count=count)

    def stalled(self, peer: str, number: int, what: str) -> None:
        """A time limit ran out."""
        self._counters.frame_errors.add(peer, "stalled")
        self._log.warning("connection_stalled", peer=peer, conn_id=number, kind=what)
