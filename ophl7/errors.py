"""Every error of ophl7, one family per *who must act*.

The docstring of a class is its default message. Codes are stable: documentation, logs and tests use them.
No message carries patient data: errors end up in logs.
"""

from __future__ import annotations

from typing import ClassVar


class Ophl7Error(Exception):
    """Something in ophl7 went wrong."""

    code: ClassVar[str] = "OPHL7-E000"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message if message is not None else (type(self).__doc__ or "").strip())


class PeerFault(Ophl7Error):
    """The other system sent or answered something that cannot be used."""

    code = "OPHL7-E100"


class Unreadable(PeerFault):
    """The frame holds no readable HL7 v2 message (decisions #90)."""

    code = "OPHL7-E101"

    def __init__(self, message: str, *, error: int = 100, segment: str = "MSH", field: int = 0) -> None:
        """`error` is a code of HL7 table 0357; `segment` and `field` say where it was found."""
        super().__init__(message)
        self.error = error
        self.segment = segment
        self.field = field


class Unwritable(PeerFault):
    """A value cannot be written in the delimiters or the charset of this message."""

    code = "OPHL7-E102"


class LinkDown(PeerFault):
    """The peer could not be reached, or did not give a usable answer."""

    code = "OPHL7-E110"

    def __init__(self, kind: str, message: str) -> None:
        """`kind`: refused, unreachable, tls, closed, timeout, garbage, foreign (another MSA-2)."""
        super().__init__(message)
        self.kind = kind


class AuthorError(Ophl7Error):
    """A handler or a rule is written wrongly."""

    code = "OPHL7-E200"


class RegistrationError(AuthorError):
    """A handler or rule cannot be registered as it is written."""

    code = "OPHL7-E201"


class HandlerFailed(AuthorError):
    """A handler or rule failed, suspended, or took too long (decisions #95)."""

    code = "OPHL7-E210"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


class OperationsError(Ophl7Error):
    """The machine that runs ophl7 needs attention."""

    code = "OPHL7-E300"


class StoreAway(OperationsError):
    """The database cannot be read or written; nothing is accepted until it can (decisions #94)."""

    code = "OPHL7-E301"


class StoreRefused(OperationsError):
    """The database works but refused these rows: a fault of ours, not of the disk."""

    code = "OPHL7-E302"


class DatabaseLocked(OperationsError):
    """Another ophl7 process holds this database."""

    code = "OPHL7-E303"

    def __init__(self, message: str | None = None, *, holder: str = "") -> None:
        """`holder`: the number of that process, "" when nobody knows."""
        super().__init__(message)
        self.holder = holder


class MigrationError(OperationsError):
    """The database's schema is not one that this version can work with."""

    code = "OPHL7-E304"


class ListUnusable(OperationsError):
    """A patient list cannot be loaded as it is."""

    code = "OPHL7-E310"


class SettingsError(Ophl7Error):
    """The settings are wrong; every fault is listed."""

    code = "OPHL7-E400"

    def __init__(self, faults: list[str]) -> None:
        """`faults`: one line each, each naming the setting, what is wrong and what to write instead."""
        super().__init__("\n".join(faults))
        self.faults = faults


class RefusedByBroker(Ophl7Error):
    """The running broker refused what it was asked for; its own sentence says why."""

    code = "OPHL7-E500"

    def __init__(self, message: str, status: int) -> None:
        """`status`: of HTTP."""
        super().__init__(message)
        self.status = status
