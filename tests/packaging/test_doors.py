"""Who may import whom, where import-linter cannot look: drop-in folders that are mounted by path."""

from __future__ import annotations

import ast
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


def test_an_optional_dependency_is_imported_in_its_one_room() -> None:
    rooms = {
        "psycopg": "ophl7/store/",
        "opentelemetry": "ophl7/observe/",
        "uvloop": "ophl7/cli/loop.py",
        "starlette": "ophl7/admin/",
    }
    rooms |= {
        "jinja2": "ophl7/admin/",
        "hl7apy": "ophl7/hl7v2/",
        "structlog": "ophl7/observe/",
        "prometheus_client": "ophl7/observe/",
    }
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules("ophl7")
        for name in imports(path.read_text("utf-8"))
        if not path.relative_to(ROOT).as_posix().startswith(rooms.get(name.partition(".")[0], ""))
    ]
    assert wrong == []
