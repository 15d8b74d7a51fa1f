"""Every kind of alarm: what it says, what somebody must do, and how it ends. One table for log, console, API and webhook."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

_MINUTE: Final = 60.0


class Kind(NamedTuple):
    """One kind. says, todo: sentences, `{about}` is a peer or the part that failed.

    settle: seconds that the cause must be gone before the alarm ends, so that what comes and goes rings once.
    by_person: nothing shows that it is over, so a person ends it. counted: each raising is an event of its own.
    """

    name: str
    says: str
    todo: str
    settle: float = 0.0
    by_person: bool = False
    counted: bool = False


_ALL: Final = (
    Kind(
        "silent",
        "nothing has come from the {about} for longer than is usual in office hours",
        "look whether the {about} is switched on and sends: its list of outgoing messages, the network, its address for ophl7",
    ),
    Kind(
        "link_down",
        "the {about} cannot be reached, and messages for it wait",
        "look whether the {about} is switched on and listens; ophl7 tries again by itself, nothing is lost",
        2 * _MINUTE,
    ),
    Kind(
        "link_paused",
        "nothing is sent to the {about}: the link is paused, by a person or after three refusals in a row",
        "read why on the status page, mend that, then resume the link: ophl7 queue resume",
    ),
    Kind(
        "link_drained",
        "nothing is taken from the {about}, and its messages wait there: a person has drained the link, over an hour ago",
        "if that is done for which it was drained, resume the link: ophl7 queue resume",
    ),
    Kind(
        "queue_age",
        "messages for the {about} have waited too long, although it can be reached",
        "look what the {about} answers: ophl7 queue list",
        2 * _MINUTE,
    ),
    Kind(
        "queue_depth",
        "more messages wait for the {about} than is usual",
        "look whether the {about} takes them, and how fast: ophl7 queue list",
        2 * _MINUTE,
    ),
    Kind(
        "delivery_stopped",
        "the {about} has refused messages, or it is not known whether they arrived; what follows for those patients waits",
        "settle each: ophl7 queue list --state parked (held, unknown), then retry, renew, skip or close",
        2 * _MINUTE,
        counted=True,
    ),
    Kind(
        "resend_stopped",
        "everything again for the {about} was stopped: it has refused as many copies as the run may have refused",
        "mend why, then go on or end it: ophl7 queue resends, then continue or drop",
    ),
    Kind(
        "late_refusal",
        "the {about} has committed a message (CA) and refused it afterwards; it counts as accepted",
        "look there for what it refused; the log has the control id; then acknowledge this alarm",
        by_person=True,
        counted=True,
    ),
    Kind(
        "record_open",
        "the {about} has put a message off for an hour: somebody there may have left the record open",
        "ask at the desk who has the patient open in the {about}, and have it closed: ophl7 queue list",
        2 * _MINUTE,
    ),
    Kind(
        "held_bookings",
        "bookings or arrivals are held, for more than 15 minutes of office time",
        "release, redirect or discard them: ophl7 holds list",
    ),
    Kind(
        "held_charges",
        "charges are held, for more than an hour of office time",
        "release, map or discard them: ophl7 holds list",
    ),
    Kind(
        "held_long",
        "messages are held, for more than a working day",
        "release, redirect or discard them: ophl7 holds list",
    ),
    Kind(
        "merges",
        "charts are merged in one system only, for more than 24 hours",
        "merge them in the other system, or take the merge apart: ophl7 merges list says who must do what",
    ),
    Kind(
        "certificate",
        "our certificate for the {about} expires soon, or is not valid yet",
        "put a new certificate and its key in place and restart ophl7",
    ),
    Kind(
        "certificate_expired",
        "our certificate for the {about} has expired",
        "put a new certificate and its key in place and restart ophl7",
    ),
    Kind(
        "store",
        "the database cannot be written: nothing is taken, senders keep their messages",
        "look at the disk and at who holds the database; ophl7 goes on by itself as soon as it can write",
        _MINUTE,
    ),
    Kind(
        "disk",
        "the disk is nearly full: nothing is taken, senders keep their messages",
        "make room where the database is",
        _MINUTE,
    ),
    Kind(
        "log_grows",
        "the database's log cannot be moved into the database and grows; what is in it is safe, and messages are taken",
        "look at the disk, and at who reads in the database (a backup, a shell); ophl7 tries again every second",
        _MINUTE,
    ),
    Kind(
        "listener_closed",
        "the port for the {about} is closed, because a handler or rule failed for one patient after another",
        "mend or switch off the part that fails, then restart ophl7",
    ),
    Kind(
        "handler",
        "the handler or rule {about} failed; its messages are held",
        "mend it, then release what it held: ophl7 holds list",
        5 * _MINUTE,
        counted=True,
    ),
    Kind(
        "message_kept",
        "a message of the {about} could not be written as it should; it is held",
        "report it, then release or discard the message: ophl7 holds list",
        5 * _MINUTE,
        counted=True,
    ),
    Kind(
        "unknown_status",
        "an appointment came from the {about} with a status code that its profile does not know; its status stayed",
        "add the code to the profile, then acknowledge this alarm",
        by_person=True,
        counted=True,
    ),
    Kind(
        "sender_clock",
        "the clock of the {about} goes back: three patients in a row came too late",
        "look at its clock; see what is listed as stale",
        counted=True,
    ),
)
KINDS: Final[Mapping[str, Kind]] = MappingProxyType({kind.name: kind for kind in _ALL})


def says(kind: str, about: str) -> str:
    """What it says, as a sentence about this peer or part; the name itself for a kind of another version."""
    return KINDS[kind].says.format(about=_named(about)) if kind in KINDS else kind


def todo(kind: str, about: str) -> str:
    """What somebody must do."""
    return KINDS[kind].todo.format(about=_named(about)) if kind in KINDS else "look into the log"


def _named(about: str) -> str:
    return about.upper() if about in {"pm", "emr"} else about
