"""Texts that people write in settings and options, read into values: durations, sizes, booleans, addresses, networks.

Pure. Every function takes the text as written and raises ValueError with a sentence that says what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "y": 365.25 * 86400.0}
_BYTES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
ZONE_REQUIRED = "required"  # an image sets OPHL7_TIMEZONE to this: a container's own zone says nothing about the practice
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: a host (name or IP address, IPv6 without brackets) and a TCP port; port 0 picks a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        """`host:port`, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def nearby(host: str) -> str:
    """The host at which a program on the same machine reaches a server that listens on `host`: loopback for everywhere."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound


class Retry(NamedTuple):
    """First and longest delay between two tries, in seconds."""

    first: float
    longest: float


def duration(text: str) -> float:
    """`250ms`, `30s`, `5m`, `24h`, `90d`, `6y` or `0` as seconds. A year has 365.25 days."""
    if text == "0":
        return 0.0
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|y)", text, re.ASCII)
    if match is None:
        raise ValueError("is no duration; write a number and a unit, for example 250ms, 30s, 5m, 24h, 90d or 6y")
    return float(match[1]) * _SECONDS[match[2]]


def size(text: str) -> int:
    """`1MiB`, `512KiB`, `2MB` or a plain number of bytes, as bytes."""
    match = re.fullmatch(r"(\d+) ?([A-Za-z]*)", text, re.ASCII)
    if match is None or match[2].upper() not in _BYTES:
        raise ValueError("is no size; write for example 1MiB, 512KiB or 1048576")
    return int(match[1]) * _BYTES[match[2].upper()]


def boolean(text: str) -> bool:
    """`true/1/yes/on` or `false/0/no/off`, in any case."""
    lowered = text.lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise ValueError("is neither yes nor no; write true or false")


def delays(text: str) -> Retry:
    """`10s..15m`: the first and the longest delay."""
    first, dots, longest = text.partition("..")
    if not dots:
        raise ValueError("is no range of delays; write the first and the longest, for example 10s..15m")
    span = Retry(duration(first), duration(longest))
    if span.first <= 0:
        raise ValueError("begins at zero, which would hammer the peer; write for example 10s..15m")
    if span.longest < span.first:
        raise ValueError("has a longest delay below the first; write for example 10s..15m")
    return span


def listen_address(text: str) -> Address:
    """`host:port` or `[ipv6]:port` to listen on; port 0 picks a free one."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\s:/@\[\]]+)):(\d{1,5})", text, re.ASCII)
    if match is None:
        raise ValueError("is no host:port; write for example 127.0.0.1:2575, or 0.0.0.0:2575 for every network of this machine")
    if int(match[3]) > 65535:
        raise ValueError(f"names port {match[3]}; ports go from 0 to 65535")
    return Address(match[1] or match[2], int(match[3]))


def sqlite_path(text: str) -> str:
    """`sqlite:///file.db` (relative) or `sqlite:////folder/file.db` (absolute) as a path."""
    parts = urlsplit(text)
    if parts.scheme in {"postgresql", "postgres"}:
        raise ValueError("asks for PostgreSQL, which is not there yet; use sqlite:///ophl7.db")
    path = parts.path.removeprefix("/")
    if parts.scheme != "sqlite" or parts.netloc or parts.query or parts.fragment or not path:
        raise ValueError("is no database address; write sqlite:///ophl7.db, or sqlite:////data/ophl7.db for a full path")
    if path == ":memory:":
        raise ValueError("keeps nothing on disk, and an answer promises that; write sqlite:///ophl7.db")
    return path


def networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Addresses and CIDR networks between commas."""
    found: list[IPv4Network | IPv6Network] = []
    for item in words(text):
        try:
            found.append(ip_network(item))
        except ValueError:
            raise ValueError(_network_fault(item)) from None
    return tuple(found)


def words(text: str) -> tuple[str, ...]:
    """What stands between commas, trimmed, blanks left out, in the order written."""
    return tuple(item for item in (part.strip() for part in text.split(",")) if item)


def number(lowest: int, highest: int) -> Callable[[str], int]:
    """A reader of whole numbers from `lowest` to `highest`."""

    def read(text: str) -> int:
        if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not lowest <= int(text) <= highest:
            raise ValueError(f"is no whole number from {lowest} to {highest}")
        return int(text)

    return read


def size_within(lowest: str, highest: str) -> Callable[[str], int]:
    """A reader of sizes from `lowest` to `highest`, both written as sizes."""

    def read(text: str) -> int:
        value = size(text)
        if not size(lowest) <= value <= size(highest):
            raise ValueError(f"is outside of {lowest} to {highest}")
        return value

    return read


def one_of(*choices: str) -> Callable[[str], str]:
    """A reader of one of `choices`, in any case."""

    def read(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"is not one of {', '.join(choices)}")
        return text.lower()

    return read


def positive_duration(text: str) -> float:
    """A duration above zero, in seconds."""
    value = duration(text)
    if value <= 0:
        raise ValueError("must be longer than nothing; write for example 30s")
    return value


def duration_from(shortest: str) -> Callable[[str], float]:
    """A duration that is not shorter than that, in seconds."""

    def read(text: str) -> float:
        value = duration(text)
        if value < duration(shortest):
            raise ValueError(f"is too short; write {shortest} or more")
        return value

    return read


def namespace(text: str) -> str:
    """An assigning authority (HL7 table 0363), as it is written into PID-3.4.1."""
    # It becomes PID-3.4.1 of messages that we send: a delimiter of HL7 in it would tear the field apart.
    if not re.fullmatch(r"[^\s|^~\\&]{1,20}", text):
        raise ValueError("is no assigning authority; write up to 20 characters without blanks and without | ^ ~ \\ &")
    return text


def link_names(text: str) -> frozenset[tuple[str, str | None]]:
    """`MSH-3|MSH-4` or `MSH-3` between commas; None where MSH-4 was not said."""
    found: set[tuple[str, str | None]] = set()
    for item in words(text):
        application, bar, facility = (part.strip() for part in item.partition("|"))
        if "|" in facility or not (application or facility) or not item.isprintable():
            raise ValueError(f"holds {item!r}; write MSH-3 or MSH-3|MSH-4 between commas, for example PM|MAIN,PM|ANNEX")
        found.add((application, facility if bar else None))
    return frozenset(found)


def events(text: str) -> frozenset[str]:
    """Message types, or types with their event (`ORU^R01`), between commas."""
    events = frozenset(words(text.upper()))
    for event in sorted(events):
        if not re.fullmatch(r"[A-Z0-9]{3}(\^[A-Z0-9]{3})?", event, re.ASCII):
            raise ValueError(f"holds {event!r}; write types and events between commas, for example ORU^R01,ADT^A60")
    return events


def processing_ids(text: str) -> frozenset[str] | str:
    """`any`, or the wanted values of MSH-11 between commas."""
    if text.lower() == "any":
        return "any"
    ids = frozenset(words(text.upper()))
    if not ids or not all(re.fullmatch(r"[A-Z]", item) for item in ids):
        raise ValueError("is neither any nor a list of letters (HL7 table 0103: D, P, T); write for example P or P,T")
    return ids


def plugin_names(text: str) -> tuple[str, ...]:
    """Names of plugins between commas; a name after a minus is switched off."""
    for name in words(text):
        if not re.fullmatch(r"-?[A-Za-z][\w.-]*", name, re.ASCII):
            raise ValueError(f"holds {name!r}, which is no plugin name; write names between commas, -name switches one off")
    return words(text)


def folders(text: str) -> tuple[Path, ...]:
    """Folders between colons."""
    return tuple(Path(part) for part in text.split(":") if part)


def day(text: str) -> date:
    """A calendar day, `2026-03-31`."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a day of the practice's zone, no instant
    except ValueError:
        raise ValueError("is no day; write it like 2026-03-31") from None


def zone(text: str) -> ZoneInfo:
    """An IANA time zone."""
    if text == ZONE_REQUIRED:
        raise ValueError("must name the practice's zone here, for example America/New_York: a container does not know it")
    try:
        return ZoneInfo(text)
    except (ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        pass
    except KeyError:
        pass
    raise ValueError("is no IANA time zone; write for example America/New_York")


def token(text: str) -> str:
    """A secret that an HTTP header can carry."""
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ValueError("holds blanks or characters that no HTTP header can carry; use letters, digits, - and _")
    return text


def web_address(text: str) -> str:
    """An http or https address that something is posted to. The text stays out of the errors: it may hold a secret."""
    try:
        parts = urlsplit(text)
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        fits = False
    if not fits or not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ValueError("is no web address; write for example https://alarms.example.org/ophl7, without a user and a password")
    return text


def _network_fault(item: str) -> str:
    try:
        meant = ip_network(item, strict=False)
    except ValueError:
        return f"holds {item!r}, which is no address or network; write for example 192.0.2.7,198.51.100.0/24"
    return f"holds {item!r}, not a network itself; write {meant} for the network or {item.partition('/')[0]} for the address"
