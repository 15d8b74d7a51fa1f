"""The example of TLS, typed in as its README says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.acceptance.test_tour import ROOT, Reader, commands_of, script

FOLDER = ROOT / "examples/tls"


@pytest.fixture
def at_home(tmp_path: Path) -> Iterator[Reader]:
    """A folder as the README's reader has it, and the commands that it takes for granted."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    script(tmp_path / ".venv/bin/ophl7", f'exec {sys.executable} -m ophl7 "$@"')
    script(tmp_path / ".venv/bin/python", f'exec {sys.executable} "$@"')
    script(tmp_path / "bin/make", '[ "$*" = run ]', "exec .venv/bin/ophl7 serve")
    with ExitStack() as stack:
        yield Reader(tmp_path, stack)


def test_the_example_of_tls_happens_as_it_is_told(at_home: Reader) -> None:
    commands = commands_of((FOLDER / "README.md").read_text("utf-8"))
    assert sum(" send " in command.text for command in commands) == 3
    for command in commands:
        at_home.type_in(command)
    at_home.look_at_the_other_terminals()
    assert at_home.broker is not None
    log = at_home.broker.shown.with_name(f"{at_home.broker.shown.name}.log")
    told = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    failed = [line for line in told if line["event"] == "tls_failed"]
    assert [line["kind"] for line in failed] == ["no_certificate", "certificate"]
    page = " ".join((FOLDER / "README.md").read_text("utf-8").split())
    assert failed[0]["reason"] in page


def test_the_keys_of_the_example_are_for_their_owner_only(tmp_path: Path) -> None:
    for _ in range(2):  # also when it is done again
        subprocess.run([sys.executable, FOLDER / "make_certificates.py", tmp_path / "made"], check=True, capture_output=True)
    keys = list((tmp_path / "made").glob("*.key"))
    assert len(keys) == 3
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}
