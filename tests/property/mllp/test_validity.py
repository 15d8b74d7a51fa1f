"""When a certificate is valid, read out of certificates that another library has made."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from ophl7.mllp.validity import Validity, certificates_in, validity_of

KEY = ec.generate_private_key(ec.SECP256R1())
# Both forms of a time are met: UTCTime until 2049, GeneralizedTime from 2050 on.
INSTANTS = st.datetimes(datetime(1950, 1, 1), datetime(9999, 12, 31)).map(lambda at: at.replace(microsecond=0))  # noqa: DTZ001


def made(begins: datetime, ends: datetime, name: str = "x", serial: int = 1) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(KEY.public_key())
    return builder.serial_number(serial).not_valid_before(begins).not_valid_after(ends).sign(KEY, hashes.SHA256())


@given(st.tuples(INSTANTS, INSTANTS).map(sorted), st.text("abc", min_size=1, max_size=64), st.integers(1, 2**159 - 1))
def test_both_ends_are_read_whatever_stands_before_them(span: list[datetime], name: str, serial: int) -> None:
    certificate = made(span[0], span[1], name, serial)
    read = validity_of([certificate.public_bytes(Encoding.DER)])
    assert read == Validity(certificate.not_valid_before_utc, certificate.not_valid_after_utc)


@given(st.binary(max_size=200))
def test_what_is_no_certificate_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says, it is one kind of error
        validity_of([data])


@given(st.integers(0, 300))
def test_a_certificate_that_is_cut_off_is_refused(length: int) -> None:
    der = made(datetime(2026, 1, 1), datetime(2027, 1, 1)).public_bytes(Encoding.DER)  # noqa: DTZ001
    with pytest.raises(ValueError):  # noqa: PT011 - as above
        validity_of([der[: min(length, len(der) - 1)]])


def test_a_chain_is_valid_while_all_of_it_is() -> None:
    years = [(2020, 2030), (2024, 2026), (2022, 2050)]
    pem = "".join(
        made(datetime(a, 1, 1), datetime(b, 1, 1)).public_bytes(Encoding.PEM).decode()  # noqa: DTZ001
        for a, b in years
    )
    chain = certificates_in(f"subject=something that openssl s_client prints\n{pem}-----BEGIN EC PRIVATE KEY-----\n")
    assert len(chain) == 3
    assert validity_of(chain) == Validity(datetime(2024, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
