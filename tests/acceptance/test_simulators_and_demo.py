"""`ophl7 simulate` and `ophl7 demo` as somebody types them: processes of their own, their lines, their exit status."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from ophl7.cli.exits import Exit
from ophl7.simulate.asking import Asker
from ophl7.simulate.comparing import differences
from ophl7.testing.peers import ScriptedPeer
from tests.acceptance.practice import until
from tests.acceptance.process import HERE, served

pytestmark = pytest.mark.timeout(120)

TOKEN = "token-of-the-test-practice"
LIMIT_SECONDS = 60.0
_NUMBERS = count()
FREE_PORTS = {f"OPHL7_{name}_LISTEN": "127.0.0.1:0" for name in ("PM", "EMR", "HTTP")}


@dataclass
class Typed:
    """A command that somebody typed, in a folder of its own. shown: what it printed so far."""

    process: asyncio.subprocess.Process
    file: Path

    @property
    def shown(self) -> str:
        return self.file.read_text("utf-8")

    async def shows(self, words: str) -> str:
        """Waits until it printed that. Raises AssertionError when it ends without."""
        await until(lambda: words in self.shown or self.process.returncode is not None, LIMIT_SECONDS)
        assert words in self.shown, self.shown
        return self.shown

    async def ended(self) -> int:
        async with asyncio.timeout(LIMIT_SECONDS):
            return await self.process.wait()

    async def told(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return await self.ended()


@asynccontextmanager
async def typed(folder: Path, *arguments: str, **environ: str) -> AsyncIterator[Typed]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OPHL7_")}
    file = folder / f"typed-{next(_NUMBERS)}.txt"
    with file.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ophl7", *arguments, cwd=HERE, env=clean | environ, stdout=out, stderr=out
        )
    try:
        yield Typed(process, file)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_both_commands_wait_for_the_broker_play_their_day_and_say_what_it_must_hold(tmp_path: Path) -> None:
    """The simulators are started first, as a composition of containers may do it."""
    ports = {name: free_port() for name in ("pm listener", "emr listener", "pm receiver", "emr receiver")}

    def arguments(side: str) -> list[str]:
        return [
            *("simulate", side, "--to", f"mllp://127.0.0.1:{ports[f'{side} listener']}"),
            *("--listen", f"127.0.0.1:{ports[f'{side} receiver']}", "--date", "2026-01-05", "--seed", "8", "--wait", "0"),
            *("--pace", "fast", "--version", "2.4", "--once", "--quiet", "4s", "--expect", str(tmp_path / f"{side}.json")),
        ]

    listens = [f"127.0.0.1:{ports[f'{side} listener']}" for side in ("pm", "emr")]
    urls = [f"mllp://127.0.0.1:{ports[f'{side} receiver']}" for side in ("pm", "emr")]
    async with typed(tmp_path, *arguments("emr")) as emr, typed(tmp_path, *arguments("pm")) as pm:
        await pm.shows("trying again")
        await emr.shows("the other side begins the day")
        async with served(
            tmp_path / "ophl7.db", "pm/pm", *urls, API_TOKEN=TOKEN, PM_LISTEN=listens[0], EMR_LISTEN=listens[1]
        ) as broker:
            assert (await pm.ended(), await emr.ended()) == (Exit.OK, Exit.OK), pm.shown + emr.shown
            found = re.search(r"Status page: http://127\.0\.0\.1:(\d+)/", broker.output)
            assert found is not None
            documents = [json.loads((tmp_path / f"{side}.json").read_text("utf-8")) for side in ("pm", "emr")]
            assert differences(documents, await Asker("127.0.0.1", int(found[1]), TOKEN).held(documents)) == []
    assert [len(document["patients"]) for document in documents] == [13, 0]
    assert re.search(r"^PM  07:\d\d registers .* DEMO-.*  ->  AA$", pm.shown, re.MULTILINE)
    assert re.search(r"^PM  \d\d:\d\d merges chart \d+ into \d+", pm.shown, re.MULTILINE)
    assert re.search(r"^EMR \d\d:\d\d registers .*  ->  AE P01", emr.shown, re.MULTILINE)
    assert re.search(r"^EMR       receives SIU\^S12 \S+$", emr.shown, re.MULTILINE)
    assert re.search(r"^EMR +not as expected  0$", emr.shown, re.MULTILINE)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_told_to_stop_in_the_middle_it_says_what_was_until_then(tmp_path: Path, number: signal.Signals) -> None:
    expect = tmp_path / "expect.json"
    async with ScriptedPeer() as broker:
        more = ["--days", "0", "--pace", "50", "--json", "--expect", str(expect), "--listen", "127.0.0.1:0"]
        async with typed(tmp_path, "simulate", "emr", "--to", broker.url, "--set-up", "emr/emr", *more) as emr:
            await broker.received(5, LIMIT_SECONDS)
            assert await emr.told(number) == Exit.OK
    lines = [json.loads(line) for line in emr.shown.splitlines()]
    summary = lines[-1]["summary"]
    assert summary["sent"] + summary["sent_again"] == len(broker.messages)
    assert [line["code"] for line in lines if "sent" in line] == ["AA"] * len(broker.messages)
    document = json.loads(expect.read_text("utf-8"))
    assert document["side"] == "emr"
    assert 0 < len(document["patients"]) < 13


async def test_who_waits_in_vain_is_told_with_status_3(tmp_path: Path) -> None:
    where = f"mllp://127.0.0.1:{free_port()}"
    async with typed(tmp_path, "simulate", "pm", "--to", where, "--listen", "127.0.0.1:0", "--wait", "250ms") as pm:
        assert await pm.ended() == Exit.CONNECTION
    assert "OPHL7-E110" in pm.shown
    assert "given up after" in pm.shown
    assert "unanswered  1" in pm.shown
    assert "Traceback" not in pm.shown


async def test_answers_that_the_set_up_does_not_ask_for_are_status_4(tmp_path: Path) -> None:
    async with ScriptedPeer() as broker:  # which takes everything, also what must be refused
        more = ["--pace", "fast", "--once", "--quiet", "0", "--listen", "127.0.0.1:0", "--patients", "1"]
        async with typed(tmp_path, "simulate", "pm", "--to", broker.url, *more) as pm:
            assert await pm.ended() == Exit.REFUSED
    assert "NOT AS EXPECTED: AR C02" in pm.shown


async def test_a_receiver_that_cannot_be_had_is_status_3_and_says_what_to_do(tmp_path: Path) -> None:
    async with ScriptedPeer() as other, typed(tmp_path, "simulate", "pm", "--listen", f"127.0.0.1:{other.port}") as pm:
        assert await pm.ended() == Exit.CONNECTION
    assert "Try --listen" in pm.shown


@pytest.mark.parametrize("set_up", ["pm/pm", "emr/emr"])
async def test_the_demo_plays_a_day_to_its_end_and_finds_everything_right(tmp_path: Path, set_up: str) -> None:
    arguments = ("demo", "--once", "--pace", "fast", "--outage", "0", "--set-up", set_up, "--folder", str(tmp_path / "kept"))
    async with typed(tmp_path, *arguments, **FREE_PORTS) as demo:
        assert await demo.ended() == Exit.OK, demo.shown
    said = demo.shown
    assert "13 patients, 15 appointments, 26 charges, 1 merge: the broker holds them exactly" in said
    assert re.search(r"[1-9]\d* messages were refused", said)
    assert "1 message waits for a person" in said
    assert said.rstrip().endswith("Stopped.")
    assert re.search(r"Status page: http://127\.0\.0\.1:\d+/\?token=\S+", said)
    assert (tmp_path / "kept" / "ophl7-demo.db").exists()
    assert '"level"' not in said, "something went into the log that the demo should not have caused"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_demo_ends_when_it_is_told_to_and_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    async with typed(tmp_path, "demo", "--pace", "20", TMPDIR=str(tmp_path), **FREE_PORTS) as demo:
        said = await demo.shows("books visit")
        found = re.search(r"Everything is kept in (\S+)/ophl7-demo\.db", said)
        assert found is not None
        folder = Path(found[1])
        assert folder.parent == tmp_path
        assert await demo.told(number) == Exit.OK
    assert demo.shown.rstrip().endswith("Stopped.")
    await until(lambda: not folder.exists())


async def test_the_demo_has_an_outage_in_it_and_goes_on_after_its_day(tmp_path: Path) -> None:
    async with typed(tmp_path, "demo", "--pace", "fast", "--outage", "250ms", **FREE_PORTS) as demo:
        said = await demo.shows("Ctrl-C ends it.")
        assert "EMR       is switched off for 0.25 s" in said
        assert said.index("EMR       is back") < said.index("The day is over.")
        assert await demo.told(signal.SIGINT) == Exit.OK


async def test_a_port_that_somebody_chose_and_that_is_taken_stops_the_start(tmp_path: Path) -> None:
    async with ScriptedPeer() as other:
        listens = FREE_PORTS | {"OPHL7_PM_LISTEN": f"127.0.0.1:{other.port}"}
        async with typed(tmp_path, "demo", "--once", **listens) as demo:
            assert await demo.ended() == Exit.CONFIGURATION
        assert f"OPHL7_PM_LISTEN=127.0.0.1:{other.port}: cannot listen there" in demo.shown


async def test_the_demo_touches_nothing_that_somebodys_own_settings_name(tmp_path: Path) -> None:
    async with ScriptedPeer() as real:
        own = {"OPHL7_PM_URL": real.url, "OPHL7_EMR_URL": real.url, "OPHL7_DATABASE_URL": f"sqlite:///{tmp_path}/real.db"}
        async with typed(
            tmp_path, "demo", "--once", "--pace", "fast", "--patients", "1", "--outage", "0", **FREE_PORTS, **own
        ) as demo:
            assert await demo.ended() == Exit.OK, demo.shown
        assert "no real system is touched: OPHL7_DATABASE_URL, OPHL7_EMR_URL, OPHL7_PM_URL" in demo.shown
        assert real.messages == []
    assert not (tmp_path / "real.db").exists()
