"""TLS out of files: what is wrong with them, told to whoever wrote the settings, and contexts that are made of them once.

TLS 1.2 at least (BCP 195). What a certificate must be like is the same on every version of Python (docs/decisions/0022).
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from ophl7.errors import SettingsError
from ophl7.mllp.validity import Validity, certificates_in, validity_of

ClientAuth = Literal["none", "want", "must"]

_EVERYBODY: Final = 0o006  # may read or change the file
# How OpenSSL calls a key that was not made with the certificate; the last one when even its sort is another.
_NOT_A_PAIR: Final = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"})
_DEMANDS: Final = {"none": ssl.CERT_NONE, "want": ssl.CERT_OPTIONAL, "must": ssl.CERT_REQUIRED}


@dataclass(frozen=True, slots=True)
class Names:
    """What the settings, or the options, are called by which the files were given. must: what demands a certificate."""

    cert: str
    key: str
    ca: str
    must: str

    @classmethod
    def of_peer(cls, peer: str) -> Names:
        """The settings of `pm` or `emr`."""
        return cls(*(f"OPHL7_{peer.upper()}_TLS_{what}" for what in ("CERT", "KEY", "CA", "CLIENT_AUTH=must")))


@dataclass(frozen=True, slots=True)
class Files:
    """Our certificate with its chain, its key, and those who may sign the other end's certificate; all PEM."""

    cert: Path | None = None
    key: Path | None = None
    ca: Path | None = None


@dataclass(frozen=True, slots=True)
class Tls:
    """A context, and what it was made of. own: whether it can show a certificate; ca: whether it has its own authorities."""

    context: ssl.SSLContext
    names: Names
    own: bool
    ca: bool


class Material:
    """Files that were looked at and found good. Made by :func:`read`."""

    def __init__(self, files: Files, names: Names, authorities: str | None, validity: Validity | None) -> None:
        self._files = files
        self._names = names
        self._authorities = authorities
        self.validity = validity  # of our certificate and its chain

    def for_listening(self, client_auth: ClientAuth) -> Tls:
        """The server's side. Only with a certificate of our own; with `want` and `must` only with authorities."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = _DEMANDS[client_auth]
        return self._made(context)

    def for_sending(self) -> Tls:
        """The client's side: the other end's certificate and its name are always checked.

        Raises SettingsError when nobody says whom to trust: no file, and no list on this machine.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self._authorities is None:
            if not _machine_trusts_somebody():
                name = self._names.ca
                raise SettingsError(
                    [f"{name}: is not set, and this machine trusts no authority of its own; name a file of them"]
                )
            context.load_default_certs()
        return self._made(context)

    def _made(self, context: ssl.SSLContext) -> Tls:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # An authority that is named is trusted, whether or not its own issuer stands beside it.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if self._authorities is not None:
            context.load_verify_locations(cadata=self._authorities)
        cert, key = self._files.cert, self._files.key
        if cert is not None:
            context.load_cert_chain(cert, key, lambda: "")
        return Tls(context, self._names, own=cert is not None, ca=self._authorities is not None)


def read(files: Files, names: Names) -> Material:
    """Looks at every file. Raises SettingsError with all that is wrong with any of them."""
    faults: list[str] = []
    chain = _certificates(files.cert, _text(files.cert, names.cert, faults), names.cert, faults)
    key = _text(files.key, names.key, faults)
    if files.key is not None and key:
        _look_at_key(files.key, key, names.key, faults)
    if files.cert is not None and files.key is not None and not faults:
        _try_pair(files.cert, files.key, names, faults)
    authorities = _text(files.ca, names.ca, faults)
    if _certificates(files.ca, authorities, names.ca, faults):
        _try_authorities(files.ca, authorities, names.ca, faults)
    if faults:
        raise SettingsError(faults)
    return Material(files, names, authorities or None, validity_of(chain) if chain else None)


def _text(path: Path | None, name: str, faults: list[str]) -> str:
    """What stands in the file; nothing, and a fault, when it cannot be read or is empty."""
    if path is None:
        return ""
    try:
        text = path.read_text("ascii", errors="replace")
    except OSError as error:
        faults.append(
            f"{name}: {str(path)!r} cannot be read ({error.strerror}); it must be there, and ophl7 must be allowed to"
        )
        return ""
    if not text:
        faults.append(f"{name}: {str(path)!r} is empty")
    return text


def _certificates(path: Path | None, text: str, name: str, faults: list[str]) -> list[bytes]:
    if not text:
        return []
    try:
        found = certificates_in(text)
        if found:
            validity_of(found)
    except ValueError:
        faults.append(f"{name}: {str(path)!r} holds a certificate that is damaged; copy it again")
        return []
    if not found:
        faults.append(
            f"{name}: {str(path)!r} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----); "
            "openssl x509 -inform der and openssl pkcs12 turn other forms into it"
        )
    return found


def _look_at_key(path: Path, text: str, name: str, faults: list[str]) -> None:
    if "PRIVATE KEY-----" not in text:
        faults.append(f"{name}: {str(path)!r} holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)")
        return
    mode = path.stat().st_mode
    if mode & _EVERYBODY:
        faults.append(
            f"{name}: every user of this machine can get at the key in {str(path)!r} (mode {mode & 0o777:o}); "
            f"chmod 600 {path} (640 when ophl7 reads it by its group)"
        )


def _try_pair(cert: Path, key: Path, names: Names, faults: list[str]) -> None:
    asked: list[bool] = []

    def no_password() -> str:
        asked.append(True)  # without this function OpenSSL would ask the terminal, and a service has none
        return ""

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, no_password)
    except ssl.SSLError as error:
        if asked:
            faults.append(
                f"{names.key}: the key in {str(key)!r} is protected with a password, and a service has nobody to type it in; "
                f"write it without one: openssl pkey -in {key} -out NEW-FILE"
            )
        elif error.reason in _NOT_A_PAIR:
            faults.append(
                f"{names.key}: the key in {str(key)!r} does not belong to the first certificate in {str(cert)!r}; "
                "name the key that was made with it, and put our own certificate before those that signed it"
            )
        else:
            faults.append(
                f"{names.cert}: {str(cert)!r} and its key cannot be used for TLS ({error.reason or 'no reason given'}); "
                "they may be damaged, or too weak for today"
            )


def _try_authorities(path: Path | None, text: str, name: str, faults: list[str]) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        reason = error.reason if isinstance(error, ssl.SSLError) else "it is no plain text"
        faults.append(f"{name}: {str(path)!r} cannot be used to check certificates ({reason})")


def _machine_trusts_somebody() -> bool:
    """Whether OpenSSL finds a file or a folder of authorities where it looks for them."""
    where = ssl.get_default_verify_paths()
    return bool(where.cafile) or (bool(where.capath) and any(Path(where.capath).iterdir()))
