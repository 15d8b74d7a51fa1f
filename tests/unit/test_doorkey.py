"""The key that a broker leaves beside its database: for its owner, replaced and removed, never followed elsewhere."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ophl7 import doorkey
from ophl7.doorkey import DoorKey

KEY = DoorKey("http://127.0.0.1:8080", "a token")


def test_it_is_found_beside_the_database_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        doorkey.leave(tmp_path / "ophl7.db", KEY)
    finally:
        os.umask(before)
    assert doorkey.find(tmp_path / "ophl7.db") == KEY
    assert stat.S_IMODE((tmp_path / "ophl7.db.token").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["ophl7.db.token"]


def test_what_a_killed_broker_has_left_is_replaced_also_half_a_file_that_others_could_read(tmp_path: Path) -> None:
    doorkey.leave(tmp_path / "ophl7.db", DoorKey("http://127.0.0.1:1", "old"))
    (tmp_path / "ophl7.db.token.new").write_text('{"url"')
    (tmp_path / "ophl7.db.token.new").chmod(0o666)
    doorkey.leave(tmp_path / "ophl7.db", KEY)
    assert doorkey.find(tmp_path / "ophl7.db") == KEY
    assert stat.S_IMODE((tmp_path / "ophl7.db.token").stat().st_mode) == 0o600


def test_neither_writing_nor_reading_follows_a_link(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text('{"url": "http://evil.example", "token": "x"}')
    for name in ("ophl7.db.token", "ophl7.db.token.new"):
        (tmp_path / name).symlink_to(elsewhere)
    assert doorkey.find(tmp_path / "ophl7.db") is None
    doorkey.leave(tmp_path / "ophl7.db", KEY)
    assert "evil" in elsewhere.read_text()
    assert doorkey.find(tmp_path / "ophl7.db") == KEY


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"url": "x"}', "null", "\x00"])
def test_what_is_no_key_opens_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "ophl7.db.token").write_text(text)
    assert doorkey.find(tmp_path / "ophl7.db") is None


def test_it_is_taken_away_and_that_never_fails(tmp_path: Path) -> None:
    doorkey.take_away(tmp_path / "ophl7.db")
    doorkey.leave(tmp_path / "ophl7.db", KEY)
    doorkey.take_away(tmp_path / "ophl7.db")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "ophl7.db.token").mkdir()
    with pytest.raises(OSError, match="irectory"):
        doorkey.leave(tmp_path / "ophl7.db", KEY)
