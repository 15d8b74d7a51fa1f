"""From when until when a certificate is valid, read out of its DER form. Pure.

Python's ssl module tells that only of a certificate that another end has shown and that was accepted; of our own, and of an
expired one, it says nothing. So the few bytes that lead there are read here (RFC 5280, 4.1: Certificate, TBSCertificate,
Validity); everything else about certificates is OpenSSL's business.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0  # [0] EXPLICIT, absent in version 1
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18


@dataclass(frozen=True, slots=True)
class Validity:
    """Both ends of the time in which a certificate may be used, aware, in UTC."""

    begins: datetime
    ends: datetime


def certificates_in(pem: str) -> list[bytes]:
    """Every certificate of a PEM text, in DER form and in order. Raises ValueError for a block that is not base64."""
    return [ssl.PEM_cert_to_DER_cert(block) for block in _PEM.findall(pem)]


def validity_of(certificates: Iterable[bytes]) -> Validity:
    """When all of them are valid: a chain is as good as its worst member. Raises ValueError for what is no certificate."""
    found = [_read(der) for der in certificates]
    return Validity(max(one.begins for one in found), min(one.ends for one in found))


def _read(der: bytes) -> Validity:
    tag, certificate, _ = _element(der)
    _expect(tag == _SEQUENCE)
    tag, rest, _ = _element(certificate)
    _expect(tag == _SEQUENCE)
    tag, _, after = _element(rest)
    if tag == _VERSION:
        rest = after
    for _ in ("serial number", "signature algorithm", "issuer"):
        _, _, rest = _element(rest)
    tag, validity, _ = _element(rest)
    _expect(tag == _SEQUENCE)
    begins, first, after = _element(validity)
    ends, last, _ = _element(after)
    return Validity(_time(begins, first), _time(ends, last))


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """Tag, content and what follows."""
    _expect(len(data) >= 2)
    tag, length, start = data[0], data[1], 2
    if length & 0x80:
        count = length & 0x7F
        _expect(0 < count <= 4)
        start += count
        length = int.from_bytes(data[2:start], "big")
    _expect(len(data) >= start + length)
    return tag, data[start : start + length], data[start + length :]


def _time(tag: int, text: bytes) -> datetime:
    """UTCTime has two digits for the year, which stand for 1950 to 2049; GeneralizedTime has four (RFC 5280, 4.1.2.5)."""
    _expect(tag in {_UTC_TIME, _GENERALIZED_TIME})
    written = text.decode("ascii")
    if tag == _UTC_TIME:
        written = ("19" if written[:2] >= "50" else "20") + written
    return datetime.strptime(written, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _expect(as_it_should_be: bool) -> None:
    if not as_it_should_be:
        raise ValueError("is no X.509 certificate")
