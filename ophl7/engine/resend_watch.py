"""Runs while their copies are being sent: refusals count at once, so that a run stops with the last that it may have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ophl7.engine.resend_rows import Resend, ResendTally


@dataclass(slots=True)
class _Run:
    may: int  # refusals until it stops
    stopped: bool


class ResendWatch:
    """Between the outbox, which sends copies, and the runs that make them. What it knows is on disk too (`follow`)."""

    def __init__(self, news: Callable[[], None] = lambda: None) -> None:
        """news: called when a run wants to be looked at."""
        self._runs: dict[int, _Run] = {}
        self.news = news

    def follow(self, run: Resend, tally: ResendTally) -> None:
        """A run as it stands on disk; one that is followed already counts for itself."""
        if run.id not in self._runs:
            self._runs[run.id] = _Run(run.stop_after - (tally.refused - run.forgiven), run.state == "stopped")

    def go_on(self, run: Resend) -> None:
        """A person has decided so: it may be refused as often again."""
        self._runs[run.id] = _Run(run.stop_after, stopped=False)
        self.news()

    def stop(self, run: Resend) -> None:
        """By what the disk says of its copies."""
        if (known := self._runs.get(run.id)) is not None:
            known.stopped = True

    def over(self, run: Resend) -> None:
        """It holds nothing back any more: what a person has sent again of it leaves."""
        self._runs.pop(run.id, None)

    def stopped(self, run: int) -> bool:
        """Whether nothing more of it may leave."""
        known = self._runs.get(run)
        return known is not None and known.stopped

    def settled(self, run: int, *, refused: bool) -> None:
        """A copy has its answer."""
        known = self._runs.get(run)
        if known is not None and refused:
            known.may -= 1
            known.stopped = known.stopped or known.may <= 0
        if refused:
            self.news()
