"""The store in memory."""

from __future__ import annotations

import pytest

from ophl7.engine.storage import ClosedHold, Counters, Keys, Rows
from ophl7.errors import StoreAway, StoreRefused
from ophl7.store.memory import MemoryStore
from tests.unit.store.records import delivery, hold, journal
from tests.unit.store.suite import StoreSuite


class TestMemoryStore(StoreSuite):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


async def test_while_it_is_away_every_call_says_so() -> None:
    store = MemoryStore()
    store.away = "gone"
    for call in (
        store.load(Keys(), small=True),
        store.commit(Rows(journal=[journal(1)])),
        store.open_deliveries(),
        store.body_of(1),
        store.probe(),
    ):
        with pytest.raises(StoreAway, match="gone"):
            await call


async def test_it_refuses_the_control_ids_that_a_test_names() -> None:
    store = MemoryStore()
    store.refuse.add("C1")
    with pytest.raises(StoreRefused):
        await store.commit(Rows(journal=[journal(2), journal(1)]))
    assert store.journal == {}


async def test_it_opens_at_the_numbers_that_are_there() -> None:
    store = MemoryStore()
    rows = Rows(journal=[journal(4)], holds=[hold(6, 4), hold(7, 4)], closed_holds=[ClosedHold(7, 1.0, "released")])
    rows.deliveries = [delivery(9, 4)]
    await store.commit(rows)
    assert await store.open() == Counters(4, 0, 0, 0, 7, 9, 0, 0, "TEST")
