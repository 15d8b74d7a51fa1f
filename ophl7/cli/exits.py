"""What the exit status of every command means; scripts rely on these numbers."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit status of `ophl7`."""

    OK = 0
    USAGE = 1
    CONFIGURATION = 2  # or anything else that stops the start, a fault of ours included
    CONNECTION = 3
    REFUSED = 4  # the peer answered, and not with AA or CA; the broker refused, or is not ready; a message does not conform
    INTERRUPTED = 130  # Ctrl-C, as shells count it
