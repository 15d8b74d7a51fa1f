"""The test tools, which travel on hl7.mllp, at both ends of a real broker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ophl7.cli.listen import Receiver, Reception
from ophl7.cli.send import Line, read_replies
from ophl7.clock import SystemClock
from ophl7.mllp.sender import Address
from tests.acceptance.messages import adt, dft, siu
from tests.acceptance.practice import PM_OWNS, Practice


@pytest.fixture
async def emr() -> AsyncIterator[tuple[str, int]]:
    """Where a test receiver plays the EMR."""
    reception = Reception(Receiver("AA", SystemClock(), as_json=False))
    yield await reception.start("127.0.0.1", 0)
    await reception.close()


async def test_what_send_sends_is_taken_and_what_listen_gets_is_delivered(
    emr: tuple[str, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = {"A1": adt("A1", "A04"), "S1": siu("S1", "S12")}
    async with Practice(tmp_path / "ophl7.db", PM_OWNS, EMR_URL=f"mllp://{emr[0]}:{emr[1]}") as practice:
        line = Line(Address(*practice.address("pm")), 10.0)
        try:
            for name, message in sent.items():
                (reply,) = read_replies(await line.exchange(message))
                assert (reply.code, reply.control_id, reply.text) == ("AA", name, "")
            (refused,) = read_replies(await line.exchange(dft("D1", sender="pm")))
            assert (refused.code, refused.control_id) == ("AR", "D1")
            assert "C02" in refused.text
        finally:
            await line.close()
        await practice.until(lambda: all(practice.deliveries(name)[0]["state"] == "accepted" for name in sent))
        ids = [practice.deliveries(name)[0]["control_id"] for name in sent]
        sizes = [len(message) - len(name) + len(new) for (name, message), new in zip(sent.items(), ids, strict=True)]
    events = ["ADT^A04", "SIU^S12"]
    expected = [f"{event} {control_id} {size} bytes" for event, control_id, size in zip(events, ids, sizes, strict=True)]
    assert capsys.readouterr().out.splitlines() == expected
