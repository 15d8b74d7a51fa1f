"""Why there is no TLS, in words: what is wrong, and which side must do something about it. Pure.

What OpenSSL says comes in three forms: its verdict on the other end's certificate (a number), an alert that the other end has
sent (a reason with `ALERT_` in it), and what it could not make sense of itself (another reason).
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from ophl7.mllp.tls import Tls

Kind = Literal["no_tls", "version", "no_certificate", "certificate", "ours_refused", "refused", "hung_up", "timeout", "other"]


@dataclass(frozen=True, slots=True)
class TlsFault:
    """kind: a stable name for logs. words: go on after `the client` or after the address of a server."""

    kind: Kind
    words: str


# Verdicts of OpenSSL on a certificate (X509_V_ERR_*).
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_UNKNOWN_ISSUER: Final = frozenset({2, 18, 19, 20, 21})
_WRONG_PURPOSE: Final = frozenset({26, 79})
_WRONG_NAME: Final = frozenset({62, 64})

# What OpenSSL makes of bytes that are no TLS.
_NO_TLS: Final = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG"}
    | {"RECORD_LAYER_FAILURE", "BAD_RECORD_TYPE", "UNEXPECTED_RECORD", "ENCRYPTED_LENGTH_TOO_LONG", "DATA_LENGTH_TOO_LONG"}
)
_VERSIONS: Final = frozenset({"UNSUPPORTED_PROTOCOL", "VERSION_TOO_LOW", "NO_PROTOCOLS_AVAILABLE", "WRONG_SSL_VERSION"})

# Alerts (RFC 8446, 6.2) by which the other end refuses our certificate.
_OURS: Final[Mapping[str, str]] = {
    "BAD_CERTIFICATE": "it finds our certificate ({cert}) bad",
    "UNSUPPORTED_CERTIFICATE": "our certificate ({cert}) is not made for this use; it needs one for servers and clients",
    "CERTIFICATE_REVOKED": "our certificate ({cert}) has been revoked; we need a new one",
    "CERTIFICATE_EXPIRED": "our certificate ({cert}) has expired; renew it and restart ophl7",
    "CERTIFICATE_UNKNOWN": "it does not take our certificate ({cert}); its own log says why",
    "UNKNOWN_CA": "it does not know who signed our certificate ({cert}); its side must trust that authority",
    "ACCESS_DENIED": "it does not let our certificate ({cert}) in; its side must allow it",
    "DECRYPT_ERROR": "it cannot verify our signature; do {cert} and {key} belong together?",
}
_NEW_VERSION: Final = "one side must be updated, and ophl7 speaks TLS 1.2 and 1.3"


def refused_client(error: Exception | None, tls: Tls) -> TlsFault:
    """Why a client got no TLS from us. error: what ended the handshake, None when the client hung up."""
    names = tls.names
    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsFault("certificate", _verdict(error, tls, "a client", ""))
    reason = _reason(error)
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return TlsFault(
            "no_certificate",
            f"shows no certificate, and {names.must} wants one: its side must show one that {names.ca} has signed",
        )
    if reason in _NO_TLS:
        return TlsFault("no_tls", f"does not speak TLS, and this port does since {names.cert} is set: its side must use TLS")
    return _either(
        error, reason, tls, "if that was no mere look at the port: does it speak TLS, does it trust our certificate?"
    )


def refused_server(error: Exception | None, tls: Tls, host: str) -> TlsFault:
    """Why we got no TLS from the server `host`. error: what ended the handshake, None when the server hung up."""
    names = tls.names
    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsFault("certificate", _verdict(error, tls, "a server", host))
    reason = _reason(error)
    alert = reason.partition("ALERT_")[2]
    # Before TLS 1.3 there was no alert of its own for this; servers said one of these.
    if alert == "CERTIFICATE_REQUIRED" or (not tls.own and alert in {"BAD_CERTIFICATE", "HANDSHAKE_FAILURE"}):
        sure = "wants" if alert == "CERTIFICATE_REQUIRED" else "seems to want"
        return TlsFault("ours_refused", f"{sure} a certificate of ours and got none: set {names.cert} and {names.key}")
    if reason in _NO_TLS:
        return TlsFault("no_tls", "does not answer in TLS: its side must use TLS, or the address must begin with mllp://")
    return _either(error, reason, tls, "is it a plain mllp:// port, or does it not let us in?")


def silent_server(seconds: float) -> TlsFault:
    """A server that takes the connection and then says nothing."""
    return TlsFault(
        "timeout", f"took the connection but did not agree on TLS within {seconds:g} s; is it a plain mllp:// port?"
    )


def silent_client(seconds: float) -> TlsFault:
    """A client that connects and then says nothing, or half of it."""
    return TlsFault("timeout", f"connected but did not agree on TLS within {seconds:g} s: its side must use TLS")


def tls_on_plain_port(names_cert: str, names_key: str) -> TlsFault:
    """A client that speaks TLS where we do not."""
    return TlsFault(
        "no_tls", f"speaks TLS, and this port does not: set {names_cert} and {names_key}, or its side must use plain MLLP"
    )


def _either(error: Exception | None, reason: str, tls: Tls, hint: str) -> TlsFault:
    """What can go wrong in the same way at both ends."""
    if error is None or not isinstance(error, ssl.SSLError):
        return TlsFault("hung_up", f"hung up before TLS was agreed; {hint}")
    alert = reason.partition("ALERT_")[2]
    if alert in _OURS:
        return TlsFault("ours_refused", "refuses us: " + _OURS[alert].format(cert=tls.names.cert, key=tls.names.key))
    if reason in _VERSIONS or alert == "PROTOCOL_VERSION":
        return TlsFault("version", f"knows no version of TLS that we speak: {_NEW_VERSION}")
    if alert:
        return TlsFault("refused", f"ended TLS with the alert {alert.lower()}; its own log says why")
    return TlsFault("other", f"and we cannot agree on TLS ({reason.lower() or 'no reason given'})")


def _verdict(error: ssl.SSLCertVerificationError, tls: Tls, role: str, host: str) -> str:
    """What is wrong with the certificate that the other end has shown."""
    code = error.verify_code
    if code == _EXPIRED:
        return "shows a certificate that has expired, itself or one that it is signed by: its side must renew it"
    if code == _NOT_YET_VALID:
        return "shows a certificate that is not valid yet: its side must look at it, if the clock of this machine is right"
    if code in _UNKNOWN_ISSUER:
        known = f"nobody in {tls.names.ca}" if tls.ca else f"nobody whom this machine trusts ({tls.names.ca} is not set)"
        return f"shows a certificate that is signed by {known}: put the certificate of its authority there, if you trust it"
    if code in _WRONG_NAME:
        return (
            f"shows a certificate for another name than {host}: use the name that is in it, or its side must get one for {host}"
        )
    if code in _WRONG_PURPOSE:
        return f"shows a certificate that is not made for {role} (extended key usage): its side must get another one"
    return f"shows a certificate that does not hold ({error.verify_message}): its side must get another one"


def _reason(error: Exception | None) -> str:
    return (error.reason or "") if isinstance(error, ssl.SSLError) else ""
