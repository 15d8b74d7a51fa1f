"""Where the running broker is asked, and with which token: options first, then settings, then the key beside the database."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import click

from ophl7 import doorkey, settings
from ophl7.errors import SettingsError
from ophl7.units import Address, nearby


class Place(NamedTuple):
    """Where an API answers. path: what stands before `/api/v1`, "" or `/something`."""

    scheme: str
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        """As people write it."""
        return f"{self.scheme}://{Address(self.host, self.port)}{self.path}"


@dataclass(frozen=True, slots=True)
class Access:
    """origin: where the token came from, in words, also why there is none."""

    place: Place
    token: str | None = field(repr=False)
    origin: str


def near(listen: Address) -> Address:
    """Where to ask what listens there. Raises SettingsError for a free port, which nobody knows."""
    if listen.port == 0:
        raise SettingsError(["OPHL7_HTTP_LISTEN: port 0 picks a free port, so nobody knows where to ask; name a port"])
    return Address(nearby(listen.host), listen.port)


def find(url: str | None, token_file: Path | None, environ: Mapping[str, str] = os.environ) -> Access:
    """Raises SettingsError, and click.UsageError for options that cannot be used."""
    place = read_url(url) if url is not None else None
    if token_file is not None:
        return Access(place or _set_place(environ), _read(token_file), f"{token_file} (--token-file)")
    chosen = settings.load(environ)
    if chosen.api_token is not None:
        token = chosen.api_token.get_secret_value()
        return Access(place or _set_place(environ), token, _setting_of(environ))
    # Nobody has set a token: then the broker has made one, takes it from this machine only, and has left it here.
    key = doorkey.find(chosen.database_path)
    if key is not None and (place is None or _is_here(place)):
        return Access(place or read_url(key.url), key.token, f"{doorkey.place_of(chosen.database_path)}, left by the broker")
    missing = f"there is none: OPHL7_API_TOKEN is not set, and {doorkey.place_of(chosen.database_path)} is not there"
    return Access(place or _set_place(environ), None, missing)


def read_url(url: str) -> Place:
    """`http://HOST[:PORT][/PATH]`, or https. Raises click.UsageError."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        raise click.UsageError("--url: write for example http://127.0.0.1:8080") from None
    if not parts.hostname or parts.query or parts.fragment or parts.username is not None:
        raise click.UsageError("--url: write for example http://127.0.0.1:8080")
    return Place(parts.scheme, parts.hostname, port, parts.path.rstrip("/"))


def _set_place(environ: Mapping[str, str]) -> Place:
    address = near(settings.load(environ).http_listen)
    return Place("http", address.host, address.port, "")


def _read(token_file: Path) -> str:
    try:
        token = token_file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise click.UsageError(f"--token-file: {str(token_file)!r} cannot be read ({reason})") from None
    if not token:
        raise click.UsageError(f"--token-file: {str(token_file)!r} is empty")
    return token


def _setting_of(environ: Mapping[str, str]) -> str:
    return "OPHL7_API_TOKEN" if environ.get("OPHL7_API_TOKEN", "").strip() else "the file in OPHL7_API_TOKEN_FILE"


def _is_here(place: Place) -> bool:
    """Whether this machine is asked: a token that was made at start is nobody else's business."""
    try:
        return ip_address(place.host).is_loopback
    except ValueError:
        return place.host == "localhost"
