"""What a stranger finds in the checkout: one lock without addresses, two commands, nothing of anybody's machine."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from ophl7.settings import settings_table

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "constraints.txt").read_text("utf-8")
FUZZ_LOCK = (ROOT / "constraints-fuzz.txt").read_text("utf-8")


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def named(requirement: str) -> str:
    """The name of a requirement."""
    return normal(re.split(r"[\[<>=!;~ (]", requirement, maxsplit=1)[0])


def pinned(lock: str = LOCK) -> set[str]:
    return {normal(found[1]) for found in re.finditer(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE)}


def test_every_dependency_is_pinned_with_hashes_and_no_address_is_in_a_lock() -> None:
    declared = project()
    wanted = [*declared["project"]["dependencies"], *declared["build-system"]["requires"]]
    for extra in declared["project"]["optional-dependencies"].values():
        wanted += extra
    groups = declared["dependency-groups"]
    wanted += [item for name, group in groups.items() if name != "fuzz" for item in group if isinstance(item, str)]
    assert {named(item) for item in wanted} - pinned() == set()
    assert {named(item) for item in groups["fuzz"]} == pinned(FUZZ_LOCK) - pinned()
    for lock in (LOCK, FUZZ_LOCK):
        for block in re.split(r"\n(?=\S)", lock.strip()):
            assert re.match(r"[A-Za-z0-9._-]+==\S+", block), block
            assert "--hash=sha256:" in block, block
        assert "://" not in lock
        assert "index" not in re.sub(r"^[A-Za-z0-9._-]+==.*$", "", lock, flags=re.MULTILINE)


def test_the_record_says_for_each_dependency_what_it_is_for_and_where_it_is_kept_out() -> None:
    record = (ROOT / "docs" / "decisions" / "0001-dependencies.md").read_text("utf-8")
    rows = [line.strip("|").split("|") for line in record.splitlines() if line.startswith("| ")]
    table = {name.split()[0]: cells for cells in rows[1:] for name in cells[0].replace(",", " , ").split(" , ")}
    declared = project()["project"]
    assert {named(need) for need in declared["dependencies"]} <= table.keys()
    assert all(len(cells) == 4 and all(cell.strip() for cell in cells) for cells in table.values())
    for name, needs in declared["optional-dependencies"].items():
        assert f"`{name}`" in record
        assert any(re.search(rf"\b{named(need).partition('-')[0]}", record, re.IGNORECASE) for need in needs), name


def test_the_readme_is_the_description_of_the_package_once_there_is_one() -> None:
    if (ROOT / "README.md").exists():
        assert project()["project"]["readme"] == "README.md"


def test_virtualenv_can_be_installed_by_itself_out_of_the_lock() -> None:
    found = re.search(r"^BOOT := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert found is not None
    listed = set(found[1].split("|"))
    assert listed <= pinned()
    waiting, needed = ["virtualenv"], set[str]()
    while waiting:
        name = waiting.pop()
        needed.add(name)
        plain = [need for need in metadata.requires(name) or [] if "extra ==" not in need]
        waiting += {named(need) for need in plain if "python_version <" not in need} - needed
    assert needed <= listed


def make(*goals: str, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", *goals], cwd=ROOT, env=clean | environ, capture_output=True, text=True, check=False, timeout=30
    )


GOALS = ["run", "demo", "test", "bench", "soak", "crash", "fuzz", "image-check", "lint", "format", "clean"]


@pytest.mark.parametrize("goal", GOALS)
def test_every_goal_of_the_makefile_can_be_planned(goal: str) -> None:
    planned = make("--dry-run", goal)
    assert planned.returncode == 0, planned.stderr


def test_make_test_is_what_the_automatic_check_calls() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "exec make test\n" in script.read_text()


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False, timeout=30)
    if listed.returncode != 0:  # an unpacked source distribution
        return [path for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts]
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name]


def test_nothing_of_a_machine_or_of_a_package_index_is_in_the_repository() -> None:
    wrong = re.compile(
        rb"index-url\s*=|find-links\s*=|https?://[^ ]*/simple\b|(?:^|[^A-Za-z0-9_./])/(?:home|root)/[a-z]", re.MULTILINE
    )
    here = Path(__file__)
    found = [
        str(path.relative_to(ROOT)) for path in tracked() if path.is_file() and path != here and wrong.search(path.read_bytes())
    ]
    assert found == []


def test_no_setting_of_the_makefile_stops_the_broker() -> None:
    names = set(re.findall(r"OPHL7_[A-Z_]+", (ROOT / "Makefile").read_text()))
    assert names <= {row.name for row in settings_table()}
