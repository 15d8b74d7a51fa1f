"""A steady load in a process of its own: each message leaves at its time, and how long its answer takes is measured.

    python -m tests.soak.load --pm 127.0.0.1:2575 --emr 127.0.0.1:2576 --messages 100000 --rate 1500

The rate is below what the broker can take, so a latency is the broker's and not that of a queue before it. A line waits for its
answer before it sends again. When no line of a side is free at a message's time, or this process was late itself, the message
leaves late: that is counted apart (`late_ms`) and is no part of any latency. One JSON object a tenth on standard output.
"""

from __future__ import annotations

import argparse
import gc
import json
import selectors
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import accumulate
from zoneinfo import ZoneInfo

from tests.benchmarks.figures import percentile
from tests.benchmarks.load import QUIET_LIMIT, ZONE, Address, LoadFailed, connect, parse_address, reason
from tests.soak.plan import Plan, Side, Step

LINES: dict[Side, int] = {"pm": 24, "emr": 8}


@dataclass(slots=True)
class Line:
    """One connection: at most one message of it is unanswered."""

    side: Side
    connection: socket.socket
    step: Step | None = None
    sent_at: float = 0.0
    partial: bytes = b""


@dataclass(frozen=True, slots=True)
class Tenth:
    """What came back of one part of the messages. delivers: how many of them go on to the other side."""

    number: int
    answers: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    late_ms: float
    load_cpu: float
    delivers: int
    kinds: dict[str, int]
    wrong: dict[str, int]
    next_serial: int
    newcomers: int


@dataclass(slots=True)
class _Count:
    began: float
    cpu: float
    latencies: list[float] = field(default_factory=list)
    late: float = 0.0
    delivers: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)


class Load:
    """Sends a plan's steps at their times."""

    def __init__(self, plan: Plan, addresses: dict[Side, Address], rate: float) -> None:
        """rate: messages a second; 0 for as fast as they are answered."""
        self._plan = plan
        self._rate = rate
        self._lines = [Line(side, connect(addresses[side])) for side, count in LINES.items() for _ in range(count)]
        self._free: dict[Side, deque[Line]] = {side: deque(one for one in self._lines if one.side == side) for side in LINES}
        self._under_way = 0
        self._answered = 0
        self._count = _Count(time.perf_counter(), time.process_time())

    def run(self, steps: Iterator[Step], parts: list[int]) -> Iterator[Tenth]:
        """Sends all steps and yields after each of `parts` answers. Raises LoadFailed when the server does not answer."""
        with selectors.DefaultSelector() as selector:
            for line in self._lines:
                selector.register(line.connection, selectors.EVENT_READ, line)
            begun = last_answer = time.perf_counter()
            self._count = _Count(begun, time.process_time())
            waiting, sent, number, ends = next(steps, None), 0, 1, list(accumulate(parts))
            while waiting is not None or self._under_way:
                now = time.perf_counter()
                due = begun + sent / self._rate if self._rate else now
                if waiting is not None and now >= due and self._free[waiting.side]:
                    self._send(waiting, now - due)
                    waiting, sent = next(steps, None), sent + 1
                    if not self._rate or sent % 8:  # now and then answers are looked for although messages are overdue
                        continue
                idle = waiting is None or not self._free[waiting.side]
                ready = selector.select(1.0 if idle else max(0.0, due - now))
                if ready:
                    last_answer = time.perf_counter()
                    for key, _ in ready:
                        self._receive(key.data, last_answer)
                elif self._under_way and time.perf_counter() - last_answer > QUIET_LIMIT:
                    raise LoadFailed(f"{self._under_way} messages unanswered and no answer at all for {QUIET_LIMIT:g} s")
                if number <= len(ends) and self._answered >= ends[number - 1]:
                    yield self._close(number)
                    number += 1
        for line in self._lines:
            line.connection.close()

    def _send(self, step: Step, late: float) -> None:
        line = self._free[step.side].popleft()
        line.step = step
        self._under_way += 1
        if self._rate:
            self._count.late = max(self._count.late, late)
        line.sent_at = time.perf_counter()
        try:
            written = line.connection.send(step.frame)
        except OSError as trouble:
            raise LoadFailed(f"the server broke a connection: {trouble}") from trouble
        if written != len(step.frame):
            raise LoadFailed(f"only {written} of {len(step.frame)} bytes fitted into an empty socket buffer")

    def _receive(self, line: Line, now: float) -> None:
        try:
            data = line.connection.recv(65536)
        except OSError as trouble:
            raise LoadFailed(f"the server broke a connection with a message unanswered: {trouble}") from trouble
        if not data or line.step is None:
            raise LoadFailed("the server closed a connection, or answered without a question")
        line.partial += data
        if line.partial[-2:] != b"\x1c\r":
            return
        answer, line.partial = line.partial, b""
        step, line.step = line.step, None
        self._free[line.side].append(line)
        self._under_way -= 1
        self._answered += 1
        count = self._count
        count.latencies.append(now - line.sent_at)
        count.kinds[step.kind] += 1
        count.delivers += step.delivers
        if step.expected not in answer or answer.find(b"\x0b", 1) > 0:
            count.wrong[f"{step.kind}: {reason(answer, step.expected)}"] += 1

    def _close(self, number: int) -> Tenth:
        done, now, cpu = self._count, time.perf_counter(), time.process_time()
        self._count = _Count(now, cpu)
        times = sorted(done.latencies)
        seconds = now - done.began
        return Tenth(
            number=number,
            answers=len(times),
            seconds=round(seconds, 3),
            p50_ms=round(percentile(times, 0.5) * 1000, 3),
            p99_ms=round(percentile(times, 0.99) * 1000, 3),
            max_ms=round(times[-1] * 1000, 3),
            late_ms=round(done.late * 1000, 3),
            load_cpu=round((cpu - done.cpu) / seconds, 3),
            delivers=done.delivers,
            kinds=dict(sorted(done.kinds.items())),
            wrong=dict(done.wrong.most_common(10)),
            next_serial=self._plan.serial,
            newcomers=self._plan.newcomers,
        )


def tenths(count: int) -> list[int]:
    """`count` in ten parts; a count below ten in one."""
    if count < 10:
        return [count]
    part, rest = divmod(count, 10)
    return [part + (number < rest) for number in range(10)]


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Steady HL7 load; prints one JSON object a tenth.")
    parser.add_argument("--pm", type=parse_address, required=True, metavar="HOST:PORT")
    parser.add_argument("--emr", type=parse_address, required=True, metavar="HOST:PORT")
    parser.add_argument("--patients", type=int, required=True, help="who is known from the beginning")
    parser.add_argument("--messages", type=int, default=0, help="of the mix; 0: every patient is registered, and nothing else")
    parser.add_argument("--rate", type=float, default=0.0, help="messages a second (default 0: as fast as they are answered)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first-serial", type=int, default=0)
    parser.add_argument("--newcomers", type=int, default=0, help="patients that earlier runs have added")
    return parser


def main() -> int:
    wanted = arguments().parse_args()
    plan = Plan(wanted.patients, wanted.seed, datetime.now(ZoneInfo(ZONE)), wanted.first_serial, wanted.newcomers)
    steps = plan.mixed(wanted.messages) if wanted.messages else plan.registrations()
    parts = tenths(wanted.messages) if wanted.messages else [wanted.patients]
    gc.collect()
    gc.freeze()
    gc.disable()  # nothing here makes cycles
    try:
        for tenth in Load(plan, {"pm": wanted.pm, "emr": wanted.emr}, wanted.rate).run(steps, parts):
            print(json.dumps(asdict(tenth)), flush=True)
    except LoadFailed as failure:
        print(f"load: {failure}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
