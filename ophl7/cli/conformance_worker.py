"""The process that looks into files which nobody has looked into yet: `python -P -m ophl7.cli.conformance_worker`.

It gets files on standard input, answers with a line of JSON for each file and each message on standard output, and is gone when
one of them takes too long or too much memory: that is the point of it. What it says holds no value of a message.
"""

from __future__ import annotations

import json
import resource
import signal
import struct
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, BinaryIO, Final

from ophl7.cli.files import read_messages
from ophl7.errors import Unreadable
from ophl7.hl7v2 import batch
from ophl7.hl7v2.conformance import Finding, Report, check

JOB: Final = struct.Struct(">II")
"""Before each file: how many of its messages to pass over, and its length in bytes."""

SECONDS: Final = 10
MEMORY: Final = 1024 * 1024 * 1024  # bytes of address space; about 150 MiB of it are Python and the tables


def main() -> None:
    """Answers every file on standard input; SIGALRM ends the process where one step takes more than SECONDS."""
    for kind, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    for number, (skip, data) in enumerate(_jobs(sys.stdin.buffer)):
        for line in _answers(skip, data):
            sys.stdout.write(json.dumps({"file": number, **line}) + "\n")
            sys.stdout.flush()


def _jobs(source: BinaryIO) -> Iterator[tuple[int, bytes]]:
    while head := source.read(JOB.size):
        skip, length = JOB.unpack(head)
        yield skip, source.read(length)


def _answers(skip: int, data: bytes) -> Iterator[dict[str, Any]]:
    signal.alarm(SECONDS)
    try:
        members, problems = _split(data)
    except ValueError as error:
        members, problems = [], [str(error)]
    except MemoryError:
        members, problems = [], ["needs too much memory to be read"]
    signal.alarm(0)
    yield {"messages": len(members), "problems": problems}
    for number, member in enumerate(members[skip:], start=skip + 1):
        signal.alarm(SECONDS)
        report = _report(member)
        signal.alarm(0)
        yield {"message": number, **asdict(report)}


def _split(data: bytes) -> tuple[list[bytes], list[str]]:
    """The messages of a file, those of batches one by one, and what is wrong around them. Raises ValueError."""
    found: list[bytes] = []
    problems: list[str] = []
    for block in read_messages(data):
        parts = batch.split(block)
        found += [block[start:end] for start, end in parts.members]
        problems += parts.problems
    return found, problems


def _report(raw: bytes) -> Report:
    try:
        return check(raw)
    except Unreadable as error:
        return Report("", "", "", (Finding("error", f"cannot be read: {error}", error.segment, 1, error.field),))
    except MemoryError:
        return Report("", "", "", (Finding("error", "needs too much memory to be checked"),))


if __name__ == "__main__":
    main()
