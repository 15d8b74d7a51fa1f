"""Why there is no TLS, in words: each names the side that must act, and what is to be done there."""

from __future__ import annotations

import ssl

import pytest

from ophl7.mllp.tls import Names, Tls
from ophl7.mllp.tls_faults import TlsFault, refused_client, refused_server, silent_client, silent_server, tls_on_plain_port

PM = Names.of_peer("pm")


def tls(*, own: bool = True, ca: bool = True) -> Tls:
    return Tls(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), PM, own, ca)


def error(reason: str | None) -> ssl.SSLError:
    found = ssl.SSLError(1, "made up")
    found.reason = reason  # type: ignore[assignment]
    return found


def verdict(code: int, message: str = "made up") -> ssl.SSLCertVerificationError:
    found = ssl.SSLCertVerificationError(1, "made up")
    found.verify_code, found.verify_message = code, message
    return found


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (9, "is not valid yet: its side must look at it"),
        (10, "has expired"),
        (18, "signed by nobody in OPHL7_PM_TLS_CA"),
        (19, "signed by nobody in OPHL7_PM_TLS_CA"),
        (20, "signed by nobody in OPHL7_PM_TLS_CA"),
        (21, "signed by nobody in OPHL7_PM_TLS_CA"),
        (26, "is not made for a server (extended key usage): its side must get another one"),
        (62, "for another name than pm.example.org"),
        (64, "for another name than pm.example.org"),
        (23, "does not hold (made up): its side must get another one"),
    ],
)
def test_a_verdict_on_a_certificate_says_whose_turn_it_is(code: int, words: str) -> None:
    fault = refused_server(verdict(code), tls(), "pm.example.org")
    assert fault.kind == "certificate"
    assert fault.words.startswith("shows a certificate ")
    assert words in fault.words


def test_a_certificate_for_servers_does_not_let_a_client_in() -> None:
    assert "is not made for a client (extended key usage)" in refused_client(verdict(26), tls()).words


ALERTS = {
    "SSLV3_ALERT_BAD_CERTIFICATE": "finds our certificate (OPHL7_PM_TLS_CERT) bad",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "it needs one for servers and clients",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "has been revoked; we need a new one",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "has expired; renew it and restart ophl7",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "its own log says why",
    "TLSV1_ALERT_UNKNOWN_CA": "its side must trust that authority",
    "TLSV1_ALERT_ACCESS_DENIED": "its side must allow it",
    "TLSV1_ALERT_DECRYPT_ERROR": "do OPHL7_PM_TLS_CERT and OPHL7_PM_TLS_KEY belong together?",
}


@pytest.mark.parametrize("reason", ALERTS)
def test_an_alert_about_our_certificate_says_what_is_wrong_with_it_at_both_ends(reason: str) -> None:
    for fault in (refused_client(error(reason), tls()), refused_server(error(reason), tls(), "pm")):
        assert fault.kind == "ours_refused"
        assert fault.words.startswith("refuses us: ")
        assert ALERTS[reason] in fault.words


@pytest.mark.parametrize("reason", ["SSLV3_ALERT_BAD_CERTIFICATE", "SSLV3_ALERT_HANDSHAKE_FAILURE"])
def test_without_a_certificate_of_ours_a_refusal_probably_wants_one(reason: str) -> None:
    fault = refused_server(error(reason), tls(own=False), "pm")
    assert fault == TlsFault(
        "ours_refused", "seems to want a certificate of ours and got none: set OPHL7_PM_TLS_CERT and OPHL7_PM_TLS_KEY"
    )


@pytest.mark.parametrize(
    ("reason", "kind", "words"),
    [
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "refused", "ended TLS with the alert handshake_failure; its own log says why"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "version", "ophl7 speaks TLS 1.2 and 1.3"),
        ("UNSUPPORTED_PROTOCOL", "version", "ophl7 speaks TLS 1.2 and 1.3"),
        ("WRONG_VERSION_NUMBER", "no_tls", "TLS"),
        ("RECORD_LAYER_FAILURE", "no_tls", "TLS"),
        ("NO_SHARED_CIPHER", "other", "and we cannot agree on TLS (no_shared_cipher)"),
        (None, "other", "(no reason given)"),
    ],
)
def test_what_is_no_matter_of_certificates(reason: str | None, kind: str, words: str) -> None:
    for fault in (refused_client(error(reason), tls()), refused_server(error(reason), tls(), "pm")):
        assert fault.kind == kind
        assert words in fault.words


@pytest.mark.parametrize("gone", [None, ConnectionResetError(104, "reset")])
def test_who_hangs_up_may_have_had_no_reason(gone: Exception | None) -> None:
    for fault in (refused_client(gone, tls()), refused_server(gone, tls(), "pm")):
        assert fault.kind == "hung_up"
        assert fault.words.startswith("hung up before TLS was agreed; ")


def test_silence_and_tls_at_a_plain_port_say_what_to_do() -> None:
    assert "within 10 s; is it a plain mllp:// port?" in silent_server(10).words
    assert "within 10 s: its side must use TLS" in silent_client(10).words
    assert "set A and B, or its side must use plain MLLP" in tls_on_plain_port("A", "B").words
