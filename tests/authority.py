"""Certificates made on the fly: authorities, and files as an operator has them. All of it lives as long as the test."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, load_pem_private_key

from ophl7.mllp.tls import Files

HOST = "127.0.0.1"
AGES = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its chain, and its key."""

    cert: Path
    key: Path

    def serving(self, *, clients: Authority | None = None) -> ssl.SSLContext:
        """A server's context that is not ours; `clients` must show a certificate of that authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        if clients is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(clients.file)
        return context


class Authority:
    """Somebody who signs certificates. `file`: its own one."""

    def __init__(self, folder: Path, name: str = "practice") -> None:
        self._ca = trustme.CA(organization_name=name)
        self._folder = folder
        self._name = name
        self.file = folder / f"{name}-ca.pem"
        self._ca.cert_pem.write_to_path(str(self.file))

    def issue(
        self,
        name: str,
        *hosts: str,
        begins: timedelta = -AGES,
        lasts: timedelta = AGES,
    ) -> Issued:
        """A certificate for `hosts` (127.0.0.1), valid from now + `begins` to now + `lasts`."""
        now = datetime.now(UTC)
        leaf = self._ca.issue_cert(*(hosts or (HOST,)), common_name=name, not_before=now + begins, not_after=now + lasts)
        cert, key = self._folder / f"{self._name}-{name}.pem", self._folder / f"{self._name}-{name}.key"
        cert.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        write_key(key, leaf.private_key_pem.bytes())
        return Issued(cert, key)

    def trusting(self, shown: Issued | None = None, change: Callable[[ssl.SSLContext], None] | None = None) -> ssl.SSLContext:
        """A client's context that is not ours: trusts this authority, and shows `shown` when asked."""
        context = ssl.create_default_context(cafile=str(self.file))
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if shown is not None:
            context.load_cert_chain(shown.cert, shown.key)
        if change is not None:
            change(context)
        return context


def write_key(path: Path, pem: bytes, mode: int = 0o600) -> None:
    """A key as an operator keeps it: for its owner only."""
    path.touch(mode=0o600)
    path.write_bytes(pem)
    path.chmod(mode)


def locked(key: Path, password: bytes = b"sesame") -> bytes:
    """The same key, protected with a password."""
    loaded = load_pem_private_key(key.read_bytes(), None)
    return loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))


def files(issued: Issued | None = None, authority: Authority | None = None) -> Files:
    """As the settings name them."""
    cert, key = (issued.cert, issued.key) if issued is not None else (None, None)
    return Files(cert, key, authority.file if authority is not None else None)
