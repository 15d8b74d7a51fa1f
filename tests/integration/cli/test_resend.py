"""`ophl7 queue resend`: what a person reads before anything is sent again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from ophl7.cli.exits import Exit
from tests.integration.admin.practice import Practice
from tests.integration.admin.resending import Reads
from tests.integration.cli.conftest import Command

LOOK = ("queue", "resend", "emr", "--since", "1970-01-01T00:20:00Z")


async def test_a_look_that_finds_something_says_how_it_is_sent(ophl7: Command, practice: Practice) -> None:
    await practice.commit()
    said = await ophl7(*LOOK)
    assert said.status == Exit.OK
    assert "record: would be sent again: 8 copies, 3 lanes" in said.out
    assert said.lines[-1] == "Nothing was sent. With --yes and --reason TEXT it is."


async def test_a_look_that_finds_nothing_says_that_there_is_nothing(
    ophl7: Command, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object) -> Sequence[Mapping[str, Any]]:
        return []

    monkeypatch.setattr(Reads, "preview", nothing)
    await practice.commit()
    said = await ophl7(*LOOK)
    assert said.status == Exit.OK
    assert said.lines[-1] == "The EMR has accepted nothing of that since then: there is nothing to send again."
