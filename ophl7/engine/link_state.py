"""How the link to one destination is: paused or not, whether anybody is there, when to try again. It sends nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ophl7.domain.patient import Side
from ophl7.engine.audience import Mark
from ophl7.engine.backoff import delay
from ophl7.engine.link import LinkPolicy, LinkWord, OutboxObserver
from ophl7.engine.rows import LinkMark, PauseMark
from ophl7.engine.settlement import Settlement
from ophl7.errors import LinkDown

# A peer that cannot be reached is tried at least this often (decisions 8).
_LONGEST_REFUSED: Final = 30.0

# So many refusals in a row that name type, event, processing id or version (200 to 203): nothing of ours fits (decisions 8).
MOST_MISFITS: Final = 3

# The connection could not be made: nothing was tried, so no delivery counts a try for it.
UNREACHED: Final = frozenset({"refused", "unreachable", "tls"})


class LinkState:
    """What is known of one link, in memory; what must outlive a restart goes out as a mark."""

    def __init__(
        self,
        destination: Side,
        policy: LinkPolicy,
        mark: Callable[[Mark], None],
        observer: OutboxObserver,
        chance: Callable[[], float],
    ) -> None:
        """mark: for the next commit. chance: 0 to 1, for the jitter."""
        self._destination: Side = destination
        self._policy = policy
        self._mark = mark
        self._observer = observer
        self._chance = chance
        self.paused: str | None = None  # why nothing is sent
        self.by_itself = False  # nobody has asked for that
        self.last_error: str | None = None
        self.down_until = 0.0  # the outbox's own time (see Outbox._now)
        self.reachable = True  # the disk says that something may be on its way
        self._failures = 0
        self._down_because = ""
        self._misfits = 0  # refusals in a row that speak for a fault of configuration
        self._last_link: LinkMark | None = None
        self._sending = 0

    @property
    def word(self) -> LinkWord:
        """For people; of a link that has an address."""
        if self.paused is not None:
            return "paused"
        return "down" if self._failures else "up"

    # -- paused --------------------------------------------------------------------------------------------------------

    def pause(self, mark: PauseMark) -> None:
        """Nothing is sent for its reason; without one it is sent to again."""
        reason = mark.reason or None
        before, self.paused = self.paused, reason
        self.by_itself = reason is not None and mark.by_itself
        self._misfits = 0
        if reason is not None and before is None:
            self._observer.link_paused(self._destination, reason)
        elif reason is None and before is not None:
            self._observer.link_resumed(self._destination)

    def refused_or_not(self, settled: Settlement) -> None:
        """Three answers in a row that say "no message of this system" pause the link (decisions 8)."""
        self._misfits = self._misfits + 1 if settled.misfit else 0
        if self._misfits >= MOST_MISFITS and self.paused is None:
            reason = f"refused {MOST_MISFITS} times in a row as no message of that system ({settled.answer})"
            pause = PauseMark(self._destination, reason, by_itself=True)
            self.pause(pause)
            self._mark(pause)

    # -- there or not --------------------------------------------------------------------------------------------------

    def answered(self) -> None:
        """Somebody is there."""
        if self._failures:
            self._failures = 0
            self._observer.link_up(self._destination)

    def failed(self, down: LinkDown, now: float, *, tried: bool) -> bool:
        """Notes why. True when nobody was there: then nothing is tried before `down_until`.

        tried: something that waits may have been on its way when the process before ended, so the disk must go on saying so.
        """
        # Why there is no TLS differs much, and who must act with it: the words say so, the kind does not.
        self.last_error = f"tls: {down}" if down.kind == "tls" else down.kind
        if down.kind not in UNREACHED:
            return False
        self._failures += 1
        if self._failures == 1 or self.last_error != self._down_because:
            self._down_because = self.last_error
            self._observer.link_down(self._destination, down.kind, str(down))
        if self.reachable and not self._sending and not tried:
            self.say(reachable=False)
        longest = min(self._policy.longest, _LONGEST_REFUSED)
        self.down_until = now + delay(self._failures, self._policy.first, longest, self._chance())
        return True

    # -- what the disk knows -------------------------------------------------------------------------------------------

    def sending(self, more: int) -> None:
        """more: 1 when bytes may leave from now on, -1 when what became of them is known."""
        self._sending += more

    def say(self, *, reachable: bool) -> None:
        """reachable: from the commit on a crash may leave something on its way; else nothing is, until it is said again."""
        self.reachable = False
        self._last_link = LinkMark(self._destination, reachable)
        self._mark(self._last_link)

    def marked(self, mark: LinkMark) -> bool:
        """It is on disk. False for one that was overtaken, or another link's: it says nothing any more."""
        if mark is not self._last_link:
            return False
        self.reachable = mark.reachable
        return True
