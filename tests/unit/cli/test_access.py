"""Where the running broker is asked, and with which token."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import click
import pytest

from ophl7 import cli, doorkey
from ophl7.cli import access
from ophl7.cli.access import Place
from ophl7.cli.exits import Exit
from ophl7.errors import SettingsError
from tests.unit.cli.test_commands import answering

HERE = Place("http", "127.0.0.1", 8080, "")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"OPHL7_DATABASE_URL": f"sqlite:///{tmp_path / 'ophl7.db'}"}


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """The key of a broker on a free port."""
    doorkey.leave(tmp_path / "ophl7.db", doorkey.DoorKey("http://127.0.0.1:45678", "made-at-start"))
    return tmp_path / "ophl7.db.token"


def test_the_key_beside_the_database_says_where_and_with_what(environ: dict[str, str], left: Path) -> None:
    found = access.find(None, None, environ)
    assert (found.place, found.token) == (Place("http", "127.0.0.1", 45678, ""), "made-at-start")
    assert str(left) in found.origin


def test_a_token_that_is_set_goes_before_the_key(environ: dict[str, str], left: Path, tmp_path: Path) -> None:
    found = access.find(None, None, environ | {"OPHL7_API_TOKEN": "set"})
    assert (found.place, found.token, found.origin) == (HERE, "set", "OPHL7_API_TOKEN")
    file = tmp_path / "secret"
    file.write_text("filed\n")
    found = access.find(None, None, environ | {"OPHL7_API_TOKEN_FILE": str(file)})
    assert (found.token, found.origin) == ("filed", "the file in OPHL7_API_TOKEN_FILE")


def test_options_go_before_everything(environ: dict[str, str], left: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine"
    file.write_text(" mine \n")
    found = access.find("https://broker.example/hl7/", file, environ | {"OPHL7_API_TOKEN": "set"})
    assert (found.place, found.token) == (Place("https", "broker.example", 443, "/hl7"), "mine")
    assert str(file) in found.origin
    assert access.find(None, file, environ | {"OPHL7_HTTP_LISTEN": "0.0.0.0:81"}).place == Place("http", "127.0.0.1", 81, "")
    assert access.find(None, file, environ | {"OPHL7_HTTP_LISTEN": "[::]:81"}).place == Place("http", "::1", 81, "")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://localhost:9", "http://[::1]:9"])
def test_the_key_is_used_for_another_address_of_this_machine(environ: dict[str, str], left: Path, url: str) -> None:
    assert access.find(url, None, environ).token == "made-at-start"


@pytest.mark.parametrize("url", ["http://192.0.2.7:8080", "http://broker.example"])
def test_the_key_is_never_sent_to_another_machine(environ: dict[str, str], left: Path, url: str) -> None:
    assert access.find(url, None, environ).token is None


def test_without_any_token_it_is_said_where_one_was_looked_for(environ: dict[str, str], tmp_path: Path) -> None:
    found = access.find(None, None, environ)
    assert (found.place, found.token) == (HERE, None)
    assert "OPHL7_API_TOKEN is not set" in found.origin
    assert str(tmp_path / "ophl7.db.token") in found.origin


def test_a_token_is_not_shown_by_accident(environ: dict[str, str], left: Path) -> None:
    assert "made-at-start" not in repr(access.find(None, None, environ))


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:8080", "ftp://h", "http://", "http://h:99999", "http://u:p@h", "http://h?x=1", "http://h#x", "http://[::1"],
)
def test_a_url_that_is_none_is_a_usage_error(url: str) -> None:
    with pytest.raises(click.UsageError):
        access.read_url(url)


def test_a_token_file_that_cannot_be_used_is_a_usage_error(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name in ("nowhere", "empty", "binary"):
        with pytest.raises(click.UsageError, match=name):
            access.find(None, tmp_path / name, environ)


def test_a_free_port_cannot_be_guessed(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        access.find(None, None, environ | {"OPHL7_HTTP_LISTEN": "127.0.0.1:0"})


# -- brokers that are none ----------------------------------------------------------------------------------------------


def ask(url: str, *more: str) -> int:
    return cli.run(["holds", "list", "--url", url, *more])


def test_a_broker_that_does_not_run_is_status_3_and_one_sentence(
    left: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(200, b"{}") as port:
        pass
    doorkey.leave(left.with_name("ophl7.db"), doorkey.DoorKey(f"http://127.0.0.1:{port}", "of a broker that was killed"))
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert cli.run(["holds", "list"]) == Exit.CONNECTION
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert f"no broker at http://127.0.0.1:{port}" in said.err


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"\xff", b'"x"'])
def test_another_server_is_no_broker(body: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(200, body) as port:
        assert ask(f"http://127.0.0.1:{port}") == Exit.CONNECTION
    assert "is no ophl7" in capsys.readouterr().err


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_server_that_refuses_without_a_sentence_is_told_by_its_number(
    status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(status, b"{}") as port:
        assert ask(f"http://127.0.0.1:{port}") == Exit.REFUSED
    assert f"it answered {status}" in capsys.readouterr().err


def test_a_server_that_answers_200_with_something_else_is_no_broker(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(200, b'{"hello": 1}') as port:
        assert ask(f"http://127.0.0.1:{port}") == Exit.CONNECTION
    assert "is no ophl7" in capsys.readouterr().err


def test_silence_ends_after_the_time_that_was_given(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert ask(f"http://127.0.0.1:{server.getsockname()[1]}", "--timeout", "0.05") == Exit.CONNECTION
    assert "nothing answers" in capsys.readouterr().err


def test_a_server_that_hangs_up_is_no_broker(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            server.accept()[0].close()

        hanging_up = threading.Thread(target=hang_up)
        hanging_up.start()
        assert ask(f"http://127.0.0.1:{server.getsockname()[1]}") == Exit.CONNECTION
        hanging_up.join()
    assert "Traceback" not in capsys.readouterr().err
