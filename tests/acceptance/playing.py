"""Playing a day against a broker, wherever it runs: two lines into it, two scripted systems behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

from ophl7.testing.peers import Client, ScriptedPeer
from tests.acceptance.day import Step
from tests.acceptance.messages import Side
from tests.acceptance.replies import read_reply


async def disturb(desk: Mapping[Side, ScriptedPeer], outage: str) -> None:
    """What happens to the destinations just before a step."""
    for peer in desk.values():
        if outage == "begins":
            await peer.stop()
        elif outage == "ends":
            await peer.start()


async def play(
    steps: Sequence[Step], addresses: Mapping[Side, tuple[str, int]], desk: Mapping[Side, ScriptedPeer]
) -> dict[str, str]:
    """Sends every step on its side's line, one after the other; MSA-1 by control id."""
    answers: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        lines = {side: await stack.enter_async_context(Client(*address)) for side, address in addresses.items()}
        for step in steps:
            await disturb(desk, step.outage)
            reply = read_reply(await lines[step.side].send(step.payload))
            assert reply.control_id == step.control_id
            answers[step.control_id] = reply.code
    return answers
