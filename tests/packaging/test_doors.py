"""Who may import whom, where import-linter cannot look: folders that are mounted by path, and packages in their rooms."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DROP_IN_FOLDERS = ("handlers", "plugins")
# What would let an author's module wait for the world or talk to it: handlers propose and rules judge, no more.
WORLD = frozenset(
    {"aiosqlite", "asyncio", "ftplib", "http", "multiprocessing", "os", "psycopg", "requests", "select", "selectors", "shutil"}
    | {"smtplib", "socket", "sqlite3", "ssl", "starlette", "subprocess", "threading", "urllib"}
)


def imports(source: str) -> Iterator[str]:
    """The absolute names that a module imports, wherever in it; relative ones are its own folder's."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            yield node.module


def faults_of_a_drop_in(source: str) -> list[str]:
    found: list[str] = []
    for name in imports(source):
        first = name.partition(".")[0]
        if first == "ophl7" and name != "ophl7.kit":
            found.append(f"imports {name}; the only door for authors is ophl7.kit")
        elif first in DROP_IN_FOLDERS:
            found.append(f"imports {name}; a module of a mounted folder must not live under two names")
        elif first in WORLD:
            found.append(f"imports {name}; handlers and rules do no input or output of their own")
    return found


def modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("from ophl7.kit import Handlers", False),
        ("from .names import x", False),
        ("import re\nfrom decimal import Decimal", False),
        ("from ophl7.engine.router import Router", True),
        ("from ophl7 import kit, store", True),
        ("import ophl7.hl7v2.message", True),
        ("def later():\n    import asyncio", True),
        ("import handlers.patient", True),
        ("from urllib.request import urlopen", True),
    ],
)
def test_the_check_itself_sees_a_wrong_door(source: str, wrong: bool) -> None:
    assert bool(faults_of_a_drop_in(source)) is wrong


def test_handlers_and_plugins_use_the_door_for_authors_only() -> None:
    faults = {str(path.relative_to(ROOT)): faults_of_a_drop_in(path.read_text("utf-8")) for path in modules(*DROP_IN_FOLDERS)}
    assert {path: found for path, found in faults.items() if found} == {}


def test_the_broker_never_imports_a_handler_or_plugin_by_name() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules("ophl7", "tests")
        for name in imports(path.read_text("utf-8"))
        if name.partition(".")[0] in DROP_IN_FOLDERS or name.startswith("ophl7._shipped")
    ]
    assert wrong == []


# Package -> where in ophl7 it may be imported: a module, or a folder with a slash at its end. Reasons: docs/decisions/0001.
ROOMS: dict[str, tuple[str, ...]] = {
    "aiosqlite": ("ophl7/store/",),
    "click": ("ophl7/cli/",),
    # The tree for authors, and the two test tools. Not the listener, the sender, an answer or anything else on the road.
    "hl7": ("ophl7/hl7v2/message.py", "ophl7/cli/send.py", "ophl7/cli/listen.py"),
    "hl7apy": ("ophl7/hl7v2/structures.py",),
    "jinja2": ("ophl7/admin/",),
    "opentelemetry": ("ophl7/observe/",),
    "prometheus_client": ("ophl7/observe/",),
    "psycopg": ("ophl7/store/",),
    "pydantic": ("ophl7/settings.py", "ophl7/profiles/reading.py"),
    "pydantic_settings": ("ophl7/settings.py",),
    "starlette": ("ophl7/admin/",),
    "structlog": ("ophl7/observe/",),
    "uvicorn": ("ophl7/admin/server.py", "ophl7/admin/patience.py"),
    "uvloop": ("ophl7/cli/loop.py",),
}
# The writer talks to sqlite3 itself: a hop to another thread for each statement would be most of its time.
WRITER = ("ophl7/store/sqlite.py", "ophl7/store/sqlite_load.py")


def faults_of_a_module(path: str, source: str) -> list[str]:
    """path: inside the checkout."""
    found: list[str] = []
    for name in imports(source):
        package = name.partition(".")[0]
        rooms = ROOMS.get(package)
        inside = rooms is None or any(path == room or (room.endswith("/") and path.startswith(room)) for room in rooms)
        if not inside or (package == "aiosqlite" and path in WRITER):
            found.append(f"imports {name}; it belongs in {', '.join(rooms or ())} (docs/decisions/0001)")
    return found


@pytest.mark.parametrize(
    ("path", "source", "wrong"),
    [
        ("ophl7/cli/send.py", "from hl7.mllp import open_hl7_connection", False),
        ("ophl7/cli/listen.py", "def start():\n    import hl7.mllp", False),
        ("ophl7/cli/validate.py", "import hl7", True),
        ("ophl7/mllp/listener.py", "from hl7.mllp import start_hl7_server", True),
        ("ophl7/hl7v2/ack.py", "def build():\n    import hl7", True),
        ("ophl7/hl7v2/message.py", "import hl7", False),
        ("ophl7/hl7v2/message.py", "import hl7apy", True),
        ("ophl7/store/reader.py", "import aiosqlite", False),
        ("ophl7/store/sqlite.py", "import aiosqlite", True),
        ("ophl7/cli/config.py", "from pydantic import BaseModel", True),
        ("ophl7/mllp/sender.py", "import asyncio", False),
    ],
)
def test_the_check_of_rooms_sees_a_package_in_a_wrong_one(path: str, source: str, wrong: bool) -> None:
    assert bool(faults_of_a_module(path, source)) is wrong


def test_a_package_is_imported_in_its_own_rooms_only() -> None:
    faults = {
        name: faults_of_a_module(name, path.read_text("utf-8"))
        for path in modules("ophl7")
        for name in [path.relative_to(ROOT).as_posix()]
    }
    assert {name: found for name, found in faults.items() if found} == {}


ROAD = """
import asyncio, sys
from pathlib import Path
from tests.acceptance.messages import adt, dft, siu
from tests.acceptance.practice import PM_OWNS, Practice

async def day(database):
    async with Practice(database, PM_OWNS) as practice:
        await practice.accepted("pm", adt("A1", "A04"), siu("S1", "S12"))
        await practice.accepted("emr", dft("D1"))
        for name in ("A1", "S1", "D1"):
            await practice.until(lambda: practice.deliveries(name)[0]["state"] == "accepted")

asyncio.run(day(Path(sys.argv[1])))
sys.exit(" ".join(sorted({"hl7", "hl7apy"} & set(sys.modules))) or 0)
"""


def test_a_message_goes_all_its_road_without_python_hl7_and_hl7apy(tmp_path: Path) -> None:
    database = str(tmp_path / "ophl7.db")
    done = subprocess.run(
        [sys.executable, "-c", ROAD, database], cwd=ROOT, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stderr
