"""Random days of charges: they always add up, in counts and amounts, and equal a tally that was kept beside them."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ophl7.admin.reconciliation import day_report
from ophl7.domain.reconciliation import STANDINGS
from ophl7.engine.acts import Act, Done, Verb
from ophl7.engine.storage import DeliveryMark, DeliveryState
from ophl7.store.reader import SqliteReader
from ophl7.store.sqlite import SqliteStore
from tests.integration.admin.practice import Desk as Face
from tests.integration.admin.practice import reader
from tests.unit.engine.desk import START, Desk, adt, dft, ft1

DAY = START.date()
AMOUNTS = st.sampled_from(["", "0", "0.00", "142.00", "-5.10", "0.1", "0.001", "99999999999999999999.99"])
LINES = st.lists(AMOUNTS, min_size=1, max_size=3)
OUTCOMES: dict[str, DeliveryState] = {
    "accepted": "accepted",
    "held": "held",
    "rejected": "rejected",
    "parked": "parked",
    "pending": "unknown",
    "skipped": "skipped",
}
What = Literal[
    "sent", "credited", "repeated", "known", "partly", "refused", "refused twice", "unknown", "registered", "paid", "discarded"
]
STEPS = st.tuples(
    st.sampled_from(get_args(What)),
    LINES,
    st.sampled_from(["", *OUTCOMES]),
)


@dataclass
class Tally:
    """What a biller would note on paper."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("received", *STANDINGS), 0))
    amounts: dict[str, Decimal] = field(default_factory=lambda: dict.fromkeys(("received", *STANDINGS), Decimal(0)))
    blank: int = 0

    def add(self, standing: str, amounts: list[str]) -> None:
        for name in ("received", standing):
            self.counts[name] += len(amounts)
            self.amounts[name] += sum((Decimal(one) for one in amounts if one), Decimal(0))
        self.blank += amounts.count("")


@dataclass
class Day:
    """One day at a desk with a real database. Each step has a patient of its own, so that none waits for another's."""

    desk: Desk
    face: Face
    tally: Tally = field(default_factory=Tally)
    number: int = 0

    async def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        assert isinstance(self.face.reads, SqliteReader)
        return await self.face.reads.read(sql, values)

    async def play(self, what: What, amounts: list[str], outcome: str) -> None:
        self.number += 1
        me = f"{8000 + self.number}^^^PM^MR"
        if what not in ("unknown", "registered"):
            await self.desk.send("pm", adt(f"R{self.number}", "A28", ids=me))
        steps: dict[str, Callable[[], Awaitable[None]]] = {
            "sent": partial(self.sent, me, amounts, outcome),
            "credited": partial(self.credited, me, amounts, outcome),
            "repeated": partial(self.repeated, me, amounts, outcome),
            "known": partial(self.known, me, amounts, outcome),
            "partly": partial(self.partly, me, amounts, outcome),
            "refused": partial(self.refused, me, amounts, 1),
            "refused twice": partial(self.refused, me, amounts, 2),
            "unknown": partial(self.unknown, me, amounts),
            "registered": partial(self.registered, me, amounts, outcome),
            "paid": partial(self.paid, me, amounts, "release", outcome),
            "discarded": partial(self.paid, me, amounts, "discard", ""),
        }
        await steps[what]()

    def lines(self, amounts: list[str], kind: str = "CG", begin: int = 0) -> list[str]:
        return [ft1(f"T{self.number}-{at}", at + 1, kind=kind, amount=one) for at, one in enumerate(amounts, begin)]

    async def settle(self, amounts: list[str], outcome: str, control_id: str) -> None:
        """What the PM answers, if it does."""
        self.tally.add(outcome or "pending", amounts)
        if outcome:
            (row,) = await self.rows(
                "SELECT d.id FROM delivery d JOIN journal j ON j.id = d.message WHERE j.control_id = ?",
                control_id,
            )
            self.desk.engine.mark(DeliveryMark(row["id"], OUTCOMES[outcome], 1, None, "AA", START.timestamp()))
            await self.desk.settled()

    async def sent(self, me: str, amounts: list[str], outcome: str) -> None:
        assert await self.desk.send("emr", dft(f"D{self.number}", *self.lines(amounts), ids=me)) == ["AA"]
        await self.settle(amounts, outcome, f"D{self.number}")

    async def credited(self, me: str, amounts: list[str], outcome: str) -> None:
        await self.sent(me, amounts, "accepted")
        assert await self.desk.send("emr", dft(f"E{self.number}", *self.lines(amounts, "CD"), ids=me)) == ["AA"]
        await self.settle(amounts, outcome, f"E{self.number}")

    async def repeated(self, me: str, amounts: list[str], outcome: str) -> None:
        await self.sent(me, amounts, outcome)
        assert await self.desk.send("emr", *[dft(f"D{self.number}", *self.lines(amounts), ids=me)] * 2) == ["AA", "AA"]

    async def known(self, me: str, amounts: list[str], outcome: str) -> None:
        await self.sent(me, amounts, outcome)
        assert await self.desk.send("emr", dft(f"E{self.number}", *self.lines(amounts), ids=me)) == ["AA"]
        await self.again(amounts, outcome, "")

    async def again(self, amounts: list[str], before: str, outcome: str, more: tuple[str, ...] = ()) -> None:
        """The same charges in another message: what a person closed may come again, what he skipped is his to decide (#48)."""
        if before == "skipped":
            self.tally.add("held", [*amounts, *more])
        elif before == "rejected":
            await self.settle([*amounts, *more], outcome, f"E{self.number}")
        elif more:
            await self.settle([*more], outcome, f"E{self.number}")

    async def partly(self, me: str, amounts: list[str], outcome: str) -> None:
        await self.sent(me, amounts, outcome)
        more = self.lines(["7.25"], begin=len(amounts))
        assert await self.desk.send("emr", dft(f"E{self.number}", *self.lines(amounts), *more, ids=me)) == ["AA"]
        await self.again(amounts, outcome, outcome, ("7.25",))

    async def refused(self, me: str, amounts: list[str], times: int) -> None:
        wrong = dft(f"D{self.number}", *self.lines([*amounts, "none"]), ids=me)
        for _ in range(times):
            assert await self.desk.send("emr", wrong) == ["AE"]
        self.tally.add("rejected", [*amounts, ""])

    async def unknown(self, me: str, amounts: list[str]) -> None:
        assert await self.desk.send("emr", dft(f"D{self.number}", *self.lines(amounts), ids=me)) == ["AA"]
        self.tally.add("held", amounts)

    async def registered(self, me: str, amounts: list[str], outcome: str) -> None:
        assert await self.desk.send("emr", dft(f"D{self.number}", *self.lines(amounts), ids=me)) == ["AA"]
        assert await self.desk.send("pm", adt(f"R{self.number}", "A28", ids=me)) == ["AA"]
        await self.settle(amounts, outcome, f"D{self.number}")

    async def paid(self, me: str, amounts: list[str], verb: Verb, outcome: str) -> None:
        assert await self.desk.send("emr", dft(f"D{self.number}", *self.lines(amounts, "PY"), ids=me)) == ["AA"]
        while True:
            waiting = await self.rows(
                "SELECT h.id, h.message FROM hold h JOIN journal j ON j.id = h.message WHERE j.control_id = ? AND "
                "h.closed_at IS NULL ORDER BY h.id LIMIT 1",
                f"D{self.number}",
            )
            if not waiting:
                break
            act = Act(verb, waiting[0]["id"], waiting[0]["message"], "somebody", "it was looked at")
            done = await self.desk.engine.perform(partial(self.desk.people.carry_out, act=act))
            assert isinstance(done, Done)
        if verb == "discard":
            self.tally.add("cancelled", amounts)
        else:
            await self.settle(amounts, outcome, f"D{self.number}")

    async def report(self, day: date = DAY) -> dict[str, Any]:
        return await day_report(self.face.face(), day)


async def play(path: Path, steps: list[tuple[What, list[str], str]]) -> None:
    reads = reader(path)
    try:
        async with Desk(store=SqliteStore(path)) as desk:
            day = Day(desk, Face(reads, now=START.timestamp()))
            for step in steps:
                await day.play(*step)
            report, tally = await day.report(), day.tally
            assert report["does_not_add_up"] == []
            assert report["adds_up"]
            assert report["messages"]["adds_up"]
            assert {name: report[name]["count"] for name in tally.counts} == tally.counts
            assert {name: Decimal(report[name]["amount"]) for name in tally.amounts} == tally.amounts
            assert report["received"]["without_amount"] == tally.blank
            assert sum(one["received"]["count"] for one in report["providers"]) == tally.counts["received"]
            empty = await day.report(date(2024, 2, 29))
            assert (empty["adds_up"], empty["received"]["count"], empty["messages"]["received"]) == (True, 0, 0)
    finally:
        await reads.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(STEPS, max_size=8))
def test_a_day_adds_up_and_equals_the_tally(steps: list[tuple[What, list[str], str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder) / "ophl7.db", steps))
