"""Alarms posted to a real server: in order, signed, again and again, and never in anybody's way."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import io
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from ophl7.engine.alarm_rows import AlarmRow
from ophl7.observe.logs import make_log
from ophl7.observe.webhook import MOST_WAITING, Webhook
from tests.authority import Authority

ROW = AlarmRow(1, "silent", "pm", "nothing came", 1_700_000_000.0)


class Desk:
    """A web server that answers with what stands in `answers`, then with 204."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            fields = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            self.got.append((fields, await reader.readexactly(int(fields["content-length"]))))
            answer = self.answers.pop(0) if self.answers else b"HTTP/1.1 204 No Content\r\n\r\n"
            if answer:
                writer.write(answer)
                await writer.drain()
            else:
                await reader.read()
        finally:
            writer.close()


@asynccontextmanager
async def desk(tls: ssl.SSLContext | None = None) -> AsyncIterator[Desk]:
    there = Desk()
    async with await asyncio.start_server(there.serve, "127.0.0.1", 0, ssl=tls) as server:
        there.port = server.sockets[0].getsockname()[1]
        yield there


@asynccontextmanager
async def posting(url: str, **about: object) -> AsyncIterator[tuple[Webhook, io.StringIO, list[float]]]:
    out, slept = io.StringIO(), list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(0)

    webhook = Webhook(url, "key", make_log(stream=out, strict=True), sleep=sleep, **about)  # type: ignore[arg-type]
    task = asyncio.create_task(webhook.run())
    try:
        yield webhook, out, slept
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(there: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not there():  # noqa: ASYNC110 - what it does shows in what it holds, and nothing else
            await asyncio.sleep(0.005)


async def emptied(webhook: Webhook) -> None:
    await until(lambda: not webhook.waiting)


def events(out: io.StringIO) -> list[str]:
    return [json.loads(line)["event"] for line in out.getvalue().splitlines()]


async def test_events_come_in_order_and_signed() -> None:
    async with desk() as there, posting(f"http://127.0.0.1:{there.port}/a?b=c") as (webhook, out, _):
        webhook.tell("alarm_opened", ROW)
        webhook.tell("alarm_resolved", ROW._replace(resolved_at=1_700_000_060.0, how="cause_gone"))
        await emptied(webhook)
    assert [json.loads(body)["event"] for _, body in there.got] == ["alarm_opened", "alarm_resolved"]
    fields, body = there.got[0]
    assert fields["x-ophl7-signature"] == "sha256=" + hmac.new(b"key", body, hashlib.sha256).hexdigest()
    assert json.loads(body)["opened_at"] == "2023-11-14T22:13:20+00:00"
    assert events(out) == []


async def test_what_is_refused_redirected_or_garbage_is_tried_again_and_told_once() -> None:
    async with desk() as there, posting(f"http://127.0.0.1:{there.port}") as (webhook, out, slept):
        there.answers = [b"HTTP/1.1 500 No\r\n\r\n", b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", b"hello\r\n"]
        webhook.tell("alarm_opened", ROW)
        await emptied(webhook)
        await until(lambda: "webhook_up" in out.getvalue())
    assert len({body for _, body in there.got}) == 1
    assert len(there.got) == 4
    assert slept == [1.0, 2.0, 4.0]
    assert events(out) == ["webhook_down", "webhook_up"]


async def test_a_server_that_never_answers_costs_its_patience_and_no_more() -> None:
    async with desk() as there, posting(f"http://127.0.0.1:{there.port}", patience=0.05) as (webhook, out, _):
        there.answers = [b""]
        webhook.tell("alarm_opened", ROW)
        await emptied(webhook)
    assert "no answer within 0.05 s" in out.getvalue()


async def test_only_so_many_wait_and_the_oldest_goes_first() -> None:
    webhook = Webhook("http://127.0.0.1:9", None, make_log(stream=io.StringIO(), strict=True))
    for number in range(MOST_WAITING + 5):
        webhook.tell("alarm_opened", ROW._replace(id=number))
    assert webhook.waiting == MOST_WAITING


async def test_a_certificate_that_nobody_vouches_for_gets_nothing(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ours = authority.issue("127.0.0.1")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(ours.cert, ours.key)
    async with desk(tls) as there, posting(f"https://127.0.0.1:{there.port}") as (webhook, out, slept):
        webhook.tell("alarm_opened", ROW)
        await until(lambda: bool(slept))
        assert webhook.waiting == 1
    assert there.got == []
    assert "no TLS" in out.getvalue()
