"""What both test tools need of a connection, whichever end it is."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

LIMIT: Final = 64 * 1024 * 1024  # bytes of the longest block; without it hl7.mllp stops at 64 KiB
FILLER: Final = b"\r\n\x00 "  # bytes that senders leave between blocks, without a meaning (domain 4)

_CLOSE_SECONDS: Final = 1.0


async def close(writer: asyncio.StreamWriter) -> None:
    """Closes once what was written is out; what the other end does not read within a second is given up."""
    writer.close()
    try:
        with suppress(OSError):  # out of time, or the other end was faster: gone is what was wanted
            async with asyncio.timeout(_CLOSE_SECONDS):
                await writer.wait_closed()
    finally:
        writer.transport.abort()
