"""What one row of the decision table says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Domain = Literal["patients", "schedule", "charges", "merges", "messages"]

# owner, other: the side that owns the row's domain, and the one that does not. person: somebody at a desk, no message.
Sender = Literal["pm", "emr", "owner", "other", "any", "person"]


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One row, for people: it is shown and never asked. What decides is in handlers and rules, which name the row.

    number: `#84b`, as in verdicts and in the journal, or `batch`. case: what came. pm, emr: what happens where the PM, or the
    EMR, owns the row's domain. ack: MSA-1 of the answer, both when they differ (`AA / AE`), W with a warning, `-` for none.
    plain: one sentence for a practice's staff that is true whichever way the row went; no patient data, no HL7 words.
    """

    number: str
    domain: Domain
    sender: Sender
    case: str
    pm: str
    emr: str
    ack: str
    plain: str
