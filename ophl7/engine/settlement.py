"""What an answer to something that we sent means (decisions 8): a table, no more."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ophl7.engine.ports import Answer
from ophl7.hl7v2.ack import POSITIVE

# Refusals that a later try may mend; 206 is a record that is open at somebody's desk.
LOCKED, INTERNAL, UNKNOWN_KEY, DUPLICATE_KEY = 206, 207, 204, 205
MOST_INTERNAL_TRIES = 5
_MISFITS = frozenset({200, 201, 202, 203})

_KNOWN = frozenset({"AA", "AE", "AR", "CA", "CE", "CR"})

# What of ERR-5 may be shown: a number, or letters with a number (P01, OP-17). A word may be a name.
_APPLICATION_CODE = re.compile(r"[A-Za-z]{0,3}-?[0-9]{1,4}", re.ASCII)

Settled = Literal["accepted", "retry", "held", "parked"]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What becomes of the delivery, and the words that people see: MSA-1 and the error code, never the peer's text.

    misfit: the peer does not take such messages at all (200 to 203): several in a row are a fault of configuration.
    locked: it cannot be taken just now, and is sent again without end (206, severity F).
    """

    outcome: Settled
    answer: str
    misfit: bool = False
    locked: bool = False


def settle(answer: Answer, *, attempts: int, nack_default: Literal["park", "retry"], sent_before: bool = False) -> Settlement:
    """The class of an answer whose MSA-2 was ours. attempts: how often these bytes were sent, this time included.

    sent_before: these bytes had been taken under another MSH-10 before (a copy that is sent again).
    """
    code = answer.code
    shown = code if code in _KNOWN else "unknown code"  # MSA-1 is the peer's text: what is no code may be a name
    if code in POSITIVE:
        return Settlement("accepted", code)
    errors = [error for error in answer.errors if error.severity not in {"W", "I"}]
    if not errors:
        return Settlement("parked" if nack_default == "park" else "retry", shown)
    first = errors[0]
    words = f"{shown} {first.code}" + (
        f" {first.application_code}" if _APPLICATION_CODE.fullmatch(first.application_code) else ""
    )
    outcome: Settled = "parked"
    passing = first.code == LOCKED or first.severity == "F" or (first.code == INTERNAL and attempts < MOST_INTERNAL_TRIES)
    if passing and code in {"AE", "AR", "CE"}:
        outcome = "retry"
    elif code in {"AE", "AR"} and first.code == UNKNOWN_KEY:
        outcome = "held"
    elif code in {"AE", "AR"} and first.code == DUPLICATE_KEY and (attempts > 1 or sent_before):
        outcome = "accepted"
    locked = outcome == "retry" and (first.code == LOCKED or first.severity == "F")
    return Settlement(outcome, words, misfit=outcome == "parked" and first.code in _MISFITS, locked=locked)
