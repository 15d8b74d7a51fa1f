"""`ophl7 selftest` as somebody runs it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ophl7.selftest import rounds
from ophl7.selftest.child import environment
from ophl7.selftest.scratch import scratch
from tests.acceptance.practice import until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(180)]

SHORT = ("selftest", "--rounds", "1", "--seconds", "0.3")


def ophl7(*arguments: str, home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OPHL7_")}
    return subprocess.run(
        [sys.executable, "-m", "ophl7", *arguments],
        cwd=home, env=inherited | more, capture_output=True, text=True, check=False, timeout=80,
    )  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder to be tested."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def inside(folder: Path, pattern: str = "*") -> list[Path]:
    return list(folder.glob(pattern))


@pytest.fixture
def slow_disk(tmp_path: Path) -> dict[str, str]:
    """An environment whose syncs take as long as those of a common disk: what the tests run on may be memory."""
    return shim(tmp_path, "time.sleep(0.0005)")


def shim(tmp_path: Path, instead: str) -> dict[str, str]:
    """An environment in which a process's fsync and fdatasync are replaced."""
    folder = tmp_path / "shim"
    folder.mkdir()
    lines = ["import os, time", f"def sync(file): {instead}", "os.fsync = os.fdatasync = sync"]
    (folder / "sitecustomize.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
    here = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(folder), *([here] if here else [])])}


def test_it_kills_counts_measures_and_leaves_the_real_database_and_nothing_else(home: Path, slow_disk: dict[str, str]) -> None:
    (home / "ophl7.db").write_bytes(b"the real one")
    done = ophl7(*SHORT, "--json", home=home, OPHL7_DATABASE_URL=f"sqlite:///{home / 'ophl7.db'}", **slow_disk)
    found = json.loads(done.stdout)
    assert (found["lost"], found["doubled"], found["out_of_order"], found["altered"], found["damaged"]) == (0, 0, 0, 0, 0)
    assert found["acknowledged"] > 0
    assert found["rounds"] == 1
    assert found["fsync_us"]["p50"] >= 500
    # A folder of memory fails, whatever the speed: /tmp is that on some machines.
    memory = found["file_system"] in {"tmpfs", "ramfs"}
    assert (found["passed"], done.returncode) == ((False, 4) if memory else (True, 0)), done.stderr
    assert (home / "ophl7.db").read_bytes() == b"the real one"
    assert [path.name for path in home.iterdir()] == ["ophl7.db"]


def test_it_fails_where_a_sync_returns_at_once_and_says_why_and_what_it_cannot_show(home: Path, tmp_path: Path) -> None:
    done = ophl7(*SHORT, "--database-dir", str(home), home=tmp_path, **shim(tmp_path, "return None"))
    assert done.returncode == 4, done.stderr
    assert "faster than a disk can be" in done.stdout
    assert "NOT passed" in done.stdout
    assert "a real power cut" in done.stdout
    assert "lost            0" in done.stdout  # a kill cannot show it: that is why the speed counts
    assert inside(home) == []


@asynccontextmanager
async def running_test(home: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """A long test, and the process id of its broker."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ophl7", "selftest", "--database-dir", str(home), "--seconds", "60",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        await until(lambda: bool(list(home.glob("*/ophl7.db.lock"))), 30)
        (lock,) = inside(home, "*/ophl7.db.lock")
        await until(lambda: lock.read_text("ascii").strip().isdigit(), 30)
        yield process, int(lock.read_text("ascii"))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def has_ended(process: int) -> bool:
    """Also when nobody has asked how: whoever adopts orphans here may never do so."""
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()[0] == "Z"
    except ProcessLookupError:
        return True
    except FileNotFoundError:
        return False  # no such list here: wait until the system has forgotten it


async def test_ctrl_c_ends_its_broker_and_removes_its_folder(home: Path) -> None:
    async with running_test(home) as (process, broker):
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(30):
            _, said = await process.communicate()
    assert process.returncode == 130
    assert b"Traceback" not in said
    assert inside(home) == []
    assert has_ended(broker)


async def test_kill_9_ends_its_broker_too_and_the_next_one_removes_what_is_left(home: Path) -> None:
    async with running_test(home) as (process, broker):
        process.kill()
        await process.wait()
        await until(lambda: has_ended(broker), 30)
    assert len(inside(home)) == 1
    with scratch(home) as folder:
        assert inside(home) == [folder]


def test_what_a_killed_test_left_is_removed_by_the_next(tmp_path: Path) -> None:
    left = tmp_path / ".ophl7-selftest-left"
    left.mkdir()
    (left / "held").touch()
    with scratch(tmp_path) as first:
        assert not left.exists()
        with scratch(tmp_path):
            assert first.exists()  # somebody holds it
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_used_is_told_and_the_status_is_2(tmp_path: Path) -> None:
    done = ophl7(*SHORT, home=tmp_path, OPHL7_DATABASE_URL=f"sqlite:///{tmp_path / 'none' / 'ophl7.db'}")
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_broker_that_does_not_start_is_told_with_what_it_said(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ophl7.errors import StoreAway

    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.exit('no broker today')\n", encoding="utf-8")
    with pytest.raises(StoreAway, match="no broker today"):
        await rounds.selftest(home, 1, 0.1, 1, lambda _line: None)
    assert inside(home) == []


def test_its_broker_gets_nothing_of_the_real_ones_settings(tmp_path: Path) -> None:
    inherited = {"OPHL7_PM_URL": "mllp://real:1", "OPHL7_HANDLERS_PATH": "/x", "OPHL7_API_TOKEN": "secret", "PATH": "/bin"}
    found = environment(inherited, tmp_path / "x.db", {"pm": "mllp://127.0.0.1:1", "emr": "mllp://127.0.0.1:2"})
    assert found["PATH"] == "/bin"
    assert found["OPHL7_PM_URL"] == "mllp://127.0.0.1:1"
    assert not {"OPHL7_HANDLERS_PATH", "OPHL7_API_TOKEN"} & found.keys()
    assert {value for name, value in found.items() if name.endswith("_LISTEN")} == {"127.0.0.1:0"}
