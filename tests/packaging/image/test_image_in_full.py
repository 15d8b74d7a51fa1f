"""The image at full length, by `make image-check`: what is in it, a practice's day, health, what it writes and where."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest

from ophl7 import __version__
from ophl7.cli import VERBS
from ophl7.testing.peers import Client, ScriptedPeer
from tests.acceptance.day import day, evening, look
from tests.acceptance.messages import Person, Side, adt, control_id_of, message, pid
from tests.acceptance.playing import play
from tests.acceptance.practice import EMR_OWNS, PM_OWNS, Ledger, until
from tests.acceptance.replies import read_reply
from tests.packaging.closure import closure
from tests.packaging.image.engine import (
    ROOT,
    USER,
    Container,
    configuration,
    folder_for_data,
    free_ports,
    run,
    said,
)

if os.environ.get("IMAGE_CHECK") != "full":
    pytest.skip("the image at full length: make image-check", allow_module_level=True)

pytestmark = [pytest.mark.packaging, pytest.mark.slow, pytest.mark.timeout(300)]

# What the engine itself puts into every container.
ENGINES_OWN = ("/etc", "/run", "/proc", "/sys", "/dev")

# A handler that fails on each patient alike, and takes an event that no shipped one takes.
BROKEN = """
from ophl7.kit import Change, Context, Handlers, Segment

handlers = Handlers("broken")


@handlers.on("REF^I12", segment="PID")
async def fail(pid: Segment, ctx: Context) -> list[Change]:
    raise RuntimeError("it never works")
"""


# -- what it is -------------------------------------------------------------------------------------------------------


def test_it_says_who_it_runs_as_what_it_keeps_and_how_it_is_asked(image: str, base_image: str) -> None:
    config = configuration(image)
    assert config["User"] == f"{USER}:{USER}"
    assert set(config["Volumes"]) == {"/data"}
    assert set(config["ExposedPorts"]) == {"2575/tcp", "2576/tcp", "8080/tcp"}
    assert (config["Entrypoint"], config["Cmd"]) == (["ophl7"], ["serve"])  # no shell between a signal and the broker
    assert config["Healthcheck"]["Test"] == ["CMD", "ophl7", "health"]
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in config["Labels"].items()}
    assert (labels["title"], labels["version"], labels["licenses"]) == ("ophl7", __version__, "Apache-2.0")
    assert labels["base.name"] == base_image


def test_nothing_is_in_it_but_what_the_broker_stands_on(image: str, data: Path) -> None:
    listed = (
        "import importlib.metadata as m, sysconfig as s; "
        "print(*{one.name for one in m.distributions(path=[s.get_path('purelib')])})"
    )
    with Container(image, data) as broker:
        broker.becomes(0)
        names = {name.lower().replace("_", "-") for name in broker.exec("python", "-c", listed).stdout.split()}
        assert names == closure("ophl7", "speed") | {"ophl7"}
        for absent in ("gcc", "cc", "make", "pytest"):
            assert broker.exec("sh", "-c", f"command -v {absent}").returncode != 0, absent
        for gone in ("/src", "/tests", "/root/.cache"):
            assert broker.exec("test", "-e", gone).returncode != 0, gone


def test_every_module_is_compiled_in_it(image: str, data: Path) -> None:
    uncompiled = (
        "import sysconfig, pathlib, importlib.util as u; "
        "print([str(p) for p in pathlib.Path(sysconfig.get_path('purelib')).rglob('*.py') "
        "if not pathlib.Path(u.cache_from_source(str(p))).exists()])"
    )
    with Container(image, data) as broker:
        assert broker.exec("python", "-c", uncompiled).stdout == "[]\n"


def test_without_the_zone_of_the_practice_it_does_not_start_and_says_what_to_write(image: str, data: Path) -> None:
    with Container(image, data, settings={"TIMEZONE": ""}) as broker:
        assert broker.ended() == 2
        assert "OPHL7_TIMEZONE" in broker.logs
        assert "America/New_York" in broker.logs


def test_a_folder_that_it_may_not_write_stops_the_start_and_is_named(image: str, data: Path) -> None:
    os.chown(data, 0, 0)
    with Container(image, data) as broker:
        assert broker.ended() == 2
        assert "/data" in broker.logs
        assert "Traceback" not in broker.logs


def test_a_second_one_on_the_same_data_ends_with_2_and_the_first_does_not_mind(image: str, data: Path) -> None:
    with Container(image, data) as first:
        first.becomes(0)
        with Container(image, data) as second:
            assert second.ended() == 2
            assert "another ophl7" in second.logs
        first.becomes(0)


# -- a day in it ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_a_practice_lives_through_its_day_in_it(image: str, data: Path, setup: str) -> None:
    patients, schedule = setup.split("/")
    ledger, steps = Ledger(data / "ophl7.db"), day(setup)
    async with ScriptedPeer() as pm, ScriptedPeer() as emr:
        desk: dict[Side, ScriptedPeer] = {"pm": pm, "emr": emr}
        owners = {"PATIENT_AUTHORITY": patients, "SCHEDULE_AUTHORITY": schedule}
        with Container(image, data, settings={"PM_URL": pm.url, "EMR_URL": emr.url, **owners}) as broker:
            broker.becomes(0)
            answers = await play(steps, {"pm": ("127.0.0.1", broker.pm), "emr": ("127.0.0.1", broker.emr)}, desk)
            await until(lambda: not ledger.rows("SELECT 1 FROM delivery WHERE state IN ('queued', 'sending')"))
            assert broker.stop()[0] == 0
        received = {side: list(peer.payloads) for side, peer in desk.items()}
    assert look(ledger, steps, answers, received) == evening(setup)


@pytest.mark.skipif("simulate" not in VERBS, reason="this checkout has no simulated systems yet")
def test_two_simulated_systems_play_their_day_out_of_the_same_image(image: str, data: Path, tmp_path: Path) -> None:
    ports = dict(zip(("pm", "emr"), free_ports(2), strict=True))
    urls = {f"{side.upper()}_URL": f"mllp://127.0.0.1:{port}" for side, port in ports.items()}
    with Container(image, data, settings=urls) as broker, ExitStack() as stack:
        broker.becomes(0)
        players = []
        for side, into in (("pm", broker.pm), ("emr", broker.emr)):
            words = ("simulate", side, "--to", f"mllp://127.0.0.1:{into}", "--listen", f"0.0.0.0:{ports[side]}")
            command = (*words, "--patients", "4", "--pace", "fast", "--once")  # the compose file's words, and an end
            player = Container(image, folder_for_data(tmp_path / side), command=command)
            players.append(stack.enter_context(player))
        for player in players:
            assert player.ended() == 0, player.logs
        assert broker.stop()[0] == 0
    assert Ledger(data / "ophl7.db").count("journal") > 20


async def test_a_stop_answers_what_was_read_and_ends_with_0_within_the_grace(image: str, data: Path) -> None:
    with Container(image, data, settings={"SHUTDOWN_GRACE": "10s"}) as broker:
        broker.becomes(0)
        async with Client("127.0.0.1", broker.pm) as open_line:
            assert read_reply(await open_line.send(adt("R1", "A28"))).code == "AA"
            status, seconds = broker.stop(grace=30)
        assert (status, seconds < 15) == (0, True), (seconds, broker.logs)


def test_it_runs_as_10001_and_writes_nothing_but_its_data(image: str, data: Path) -> None:
    writable = ("--cap-drop=ALL",)  # the root may be written here: whoever tried would be seen
    with Container(image, data, flags=writable) as broker:
        broker.becomes(0)
        assert broker.exec("id", "-u").stdout.strip() == str(USER)
        first = broker.exec("sh", "-c", r"tr '\0' ' ' < /proc/1/cmdline").stdout.split()
        assert first[-2:] == ["/opt/ophl7/bin/ophl7", "serve"]
        sent = run(
            sys.executable,
            "-m",
            "ophl7",
            "send",
            str(ROOT / "examples/tour/1-registration.hl7"),
            "--to",
            f"mllp://127.0.0.1:{broker.pm}",
        )
        assert sent.returncode == 0, sent.stderr
        assert broker.stop()[0] == 0
        assert {path for path in broker.written() if not path.startswith(ENGINES_OWN)} == set()
    kept = {path.name: path.stat() for path in data.iterdir()}
    assert {"ophl7.db", "ophl7.db.lock"} <= set(kept) <= {f"ophl7.db{end}" for end in ("", "-wal", "-shm", ".lock")}
    assert {(one.st_uid, one.st_mode & 0o077) for one in kept.values()} == {(USER, 0)}  # patient data, its user's only


async def test_the_backup_of_the_guide_is_taken_while_it_runs_and_starts_again(image: str, data: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "howto" / "container.md").read_text("utf-8")
    (line,) = re.findall(r"^ +(docker exec ophl7 python -c .+)$", page, re.MULTILINE)
    command = shlex.split(line)[3:]
    with Container(image, data) as broker:
        broker.becomes(0)
        async with Client("127.0.0.1", broker.pm) as line_in:
            assert read_reply(await line_in.send(adt("R1", "A28"))).code == "AA"
            taken = broker.exec(*command)
            assert taken.returncode == 0, taken.stderr
            assert read_reply(await line_in.send(adt("R2", "A28", Person("7051", "BERGER", "OSCAR")))).code == "AA"
    elsewhere = folder_for_data(tmp_path / "restored")
    (data / "backup.db").rename(elsewhere / "ophl7.db")
    with Container(image, elsewhere) as again:
        again.becomes(0)
        async with Client("127.0.0.1", again.pm) as line_in:  # it remembers the one from before the backup
            assert read_reply(await line_in.send(adt("R1", "A28"))).code == "AA"
            assert read_reply(await line_in.send(adt("R2", "A28", Person("7051", "BERGER", "OSCAR")))).code == "AA"
    assert [row["state"] for row in Ledger(elsewhere / "ophl7.db").rows("SELECT state FROM journal ORDER BY id")] == [
        "accepted",
        "duplicate",
        "accepted",
    ]


# -- what is mounted --------------------------------------------------------------------------------------------------


def test_a_handler_that_is_mounted_is_loaded_and_the_token_may_come_from_a_file(image: str, data: Path, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("a-made-up-token\n")
    secret.chmod(0o444)
    example = ROOT / "examples" / "custom_handler"
    mounts = [f"{example / 'handlers'}:/etc/ophl7/handlers:ro", f"{secret}:/run/secrets/ophl7-token:ro"]
    flags = (*Container.LOCKED, *(word for mount in mounts for word in ("--volume", mount)))
    with Container(image, data, flags=flags, settings={"API_TOKEN_FILE": "/run/secrets/ophl7-token"}) as broker:
        broker.becomes(0)
        assert "a-made-up-token" not in broker.logs
        connection = HTTPConnection("127.0.0.1", broker.http, timeout=10)
        connection.request("GET", "/api/v1/plugins", headers={"Authorization": "Bearer a-made-up-token"})
        plugins = json.loads(connection.getresponse().read())["items"]
        connection.close()
        assert "/etc/ophl7/handlers/allergies.py" in {one["place"] for one in plugins}
        for port, file in ((broker.pm, ROOT / "examples/tour/1-registration.hl7"), (broker.emr, example / "allergy.hl7")):
            sent = run(sys.executable, "-m", "ophl7", "send", str(file), "--to", f"mllp://127.0.0.1:{port}")
            assert sent.stdout.strip() == f"AA {control_id_of(file.read_bytes())}", broker.logs


# -- health -----------------------------------------------------------------------------------------------------------


def test_health_needs_no_token_and_fails_where_nothing_answers(image: str, data: Path) -> None:
    with Container(image, data, settings={"API_TOKEN": "a-made-up-token"}) as broker:
        broker.becomes(0)
        elsewhere = broker.exec("env", "OPHL7_HTTP_LISTEN=0.0.0.0:1", "ophl7", "health")
        assert elsewhere.returncode == 3
        assert "is it running?" in elsewhere.stderr


def test_health_fails_while_the_database_is_away_though_nobody_sends_anything(image: str, data: Path) -> None:
    with Container(image, data) as broker:
        broker.becomes(0)
        (data / "ophl7.db").rename(data / "aside")
        assert "not ready" in broker.becomes(1, "store")
        (data / "aside").rename(data / "ophl7.db")
        broker.becomes(0)


@pytest.fixture
def small_disk(data: Path) -> Iterator[Path]:
    """Four megabytes for /data, mounted here."""
    said("mount", "-t", "tmpfs", "-o", f"size=4m,uid={USER},gid={USER},mode=0700", "tmpfs", str(data))
    try:
        yield data
    finally:
        subprocess.run(["umount", str(data)], check=False)


def test_health_fails_on_a_full_disk_and_is_well_again_when_there_is_room(image: str, small_disk: Path) -> None:
    with Container(image, small_disk, settings={"DISK_RESERVE": "0"}) as broker:
        broker.becomes(0)
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        assert "cannot be written" in broker.becomes(1, "store")
        filler.unlink()
        broker.becomes(0)
        assert broker.stop()[0] == 0


def test_health_fails_before_the_disk_is_full(image: str, small_disk: Path) -> None:
    with Container(image, small_disk) as broker:  # 256 MiB are kept free by default
        assert "disk" in broker.becomes(1, "disk is nearly full")


async def test_health_fails_when_a_listener_is_gone(image: str, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "handlers"
    folder.mkdir()
    (folder / "broken.py").write_text(BROKEN)
    folder.chmod(0o755)
    flags = (*Container.LOCKED, "--volume", f"{folder}:/etc/ophl7/handlers:ro")
    with Container(image, data, flags=flags) as broker:
        broker.becomes(0)
        people = [Person(str(7060 + number)) for number in range(5)]
        async with Client("127.0.0.1", broker.pm) as line:
            for number, who in enumerate(people):
                assert read_reply(await line.send(adt(f"R{number}", "A28", who))).code == "AA"
            for number, who in enumerate(people):  # held, each on a lane of its own (#95)
                assert read_reply(await line.send(message("REF^I12", f"A{number}", pid(who), sender="pm"))).code == "AA"
        assert "broken" in broker.becomes(1, "listeners", "PM")
