"""Charges: the values of an FT1, its row in the ledger, and which of several rows counts (decisions 5).

How an FT1 is read: `charge_reading`. How it is written for the PM: `engine.charge_writing`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from ophl7.domain.profile import ChargeRules, Verb

# Where a charge stands by our own decision; the rest of the way is told by its delivery. superseded: the same message was sent
# again and its charges are counted there (#84b), or a release found the charge known already (#48).
ChargeState = Literal["held", "sent", "rejected", "cancelled", "superseded"]

# How another content under a known FT1-2 leaves for the PM (#49): as it came, after a void of the charge, or as an update.
Correction = Literal["", "replace", "update"]

# FT1-6, HL7 table 0017.
NEW, CREDIT = "CG", "CD"
PAYMENT_TYPES = frozenset({"PY", "AJ", "CO"})


class ChargeLine(NamedTuple):
    """One FT1 as sent. amount: decimal text, "" when the receiver prices it. content: digest of what is billed.

    date, until: FT1-4, which may be a range (DR). usable_id: whether FT1-2 names this charge and no other (#57). segments:
    positions of the FT1 and what belongs to it. supplied: whether the FT1-2 is ours (#40). same_set: on one line of a message,
    the digest of all its lines without a usable FT1-2 of the sender's (#57); b"" on the others.
    """

    transaction_id: str
    kind: str
    date: str
    procedure: str
    modifiers: tuple[str, ...]
    units: str
    diagnoses: tuple[str, ...]
    amount: str
    visit: str
    content: bytes
    usable_id: bool
    segments: tuple[int, ...]
    verb: Verb = "new"
    until: str = ""
    supplied: bool = False
    same_set: bytes = b""

    @property
    def identity(self) -> str:
        """See `identity`."""
        return identity(self.verb, self.transaction_id)


class Charge(NamedTuple):
    """One row of the ledger. message: journal id of its DFT; line: its place in it, from 0; subject: whose it is.

    delivery: the copy that carries it. skipped: a person has decided that this copy is not sent.
    """

    id: int
    message: int
    line: int
    subject: int
    transaction_id: str
    kind: str
    date: str
    procedure: str
    modifiers: tuple[str, ...]
    units: str
    diagnoses: tuple[str, ...]
    amount: str
    visit: str
    content: bytes
    state: ChargeState
    verb: Verb = "new"
    same_set: bytes = b""
    delivery: int | None = None
    skipped: bool = False

    @property
    def identity(self) -> str:
        """See `identity`."""
        return identity(self.verb, self.transaction_id)


def identity(verb: Verb, transaction_id: str) -> str:
    """Under what rows of one patient are compared: FT1-2, with payments apart, which may bear the number of what they pay.

    No FT1-2 holds a CR, so neither is ever taken for the other.
    """
    return f"\r{transaction_id}" if verb == "payment" else transaction_id


def correction_of(line: ChargeLine, known: Charge | None, receiver: ChargeRules) -> Correction:
    """How this line corrects a charge that was sent (#49), as far as the receiver's profile knows a way."""
    if known is None or known.state != "sent" or known.skipped or known.verb == "void" or line.verb not in {"new", "update"}:
        return ""
    if known.content == line.content or receiver.corrections == "hold":
        return ""
    return receiver.corrections


def counting(known: Charge | None, other: Charge) -> Charge:
    """Of two live rows with one identity, the one that a later message is compared with.

    What was sent beats what waits; of what was sent a credit counts, which can only have left after its charge (#50), else the
    last; of what waits the first: at the release the later one is the repetition (decisions 11, oldest first).
    """
    if known is None:
        return other
    if (known.state == "sent") != (other.state == "sent"):
        return known if known.state == "sent" else other
    if known.state == "sent" and (known.verb == "void") != (other.verb == "void"):
        return known if known.verb == "void" else other
    later = (other.message, other.line) > (known.message, known.line)
    return other if later == (other.state == "sent") else known


def clears(line: ChargeLine) -> str:
    """The key of the hold that ends with this charge (#51); "" when nothing can wait for it."""
    bills = line.usable_id and not line.supplied and line.verb in {"new", "update"}
    return f"charge:{line.transaction_id}" if bills else ""
