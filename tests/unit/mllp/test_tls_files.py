"""What is wrong with files of certificates and keys, told to whoever named them; and what contexts are made of good ones."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from ophl7.errors import SettingsError
from ophl7.mllp.tls import ClientAuth, Files, Names, read
from tests.authority import Authority, Issued, files, locked, write_key

PM = Names.of_peer("pm")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def ours(authority: Authority) -> Issued:
    return authority.issue("ophl7")


def faults(files: Files) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(files, PM)
    return caught.value.faults


def only(files: Files) -> str:
    (fault,) = faults(files)
    return fault


def test_the_settings_of_a_peer_are_named_in_full() -> None:
    assert Names("OPHL7_PM_TLS_CERT", "OPHL7_PM_TLS_KEY", "OPHL7_PM_TLS_CA", "OPHL7_PM_TLS_CLIENT_AUTH=must") == PM


@pytest.mark.parametrize(("auth", "demand"), [("none", 0), ("want", 1), ("must", 2)])
def test_a_listener_asks_for_a_certificate_as_it_is_told(
    ours: Issued, authority: Authority, auth: ClientAuth, demand: int
) -> None:
    tls = read(files(ours, authority), PM).for_listening(auth)
    assert tls.context.verify_mode == demand
    assert (tls.own, tls.ca) == (True, True)


def test_nothing_below_tls_1_2_is_spoken_on_either_side(ours: Issued, authority: Authority) -> None:
    material = read(files(ours, authority), PM)
    for tls in (material.for_listening("none"), material.for_sending()):
        assert tls.context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_sender_always_checks_the_certificate_and_its_name(authority: Authority) -> None:
    context = read(files(None, authority), PM).for_sending().context
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert [one["serialNumber"] for one in context.get_ca_certs()] != []


def test_a_sender_without_authorities_trusts_whom_the_machine_trusts(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    tls = read(files(), PM).for_sending()
    assert not tls.ca
    assert len(tls.context.get_ca_certs()) == 1


def test_a_machine_that_trusts_nobody_is_told_to_name_somebody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nothing"))
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "empty"))
    with pytest.raises(SettingsError, match="OPHL7_PM_TLS_CA: is not set, and this machine trusts no authority"):
        read(files(), PM).for_sending()


@pytest.mark.parametrize("where", ["cert", "key", "ca"])
def test_a_file_that_is_not_there_is_named_with_its_setting(ours: Issued, tmp_path: Path, where: str) -> None:
    named = {"cert": ours.cert, "key": ours.key, "ca": None} | {where: tmp_path / "nowhere.pem"}
    fault = only(Files(**named))
    assert fault.startswith(f"OPHL7_PM_TLS_{where.upper()}: ")
    assert "nowhere.pem' cannot be read (No such file or directory)" in fault


def test_a_folder_is_no_file(ours: Issued, tmp_path: Path) -> None:
    assert "cannot be read (Is a directory)" in only(Files(ours.cert, ours.key, tmp_path))


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    found = faults(Files(tmp_path / "a", tmp_path / "b", tmp_path / "c"))
    assert [fault.partition(":")[0] for fault in found] == [PM.cert, PM.key, PM.ca]


def test_an_empty_file_is_told_apart(ours: Issued, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    assert "is empty" in only(Files(ours.cert, ours.key, tmp_path / "empty.pem"))


def test_a_certificate_in_another_form_is_told_what_turns_it_into_pem(ours: Issued, tmp_path: Path) -> None:
    der = tmp_path / "pm.cer"
    der.write_bytes(ssl.PEM_cert_to_DER_cert(ours.cert.read_text()))
    assert "openssl x509 -inform der" in only(Files(der, ours.key))


@pytest.mark.parametrize("damage", [lambda pem: pem[:300] + pem[400:], lambda pem: pem.replace("MII", "!!!", 1)])
def test_a_damaged_certificate_is_refused(ours: Issued, tmp_path: Path, damage: object) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text(damage(ours.cert.read_text()))  # type: ignore[operator]
    assert only(Files(bad, ours.key)).startswith("OPHL7_PM_TLS_CERT: ")
    assert only(Files(ours.cert, ours.key, bad)).startswith("OPHL7_PM_TLS_CA: ")


def test_a_key_of_another_certificate_is_refused(ours: Issued, authority: Authority) -> None:
    fault = only(Files(ours.cert, authority.issue("other").key))
    assert fault.startswith("OPHL7_PM_TLS_KEY: ")
    assert "does not belong to the first certificate" in fault


def test_a_key_of_another_sort_is_refused_as_well(ours: Issued, tmp_path: Path) -> None:
    rsa = tmp_path / "rsa.key"
    write_key(rsa, trustme.CA().issue_cert("x", key_type=trustme.KeyType.RSA).private_key_pem.bytes())
    assert "does not belong to the first certificate" in only(Files(ours.cert, rsa))


def test_a_chain_in_the_wrong_order_is_a_key_that_does_not_belong(ours: Issued, authority: Authority, tmp_path: Path) -> None:
    chain = tmp_path / "chain.pem"
    chain.write_text(authority.file.read_text() + ours.cert.read_text())
    assert "put our own certificate before those that signed it" in only(Files(chain, ours.key))


def test_a_file_without_a_key_is_told_apart(ours: Issued) -> None:
    ours.cert.chmod(0o600)
    assert "holds no private key in PEM form" in only(Files(ours.cert, ours.cert))


def test_one_file_may_hold_certificate_and_key(ours: Issued, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    write_key(both, ours.key.read_bytes() + ours.cert.read_bytes())
    assert read(Files(both, both), PM).for_listening("none").own


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o777])
def test_a_key_that_everybody_can_get_at_is_refused_with_the_command_that_mends_it(ours: Issued, mode: int) -> None:
    ours.key.chmod(mode)
    fault = only(files(ours))
    assert fault.startswith("OPHL7_PM_TLS_KEY: ")
    assert f"(mode {mode:o})" in fault
    assert f"chmod 600 {ours.key}" in fault


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640])
def test_a_key_for_its_owner_or_group_is_taken(ours: Issued, mode: int) -> None:
    ours.key.chmod(mode)
    assert read(files(ours), PM).validity is not None


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(ours: Issued) -> None:
    write_key(ours.key, locked(ours.key))
    fault = only(files(ours))
    assert fault.startswith("OPHL7_PM_TLS_KEY: ")
    assert "is protected with a password" in fault
    assert f"openssl pkey -in {ours.key}" in fault


def test_an_expired_certificate_is_no_fault_of_the_files(authority: Authority) -> None:
    expired = authority.issue("old", lasts=timedelta(days=-1))
    validity = read(files(expired), PM).validity
    assert validity is not None
    assert validity.ends < datetime.now(UTC)
    assert read(files(expired), PM).for_listening("none").own


def test_without_a_certificate_there_is_nothing_that_expires(authority: Authority) -> None:
    assert read(files(None, authority), PM).validity is None
