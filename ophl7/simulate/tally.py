"""What a simulator says to people while it plays, and what it counts. Text for a terminal, or one JSON object a line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ophl7.simulate.line import Reply
from ophl7.simulate.reading import Heard
from ophl7.simulate.steps import Side, Step


@dataclass(slots=True)
class Tally:
    """Counts.

    sent: messages that were answered; again: copies on purpose; tried_again: tries without an answer; surprises: wrong answers.
    answers: MSA-1 -> how many; received: event -> how many different messages.
    """

    sent: int = 0
    again: int = 0
    tried_again: int = 0
    unanswered: int = 0
    surprises: int = 0
    received_twice: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    received: Counter[str] = field(default_factory=Counter)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "sent": self.sent,
            "sent_again": self.again,
            "tried_again": self.tried_again,
            "answers": dict(sorted(self.answers.items())),
            "unanswered": self.unanswered,
            "not_as_expected": self.surprises,
            "received": dict(sorted(self.received.items())),
            "received_twice": self.received_twice,
        }


class Teller:
    """One line a message. `prints` gets each line."""

    def __init__(self, side: Side, prints: Callable[[str], None], *, as_json: bool = False) -> None:
        self._side: Side = side
        self._prints = prints
        self._as_json = as_json

    def said(self, step: Step, reply: Reply, *, expected: bool, again: bool = False) -> None:
        """A message of ours and its answer. again: it is the second copy, which must get the same answer as the first."""
        if self._as_json:
            self._print_json(
                at=step.at.isoformat(),
                sent=step.event,
                control_id=step.control_id,
                words=step.words,
                code=reply.code,
                reason=reply.reason or None,
                expected=expected,
                again=again,
            )
            return
        answer = " ".join(part for part in (reply.code, reply.reason) if part)
        if reply.code != "AA" and reply.text:
            answer += f": {reply.text}"
        if not expected:
            answer += " -- NOT AS EXPECTED: " + (
                "another answer than the first" if again else f"{step.code} {step.reason}".strip()
            )
        words = f"{step.words}, again, as if the answer had been lost" if again else step.words
        self._line(f"{step.at:%H:%M}", f"{words}  ->  {answer}")

    def heard(self, heard: Heard) -> None:
        """A delivery, answered AA: event and control id only, because it may be about anybody."""
        if self._as_json:
            self._print_json(received=heard.event, control_id=heard.control_id)
        else:
            self._line("", f"receives {heard.event} {heard.control_id}")

    def remark(self, text: str) -> None:
        """Anything else that people want to know."""
        if self._as_json:
            self._print_json(remark=text)
        else:
            self._line("", text)

    def summary(self, tally: Tally) -> None:
        """The end."""
        if self._as_json:
            self._print_json(summary=tally.document())
            return
        answers = ", ".join(f"{code} {count}" for code, count in sorted(tally.answers.items()))
        received = ", ".join(f"{event} {count}" for event, count in sorted(tally.received.items()))
        for text in (
            f"sent        {tally.sent}" + (f" ({answers})" if answers else ""),
            f"sent again  {tally.again}",
            f"tried again {tally.tried_again}",
            f"received    {tally.received.total()}" + (f" ({received})" if received else ""),
            f"unanswered  {tally.unanswered}",
            f"not as expected  {tally.surprises}",
        ):
            self._line("", text)

    def _line(self, time: str, text: str) -> None:
        visible = "".join(character if character.isprintable() else "\ufffd" for character in text)
        self._prints(f"{self._side.upper():<3} {time:<5} {visible}")

    def _print_json(self, **values: object) -> None:
        self._prints(json.dumps({"side": self._side, **values}))
