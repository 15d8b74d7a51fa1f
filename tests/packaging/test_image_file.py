"""The Dockerfile and the compose file as they stand there. tests/packaging/image builds the one and runs it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ophl7 import units
from ophl7.settings import settings_table
from tests.packaging.closure import closure

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
LOCK = (ROOT / "constraints.txt").read_text("utf-8")
COMPOSE = (ROOT / "examples" / "container" / "compose.yaml").read_text("utf-8")
SETTINGS = {row.name: row for row in settings_table()}


def words(argument: str) -> list[str]:
    """The names in one ARG of the Dockerfile."""
    found = re.search(rf'^ARG {argument}="([^"]+)"$', DOCKERFILE, re.MULTILINE)
    assert found is not None
    return found[1].replace("\\\n", " ").split()


@pytest.mark.parametrize(
    ("argument", "wanted"),
    [("RUNS", closure("ophl7", "speed")), ("MAKES", closure("hatchling") | {"hatchling"})],
    ids=["RUNS", "MAKES"],
)
def test_the_image_gets_what_the_metadata_asks_for_out_of_the_lock_and_nothing_else(argument: str, wanted: set[str]) -> None:
    assert words(argument) == sorted(wanted), f'write in the Dockerfile: ARG {argument}="{" ".join(sorted(wanted))}"'
    for name in wanted:
        assert f"\n{name}==" in f"\n{LOCK}"


def test_it_runs_as_nobody_in_particular_on_a_base_that_can_be_chosen() -> None:
    assert re.findall(r"^ARG BASE=(\S+)$", DOCKERFILE, re.MULTILINE) == ["python:3.13-slim-bookworm"]
    stages = re.findall(r"^FROM (\S+)(?: AS (\S+))?$", DOCKERFILE, re.MULTILINE)
    assert stages == [("${BASE}", "packages"), ("packages", "build"), ("${BASE}", "")]
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    assert "latest" not in DOCKERFILE
    assert "://" not in DOCKERFILE.replace("sqlite:////data/ophl7.db", "")
    for line in re.findall(r"pip\b[^&\n]* install [^&\n]*", DOCKERFILE):
        assert "--require-hashes" in line or "--no-index" in line, line


def test_it_says_where_it_listens_what_it_keeps_and_how_it_is_asked() -> None:
    assert "EXPOSE 2575 2576 8080" in DOCKERFILE
    assert re.search(r"^VOLUME /data$", DOCKERFILE, re.MULTILINE)
    assert 'ENTRYPOINT ["ophl7"]' in DOCKERFILE
    assert 'CMD ["serve"]' in DOCKERFILE
    assert re.search(r'^HEALTHCHECK .*CMD \["ophl7", "health"\]$', DOCKERFILE, re.MULTILINE)
    values = dict(re.findall(r"(OPHL7_[A-Z_]+)=(\S+)", DOCKERFILE))
    assert values.keys() <= SETTINGS.keys()
    assert values["OPHL7_TIMEZONE"] == "required"
    assert values["OPHL7_DATABASE_URL"] == "sqlite:////data/ophl7.db"
    assert {values[f"OPHL7_{name}_LISTEN"] for name in ("PM", "EMR", "HTTP")} == {
        "0.0.0.0:2575",
        "0.0.0.0:2576",
        "0.0.0.0:8080",
    }
    for name in ("HANDLERS_PATH", "PLUGINS_PATH"):
        assert f" {values[f'OPHL7_{name}']}" in DOCKERFILE.partition("install -d -m 0755")[2].partition("\n")[0]


def test_the_build_sees_what_it_copies_and_nothing_else() -> None:
    copied = {name for line in re.findall(r"^COPY (?!--)(.+)$", DOCKERFILE, re.MULTILINE) for name in line.split()[:-1]}
    assert all((ROOT / name).exists() for name in copied)
    ignored = [line for line in (ROOT / ".dockerignore").read_text("utf-8").split("\n") if line and not line.startswith("#")]
    assert ignored[0] == "*"
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == copied
    assert {"**/__pycache__", "**/*.db*"} <= set(ignored)  # a developer's database is no part of an image


# -- compose ----------------------------------------------------------------------------------------------------------


def services() -> dict[str, str]:
    """Each service's lines."""
    body = COMPOSE.partition("\nservices:\n")[2]
    body = re.split(r"^\S", body, maxsplit=1, flags=re.MULTILINE)[0]
    parts = re.split(r"^  (\w+):\n", body, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_the_compose_file_brings_the_broker_and_both_systems_and_opens_ports_to_this_machine_only() -> None:
    assert set(services()) == {"ophl7", "pm", "emr"}
    ports = re.findall(r'^ +- "([\d.:]+)"$', COMPOSE, re.MULTILINE)
    assert ports == ["127.0.0.1:2575:2575", "127.0.0.1:2576:2576", "127.0.0.1:8080:8080"]
    assert "read_only: true" in COMPOSE
    assert "cap_drop: [ALL]" in COMPOSE
    assert "://" not in re.sub(r"mllp://(?:ophl7|pm|emr):\d+", "", COMPOSE)


def test_each_side_sends_to_the_other() -> None:
    parts = services()
    for side, into, back in (("pm", 2575, 3575), ("emr", 2576, 3576)):
        wanted = f"command: [simulate, {side}, --to, mllp://ophl7:{into}, --listen, 0.0.0.0:{back}]"
        assert wanted in parts[side]
        assert "condition: service_healthy" in parts[side]
        assert f"OPHL7_{side.upper()}_URL: mllp://{side}:{back}" in parts["ophl7"]


def test_its_settings_exist_the_token_is_in_no_setting_and_the_grace_is_long_enough() -> None:
    names = set(re.findall(r"OPHL7_[A-Z_]+", COMPOSE))
    assert names <= SETTINGS.keys() | {f"{row.name}_FILE" for row in SETTINGS.values() if row.secret}
    assert "OPHL7_API_TOKEN_FILE: /run/secrets/ophl7-token" in services()["ophl7"]
    assert "OPHL7_API_TOKEN:" not in COMPOSE
    (grace,) = re.findall(r"stop_grace_period: (\S+)", COMPOSE)
    assert units.duration(grace) > units.duration(SETTINGS["OPHL7_SHUTDOWN_GRACE"].default)
    ignored = (ROOT / ".gitignore").read_text("utf-8").split()
    (secret,) = re.findall(r"file: \./(\S+)/token", COMPOSE)
    assert f"examples/container/{secret}/" in ignored
