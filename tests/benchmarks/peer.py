"""A peer that answers AA to every frame, at once, and keeps nothing: the load's own limit, and the broker's destinations.

    python -m tests.benchmarks.peer --port 20001 --port 20002

A line on standard input asks how many messages came; the answer is one line of JSON, `{"20001": 17, "20002": 4}`.
The end of standard input ends the process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from functools import partial

_END = b"\x1c\r"


class Answerer(asyncio.Protocol):
    """One connection: cuts frames at FS CR and answers each with its own control id in MSA-2."""

    def __init__(self, counts: dict[int, int], port: int) -> None:
        self._counts = counts
        self._port = port
        self._partial = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        *frames, self._partial = (self._partial + data).split(_END)
        if frames:
            self._counts[self._port] += len(frames)
            self._transport.write(b"".join(map(answer, frames)))


def answer(frame: bytes) -> bytes:
    """The framed AA to one frame. Raises IndexError when it has no MSH-10: nothing but our own load comes here."""
    control_id = frame.split(b"|", 10)[9]
    return b"\x0bMSH|^~\\&|PEER|MAPLE|OPHL7|MAPLE|20260101000000||ACK|%b|P|2.5.1\rMSA|AA|%b\r\x1c\r" % (control_id, control_id)


async def serve(ports: list[int]) -> None:
    """Listens on loopback until standard input ends."""
    loop = asyncio.get_running_loop()
    counts = dict.fromkeys(ports, 0)
    servers = [await loop.create_server(partial(Answerer, counts, port), "127.0.0.1", port) for port in ports]
    questions = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(questions), sys.stdin)
    try:
        while await questions.readline():
            print(json.dumps(counts), flush=True)
    finally:
        for server in servers:
            server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Answer AA to every HL7 message.")
    parser.add_argument("--port", type=int, action="append", required=True, help="loopback port to listen on; may be repeated")
    asyncio.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
