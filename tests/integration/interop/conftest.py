"""A broker between two peers that are not ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.messages import Side
from tests.acceptance.practice import PM_OWNS, Practice
from tests.integration.interop.counterpart import Receiver, Sender

Between = Callable[..., Awaitable["Foreign"]]


@dataclass(frozen=True, slots=True)
class Foreign:
    """practice: the broker. desk: where it delivers to, made of hl7.mllp."""

    practice: Practice
    desk: dict[Side, Receiver]

    def sender(self, side: Side, encoding: str = "utf-8") -> Sender:
        """A connection of that peer, made of hl7.mllp."""
        return Sender(self.practice.address(side), encoding)

    async def delivered(self, *control_ids: str) -> list[str]:
        """Our own MSH-10 of the copies of these messages, once all of them were accepted."""
        practice = self.practice
        await practice.until(lambda: all(row["state"] == "accepted" for one in control_ids for row in practice.deliveries(one)))
        return [row["control_id"] for one in control_ids for row in practice.deliveries(one)]


@pytest.fixture
async def between(tmp_path: Path) -> AsyncIterator[Between]:
    """Starts a broker: `await between(encoding="latin-1", EMR_ACK_TIMEOUT="200ms")`."""
    async with AsyncExitStack() as stack:

        async def start(encoding: str = "utf-8", **more: str) -> Foreign:
            pm = await stack.enter_async_context(Receiver(encoding))
            emr = await stack.enter_async_context(Receiver(encoding))
            practice = Practice(tmp_path / "ophl7.db", PM_OWNS, PM_URL=pm.url, EMR_URL=emr.url, **more)
            await stack.enter_async_context(practice)
            return Foreign(practice, {"pm": pm, "emr": emr})

        yield start
