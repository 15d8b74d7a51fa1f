"""The wheel, built as a release is, through the source distribution; and a practice's day on it, away from the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from packaging.requirements import Requirement

from ophl7 import __version__
from ophl7.testing.peers import ScriptedPeer
from tests.acceptance.day import day, evening, look
from tests.acceptance.messages import Side
from tests.acceptance.playing import play
from tests.acceptance.practice import EMR_OWNS, PM_OWNS, Ledger, until
from tests.acceptance.process import served
from tests.packaging.closure import closure

ROOT = Path(__file__).parents[2]
DIST_INFO = f"ophl7-{__version__}.dist-info"
pytestmark = [pytest.mark.packaging, pytest.mark.timeout(120)]


def run(*command: str, cwd: Path) -> str:
    """What a command prints; nothing of this machine's Python settings or of ours reaches it."""
    done = subprocess.run(
        command, cwd=cwd, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def built(kind: str, source: Path, folder: Path) -> Path:
    """Builds an `sdist` or a `wheel` into an empty folder."""
    run(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder), cwd=source)
    (found,) = folder.iterdir()
    return found


def unpacked(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("sdist", ROOT, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def source(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(sdist, tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("wheel", source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def about(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        return BytesParser().parsebytes(archive.read(f"{DIST_INFO}/METADATA"))


@dataclass(frozen=True, slots=True)
class Installed:
    """A fresh environment with the wheel, and with what its metadata asks for: nothing else can be imported there."""

    root: Path
    packages: frozenset[str]  # what the wheel brought into site-packages
    commands: frozenset[str]  # and into bin

    @property
    def python(self) -> str:
        return str(self.root / "bin" / "python")

    @property
    def ophl7(self) -> str:
        return str(self.root / "bin" / "ophl7")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    root = tmp_path_factory.mktemp("installed") / "venv"
    run(sys.executable, "-m", "virtualenv", "--quiet", "--without-pip", str(root), cwd=root.parent)
    asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(run(str(root / "bin" / "python"), "-c", asked, cwd=root).strip())
    packages, commands = _names(site), _names(root / "bin")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(root / "bin" / "python"))
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", "--no-compile", str(wheel), cwd=root)
    packages, commands = _names(site) - packages, _names(root / "bin") - commands
    for name in closure("ophl7"):
        _link(name, site)
    run(*pip, "check", cwd=root)
    return Installed(root, packages, commands)


def _names(folder: Path) -> frozenset[str]:
    return frozenset(path.name for path in folder.iterdir())


def _link(name: str, site: Path) -> None:
    """Lends an installed package to another environment: the files are the locked ones, and no index is asked."""
    distribution = metadata.distribution(name)
    tops = {path.parts[0] for path in distribution.files or ()} - {"..", "__pycache__"}
    assert tops, name
    for top in tops:
        (site / top).symlink_to(Path(str(distribution.locate_file(top))))


def files(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc" and "__pycache__" not in path.parts
    }


# -- what is in it ----------------------------------------------------------------------------------------------------


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    wanted = {f"ophl7/{name}" for name in files(ROOT / "ophl7")}
    for folder in ("handlers", "plugins"):
        wanted |= {f"ophl7/_shipped/{folder}/{name}" for name in files(ROOT / folder)}
    assert {name for name in inside if ".dist-info/" not in name} == wanted
    assert {"ophl7/py.typed", "ophl7/store/sql/sqlite/0001_first.sql", "ophl7/admin/templates/status.html"} <= inside
    assert f"{DIST_INFO}/licenses/LICENSE" in inside


def test_the_same_source_gives_the_same_bytes(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    for kind, first in (("sdist", sdist), ("wheel", wheel)):  # this wheel straight from the checkout
        again = built(kind, ROOT, tmp_path / kind)
        assert again.name == first.name
        assert sha256(again.read_bytes()).hexdigest() == sha256(first.read_bytes()).hexdigest(), kind


def test_what_builds_it_is_locked(source: Path) -> None:
    declared = tomllib.loads((source / "pyproject.toml").read_text("utf-8"))["build-system"]
    lock = (source / "constraints.txt").read_text("utf-8")
    for need in (*(Requirement(text).name for text in declared["requires"]), *closure("hatchling")):
        assert f"\n{need}==" in f"\n{lock}"


def test_the_metadata_says_licence_python_kinds_and_extras(about: Message) -> None:
    assert about["License-Expression"] == "Apache-2.0"
    assert about.get_all("License-File") == ["LICENSE"]
    assert about["Requires-Python"] == ">=3.11"
    assert set(about.get_all("Provides-Extra") or ()) == {"postgres", "otel", "speed"}
    kinds = set(about.get_all("Classifier") or ())
    assert {"Typing :: Typed", "Framework :: AsyncIO", "Programming Language :: Python :: 3.11"} <= kinds
    assert about["Description-Content-Type"] == "text/markdown"


def test_no_address_in_the_metadata_is_one_of_an_inner_network(about: Message) -> None:
    for field in ("Home-page", "Download-URL", "Project-URL"):
        for text in about.get_all(field) or ():
            host = urlsplit(text.rpartition(" ")[2]).hostname or ""
            assert "." in host, text
            assert not host.endswith((".local", ".internal", ".lan", ".test")), text
            assert not host.replace(".", "").isdigit(), text


# -- where it is installed --------------------------------------------------------------------------------------------


def test_site_packages_gets_nothing_but_ophl7(installed: Installed) -> None:
    assert sorted(installed.packages) == ["ophl7", DIST_INFO]
    assert sorted(installed.commands) == ["ophl7"]


def test_the_command_runs_outside_of_the_checkout(installed: Installed, tmp_path: Path) -> None:
    said = run(installed.python, "-c", "import ophl7; print(ophl7.__file__)", cwd=tmp_path)
    assert Path(said.strip()).is_relative_to(installed.root)
    assert run(installed.ophl7, "version", cwd=tmp_path).startswith(f"ophl7 {__version__}")
    assert "Start the broker." in run(installed.ophl7, "--help", cwd=tmp_path)
    assert "OPHL7_PM_LISTEN" in run(installed.ophl7, "config", cwd=tmp_path)
    assert "OPHL7_PM_LISTEN" in run(installed.python, "-m", "ophl7", "config", cwd=tmp_path)


def test_the_self_test_runs_on_the_installed_wheel(installed: Installed, tmp_path: Path) -> None:
    done = subprocess.run(
        [installed.ophl7, "selftest", "--database-dir", str(tmp_path), "--rounds", "1", "--seconds", "0.1", "--json"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    found = json.loads(done.stdout)  # where this runs may be memory, which does not pass: what was counted is looked at
    assert found["acknowledged"] > 0, done.stderr
    assert (found["lost"], found["doubled"], found["out_of_order"], found["damaged"]) == (0, 0, 0, 0)


def test_no_tool_of_the_tests_can_be_imported_there(installed: Installed, tmp_path: Path) -> None:
    for name in ("pytest", "hypothesis", "packaging", "tests", "handlers", "plugins"):
        found = f"import importlib.util; print(importlib.util.find_spec({name!r}))"
        assert run(installed.python, "-c", found, cwd=tmp_path) == "None\n", name


def test_every_shipped_handler_and_rule_is_found_inside_the_package(installed: Installed, tmp_path: Path) -> None:
    listed = (
        "import json; from ophl7.extend.loading import load_parts; "
        "print(json.dumps([[one.origin, one.place] for one in load_parts().sources]))"
    )
    found = json.loads(run(installed.python, "-c", listed, cwd=tmp_path))
    assert {origin for origin, _ in found} == {"shipped"}
    assert {Path(place).stem for _, place in found} == {
        path.stem for folder in ("handlers", "plugins") for path in (ROOT / folder).glob("*.py")
    }
    assert all(Path(place).is_relative_to(installed.root) and "_shipped" in place for _, place in found)


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_a_practice_lives_through_its_day_on_the_installed_wheel(
    installed: Installed, tmp_path: Path, setup: str
) -> None:
    here = tmp_path / "empty"
    here.mkdir()
    ledger, steps = Ledger(here / "ophl7.db"), day(setup)
    async with ScriptedPeer() as pm, ScriptedPeer() as emr:
        desk: dict[Side, ScriptedPeer] = {"pm": pm, "emr": emr}
        async with served(
            ledger.database, setup, pm.url, emr.url, command=(installed.ophl7,), cwd=here, DATABASE_URL="sqlite:///ophl7.db"
        ) as broker:
            assert "\n  ophl7 send FILE --to mllp://127.0.0.1:" in broker.output  # what can be typed without a checkout
            answers = await play(steps, broker.addresses, desk)
            await until(lambda: not ledger.rows("SELECT 1 FROM delivery WHERE state IN ('queued', 'sending')"))
            broker.tell_to_stop()
            assert await broker.stopped() == 0
        received = {side: list(peer.payloads) for side, peer in desk.items()}
    assert look(ledger, steps, answers, received) == evening(setup)
    beside_the_database = {path.name for path in here.iterdir() if not path.name.startswith("ophl7.db")}
    assert beside_the_database == {"serve-000.txt"}  # what it printed
