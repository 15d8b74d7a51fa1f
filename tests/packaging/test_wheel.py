"""The wheel, built the way a release is (through the source distribution) and used outside of the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from ophl7 import __version__

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.packaging, pytest.mark.timeout(120)]


def run(*arguments: str, cwd: Path, **environ: str) -> str:
    env = {"PATH": os.environ["PATH"], **environ}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run("-m", "hatchling", "build", "-t", "sdist", "-d", str(folder), cwd=ROOT)
    (source,) = folder.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(folder, filter="data")
    unpacked = folder / source.name.removesuffix(".tar.gz")
    run("-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=unpacked)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    pip = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check")
    run(*pip, "--target", str(folder), str(wheel), cwd=folder)
    return folder


def files(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc" and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    wanted = {f"ophl7/{name}" for name in files(ROOT / "ophl7")}
    for folder in ("handlers", "plugins"):
        wanted |= {f"ophl7/_shipped/{folder}/{name}" for name in files(ROOT / folder)}
    assert {name for name in inside if ".dist-info/" not in name} == wanted
    assert "ophl7/py.typed" in inside
    assert f"ophl7-{__version__}.dist-info/licenses/LICENSE" in inside


def test_site_packages_gets_nothing_but_ophl7(site: Path) -> None:
    assert {path.name for path in site.iterdir()} == {"bin", "ophl7", f"ophl7-{__version__}.dist-info"}


def test_the_command_runs_outside_of_the_checkout(site: Path, tmp_path: Path) -> None:
    said = run("-c", "import ophl7; print(ophl7.__file__)", cwd=tmp_path, PYTHONPATH=str(site))
    assert Path(said.strip()) == site / "ophl7" / "__init__.py"
    assert run(str(site / "bin" / "ophl7"), "version", cwd=tmp_path, PYTHONPATH=str(site)).startswith(f"ophl7 {__version__}")
    assert "OPHL7_PM_LISTEN" in run("-m", "ophl7", "config", cwd=tmp_path, PYTHONPATH=str(site))
