"""The command line as a person sees it: text, JSON, exit status."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ophl7 import __version__, cli, settings
from ophl7.cli.exits import Exit
from ophl7.errors import DatabaseLocked


def test_every_verb_has_a_module_with_a_command_and_help() -> None:
    for verb in cli.VERBS:
        command = importlib.import_module(f"ophl7.cli.{verb}").command
        assert command.help, verb


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == Exit.OK
    said = capsys.readouterr().out
    for verb, what in cli.VERBS.items():
        assert verb in said
        assert what in said


def test_help_imports_no_verb_and_nothing_heavy() -> None:
    script = (
        "import sys; from ophl7 import cli; cli.run(['--help']);"
        "heavy = {'pydantic', 'asyncio', 'starlette', 'hl7', 'structlog', 'ophl7.settings'} & set(sys.modules);"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["send"], ["send", "nowhere.hl7", "--to", "mllp://h:1"], ["config", "--xml"], ["listen", "--port", "x"], []],
)
def test_a_usage_error_is_status_1(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(arguments) == Exit.USAGE
    assert "Usage" in capsys.readouterr().err


def test_version_can_be_read_by_people_and_by_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["version"]) == Exit.OK
    assert capsys.readouterr().out.startswith(f"ophl7 {__version__} ")
    assert cli.run(["version", "--json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["ophl7"] == __version__


def test_config_shows_every_setting_with_its_origin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPHL7_PM_RETRY", "1s..2s")
    monkeypatch.setenv("OPHL7_API_TOKEN", "s3cret-token")
    assert cli.run(["config", "--json"]) == Exit.OK
    said = capsys.readouterr().out
    rows = {row["name"]: row for row in json.loads(said)}
    assert list(rows) == [row.name for row in settings.settings_table()]
    assert (rows["OPHL7_PM_RETRY"]["value"], rows["OPHL7_PM_RETRY"]["origin"]) == ("1s..2s", "environment")
    assert (rows["OPHL7_EMR_RETRY"]["value"], rows["OPHL7_EMR_RETRY"]["origin"]) == ("10s..15m", "default")
    assert {name: row["available"] for name, row in rows.items()} == {
        row.name: not row.planned for row in settings.settings_table()
    }
    assert cli.run(["config"]) == Exit.OK
    table = capsys.readouterr().out
    assert "s3cret" not in said + table
    assert "OPHL7_PM_RETRY" in table


@pytest.mark.parametrize("verb", ["serve", "config", "health"])
def test_wrong_settings_are_status_2_and_all_of_them_are_told(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPHL7_PM_RETRY", "soon")
    monkeypatch.setenv("OPHL7_EMR_LISTN", "x")
    assert cli.run([verb]) == Exit.CONFIGURATION
    told = capsys.readouterr().err
    assert "2 settings are wrong" in told
    assert "OPHL7_PM_RETRY: 'soon'" in told
    assert "did you mean OPHL7_EMR_LISTEN?" in told
    assert "Traceback" not in told


def test_serve_hands_the_settings_over_and_returns_the_status_of_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[settings.Settings] = []

    async def serve(chosen: settings.Settings) -> int:
        seen.append(chosen)
        return 0

    monkeypatch.setattr("ophl7.app.serve", serve)
    monkeypatch.setenv("OPHL7_LOG_LEVEL", "debug")
    assert cli.run(["serve"]) == Exit.OK
    assert seen[0].log_level == "debug"


def test_what_stops_the_start_is_status_2_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def serve(_chosen: settings.Settings) -> int:
        raise DatabaseLocked("process 4711 holds ophl7.db")

    monkeypatch.setattr("ophl7.app.serve", serve)
    assert cli.run(["serve"]) == Exit.CONFIGURATION
    assert capsys.readouterr().err == "OPHL7-E303 process 4711 holds ophl7.db\n"


def test_a_fault_of_ours_tells_places_and_never_the_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def serve(_chosen: settings.Settings) -> int:
        raise ValueError("EVERYWOMAN")

    monkeypatch.setattr("ophl7.app.serve", serve)
    assert cli.run(["serve"]) == Exit.CONFIGURATION
    told = capsys.readouterr().err
    assert "ValueError" in told
    assert "test_commands.py" in told
    assert "EVERYWOMAN" not in told


def test_a_reader_that_has_seen_enough_gets_no_traceback() -> None:
    script = "import sys; from ophl7.cli import main; sys.argv = ['ophl7', 'config']; main()"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        told = child.stderr.read()
        child.wait(timeout=30)
    assert told == b""


@contextmanager
def answering(status: int, body: bytes) -> Iterator[int]:
    """A web server on loopback that answers every GET the same; gives its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


WELL = b'{"ready": true, "checks": {"store": {"ok": true, "reason": null}}}'
FULL = b'{"ready": false, "checks": {"store": {"ok": true, "reason": null}, "disk": {"ok": false, "reason": "full"}}}'


@pytest.mark.parametrize(
    ("answer", "exit_status", "said"),
    [((200, WELL), Exit.OK, "ready\n"), ((503, FULL), Exit.REFUSED, "not ready\n  disk: full\n")],
)
def test_health_says_what_the_broker_says(
    answer: tuple[int, bytes],
    exit_status: Exit,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with answering(*answer) as port:
        monkeypatch.setenv("OPHL7_HTTP_LISTEN", f"0.0.0.0:{port}")
        assert cli.run(["health"]) == exit_status
        assert capsys.readouterr().out == said
        assert cli.run(["health", "--json"]) == exit_status
        assert json.loads(capsys.readouterr().out) == json.loads(answer[1])


@pytest.mark.parametrize("body", [b"<html>", b"[]"])
def test_health_is_not_fooled_by_another_server(
    body: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(200, body) as port:
        monkeypatch.setenv("OPHL7_HTTP_LISTEN", f"127.0.0.1:{port}")
        assert cli.run(["health"]) == Exit.CONNECTION
    assert "no ophl7" in capsys.readouterr().err


def test_health_without_a_broker_is_status_3(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(200, b"{}") as port:
        pass
    monkeypatch.setenv("OPHL7_HTTP_LISTEN", f"127.0.0.1:{port}")
    assert cli.run(["health"]) == Exit.CONNECTION
    assert "is it running?" in capsys.readouterr().err


def test_health_cannot_guess_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPHL7_HTTP_LISTEN", "127.0.0.1:0")
    assert cli.run(["health"]) == Exit.CONFIGURATION


def test_config_says_what_a_profile_is_about_and_that_nobody_has_tried_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPHL7_PM_PROFILE", "nextgen")
    assert cli.run(["config"]) == Exit.OK
    (line,) = [one for one in capsys.readouterr().out.splitlines() if "is about" in one]
    assert line.startswith(
        "OPHL7_PM_PROFILE is about NextGen Enterprise PM, not verified against the product. Source: docs.nextgen.com"
    )
