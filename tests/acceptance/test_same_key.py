"""Every verb of the queue: killed when it is done and nobody was told, then asked for again under its key, it is done once."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from ophl7.testing.behaviours import Behaviour
from ophl7.testing.peers import Client, ScriptedPeer, close, refuse
from tests.acceptance.messages import RUTH, adt
from tests.acceptance.practice import PM_OWNS, Ledger, until
from tests.acceptance.process import Served, served
from tests.acceptance.replies import read_reply

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]

TOKEN = "a-token-for-tests"
WHY = {"reason": "as the support said"}
AGAIN = {"since": "2020-01-01", "send": True, "stop_after": 1, **WHY}
REFUSED = refuse("AE", 103)


class Case(NamedTuple):
    """path: of the verb; first: what is asked before it; script: of the EMR; state: of its first copy before it."""

    path: str
    action: str
    first: str = ""
    script: tuple[Behaviour, ...] = ()
    state: str = "accepted"
    stopped: bool = False


CASES = {
    "retry": Case("/deliveries/1/retry", "retry-delivery", "", (REFUSED,), "parked"),
    "renew": Case("/deliveries/1/renew", "renew-delivery", "", (REFUSED,), "parked"),
    "skip": Case("/deliveries/1/skip", "skip-delivery", "", (REFUSED,), "parked"),
    "close": Case("/deliveries/1/close", "close-delivery", "", (REFUSED,), "parked"),
    "arrived": Case("/deliveries/1/arrived", "arrived-delivery", "", (close,), "unknown"),
    "pause": Case("/links/emr/pause", "pause-link"),
    "drain": Case("/links/emr/drain", "drain-link"),
    "resume": Case("/links/emr/resume", "resume-link", "/links/emr/pause"),
    "resend": Case("/links/emr/resend", "resend"),
    "continue": Case("/resends/1/continue", "continue-resend", "/links/emr/resend", (), "accepted", stopped=True),
    "drop": Case("/resends/1/drop", "drop-resend", "/links/emr/resend", (), "accepted", stopped=True),
}


async def ask(broker: Served, path: str, key: str) -> httpx.Response:
    place = next(word for line in broker.output.splitlines() for word in line.split() if word.startswith("http://127.0.0.1"))
    headers = {"Authorization": f"Bearer {TOKEN}"} | ({"Idempotency-Key": key} if key else {})
    async with httpx.AsyncClient(base_url=place.partition("/?")[0].rstrip("/"), trust_env=False, timeout=30.0) as client:
        return await client.post(f"/api/v1{path}", json=AGAIN if path.endswith("/resend") else WHY, headers=headers)


@pytest.mark.parametrize("verb", CASES)
async def test_a_verb_whose_answer_a_kill_has_swallowed_is_done_once_under_its_key(tmp_path: Path, verb: str) -> None:
    case, database = CASES[verb], tmp_path / "ophl7.db"
    ledger = Ledger(database)
    passage = "2" if case.first else "1"
    doomed = (sys.executable, "-m", "tests.crash.doomed", "what a person asked for is done", passage)
    how = "review" if verb == "arrived" else "resend"
    async with AsyncExitStack() as stack:
        pm, emr = await stack.enter_async_context(ScriptedPeer()), await stack.enter_async_context(ScriptedPeer(*case.script))
        async with served(database, PM_OWNS, pm.url, emr.url, command=doomed, API_TOKEN=TOKEN, EMR_ON_TIMEOUT=how) as broker:
            async with Client(*broker.addresses["pm"]) as line:
                assert read_reply(await line.send(adt("REG", "A28", RUTH, sender="pm"))).code == "AA"
            await until(lambda: ledger.deliveries("REG")[0]["state"] == case.state)
            if case.stopped:
                emr.script.append(REFUSED)
            if case.first:
                assert (await ask(broker, case.first, "K0")).status_code == 200
            if case.stopped:
                await until(lambda: ledger.rows("SELECT state FROM resend") == [{"state": "stopped"}])
            with pytest.raises(httpx.TransportError):
                await ask(broker, case.path, "K1")
            assert await broker.stopped() == -9
        async with served(database, PM_OWNS, pm.url, emr.url, API_TOKEN=TOKEN, EMR_ON_TIMEOUT=how) as broker:
            for _ in range(2):
                answer = await ask(broker, case.path, "K1")
                assert answer.status_code == 200, answer.text
            assert len(ledger.rows("SELECT id FROM audit WHERE action = ?", case.action)) == 1
            other = await ask(broker, "/links/pm/pause", "K1")
            assert other.status_code == (200 if verb == "resend" else 409), "a run keeps its key itself"
