"""What the broker says when it starts: what listens where and how, and what wants attention."""

from __future__ import annotations

import pytest

from ophl7 import settings
from ophl7.app import start_text
from ophl7.broker import Listening
from ophl7.extend.loading import Loaded

PAIR = {"OPHL7_PM_TLS_CERT": "pm.pem", "OPHL7_PM_TLS_KEY": "pm.key"}
OUTSIDE = {"OPHL7_PM_LISTEN": "0.0.0.0:2575"}


def text(environ: dict[str, str], *notes: str) -> str:
    chosen = settings.load({"TZ": "UTC"} | environ)
    listening = Listening((chosen.pm.listen.host, chosen.pm.listen.port), ("127.0.0.1", 2576))
    return start_text(chosen, Loaded((), ()), listening, "http://127.0.0.1:8080/", notes)


@pytest.mark.parametrize(
    ("more", "speech"),
    [
        ({}, "(MLLP)"),
        (PAIR, "(MLLP over TLS)"),
        (PAIR | {"OPHL7_PM_TLS_CA": "ca.pem", "OPHL7_PM_TLS_CLIENT_AUTH": "want"}, "a certificate is checked if one is shown)"),
        (PAIR | {"OPHL7_PM_TLS_CA": "ca.pem", "OPHL7_PM_TLS_CLIENT_AUTH": "must"}, "(MLLP over TLS, with a certificate only)"),
    ],
)
def test_it_says_what_a_listener_speaks(more: dict[str, str], speech: str) -> None:
    lines = text(more).splitlines()
    assert any("(PM) sends its messages to   127.0.0.1 port 2575 (MLLP" in line and line.endswith(speech) for line in lines)
    assert any(line.endswith("127.0.0.1 port 2576 (MLLP)") for line in lines)


def test_it_says_where_messages_go_over_tls() -> None:
    assert "Messages for the EMR go to   mllps://emr.example.org:2576" in text(
        {"OPHL7_EMR_URL": "mllps://emr.example.org:2576"}
    )


def test_the_next_command_has_the_options_that_the_listener_asks_for() -> None:
    must = PAIR | {"OPHL7_PM_TLS_CA": "ca.pem", "OPHL7_PM_TLS_CLIENT_AUTH": "must"}
    assert "--to mllp://127.0.0.1:2575\n" in text({})
    assert "--to mllps://127.0.0.1:2575 --tls-ca AUTHORITY\n" in text(PAIR)
    assert "--to mllps://127.0.0.1:2575 --tls-ca AUTHORITY --tls-cert CERTIFICATE --tls-key KEY\n" in text(must)


@pytest.mark.parametrize(
    ("more", "open_to_all"),
    [
        ({}, True),
        (PAIR, True),
        (PAIR | {"OPHL7_PM_TLS_CA": "ca.pem", "OPHL7_PM_TLS_CLIENT_AUTH": "want"}, True),
        (PAIR | {"OPHL7_PM_TLS_CA": "ca.pem", "OPHL7_PM_TLS_CLIENT_AUTH": "must"}, False),
        ({"OPHL7_PM_ALLOW": "10.8.0.5"}, False),
    ],
)
def test_a_port_that_is_open_to_all_wants_attention_unless_addresses_or_certificates_keep_it(
    more: dict[str, str], open_to_all: bool
) -> None:
    assert ("ATTENTION: anybody who reaches port 2575" in text(OUTSIDE | more)) is open_to_all


def test_what_else_wants_attention_stands_there_too() -> None:
    assert "  ATTENTION: the certificate expires soon\n" in text({}, "the certificate expires soon")
    assert "ATTENTION" not in text({})
