"""Which messages a batch takes: fair between peers and their connections, in order within each."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from ophl7.engine.admission import Admission
from ophl7.engine.ports import Envelope
from tests.unit.engine.desk import Line

PLENTY = 1 << 30


class Desk:
    """Connections by name, and messages that name their connection and their place in it."""

    def __init__(self) -> None:
        self.admission = Admission()
        self.lines: dict[str, Line] = {}
        self.counts: dict[str, int] = {}

    def put(self, line: str, times: int = 1, size: int = 0) -> None:
        """line: `pm 1`."""
        for _ in range(times):
            number = self.counts[line] = self.counts.get(line, -1) + 1
            peer = line.partition(" ")[0]
            session = self.lines.setdefault(line, Line(peer))
            payload = f"{line} {number}".encode().ljust(size, b".")
            self.admission.put(Envelope(peer, session, payload, 0.0))

    def take(self, most: int = 128, most_bytes: int = PLENTY) -> list[str]:
        return names(self.admission.take(most, most_bytes))


def names(envelopes: Sequence[Envelope]) -> list[str]:
    return [envelope.payload.rstrip(b".").decode() for envelope in envelopes]


def test_what_fits_into_one_batch_is_taken_in_the_order_in_which_it_came() -> None:
    desk = Desk()
    for line in ("pm 1", "pm 2", "emr 1", "pm 1"):
        desk.put(line)
    assert desk.take() == ["pm 1 0", "pm 2 0", "emr 1 0", "pm 1 1"]
    assert desk.take() == []


def test_a_peer_that_floods_over_many_connections_leaves_the_other_half_of_each_batch() -> None:
    desk = Desk()
    for number in range(64):
        desk.put(f"pm {number}", 64)
    desk.put("emr 1", 200)
    for _ in range(3):
        taken = desk.take()
        assert len(taken) == 128
        assert sum(name.startswith("emr") for name in taken) == 64


def test_one_message_behind_a_flood_is_in_the_very_next_batch() -> None:
    desk = Desk()
    for number in range(64):
        desk.put(f"pm {number}", 64)
    desk.take()
    desk.put("emr 1")
    assert "emr 1 0" in desk.take(most=2)


def test_a_connection_that_sends_without_waiting_does_not_keep_others_of_its_peer_waiting() -> None:
    desk = Desk()
    desk.put("pm 1", 1000)
    desk.put("pm 2", 2)
    assert [name for name in desk.take(most=4) if name.startswith("pm 2")] == ["pm 2 0", "pm 2 1"]


def test_a_batch_ends_at_so_many_bytes_and_takes_one_message_however_large() -> None:
    desk = Desk()
    desk.put("pm 1", 10, size=1000)
    assert len(desk.take(most_bytes=2500)) == 3
    assert len(desk.take(most_bytes=1)) == 1


def test_whatever_waits_can_be_given_up() -> None:
    desk = Desk()
    desk.put("pm 1", 200)
    desk.put("emr 1", 2)
    assert len(desk.admission.give_up()) == 202
    assert len(desk.admission) == 0
    assert desk.take() == []


def test_nothing_is_left_of_a_connection_of_which_nothing_waits() -> None:
    desk = Desk()
    for number in range(100):
        desk.put(f"pm {number}")
    desk.take()
    assert desk.admission._peers == {}


ACTS = st.lists(
    st.tuples(st.sampled_from(("pm 1", "pm 2", "pm 3", "emr 1", "emr 2")), st.integers(1, 40)) | st.integers(1, 30), max_size=20
)


@given(ACTS)
def test_every_message_is_taken_once_in_its_connections_order_and_a_waiting_peer_gets_its_share(
    acts: list[tuple[str, int] | int],
) -> None:
    desk = Desk()
    waiting: dict[str, int] = {"pm": 0, "emr": 0}
    done: dict[str, int] = {}
    for act in [*acts, *([30] * 40)]:
        if isinstance(act, tuple):
            desk.put(*act)
            waiting[act[0].partition(" ")[0]] += act[1]
            continue
        taken = desk.take(most=act)
        assert len(taken) == min(act, sum(waiting.values()))
        for peer, before in waiting.items():
            share = sum(name.startswith(peer) for name in taken)
            assert share >= min(before, act // 2)
            waiting[peer] = before - share
        for name in taken:
            line, _, number = name.rpartition(" ")
            assert int(number) == done.get(line, 0)
            done[line] = int(number) + 1
    assert len(desk.admission) == sum(waiting.values())
