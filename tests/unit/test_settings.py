"""Settings: every fault at once, nothing unknown, no secret shown."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from ophl7 import settings
from ophl7.domain.profile import GENERIC
from ophl7.errors import SettingsError
from ophl7.mllp.sender import Address as PeerAddress
from ophl7.units import Address, Retry


def faults(environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        settings.load(environ)
    return caught.value.faults


def test_nothing_set_gives_the_defaults_of_the_contract() -> None:
    chosen = settings.load({"TZ": "Europe/Berlin", "PATH": "/bin"})
    assert chosen.pm.listen == Address("127.0.0.1", 2575)
    assert chosen.emr.listen == Address("127.0.0.1", 2576)
    assert (chosen.pm.authority, chosen.emr.authority) == ("PM", "EMR")
    assert chosen.http_listen == Address("127.0.0.1", 8080)
    assert chosen.database_path == Path("ophl7.db")
    assert (chosen.patient_authority, chosen.schedule_authority, chosen.foreign_fields) == ("pm", "pm", "strip")
    assert chosen.timezone == ZoneInfo("Europe/Berlin")
    assert chosen.processing_id == frozenset({"P"})
    assert chosen.api_token is None
    assert (chosen.plugins, chosen.handlers_path, chosen.plugins_path) == ((), (), ())
    assert (chosen.log_format, chosen.log_level) == ("auto", "info")
    assert (chosen.shutdown_grace, chosen.disk_reserve) == (25.0, 256 * 1024 * 1024)
    for peer in (chosen.pm, chosen.emr):
        assert (peer.url, peer.encoding, peer.allow, peer.ignore_events) == (None, None, (), frozenset())
        assert (peer.max_bytes, peer.max_connections, peer.connections) == (1024 * 1024, 64, 1)
        assert (peer.frame_timeout, peer.idle_timeout, peer.ack_timeout) == (30.0, 0.0, 30.0)
        assert peer.retry == Retry(10.0, 900.0)
        assert (peer.nack_default, peer.on_timeout, peer.control_id, peer.profile) == ("park", "resend", "unique", GENERIC)


def test_each_peer_has_its_own_settings() -> None:
    chosen = settings.load(
        {
            "OPHL7_PM_URL": "mllp://pm.example.org:6661",
            "OPHL7_EMR_ENCODING": "8859/1",
            "OPHL7_EMR_RETRY": "1s..30s",
            "OPHL7_PM_IGNORE_EVENTS": "ORU^R01",
            "OPHL7_PM_CONTROL_ID": "WEAK",
        }
    )
    assert chosen.pm.url == PeerAddress("pm.example.org", 6661)
    assert chosen.emr.url is None
    assert (chosen.pm.encoding, chosen.emr.encoding) == (None, "cp1252")
    assert (chosen.pm.retry.longest, chosen.emr.retry.longest) == (900.0, 30.0)
    assert (chosen.pm.control_id, chosen.emr.control_id) == ("weak", "unique")
    assert chosen.peer("pm") is chosen.pm
    assert chosen.peer("emr") is chosen.emr


def test_every_fault_is_reported_at_once_and_names_its_setting() -> None:
    found = faults(
        {
            "OPHL7_PM_RETRY": "10",
            "OPHL7_EMR_MAX_BYTES": "12",
            "OPHL7_PM_MAX_CONNECTIONS": "0",
            "OPHL7_EMR_FRAME_TIMEOUT": "0",
            "OPHL7_LOG_LEVEL": "loud",
            "OPHL7_DATABASE_URL": "postgresql://me:hush@host/db",
            "OPHL7_PM_LISTN": "x",
            "OPHL7_PM_TLS_KEY": "pm.pem",
            "OPHL7_PM_URL": "http://host:1",
            "OPHL7_EMR_ENCODING": "klingon",
        }
    )
    assert [fault.partition(":")[0] for fault in found] == sorted(
        [
            "OPHL7_PM_RETRY",
            "OPHL7_EMR_MAX_BYTES",
            "OPHL7_PM_MAX_CONNECTIONS",
            "OPHL7_EMR_FRAME_TIMEOUT",
            "OPHL7_LOG_LEVEL",
            "OPHL7_DATABASE_URL",
            "OPHL7_PM_LISTN",
            "OPHL7_PM_TLS_KEY",
            "OPHL7_PM_URL",
            "OPHL7_EMR_ENCODING",
        ]
    )
    assert not any("hush" in fault for fault in found)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("OPHL7_PM_LISTN", "OPHL7_PM_LISTEN"),
        ("OPHL7_LISTEN_PM", "OPHL7_PM_LISTEN"),
        ("OPHL7_EMR_MAXBYTES", "OPHL7_EMR_MAX_BYTES"),
        ("OPHL7_SCHEDULE_AUTORITY", "OPHL7_SCHEDULE_AUTHORITY"),
        ("OPHL7_API_TOKEN_FIL", "OPHL7_API_TOKEN_FILE"),
        ("OPHL7_PM_URL_FILE", "OPHL7_PM_URL"),
    ],
)
def test_an_unknown_name_stops_the_start_and_the_nearest_right_one_is_named(written: str, meant: str) -> None:
    assert faults({written: "x"}) == [f"{written}: there is no such setting; did you mean {meant}?"]


def test_options_of_plugins_are_left_to_the_plugins() -> None:
    settings.load({"OPHL7_PLUGIN_SUPERBILL_EVENTS": "ZBL^Z01"})


def test_an_empty_value_counts_as_unset() -> None:
    assert settings.load({"OPHL7_PM_URL": "", "OPHL7_PM_RETRY": "  ", "OPHL7_LEARN_UNTIL": ""}).pm.retry == Retry(10.0, 900.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPHL7_DATABASE_URL", "postgresql://user@host/db"),
    ],
)
def test_a_setting_whose_part_is_missing_stops_the_start_and_says_so(name: str, value: str) -> None:
    (fault,) = faults({name: value})
    assert fault.startswith(name)
    assert "not there yet" in fault


@pytest.mark.parametrize(
    ("given", "name", "words"),
    [
        ({"OPHL7_RETENTION": "7d"}, "OPHL7_RETENTION", "too short"),  # copies are answered for seven days (#84)
        ({"OPHL7_RETENTION": "2y", "OPHL7_AUDIT_RETENTION": "1y"}, "OPHL7_AUDIT_RETENTION", "shorter than OPHL7_RETENTION"),
    ],
)
def test_a_retention_that_loses_what_is_needed_is_refused(given: dict[str, str], name: str, words: str) -> None:
    (fault,) = faults(given)
    assert fault.startswith(name)
    assert words in fault


def test_what_a_missing_part_would_not_change_may_be_written_down() -> None:
    settings.load({"OPHL7_PM_PROFILE": "generic", "OPHL7_PM_ON_TIMEOUT": "resend"})


PAIR = {"OPHL7_PM_TLS_CERT": "pm.pem", "OPHL7_PM_TLS_KEY": "pm.key"}


def test_tls_is_off_until_a_certificate_is_named() -> None:
    chosen = settings.load({})
    assert (chosen.pm.tls_cert, chosen.pm.tls_key, chosen.pm.tls_ca, chosen.pm.tls_client_auth) == (None, None, None, "none")


def test_the_files_of_tls_are_paths_and_nobody_opens_them_here() -> None:
    environ = PAIR | {
        "OPHL7_PM_TLS_CA": "/nowhere/ca.pem",
        "OPHL7_PM_TLS_CLIENT_AUTH": "MUST",
        "OPHL7_PM_URL": "mllps://pm:2575",
    }
    pm = settings.load(environ).pm
    assert (pm.tls_cert, pm.tls_key, pm.tls_ca) == (Path("pm.pem"), Path("pm.key"), Path("/nowhere/ca.pem"))
    assert (pm.tls_client_auth, pm.url) == ("must", PeerAddress("pm", 2575, tls=True))


@pytest.mark.parametrize(
    ("environ", "name", "words"),
    [
        ({"OPHL7_PM_TLS_CERT": "pm.pem"}, "OPHL7_PM_TLS_KEY", "the key of the certificate in OPHL7_PM_TLS_CERT is missing"),
        ({"OPHL7_EMR_TLS_KEY": "emr.key"}, "OPHL7_EMR_TLS_KEY", "set OPHL7_EMR_TLS_CERT too"),
        ({"OPHL7_PM_TLS_CLIENT_AUTH": "must"}, "OPHL7_PM_TLS_CLIENT_AUTH", "on a listener without TLS; set OPHL7_PM_TLS_CERT"),
        (PAIR | {"OPHL7_PM_TLS_CLIENT_AUTH": "must"}, "OPHL7_PM_TLS_CLIENT_AUTH", "set OPHL7_PM_TLS_CA too"),
        (PAIR | {"OPHL7_PM_TLS_CLIENT_AUTH": "want"}, "OPHL7_PM_TLS_CLIENT_AUTH", "set OPHL7_PM_TLS_CA too"),
        (PAIR | {"OPHL7_PM_TLS_CLIENT_AUTH": "maybe"}, "OPHL7_PM_TLS_CLIENT_AUTH", "is not one of none, want, must"),
        ({"OPHL7_EMR_TLS_CA": "ca.pem", "OPHL7_EMR_URL": "mllp://emr:1"}, "OPHL7_EMR_TLS_CA", "OPHL7_EMR_URL is mllp://"),
    ],
)
def test_settings_of_tls_that_do_not_fit_together_stop_the_start(environ: dict[str, str], name: str, words: str) -> None:
    (fault,) = faults(environ)
    assert fault.startswith(f"{name}: ")
    assert words in fault


def test_a_wrong_certificate_setting_is_one_fault_and_not_three() -> None:
    environ = {"OPHL7_PM_TLS_CLIENT_AUTH": "must", "OPHL7_PM_TLS_CA": "ca.pem", "OPHL7_PM_URL": "mlps://pm:1"}
    found = faults(environ | {"OPHL7_PM_TLS_CERT": "pm.pem", "OPHL7_PM_TLS_KEY": "pm.key"})
    assert [fault.partition(":")[0] for fault in found] == ["OPHL7_PM_URL"]


@pytest.mark.parametrize(
    ("patients", "schedule", "allowed"), [("pm", "pm", True), ("emr", "emr", True), ("pm", "emr", True), ("emr", "pm", False)]
)
def test_three_set_ups_are_possible_and_the_fourth_is_refused(patients: str, schedule: str, allowed: bool) -> None:
    environ = {"OPHL7_PATIENT_AUTHORITY": patients, "OPHL7_SCHEDULE_AUTHORITY": schedule}
    if allowed:
        assert settings.load(environ).schedule_authority == schedule
    else:
        assert faults(environ)[0].startswith("OPHL7_SCHEDULE_AUTHORITY")


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"OPHL7_EMR_LISTEN": "127.0.0.1:2575"}, "OPHL7_EMR_LISTEN"),
        ({"OPHL7_HTTP_LISTEN": "0.0.0.0:2576"}, "OPHL7_HTTP_LISTEN"),
    ],
)
def test_two_listeners_cannot_share_a_port(environ: dict[str, str], name: str) -> None:
    assert faults(environ)[0].startswith(name)


def test_port_zero_may_be_written_three_times() -> None:
    zero = "127.0.0.1:0"
    settings.load({"OPHL7_PM_LISTEN": zero, "OPHL7_EMR_LISTEN": zero, "OPHL7_HTTP_LISTEN": zero})


def test_the_token_may_come_from_a_file_and_is_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("s3cret-token\n")
    environ = {"OPHL7_API_TOKEN_FILE": str(file)}
    chosen = settings.load(environ)
    assert chosen.api_token is not None
    assert chosen.api_token.get_secret_value() == "s3cret-token"
    assert "s3cret" not in repr(chosen)
    shown = {item.row.name: item for item in settings.describe(environ)}["OPHL7_API_TOKEN"]
    assert (shown.value, shown.origin) == ("********", f"file {file}")


def test_a_secret_given_twice_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one")
    found = faults({"OPHL7_API_TOKEN_FILE": str(file), "OPHL7_API_TOKEN": "two"})
    assert found == ["OPHL7_API_TOKEN and OPHL7_API_TOKEN_FILE are both set; keep one of them"]


def test_a_secret_file_that_is_missing_empty_or_binary_is_an_error(tmp_path: Path) -> None:
    empty, binary = tmp_path / "empty", tmp_path / "binary"
    empty.write_text("\n")
    binary.write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in faults({"OPHL7_API_TOKEN_FILE": str(tmp_path / "nowhere")})[0]
    assert "is empty" in faults({"OPHL7_API_TOKEN_FILE": str(empty)})[0]
    assert "it is no text" in faults({"OPHL7_API_TOKEN_FILE": str(binary)})[0]


def test_a_wrong_secret_is_not_repeated() -> None:
    (fault,) = faults({"OPHL7_API_TOKEN": "my secret"})
    assert "my secret" not in fault


def test_settings_cannot_be_changed() -> None:
    chosen = settings.load({})
    with pytest.raises(ValidationError):
        chosen.log_level = "debug"
    with pytest.raises(ValidationError):
        chosen.pm.max_bytes = 1


def test_the_environment_of_the_process_is_never_read_behind_the_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPHL7_LOG_LEVEL", "debug")
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("OPHL7_LOG_LEVEL=error\n")
    assert settings.load({}).log_level == "info"


def test_the_origin_of_every_value_is_told() -> None:
    shown = {item.row.name: item for item in settings.describe({"OPHL7_PM_RETRY": "1s..2s", "TZ": "Europe/Berlin"})}
    assert (shown["OPHL7_PM_RETRY"].value, shown["OPHL7_PM_RETRY"].origin) == ("1s..2s", "environment")
    assert (shown["OPHL7_EMR_RETRY"].value, shown["OPHL7_EMR_RETRY"].origin) == ("10s..15m", "default")
    assert shown["OPHL7_TIMEZONE"].value == "Europe/Berlin"
    assert list(shown) == [row.name for row in settings.settings_table()]


def test_an_option_of_a_plugin_is_listed_without_its_value() -> None:
    shown = settings.describe({"OPHL7_PLUGIN_MAIL_PASSWORD": "hush"})[-1]
    assert (shown.row.name, shown.value, shown.origin) == ("OPHL7_PLUGIN_MAIL_PASSWORD", "(read by its plugin)", "environment")


def test_every_setting_has_a_meaning_and_a_name_of_its_own() -> None:
    table = settings.settings_table()
    assert all(row.meaning for row in table)
    assert len({row.name for row in table}) == len(table)
    assert [row.name for row in table if row.secret] == [
        "OPHL7_API_TOKEN",
        "OPHL7_ALARM_WEBHOOK",
        "OPHL7_ALARM_WEBHOOK_KEY",
    ]


def test_the_zone_of_the_system_is_found_by_its_link(tmp_path: Path) -> None:
    folder = tmp_path / "zoneinfo" / "America"
    folder.mkdir(parents=True)
    (folder / "Chicago").touch()
    link = tmp_path / "localtime"
    link.symlink_to(folder / "Chicago")
    assert settings.system_timezone({}, link) == "America/Chicago"
    assert settings.system_timezone({"TZ": ":Asia/Tokyo"}, link) == "Asia/Tokyo"
    assert settings.system_timezone({}, tmp_path / "nothing") == "UTC"
    assert settings.system_timezone({"TZ": "CET-1CEST"}, link) == "UTC"


@pytest.mark.parametrize("written", ["soon", "31.12.2026", "2026-13-01", "2026-12-31T08:00"])
def test_the_last_day_of_learning_is_a_day(written: str) -> None:
    (fault,) = faults({"OPHL7_LEARN_UNTIL": written})
    assert fault.startswith("OPHL7_LEARN_UNTIL: ")
    assert "2026-03-31" in fault
    assert settings.load({"OPHL7_LEARN_UNTIL": "2026-12-31"}).learn_until == date(2026, 12, 31)
