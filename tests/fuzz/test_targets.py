"""The short form of `make fuzz`: every seed, every past find and a few hundred fresh changes keep each target's sentence."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ophl7.engine.deciding import Decision
from ophl7.engine.storage import Rows
from ophl7.hl7v2 import ack
from ophl7.mllp.session import Session
from ophl7.observe.telling import EngineTeller
from ophl7.store.memory import MemoryStore
from tests.fuzz import seeds
from tests.fuzz.drive import Finds, watched
from tests.fuzz.mutating import crossed, mutated
from tests.fuzz.names import FOLDER, NAMES, load, sentence
from tests.fuzz.targets import growth, intake

CHANGES = {"growth": 10, "intake": 150, "profiles": 60}
LONGEST = 2048
KEPT = 300_000  # bytes of inputs in the repository


@pytest.fixture(autouse=True)
def shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is long costs time, and time is judged by `make fuzz` alone."""
    monkeypatch.setattr(growth, "LENGTH", 4096)


def kept(folder: str, name: str) -> list[Path]:
    """`finds`: what once broke a target's sentence. `seeds`: what earlier runs found last, so deepest."""
    return sorted((FOLDER / folder / name).glob("*"))


@pytest.mark.parametrize("name", NAMES)
def test_every_seed_keeps_the_targets_sentence(name: str) -> None:
    target = load(name)
    first = target.seeds()
    assert len(first) >= 20
    for seed in first:
        target.check(seed)


PAST = [path for name in NAMES for path in kept("finds", name)]


@pytest.mark.parametrize("path", PAST, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_once_broke_it_keeps_it_now(path: Path) -> None:
    load(path.parent.name).check(path.read_bytes())


@pytest.mark.parametrize("name", NAMES)
def test_what_went_deep_keeps_it_too(name: str) -> None:
    for path in kept("seeds", name):
        load(name).check(path.read_bytes())


@pytest.mark.parametrize("name", NAMES)
def test_fresh_changes_keep_it(name: str) -> None:
    target, chance = load(name), random.Random(7)
    first = target.seeds()
    for _ in range(CHANGES.get(name, 300)):
        data = mutated(chance.choice(first), LONGEST, chance, target.TOKENS, target.HEAD)
        target.check(crossed(data, chance.choice(first), LONGEST, chance, target.HEAD) if chance.random() < 0.2 else data)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_and_little_keep_it(name: str) -> None:
    target = load(name)
    bytes_tried = range(12 if name == "growth" else 256)
    for data in (b"", *(bytes((byte,)) for byte in bytes_tried), b"\xff" * 64):
        target.check(data)


@pytest.mark.parametrize("name", NAMES)
def test_a_target_says_in_one_sentence_what_holds(name: str) -> None:
    said = sentence(name)
    assert said.endswith(".")
    assert said.count(". ") == 0
    assert (FOLDER.parents[1] / "docs" / "explanation" / "fuzzing.md").read_text("utf-8").count(said) == 1


def test_what_is_kept_is_small() -> None:
    assert sum(path.stat().st_size for name in NAMES for folder in ("finds", "seeds") for path in kept(folder, name)) < KEPT


def test_a_long_input_is_as_long_as_it_says() -> None:
    lengths: list[int] = []
    readers = growth.READERS
    try:
        growth.READERS = (lambda raw: lengths.append(len(raw)),)
        growth.check(b"\x00front\x1dunit\x1dtail")
    finally:
        growth.READERS = readers
    assert lengths[0] in range(growth.LENGTH - 4, growth.LENGTH + 1)


def test_a_find_is_kept_once_a_place_with_its_traceback_and_the_run_goes_on(tmp_path: Path) -> None:
    class Target:
        BUDGET_SECONDS = 1000.0

        @staticmethod
        def check(data: bytes) -> None:
            assert data != b"bad"

    run = watched(Target, Finds(tmp_path, "framer"))  # type: ignore[arg-type]  # a class is module enough
    for data in (b"bad", b"good", b"bad", b"bad", b"bad", b"bad"):
        run(data)
    found = [path for path in tmp_path.iterdir() if not path.suffix]
    assert [path.read_bytes() for path in found] == [b"bad"]
    assert "AssertionError" in found[0].with_suffix(".txt").read_text()


def test_an_input_that_takes_too_long_is_a_find(tmp_path: Path) -> None:
    class Target:
        BUDGET_SECONDS = -1.0

        @staticmethod
        def check(data: bytes) -> None:
            """Nothing."""

    watched(Target, Finds(tmp_path, "framer"))(b"slow")  # type: ignore[arg-type]  # a class is module enough
    assert "TooSlow" in next(tmp_path.glob("*.txt")).read_text()


def test_a_target_that_is_none_is_named() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "tests.fuzz"],
        cwd=FOLDER.parents[1],
        env={"FUZZ_TARGETS": "framer,nonsense", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert told.returncode == 2
    assert "nonsense" in told.stderr
    assert "framer" in told.stderr


def _leak(monkeypatch: pytest.MonkeyPatch) -> None:
    told = EngineTeller.decided

    def decided(self: EngineTeller, decision: Decision) -> None:
        told(self, decision)
        self._log.info("message_committed", reason="Rivers^Adalbert")

    monkeypatch.setattr(EngineTeller, "decided", decided)


def _answer_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Session.answer

    def answer(self: Session, payload: bytes | None) -> None:
        given(self, payload)
        if payload is not None:
            self._transport.write(b"\x0b" + payload + b"\x1c\r")

    monkeypatch.setattr(Session, "answer", answer)


def _forget_the_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    written = MemoryStore.commit

    async def commit(self: MemoryStore, rows: Rows) -> None:
        rows.journal = [row._replace(raw=row.raw.upper()) for row in rows.journal]
        await written(self, rows)

    monkeypatch.setattr(MemoryStore, "commit", commit)


def _echo_another_id(monkeypatch: pytest.MonkeyPatch) -> None:
    built = ack.build

    def build(*given: Any, **named: Any) -> bytes:  # noqa: ANN401 - whatever it is called with
        return built(*given, **named).replace(b"|P1\r", b"|P2\r")

    monkeypatch.setattr("ophl7.engine.answers.build", build)


def _fail_in_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_arrival(*_given: object) -> NoReturn:
        raise KeyError("a fault of ours")

    monkeypatch.setattr("ophl7.engine.frames.read_arrival", read_arrival)


@pytest.mark.parametrize("fault", [_leak, _answer_twice, _forget_the_bytes, _echo_another_id, _fail_in_reading])
def test_a_fault_in_the_intake_is_seen(fault: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    payload = seeds.PRACTICE["pm"][0].replace(b"Ada", b"Adalbert")
    data = b"\0\0" + intake.stretch("p", payload)
    intake.check(data)
    fault(monkeypatch)
    with pytest.raises((AssertionError, KeyError)):
        intake.check(data)
