"""What a practice's own developer would write in an afternoon: hl7.mllp, hl7.parse, create_ack. It stores nothing.

    python -m tests.benchmarks.baseline --port 20001

This is the receiver of the hl7 package's own documentation; every figure of ophl7 is shown as a multiple of it.
"""

from __future__ import annotations

import argparse
import asyncio

from hl7.mllp import HL7StreamReader, HL7StreamWriter, start_hl7_server


async def receive(reader: HL7StreamReader, writer: HL7StreamWriter) -> None:
    """Answers AA to each message of one connection until the sender goes."""
    try:
        while not writer.is_closing():
            message = await reader.readmessage()
            writer.writemessage(message.create_ack())
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionResetError):
        # The sender is done: the documented way to learn it.
        writer.close()


async def serve(port: int) -> None:
    """Listens on loopback until it is cancelled."""
    server = await start_hl7_server(receive, "127.0.0.1", port, encoding="utf-8")
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description="The hl7 package's documented receiver.")
    parser.add_argument("--port", type=int, required=True, help="loopback port to listen on")
    asyncio.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
