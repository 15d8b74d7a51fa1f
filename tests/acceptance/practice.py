"""A practice under test: a real broker on free ports, scripted peers as its destinations, and a look into its database."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any, Self

from ophl7 import settings
from ophl7.broker import Broker, Listening
from ophl7.engine.ports import Clock
from ophl7.observe.logs import make_log
from ophl7.testing.peers import Client, ScriptedPeer
from tests.acceptance.messages import Side, control_id_of, relayed
from tests.acceptance.replies import Reply, read_reply

LIMIT_SECONDS = 10.0

# Patient authority / schedule authority (decisions 1).
PM_OWNS, EMR_OWNS, SPLIT = "pm/pm", "emr/emr", "pm/emr"
SETUPS = (PM_OWNS, EMR_OWNS, SPLIT)

Row = dict[str, Any]
Opening = Callable[..., Awaitable["Practice"]]


def owner_of_patients(setup: str) -> Side:
    return "pm" if setup.startswith("pm") else "emr"


def owner_of_schedule(setup: str) -> Side:
    return "pm" if setup.endswith("pm") else "emr"


def other(side: Side) -> Side:
    return "emr" if side == "pm" else "pm"


def environment(database: Path, setup: str, pm_url: str, emr_url: str, **more: str) -> dict[str, str]:
    """What `ophl7 serve` would be started with. more: settings without their prefix."""
    patients, schedule = setup.split("/")
    chosen = {
        "PM_LISTEN": "127.0.0.1:0",
        "EMR_LISTEN": "127.0.0.1:0",
        "HTTP_LISTEN": "127.0.0.1:0",
        "DATABASE_URL": f"sqlite:///{database}",
        "TIMEZONE": "America/New_York",
        "PATIENT_AUTHORITY": patients,
        "SCHEDULE_AUTHORITY": schedule,
        "PM_URL": pm_url,
        "EMR_URL": emr_url,
        "PM_RETRY": "10ms..50ms",
        "EMR_RETRY": "10ms..50ms",
        "LOG_FORMAT": "json",
    }
    return {f"OPHL7_{name}": value for name, value in (chosen | more).items() if value}


class Ledger:
    """Reads the database of a broker, running or not."""

    def __init__(self, database: Path) -> None:
        self.database = database

    def rows(self, sql: str, *values: object) -> list[Row]:
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(sql, values)]

    def count(self, table: str) -> int:
        (row,) = self.rows(f"SELECT count(*) AS n FROM {table}")
        return int(row["n"])

    def journal(self, control_id: str) -> Row:
        """The last message with that MSH-10."""
        return self.rows("SELECT * FROM journal WHERE control_id = ? ORDER BY id DESC LIMIT 1", control_id)[0]

    def state(self, control_id: str) -> str:
        return str(self.journal(control_id)["state"])

    def decided(self, control_id: str) -> tuple[str, str]:
        """State and row of decisions.md."""
        found = self.journal(control_id)
        return found["state"], found["decision_row"]

    def patient(self, identifier: str, authority: str = "PM") -> Row | None:
        found = self.rows(
            "SELECT p.* FROM alias a JOIN patient p ON p.id = a.patient WHERE a.value = ? AND a.authority = ?",
            identifier,
            authority,
        )
        return found[0] | {"fields": json.loads(found[0]["fields"])} if found else None

    def field(self, identifier: str, path: str, authority: str = "PM") -> str | None:
        patient = self.patient(identifier, authority)
        assert patient is not None, f"no patient {authority}:{identifier}"
        value: str | None = patient["fields"].get(path)
        return value

    def appointment(self, filler: str) -> Row | None:
        found = self.rows("SELECT * FROM appointment WHERE filler = ?", filler)
        assert len(found) < 2
        return found[0] if found else None

    def charges(self) -> list[tuple[str, str]]:
        """FT1-2 and state of all that count, in order."""
        found = self.rows("SELECT * FROM charge WHERE state <> 'superseded' ORDER BY id")
        return [(row["transaction_id"], row["state"]) for row in found]

    def holds(self) -> list[str]:
        """The keys of all open holds."""
        return [row["key"] for row in self.rows("SELECT key FROM hold WHERE closed_at IS NULL ORDER BY id")]

    def merges(self) -> list[tuple[str, str, bool, bool, str]]:
        """Retired and surviving chart by their PM ids, whether the PM and the EMR have merged them, and the state."""
        found = self.rows(
            """SELECT (SELECT value FROM alias WHERE patient = m.retired ORDER BY authority = 'PM' DESC LIMIT 1) AS retired,
                (SELECT value FROM alias WHERE patient = m.survivor ORDER BY authority = 'PM' DESC LIMIT 1) AS survivor,
                m.pm_at IS NOT NULL AS pm, m.emr_at IS NOT NULL AS emr, m.state FROM merge m ORDER BY m.id"""
        )
        return [(row["retired"], row["survivor"], bool(row["pm"]), bool(row["emr"]), row["state"]) for row in found]

    def merged_into(self, identifier: str, side: Side) -> str | None:
        """The PM id of the chart into which that side has merged this one."""
        patient = self.patient(identifier)
        assert patient is not None
        found = self.rows(
            "SELECT value FROM alias WHERE patient = ? ORDER BY authority = 'PM' DESC LIMIT 1", patient[f"merged_{side}"]
        )
        return found[0]["value"] if found else None

    def drift(self) -> list[tuple[str, str, str | None]]:
        """Field, what was offered and what was kept."""
        return [(row["field"], row["offered"], row["kept"]) for row in self.rows("SELECT * FROM drift ORDER BY id")]

    def deliveries(self, control_id: str) -> list[Row]:
        """The copies of the last message with that MSH-10."""
        return self.rows("SELECT * FROM delivery WHERE message = ? ORDER BY id", self.journal(control_id)["id"])

    def destinations(self, control_id: str) -> list[str]:
        return [row["destination"] for row in self.deliveries(control_id)]


class Practice(Ledger):
    """A broker, its two destinations `desk["pm"]` and `desk["emr"]`, and a connection into each listener."""

    def __init__(self, database: Path, setup: str, **more: str) -> None:
        super().__init__(database)
        self.setup = setup
        self.patients, self.schedule = owner_of_patients(setup), owner_of_schedule(setup)
        self.desk: dict[Side, ScriptedPeer] = {"pm": ScriptedPeer(), "emr": ScriptedPeer()}
        self.broker: Broker
        self.listening: Listening
        self.more = more  # settings without their prefix, read at the start
        self.clock: Clock | None = None  # another than the machine's, read at the start
        self._clients: dict[Side, Client] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for peer in self.desk.values():
            await self._stack.enter_async_context(peer)
        urls = self.desk["pm"].url, self.desk["emr"].url
        chosen = settings.load(environment(self.database, self.setup, *urls, **self.more))
        self.broker = Broker(chosen, make_log("error", "json"), clock=self.clock)
        self.listening = await self.broker.start()
        self._stack.push_async_callback(self.broker.stop)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def address(self, side: Side) -> tuple[str, int]:
        return self.listening.pm if side == "pm" else self.listening.emr

    async def client(self, side: Side) -> Client:
        """A new connection of that peer."""
        return await self._stack.enter_async_context(Client(*self.address(side)))

    async def line(self, side: Side) -> Client:
        """The peer's one connection."""
        if side not in self._clients:
            self._clients[side] = await self.client(side)
        return self._clients[side]

    async def send(self, side: Side, payload: bytes) -> Reply:
        """Sends a message on the peer's line; its answer names it, which is looked at for every message of every test."""
        reply = read_reply(await (await self.line(side)).send(payload))
        assert reply.control_id == control_id_of(payload)
        return reply

    async def accepted(self, side: Side, *payloads: bytes) -> Reply:
        """Sends messages that must be taken with AA; the last answer."""
        replies = [await self.send(side, payload) for payload in payloads]
        assert [reply.code for reply in replies] == ["AA"] * len(payloads), [reply.raw for reply in replies]
        return replies[-1]

    async def arrived(self, side: Side, control_id: str) -> bytes:
        """The copy with that MSH-10 of ours, once its destination has it."""
        peer = self.desk[side]
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                for payload in peer.payloads:
                    if control_id_of(payload) == control_id:
                        return payload
                await peer.received(len(peer.messages) + 1, LIMIT_SECONDS)

    async def copy_of(self, sent: bytes, side: Side) -> bytes:
        """The one copy of `sent`, which goes to `side` and nowhere else; waits until it was accepted there."""
        control_id = control_id_of(sent)
        (row,) = self.deliveries(control_id)
        assert row["destination"] == side
        assert row["control_id"] != control_id
        payload = await self.arrived(side, row["control_id"])
        await self.until(lambda: self.deliveries(control_id)[0]["state"] == "accepted")
        return payload

    async def assert_relayed(self, sent: bytes, side: Side) -> None:
        """Its one copy left byte for byte, but for MSH-10."""
        payload = await self.copy_of(sent, side)
        assert payload == relayed(sent, control_id_of(payload))

    def assert_kept_back(self, *sent: bytes) -> None:
        """No copy was made: it would be in the same commit as the answer."""
        for payload in sent:
            assert self.destinations(control_id_of(payload)) == []

    async def until(self, holds: Callable[[], bool], limit: float = LIMIT_SECONDS) -> None:
        """Waits for an outcome that only the database tells. Raises TimeoutError."""
        await until(holds, limit)

    async def quiet(self, *sides: Side) -> dict[Side, list[bytes]]:
        """Everything that was delivered, once no delivery waits any more."""
        await self.until(lambda: not self.rows("SELECT 1 FROM delivery WHERE state IN ('queued', 'sending')"))
        return {side: list(peer.payloads) for side, peer in self.desk.items() if side in (sides or ("pm", "emr"))}


async def until(holds: Callable[[], bool], limit: float = LIMIT_SECONDS) -> None:
    """Looks again and again, at most `limit` seconds. Raises TimeoutError."""
    async with asyncio.timeout(limit):
        while not holds():  # noqa: ASYNC110 - the outcome is another process's or thread's: nothing tells us of it
            await asyncio.sleep(0.005)
