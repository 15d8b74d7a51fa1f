"""SIGTERM, at any moment: under load, twice, while the broker starts, while it brings a database up to date."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import sys
from pathlib import Path

import pytest

from ophl7.mllp.framing import frame
from ophl7.testing.behaviours import silence
from ophl7.testing.peers import Client, ScriptedPeer
from tests.acceptance.messages import RUTH, adt
from tests.acceptance.practice import PM_OWNS, environment, until
from tests.acceptance.process import Served, run, served
from tests.acceptance.replies import read_reply
from tests.crash.campaign import Campaign
from tests.crash.model import unsound_file
from tests.crash.old_versions import LEVELS, level_of, made_by

pytestmark = [pytest.mark.crash, pytest.mark.timeout(240)]


def unanswered(campaign: Campaign) -> set[str]:
    """What is on disk, and whose sender knows no answer."""
    stored = {row["control_id"] for row in campaign.ledger.rows("SELECT control_id FROM journal")}
    return stored - {one.control_id for one in campaign.load.answered}


async def test_sigterm_under_load_answers_everything_that_was_taken(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, seed=random.randrange(2**32), families=8)
    await campaign.begin()
    for _ in range(3):
        broker = await campaign.broker()
        try:
            await broker.ready()
            async with asyncio.TaskGroup() as group:
                tasks = campaign.load.start(broker.addresses, group)
                await campaign.load.more(60)
                broker.tell_to_stop()
                await asyncio.wait(tasks)
            assert await broker.stopped() == 0
            assert "\nStopped.\n" in broker.output
            assert unanswered(campaign) == set()
        finally:
            if broker.running:
                await broker.kill()
    found = await campaign.end()
    assert found.clean, f"seed {campaign.seed}: {found.first()}"
    assert campaign.load.wrong == []


async def test_a_second_sigterm_does_not_wait_for_a_peer_that_hangs_and_nothing_is_lost(tmp_path: Path) -> None:
    database = tmp_path / "ophl7.db"
    async with ScriptedPeer() as pm, ScriptedPeer(then=silence) as hangs, ScriptedPeer() as emr:
        # Grace and patience with the peer are longer than this test: only the second signal can end it.
        async with (
            served(database, PM_OWNS, pm.url, hangs.url, SHUTDOWN_GRACE="1h", EMR_ACK_TIMEOUT="1h") as broker,
            Client(*broker.addresses["pm"]) as line,
        ):
            assert read_reply(await line.send(adt("R1", "A28", RUTH), 60)).code == "AA"
            (sent,) = await hangs.received(1, 60)
            broker.tell_to_stop()
            await until(lambda: "Stopping:" in broker.output, 60)
            broker.tell_to_stop()
            assert await broker.stopped() == 0
            assert "Stopped at once." in broker.output
        async with served(database, PM_OWNS, pm.url, emr.url):
            (again,) = await emr.received(1, 60)
    assert again == sent
    assert unsound_file(database) == []


async def told_at(step: str, database: Path, passage: int = 1) -> Served:
    """A start that tells itself SIGTERM at this step."""
    command = (sys.executable, "-m", "tests.crash.doomed", step, str(passage))
    broker = await run(database, environment(database, PM_OWNS, "", "") | {"DOOM": "SIGTERM"}, command)
    try:
        await broker.stopped()
    finally:
        if broker.running:
            await broker.kill()
    assert f"doomed: {step}" in broker.output, broker.output
    return broker


async def works(database: Path) -> None:
    """The next start takes a message."""
    async with served(database, PM_OWNS, "", "") as broker, Client(*broker.addresses["pm"]) as line:
        await line.send_raw(frame(adt("R2", "A28", RUTH)))
        assert read_reply(await line.read_answer(20)).code == "AA"
    assert unsound_file(database) == []


@pytest.mark.parametrize("step", ["the database is open", "before a listener"])
async def test_sigterm_while_it_starts_ends_it_with_0(tmp_path: Path, step: str) -> None:
    database = tmp_path / "ophl7.db"
    broker = await told_at(step, database)
    assert broker.process.returncode == 0
    assert "\nStopped" in f"\n{broker.output}"  # it may be up before it hears of it
    assert "Traceback" not in broker.output
    await works(database)


async def test_sigterm_amid_an_upgrade_makes_it_whole_and_ends_with_0(tmp_path: Path) -> None:
    database = tmp_path / "ophl7.db"
    made_by(LEVELS[0], database)
    broker = await told_at("amid a migration", database, 9)
    assert broker.process.returncode == 0
    assert level_of(database) == LEVELS[-1]
    await works(database)


async def test_sigterm_as_soon_as_the_process_is_there_ends_it_and_the_next_start_works(tmp_path: Path) -> None:
    database = tmp_path / "ophl7.db"
    broker = await run(database, environment(database, PM_OWNS, "", ""))
    broker.tell_to_stop()
    assert await broker.stopped() in (0, -signal.SIGTERM)  # the interpreter itself may not have begun
    await works(database)


async def test_the_first_process_of_a_container_hears_sigterm_too(tmp_path: Path) -> None:
    """For it a signal's default action is to ignore it."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root makes a process the first of its own")
    database = tmp_path / "ophl7.db"
    first = await run(
        database,
        environment(database, PM_OWNS, "", "") | {"DOOM": "SIGTERM"},
        ("unshare", "--pid", "--fork", "--kill-child", sys.executable, "-m", "tests.crash.doomed", "the database is open", "1"),
    )
    try:
        if await first.stopped() == 1 and "Operation not permitted" in first.output:
            pytest.skip("no process may be made the first of its own here")
    finally:
        if first.running:
            await first.kill()
    assert first.process.returncode == 0
    assert "Stopped before it listened" in first.output
    await works(database)
