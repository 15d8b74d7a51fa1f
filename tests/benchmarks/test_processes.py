"""What is measured is started, watched and stopped by process id, and nothing stays behind."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from .flood import Flood, table
from .load import Outcome
from .processes import HERE, Program, StartFailed, baseline, free_ports, ophl7, peer, started
from .rounds import Contender, Terms, load, measure


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def short(connections: int = 2) -> Terms:
    return Terms(connections=(connections,), seconds=0.2)


def answered(outcome: Outcome) -> bool:
    return outcome.answers > 0 and not outcome.refusals


def test_the_baseline_answers_the_whole_mix(tmp_path: Path) -> None:
    program = baseline("baseline")
    with started(program, tmp_path) as running:
        outcome = load(program, short(), 5, 0.3, 0)
        assert running.usage().cpu > 0
        assert running.usage().peak >= running.usage().rss > 0
    assert answered(outcome)
    assert set(outcome.kinds) == {"ADT", "SIU", "DFT"}
    assert gone(running.pid)


def test_a_peer_tells_how_much_each_side_received(tmp_path: Path) -> None:
    program = peer("peer")
    with started(program, tmp_path) as running:
        outcome = load(program, short(), 5, 0.2, 0)
        counts = running.ask()
    assert answered(outcome)
    assert counts[str(program.emr[1])] == outcome.kinds["DFT"]
    assert sum(counts.values()) == outcome.next_serial


def test_every_number_of_connections_is_measured_in_turn() -> None:
    terms = Terms(connections=(1, 4), seconds=0.2)
    found = list(measure(Contender("peer", lambda _scratch, _destinations: peer("peer")), 3, terms))
    assert [(one.round, one.name, one.outcome.connections) for one in found] == [(3, "peer", 1), (3, "peer", 4)]
    assert all(answered(one.outcome) for one in found)
    assert found[0].outcome.next_serial < found[1].outcome.next_serial


def test_a_program_that_ends_at_once_shows_its_last_words(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    command = (sys.executable, "-c", "import sys; sys.exit('no such database')")
    program = Program("broken", command, ("127.0.0.1", port), ("127.0.0.1", port))
    with pytest.raises(StartFailed, match="no such database"), started(program, tmp_path):
        pass


def test_free_ports_are_distinct_and_below_those_of_outgoing_connections() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert max(ports) < 32_768


def test_our_own_settings_never_reach_a_measured_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPHL7_LOG_LEVEL", "debug")
    port = free_ports(1)[0]
    command = (
        sys.executable,
        "-c",
        "import os, sys; sys.exit(str([name for name in os.environ if 'OPHL7_' in name]))",
    )
    program = Program("told", command, ("127.0.0.1", port), ("127.0.0.1", port), environment={"OPHL7_TIMEZONE": "UTC"})
    with pytest.raises(StartFailed, match=r"\['OPHL7_TIMEZONE'\]"), started(program, tmp_path):
        pass


def test_deliveries_are_counted_at_the_destinations() -> None:
    def straight_through(_scratch: Path, destinations: Program | None) -> Program:
        # A perfect broker: what is sent to it is at the destinations already.
        assert destinations is not None
        return replace(destinations, name="perfect", command=(sys.executable, "-c", "import signal; signal.pause()"))

    (found,) = measure(Contender("perfect", straight_through, delivers=True), 1, short())
    assert found.deliveries is not None
    assert found.deliveries.backlog == 0
    assert found.deliveries.drained is not None
    assert found.deliveries.rate * found.outcome.seconds == pytest.approx(sum(found.outcome.kinds.values()), rel=0.01)


def test_the_broker_is_run_as_a_practice_runs_it(tmp_path: Path) -> None:
    destinations = peer("destinations")
    program = ophl7("ophl7", HERE, tmp_path, destinations, lines=4)
    assert program.command[1:] == ("-m", "ophl7", "serve")
    assert program.environment["OPHL7_EMR_URL"] == f"mllp://127.0.0.1:{destinations.emr[1]}"
    assert program.environment["OPHL7_PM_CONNECTIONS"] == "4"
    assert program.environment["OPHL7_DATABASE_URL"] == f"sqlite:///{tmp_path / 'bench.db'}"
    alone = ophl7("ophl7", HERE, tmp_path, None, lines=4)
    assert not {"OPHL7_PM_URL", "OPHL7_EMR_URL"} & alone.environment.keys()


def test_a_checkout_without_an_environment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match="make env"):
        ophl7("other", tmp_path, tmp_path, None, lines=1)


@pytest.mark.slow
def test_a_flood_is_measured_beside_the_other_peer(tmp_path: Path) -> None:
    program = peer("peer")
    with started(program, tmp_path):
        found = Flood(program, 0.3, 4, None, 0).round()
    assert all(answered(one) for one in (found.alone, found.beside, found.equal, found.flood))
    assert set(found.flood.kinds) == {"ADT", "SIU"}
    assert set(found.equal.kinds) == {"DFT"}
    assert 0 < found.share < 2
    assert "part of its fair share" in table([found])
