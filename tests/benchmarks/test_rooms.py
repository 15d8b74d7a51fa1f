"""A profile is worth what its attribution is worth."""

from __future__ import annotations

import pytest

from .processes import HERE
from .rooms import WAITING, Stats, add, by_function, by_room, by_room_sampled, room, subtract, table

INTAKE = (str(HERE / "ophl7/engine/intake.py"), 10, "take")
STORE = (str(HERE / "ophl7/store/sqlite.py"), 20, "commit")
LENGTH = ("~", 0, "<built-in method builtins.len>")
EXECUTE = ("~", 0, "<method 'execute' of 'sqlite3.Connection' objects>")
COMMIT = ("~", 0, "<method 'commit' of 'sqlite3.Connection' objects>")
POLL = ("~", 0, "<method 'poll' of 'select.epoll' objects>")

PROFILE: Stats = {
    INTAKE: (10, 10, 1.0, 4.0, {}),
    STORE: (5, 5, 0.5, 2.0, {INTAKE: (5, 5, 0.5, 2.0)}),
    LENGTH: (30, 30, 0.3, 0.3, {INTAKE: (20, 20, 0.2, 0.2), STORE: (10, 10, 0.1, 0.1)}),
    EXECUTE: (9, 9, 2.0, 2.0, {STORE: (9, 9, 2.0, 2.0)}),
    COMMIT: (3, 3, 1.5, 1.5, {STORE: (3, 3, 1.5, 1.5)}),
    POLL: (7, 7, 60.0, 60.0, {}),
}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (str(HERE / "ophl7/engine/intake.py"), "ophl7.engine"),
        (str(HERE / "ophl7/kit/context.py"), "ophl7.kit"),
        (str(HERE / "handlers/patient.py"), "handlers"),
        (str(HERE / ".venv/lib/python3.11/site-packages/structlog/_output.py"), "structlog"),
        (str(HERE / ".venv/lib/python3.11/site-packages/single.py"), "single"),
        ("/usr/lib/python3.11/asyncio/events.py", "asyncio"),
        ("/usr/lib/python3.11/collections/__init__.py", "standard library"),
    ],
)
def test_a_file_belongs_to_a_room(path: str, name: str) -> None:
    assert room(path) == name


def test_a_builtins_time_goes_to_its_caller_but_the_databases_has_a_line_of_its_own() -> None:
    spent = by_room(PROFILE)
    assert spent == pytest.approx(
        {"ophl7.engine": 1.2, "ophl7.store": 0.6, "SQLite: statements": 2.0, "SQLite: commit": 1.5, WAITING: 60.0}
    )
    assert sum(spent.values()) == pytest.approx(sum(entry[2] for entry in PROFILE.values()))


def test_waiting_is_no_work() -> None:
    text = table(by_room(PROFILE), messages=1000)
    assert WAITING not in text
    assert "| all that was busy | 5.30 |  | 5300.0 |" in text
    assert by_function(PROFILE, 2)[0][0] == EXECUTE[2]


def test_what_was_spent_before_the_mark_is_taken_off() -> None:
    doubled = add(PROFILE, PROFILE)
    assert doubled[LENGTH] == (60, 60, 0.6, 0.6, {INTAKE: (40, 40, 0.4, 0.4), STORE: (20, 20, 0.2, 0.2)})
    assert subtract(doubled, PROFILE) == PROFILE
    assert subtract(PROFILE, {}) == PROFILE


def test_samples_count_for_the_innermost_frame_that_tells_something() -> None:
    intake = f"take ({HERE}/ophl7/engine/intake.py:10)"
    collapsed = "\n".join(
        (
            f"main (/usr/lib/python3.11/runpy.py:1);{intake} 50",
            f"{intake};execute (sqlite.c);sqlite3_step (libsqlite3.so.0) 100",
            f"{intake};sqlite3_step (libsqlite3.so.0);fdatasync (libc.so.6) 25",
            f"{intake};PyDict_GetItem (python3.11) 25",
        )
    )
    assert by_room_sampled(collapsed, rate=100) == {
        "ophl7.engine": 0.75,
        "SQLite: statements": 1.0,
        "SQLite: fsync": 0.25,
    }
