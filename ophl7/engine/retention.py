"""What is removed when its time is over: bodies of settled messages, then their rows, audit rows, alarms; in small steps.

A store knows what is open (:class:`Why`); this module knows the order, the pace and what is told. Each step is a transaction of
its own between two batches of the engine, so a message waits for one step at most, and a crash leaves whole steps behind.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, Protocol

from ophl7.engine.ports import Clock

Stage = Literal["bodies again", "bodies", "rows again", "rows", "audit", "alarms"]

# `again`: what an earlier run passed by because something was open about it.
STAGES: Final[tuple[Stage, ...]] = ("bodies again", "bodies", "rows again", "rows", "audit", "alarms")

Why = Literal["held", "undelivered", "resend", "taken_back", "charge", "replay", "merge", "drift"]
"""What is open about a message: none of it is ever removed then.

held: it is in custody. undelivered: a copy waits, is parked, or nobody knows whether it arrived. resend: a run that is open may
send it again yet. taken_back: a copy that waits takes charges of it back (#50). charge: a charge of it is not settled. replay:
one that is judged again is not settled. merge: it is behind charts that one side alone has merged, or in conflict. drift: it
offered a value that was not taken, and the chart still holds another.
"""

Stays = Literal["ledger", "newest", "replayed", "last", "chart", "drift"]
"""Why the row of a settled message stays, without its bytes.

ledger: charges are told apart by it (#48-#52), for ever. newest: numbers are counted on from it. replayed: a later row
names it. last: the last of its sender about this subject, which may repeat it (#86). chart: a value of a chart came from it.
drift: the last of its values that was not taken.
"""

STEP_ROWS: Final = 50
STEP_BYTES: Final = 1024 * 1024
STEP_SECONDS: Final = 0.1

# An answer is kept for copies of its message for seven days (#84); what is younger must be whole.
SHORTEST: Final = 8 * 86400.0


class Ages(NamedTuple):
    """Instants, in seconds since the epoch: what is older goes. now: when that is."""

    bodies: float
    rows: float
    audit: float
    now: float


@dataclass(frozen=True, slots=True)
class Keep:
    """How long, in seconds: bodies of settled messages; their rows, the audit and alarms. rows is never less than bodies."""

    bodies: float
    rows: float

    def ages(self, clock: Clock) -> Ages:
        """As of now."""
        now = clock.now().timestamp()
        return Ages(now - self.bodies, now - max(self.rows, self.bodies), now - self.rows, now)


class Step(NamedTuple):
    """What one transaction has removed. kept: why others were not, with how many. after: where to go on; None: at the end."""

    bodies: int = 0
    rows: int = 0
    audit: int = 0
    kept: tuple[tuple[str, int], ...] = ()
    after: int | None = None
    alarms: int = 0


class RetiringStore(Protocol):
    """What a store does for retention. Raises StoreAway, StoreRefused."""

    async def retire(self, stage: Stage, after: int, ages: Ages) -> Step:
        """The next step of a stage: at most STEP_ROWS messages, one transaction, durable on return. after: 0 begins."""


@dataclass(slots=True)
class Removed:
    """What a run has removed, and what it left because something is open about it, by why."""

    bodies: int = 0
    rows: int = 0
    audit: int = 0
    alarms: int = 0
    kept: dict[str, int] = field(default_factory=dict)

    def add(self, step: Step) -> None:
        """Counts a step in. What is kept is counted once: in the stage of bodies where that is what keeps it."""
        self.bodies += step.bodies
        self.rows += step.rows
        self.audit += step.audit
        self.alarms += step.alarms
        for why, count in step.kept:
            self.kept[why] = self.kept.get(why, 0) + count


Turn = Callable[[Callable[[], Awaitable[Step]]], Awaitable[Step]]
"""Has a step done between two batches (Engine.tidy), or at once where nobody else works with the store."""


async def at_once(step: Callable[[], Awaitable[Step]]) -> Step:
    """The turn of somebody who has the store for himself."""
    return await step()


async def retire_all(store: RetiringStore, ages: Ages, turn: Turn, sleep: Callable[[float], Awaitable[None]]) -> Removed:
    """One run over everything that is old enough. Raises StoreAway, StoreRefused; whole steps stay done."""
    removed = Removed()
    for stage in STAGES:
        after: int | None = 0
        while after is not None:
            step = await turn(lambda stage=stage, after=after: store.retire(stage, after, ages))  # type: ignore[misc]
            removed.add(step)
            after = step.after
            if after is not None:
                await sleep(STEP_SECONDS)
    return removed
