"""The load is believed only because it notices every answer that is not the right one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Self
from zoneinfo import ZoneInfo

import pytest

from .load import (
    Address,
    LoadFailed,
    Tally,
    drive,
    mixed_lines,
    outcome,
    parse_address,
    reason,
    registering_lines,
    split,
)
from .messages import Templates, control_id, patients, templates
from .peer import answer


@pytest.fixture(scope="module")
def prepared() -> Templates:
    return templates(patients(40, seed=1), datetime(2026, 3, 2, 9, 30, tzinfo=ZoneInfo("America/New_York")))


def right(frame: bytes) -> list[bytes]:
    return [answer(frame)]


def refusing(frame: bytes) -> list[bytes]:
    return [answer(frame).replace(b"MSA|AA|", b"MSA|AE|")]


def in_two_pieces(frame: bytes) -> list[bytes]:
    whole = answer(frame)
    return [whole[:40], whole[40:]]


def twice(frame: bytes) -> list[bytes]:
    return [answer(frame) * 2]


def of_another(frame: bytes) -> list[bytes]:
    return [answer(frame.replace(b"|B", b"|C", 1))]


def hanging_up(_: bytes) -> list[bytes]:
    return []


class Server:
    """Answers by a script, a thread per connection, and remembers what came."""

    def __init__(self, script: object) -> None:
        self.script = script
        self.frames: list[bytes] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]
        self.address: Address = ("127.0.0.1", self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        # A shut-down listener wakes the thread that waits in accept().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(10)
        self._listener.close()
        for thread in self._threads[1:]:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._talk, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _talk(self, connection: socket.socket) -> None:
        assert callable(self.script)
        held = b""
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while data := connection.recv(65536):
                held += data
                while b"\x1c\r" in held:
                    frame, _, held = held.partition(b"\x1c\r")
                    with self._lock:
                        self.frames.append(frame)
                    pieces = self.script(frame)
                    if not pieces:
                        return
                    for piece in pieces:
                        connection.sendall(piece)


@contextmanager
def two_servers(script: object) -> Iterator[tuple[Server, Server]]:
    with Server(script) as pm, Server(script) as emr:
        yield pm, emr


def kinds(frames: list[bytes]) -> set[bytes]:
    return {frame.split(b"|", 9)[8][:7] for frame in frames}


def test_the_lines_together_send_four_fifths_to_the_pm() -> None:
    for connections in range(1, 130):
        lines = split(connections)
        assert len(lines) == connections
        assert sum(lines) == pytest.approx(0.8 * connections)
        assert sum(1 for share in lines if 0 < share < 1) <= 1


def test_each_side_hears_only_what_its_own_system_sends(prepared: Templates) -> None:
    with two_servers(right) as (pm, emr):
        tally = drive(mixed_lines(prepared, 3, pm.address, emr.address, seed=1), 0.3, first_serial=100)
    assert kinds(pm.frames) == {b"ADT^A08", b"SIU^S12"}
    assert kinds(emr.frames) == {b"DFT^P03"}
    assert not tally.refusals
    assert sum(tally.kinds.values()) == len(pm.frames) + len(emr.frames) == tally.next_serial - 100


def test_no_control_id_is_sent_twice(prepared: Templates) -> None:
    with two_servers(right) as (pm, emr):
        tally = drive(mixed_lines(prepared, 8, pm.address, emr.address, seed=1), 0.2, first_serial=7)
    sent = sorted(frame.split(b"|", 10)[9] for frame in pm.frames + emr.frames)
    assert sent == [control_id(serial) for serial in range(7, tally.next_serial)]


def test_every_patient_is_announced_once(prepared: Templates) -> None:
    with Server(right) as pm:
        tally = drive(registering_lines(prepared, 3, pm.address), float("inf"), first_serial=0)
    announced = [frame.partition(b"PID|1||")[2].partition(b"^")[0] for frame in pm.frames]
    assert sorted(announced) == sorted(b"%d" % (7050 + number) for number in range(40))
    assert kinds(pm.frames) == {b"ADT^A28"}
    assert len(tally.latencies) == 40


def test_an_answer_in_two_pieces_is_one_answer(prepared: Templates) -> None:
    with Server(in_two_pieces) as pm:
        tally = drive(registering_lines(prepared, 2, pm.address), float("inf"), first_serial=0)
    assert not tally.refusals
    assert len(tally.latencies) == 40


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        (refusing, "AE"),
        (twice, "more than one answer to a message"),
        (of_another, "another message's control id"),
    ],
)
def test_an_answer_that_is_not_the_one_aa_is_counted(prepared: Templates, script: object, complaint: str) -> None:
    with Server(script) as pm:
        tally = drive(registering_lines(prepared, 2, pm.address), float("inf"), first_serial=0)
    assert tally.refusals == {complaint: 40}


def test_a_refusal_is_counted_with_its_error() -> None:
    data = b"\x0bMSH|^~\\&|\rMSA|AE|B0000001|not yours\rERR||PID^1^3|207^x^HL70357|E\r\x1c\r"
    assert reason(data, b"\rMSA|AA|B0000001") == "AE not yours ERR||PID^1^3|207^x^HL70357|E"
    assert reason(b"\x0bMSH|^~\\&|\r\x1c\r", b"\rMSA|AA|B0000001") == "no MSA in the answer"


def test_a_server_that_hangs_up_ends_the_run(prepared: Templates) -> None:
    with Server(hanging_up) as pm, pytest.raises(LoadFailed, match="unanswered"):
        drive(registering_lines(prepared, 2, pm.address), float("inf"), first_serial=0)


def test_a_port_where_nobody_listens_is_named(prepared: Templates) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = ("127.0.0.1", listener.getsockname()[1])
    with pytest.raises(LoadFailed, match=f"127.0.0.1:{address[1]}"):
        registering_lines(prepared, 1, address)


def test_the_outcome_counts_only_answers_inside_of_the_measured_time() -> None:
    tally = Tally(seconds=2.0, latencies=[0.001, 0.002, 0.003, 0.004], next_serial=9, cpu=0.25)
    found = outcome(tally, connections=4)
    assert (found.rate, found.answers, found.p50_ms, found.max_ms) == (2.0, 4, 2.0, 4.0)
    with pytest.raises(LoadFailed, match="not one answer"):
        outcome(Tally(seconds=2.0), connections=4)


def test_an_address_is_a_host_and_a_port() -> None:
    assert parse_address("127.0.0.1:2575") == ("127.0.0.1", 2575)
    with pytest.raises(ValueError, match="invalid literal"):
        parse_address("somewhere")
