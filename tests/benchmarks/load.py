"""The load: stop-and-wait senders in a process of their own, light enough not to be what is measured.

    python -m tests.benchmarks.load --pm 127.0.0.1:2575 --emr 127.0.0.1:2576 --connections 32 --seconds 3

Plain sockets and one selector; frames are built beforehand, and a send costs one `bytes.replace`. Each answer must be one
frame with MSA|AA and our control id. The outcome is one JSON object on standard output.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import random
import selectors
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from .figures import percentile
from .messages import MARK, PATIENTS, Templates, from_emr, from_pm, patients, stamp, templates

ZONE = "America/New_York"
QUIET_LIMIT = 10.0
"""Seconds without a single answer after which a server counts as broken."""
_DRAWN = 2048  # messages drawn per line before it begins again, with new serial numbers

Address = tuple[str, int]


class LoadFailed(Exception):
    """The server under load refused a connection, closed one, or fell silent."""


Step = tuple[socket.socket, bytes, str]
"""Where to send, which template, and its kind (ADT, SIU, DFT) for the count."""


@dataclass(slots=True)
class Line:
    """One sender: at most one message of it is unanswered. `plan` yields what to send next."""

    plan: Iterator[Step]
    sockets: tuple[socket.socket, ...]
    expected: bytes = b""
    sent_at: float = 0.0
    partial: bytes = b""


@dataclass(slots=True)
class Tally:
    """What came back. latencies: seconds, for the answers inside of the measured time only."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    next_serial: int = 0
    cpu: float = 0.0  # share of one core that the load itself used


@dataclass(frozen=True, slots=True)
class Outcome:
    """One measurement as it is printed. Times in milliseconds; rate in answered messages a second."""

    connections: int
    seconds: float
    answers: int
    rate: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    kinds: dict[str, int]
    refusals: dict[str, int]
    load_cpu: float
    next_serial: int


def split(connections: int) -> list[float]:
    """The share of PM traffic of each of `connections` lines, so that together they send four fifths to the PM's listener.

    1.0: only to the PM's, 0.0: only to the EMR's. What does not divide evenly becomes one line with a connection to both.
    """
    only_pm, rest = divmod(4 * connections, 5)
    only_emr = connections // 5
    return [1.0] * only_pm + [0.0] * only_emr + ([rest / 5] if rest else [])


def connect(address: Address) -> socket.socket:
    """A non-blocking connection without Nagle's delay. Raises LoadFailed when nobody listens."""
    try:
        connection = socket.create_connection(address, timeout=5)
    except OSError as trouble:
        raise LoadFailed(f"no connection to {address[0]}:{address[1]}: {trouble}") from trouble
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setblocking(False)
    return connection


def mixed_lines(prepared: Templates, connections: int, pm: Address, emr: Address, seed: int) -> list[Line]:
    """Lines that send the practice's mix without end."""
    dice = random.Random(seed)
    return [_mixed_line(prepared, share, pm, emr, dice) for share in split(connections)]


def mixed_line(prepared: Templates, share: float, pm: Address, emr: Address, seed: int) -> Line:
    """One line; share: of the PM's traffic, from 0.0 to 1.0."""
    return _mixed_line(prepared, share, pm, emr, random.Random(seed))


def _mixed_line(prepared: Templates, share: float, pm: Address, emr: Address, dice: random.Random) -> Line:
    to_pm = connect(pm) if share > 0 else None
    to_emr = connect(emr) if share < 1 else None
    drawn: list[Step] = []
    for _ in range(_DRAWN):
        if to_pm is not None and (to_emr is None or dice.random() < share):
            drawn.append((to_pm, *_named(from_pm(prepared, dice))))
        elif to_emr is not None:
            drawn.append((to_emr, *_named(from_emr(prepared, dice))))
    return Line(itertools.cycle(drawn), tuple(one for one in (to_pm, to_emr) if one is not None))


def _named(template: bytes) -> tuple[bytes, str]:
    return template, template.split(b"|", 9)[8][:3].decode()


def registering_lines(prepared: Templates, connections: int, pm: Address) -> list[Line]:
    """Lines that announce every patient once, by A28 on the PM's listener, and end."""
    lines = []
    for number in range(connections):
        connection = connect(pm)
        plan = [(connection, *_named(template)) for template in prepared.registrations[number::connections]]
        lines.append(Line(iter(plan), (connection,)))
    return lines


def drive(lines: Sequence[Line], seconds: float, first_serial: int) -> Tally:
    """Sends on all lines for `seconds`, or until their plans end, waits for what is then still unanswered, and hangs up.

    Raises LoadFailed when the server closes a connection or answers nothing for :data:`QUIET_LIMIT`.
    """
    tally = Tally(next_serial=first_serial)
    # Nothing here makes cycles, so the measured time needs no collector.
    gc.collect()
    gc.disable()
    used, start = time.process_time(), time.perf_counter()
    try:
        _exchange(lines, tally, start, start + seconds)
    finally:
        gc.enable()
        for connection in {connection for line in lines for connection in line.sockets}:
            connection.close()
    passed = time.perf_counter() - start
    tally.seconds = min(seconds, passed)
    tally.cpu = (time.process_time() - used) / passed
    return tally


def _exchange(lines: Sequence[Line], tally: Tally, start: float, end: float) -> None:
    clock = time.perf_counter
    with selectors.DefaultSelector() as selector:
        for line in lines:
            for connection in line.sockets:
                selector.register(connection, selectors.EVENT_READ, line)
        waiting = sum(_send(line, tally) for line in lines)
        last_answer = start
        while waiting:
            ready = selector.select(1.0)
            if not ready and clock() - last_answer > QUIET_LIMIT:
                raise LoadFailed(f"{waiting} messages unanswered and no answer at all for {QUIET_LIMIT:g} s")
            for key, _ in ready:
                line = key.data
                data = _receive(line, key.fileobj)
                if not data:
                    continue
                last_answer = now = clock()
                if line.expected not in data or data.find(b"\x0b", 1) > 0:
                    tally.refusals[reason(data, line.expected)] += 1
                if now < end:
                    tally.latencies.append(now - line.sent_at)
                    if _send(line, tally):
                        continue
                waiting -= 1


def _send(line: Line, tally: Tally) -> bool:
    step = next(line.plan, None)
    if step is None:
        return False
    connection, template, kind = step
    digits = stamp(tally.next_serial)
    tally.next_serial += 1
    tally.kinds[kind] += 1
    line.expected = b"\rMSA|AA|B" + digits
    frame = template.replace(MARK, digits)
    line.sent_at = time.perf_counter()
    try:
        written = connection.send(frame)
    except OSError as trouble:
        raise LoadFailed(f"the server broke a connection: {trouble}") from trouble
    # The line's last message was answered, so its socket buffer is empty and takes a frame whole.
    if written != len(frame):
        raise LoadFailed(f"only {written} of {len(frame)} bytes fitted into an empty socket buffer")
    return True


def _receive(line: Line, connection: object) -> bytes:
    """The whole answer, or nothing while part of it is still under way."""
    assert isinstance(connection, socket.socket)
    try:
        data = connection.recv(65536)
    except OSError as trouble:
        raise LoadFailed(f"the server broke a connection with a message unanswered: {trouble}") from trouble
    if not data:
        raise LoadFailed("the server closed a connection with a message unanswered")
    if line.partial:
        data = line.partial + data
    if data[-2:] == b"\x1c\r":
        line.partial = b""
        return data
    line.partial = data
    return b""


def reason(data: bytes, expected: bytes) -> str:
    """Why an answer is not the one AA that was expected, short enough to count by; it holds synthetic data only."""
    if data.find(b"\x0b", 1) > 0:
        return "more than one answer to a message"
    segments = data[1:-2].split(b"\r")
    msa = next((segment for segment in segments if segment.startswith(b"MSA|")), b"")
    fields = msa.split(b"|")
    if len(fields) < 3:
        return "no MSA in the answer"
    if fields[2] != expected[len(b"\rMSA|AA|") :]:
        return "another message's control id"
    err = next((segment for segment in segments if segment.startswith(b"ERR|")), b"")
    return b" ".join(filter(None, (fields[1], b"|".join(fields[3:]), err))).decode("utf-8", "replace")[:200]


def outcome(tally: Tally, connections: int) -> Outcome:
    """The figures of one measurement. Raises LoadFailed when there was not one answer in time."""
    if not tally.latencies:
        raise LoadFailed("not one answer came within the measured time")
    times = sorted(tally.latencies)
    return Outcome(
        connections=connections,
        seconds=round(tally.seconds, 3),
        answers=len(times),
        rate=round(len(times) / tally.seconds, 1),
        **{
            name: round(percentile(times, share) * 1000, 3)
            for name, share in (("p50_ms", 0.5), ("p90_ms", 0.9), ("p99_ms", 0.99), ("p999_ms", 0.999), ("max_ms", 1.0))
        },
        kinds=dict(sorted(tally.kinds.items())),
        refusals=dict(tally.refusals.most_common(10)),
        load_cpu=round(tally.cpu, 3),
        next_serial=tally.next_serial,
    )


def parse_address(text: str) -> Address:
    """`127.0.0.1:2575` as host and port. Raises ValueError otherwise."""
    host, _, port = text.rpartition(":")
    return host, int(port)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Stop-and-wait HL7 load; prints one JSON object.")
    parser.add_argument("--pm", type=parse_address, required=True, metavar="HOST:PORT", help="where ADT and SIU go")
    parser.add_argument("--emr", type=parse_address, required=True, metavar="HOST:PORT", help="where DFT go")
    parser.add_argument("--connections", type=int, default=32, help="messages in flight (default 32)")
    parser.add_argument("--seconds", type=float, default=3.0, help="measured time (default 3)")
    parser.add_argument("--seed", type=int, default=1, help="of patients and mix (default 1)")
    parser.add_argument("--patients", type=int, default=PATIENTS, help=f"how many children (default {PATIENTS})")
    parser.add_argument("--first-serial", type=int, default=0, help="of control ids; never use one twice on one database")
    parser.add_argument("--core", type=int, help="the processor to stay on")
    parser.add_argument("--register", action="store_true", help="announce every patient once by A28, and nothing else")
    return parser


def main() -> int:
    wanted = arguments().parse_args()
    if wanted.core is not None:
        os.sched_setaffinity(0, {wanted.core})
    prepared = templates(patients(wanted.patients, wanted.seed), datetime.now(ZoneInfo(ZONE)))
    try:
        if wanted.register:
            lines = registering_lines(prepared, wanted.connections, wanted.pm)
            tally = drive(lines, float("inf"), wanted.first_serial)
        else:
            lines = mixed_lines(prepared, wanted.connections, wanted.pm, wanted.emr, wanted.seed)
            tally = drive(lines, wanted.seconds, wanted.first_serial)
        print(json.dumps(asdict(outcome(tally, wanted.connections))), flush=True)
    except LoadFailed as failure:
        print(f"load: {failure}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
