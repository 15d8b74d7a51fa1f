"""The whole broker, as a process of its own, with TLS and certificates on all four roads."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ophl7.mllp.framing import frame
from ophl7.testing.peers import Client, ScriptedPeer
from tests.acceptance.messages import adt, control_id_of, dft, relayed
from tests.acceptance.practice import PM_OWNS, Ledger, environment, until
from tests.acceptance.process import Served, run, served
from tests.acceptance.replies import read_reply
from tests.authority import Authority, Issued

TOKEN = "a-token-for-this-test"
_WEB = re.compile(r"Status page: http://127\.0\.0\.1:(\d+)/")


class Desks:
    """Both destinations over TLS, each with an authority of its own, and a broker between them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = Ledger(folder / "ophl7.db")
        self.pm, self.emr = Authority(folder, "pm"), Authority(folder, "emr")
        self.ours = {"PM": self.pm.issue("ophl7"), "EMR": self.emr.issue("ophl7")}
        self.at_pm = ScriptedPeer(tls=self.pm.issue("pm").serving(clients=self.pm))
        self.at_emr = ScriptedPeer(tls=self.emr.issue("emr").serving(clients=self.emr))

    def settings(self, **more: str) -> dict[str, Any]:
        chosen = {"API_TOKEN": TOKEN}
        for peer, authority in (("PM", self.pm), ("EMR", self.emr)):
            chosen |= {
                f"{peer}_TLS_CERT": str(self.ours[peer].cert),
                f"{peer}_TLS_KEY": str(self.ours[peer].key),
                f"{peer}_TLS_CA": str(authority.file),
                f"{peer}_TLS_CLIENT_AUTH": "must",
            }
        return chosen | more

    @asynccontextmanager
    async def open(self, **more: str) -> AsyncIterator[Served]:
        async with (
            self.at_pm,
            self.at_emr,
            served(self.ledger.database, PM_OWNS, self.at_pm.url, self.at_emr.url, **self.settings(**more)) as broker,
        ):
            yield broker

    def caller(self, broker: Served, shown: Issued | None) -> Client:
        """The PM's own system, with this certificate."""
        return Client(*broker.addresses["pm"], self.pm.trusting(shown))


@pytest.fixture
def desks(tmp_path: Path) -> Desks:
    return Desks(tmp_path)


def events(broker: Served, name: str) -> list[dict[str, Any]]:
    """Log lines with this event."""
    lines = (json.loads(line) for line in broker.output.splitlines() if line.startswith("{"))
    return [line for line in lines if line["event"] == name]


async def ask(broker: Served, path: str) -> str:
    found = _WEB.search(broker.output)
    assert found is not None

    def get() -> str:
        with closing(http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=10)) as connection:
            connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
            return connection.getresponse().read().decode()

    return await asyncio.to_thread(get)


async def test_a_registration_and_a_charge_travel_over_tls_with_certificates_both_ways(desks: Desks) -> None:
    registration, charge = adt("R1", "A28"), dft("C1")
    async with desks.open() as broker:
        assert broker.output.count("(MLLP over TLS, with a certificate only)") == 2
        assert desks.at_emr.url.startswith("mllps://")
        assert f"Messages for the EMR go to   {desks.at_emr.url}" in broker.output
        async with desks.caller(broker, desks.pm.issue("pm-out")) as line:
            assert read_reply(await line.send(registration)).code == "AA"
        async with Client(*broker.addresses["emr"], desks.emr.trusting(desks.emr.issue("emr-out"))) as line:
            assert read_reply(await line.send(charge)).code == "AA"
        (copy,) = await desks.at_emr.received(1)
        assert copy == relayed(registration, control_id_of(copy))
        (copy,) = await desks.at_pm.received(1)
        assert copy == relayed(charge, control_id_of(copy))
        await until(lambda: {row["state"] for row in desks.ledger.rows("SELECT state FROM delivery")} == {"accepted"})
        links = {link["peer"]: link for link in json.loads(await ask(broker, "/api/v1/links"))["items"]}
        assert [links[peer]["listener"]["tls"] for peer in ("pm", "emr")] == [True, True]
        assert links["emr"]["destination"]["url"] == desks.at_emr.url
        assert 'ophl7_tls_cert_expiry_timestamp_seconds{peer="pm"}' in await ask(broker, "/metrics")
        broker.tell_to_stop()
        assert await broker.stopped() == 0
    assert "loop_fault" not in broker.output
    assert "library_log" not in broker.output
    assert "Traceback" not in broker.output


async def test_each_client_that_gets_no_tls_is_one_line_and_the_broker_goes_on(desks: Desks) -> None:
    async with desks.open() as broker:
        bad = [None, desks.emr.issue("emr-out"), desks.pm.issue("old", lasts=timedelta(days=-1))]
        for shown in bad:  # nothing, the other peer's, and an old one
            async with desks.caller(broker, shown) as line:
                await line.send_raw(frame(adt("R0", "A28")))
                await line.closed()
        async with Client(*broker.addresses["pm"]) as plain:
            await plain.send_raw(frame(adt("R0", "A28")))
            assert await plain.wire._reader.read(1) in (b"\x15", b"")  # an alert
        async with desks.caller(broker, desks.pm.issue("pm-out")) as line:
            assert read_reply(await line.send(adt("R1", "A28"))).code == "AA"
        told = events(broker, "tls_failed")
        assert [(entry["level"], entry["peer"], entry["kind"]) for entry in told] == [
            ("warning", "pm", "no_certificate"),
            ("warning", "pm", "certificate"),
            ("warning", "pm", "certificate"),
            ("warning", "pm", "no_tls"),
        ]
        for entry in told:
            assert entry["reason"].startswith("the client ")
            assert re.fullmatch(r"127\.0\.0\.1:\d+", entry["remote"])
            assert entry.keys() == {"ts", "level", "event", "peer", "remote", "kind", "reason"}
        assert len(events(broker, "connection_opened")) == 1
        assert 'ophl7_connections_refused_total{listener="pm",reason="tls"} 4.0' in await ask(broker, "/metrics")
    assert [row["control_id"] for row in desks.ledger.rows("SELECT control_id FROM journal")] == ["R1"]
    for word in ("loop_fault", "library_log", "Traceback", "ADAMSKI"):
        assert word not in broker.output


async def test_a_destination_that_is_not_believed_gets_nothing_until_it_is_mended(desks: Desks) -> None:
    wrong, right = desks.pm.issue("emr"), desks.emr.issue("emr-renewed")
    desks.at_emr.tls = context = wrong.serving(clients=desks.emr)
    async with desks.open() as broker:
        async with desks.caller(broker, desks.pm.issue("pm-out")) as line:
            assert read_reply(await line.send(adt("R1", "A28"))).code == "AA"
        await until(lambda: len(events(broker, "link_down")) == 1)
        (down,) = events(broker, "link_down")
        assert (down["destination"], down["kind"]) == ("emr", "tls")
        assert down["reason"].startswith(f"{desks.at_emr.url} shows a certificate that is signed by nobody in OPHL7_EMR_TLS_CA")
        (waiting,) = desks.ledger.deliveries("R1")
        assert (waiting["state"], waiting["attempts"]) == ("queued", 0)
        links = json.loads(await ask(broker, "/api/v1/links"))["items"]
        assert (links[1]["destination"]["state"], links[1]["destination"]["last_error"][:4]) == ("down", "tls:")
        context.load_cert_chain(right.cert, right.key)
        (copy,) = await desks.at_emr.received(1)
        await until(lambda: desks.ledger.deliveries("R1")[0]["state"] == "accepted")
        assert copy == relayed(adt("R1", "A28"), control_id_of(copy))
        assert desks.ledger.deliveries("R1")[0]["attempts"] == 1


async def test_wrong_files_stop_the_start_with_2_and_all_of_them_are_told(desks: Desks) -> None:
    desks.ours["PM"].key.chmod(0o644)
    missing = str(desks.folder / "nowhere.pem")
    environ = environment(desks.ledger.database, PM_OWNS, "", "", **desks.settings(EMR_TLS_CA=missing))
    broker = await run(desks.ledger.database, environ)
    assert await broker.stopped(20) == 2
    assert "2 settings are wrong" in broker.output
    assert "OPHL7_PM_TLS_KEY: every user of this machine can get at the key" in broker.output
    assert "OPHL7_EMR_TLS_CA: " in broker.output
    assert "Traceback" not in broker.output
    assert not desks.ledger.database.exists()


async def test_an_expired_certificate_of_ours_is_said_loudly_and_the_broker_runs(desks: Desks) -> None:
    desks.ours["EMR"] = desks.emr.issue("expired", lasts=timedelta(days=-1))
    async with desks.open() as broker:
        assert "ATTENTION: the certificate in OPHL7_EMR_TLS_CERT expired on" in broker.output
        (alarm,) = events(broker, "alarm_opened")
        assert (alarm["alarm"], alarm["peer"]) == ("certificate_expired", "emr")
        async with desks.caller(broker, desks.pm.issue("pm-out")) as line:  # the other peer does not suffer
            assert read_reply(await line.send(adt("R1", "A28"))).code == "AA"
