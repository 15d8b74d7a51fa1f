"""Texts of settings, read into values."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from ophl7 import units
from ophl7.units import Address, Retry


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("250ms", 0.25),
        ("30s", 30.0),
        ("1.5s", 1.5),
        ("5m", 300.0),
        ("24h", 86400.0),
        ("90d", 7776000.0),
        ("6y", 189345600.0),
    ],
)
def test_a_duration_is_read_as_seconds(text: str, seconds: float) -> None:
    assert units.duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "30", "s", "-5s", "30 s", "30S", "1m30s", "1e3s", "٣s", "infs"])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="250ms, 30s, 5m"):
        units.duration(text)


@pytest.mark.parametrize(
    ("text", "value"), [("1MiB", 1048576), ("1mib", 1048576), ("2 MB", 2000000), ("512KiB", 524288), ("7", 7), ("7B", 7)]
)
def test_a_size_is_read_as_bytes(text: str, value: int) -> None:
    assert units.size(text) == value


@pytest.mark.parametrize("text", ["", "MiB", "1.5MiB", "-1", "1TiB"])
def test_what_is_no_size_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="1MiB"):
        units.size(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("YES", True), ("on", True), ("1", True), ("False", False), ("no", False), ("off", False), ("0", False)],
)
def test_a_boolean_may_be_written_in_four_ways(text: str, value: bool) -> None:
    assert units.boolean(text) is value


def test_what_is_neither_yes_nor_no_is_refused() -> None:
    with pytest.raises(ValueError, match="true or false"):
        units.boolean("maybe")


def test_delays_have_a_first_and_a_longest() -> None:
    assert units.delays("10s..15m") == Retry(10.0, 900.0)
    assert units.delays("5s..5s") == Retry(5.0, 5.0)


@pytest.mark.parametrize(
    ("text", "why"), [("10s", "no range"), ("0..5m", "hammer"), ("5m..10s", "below the first"), ("a..b", "no duration")]
)
def test_delays_that_make_no_sense_are_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        units.delays(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:2575", Address("127.0.0.1", 2575)),
        ("localhost:0", Address("localhost", 0)),
        ("[::1]:65535", Address("::1", 65535)),
    ],
)
def test_an_address_is_host_and_port_and_is_written_back_the_same(text: str, address: Address) -> None:
    assert units.listen_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text", ["2575", ":2575", "::1:2575", "host:", "host:65536", "host:port", "user@host:1", "http://host:1", "a b:1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no host:port|ports go from 0"):
        units.listen_address(text)


@pytest.mark.parametrize(
    ("host", "reached"),
    [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("10.8.0.5", "10.8.0.5"), ("127.0.0.1", "127.0.0.1"), ("ophl7", "ophl7")],
)
def test_a_server_that_listens_everywhere_is_reached_over_loopback(host: str, reached: str) -> None:
    assert units.nearby(host) == reached


def test_networks_are_addresses_and_cidr_between_commas() -> None:
    assert units.networks("192.0.2.7, 198.51.100.0/24,2001:db8::/32") == (
        ip_network("192.0.2.7"),
        ip_network("198.51.100.0/24"),
        ip_network("2001:db8::/32"),
    )
    assert units.networks("") == ()


def test_an_address_inside_a_network_is_a_question_and_both_answers_are_shown() -> None:
    with pytest.raises(ValueError, match=r"write 10\.0\.0\.0/24 for the network or 10\.0\.0\.5 for the address"):
        units.networks("10.0.0.5/24")
    with pytest.raises(ValueError, match="no address or network"):
        units.networks("192.0.2.7,office")


@pytest.mark.parametrize(
    ("text", "path"),
    [("sqlite:///ophl7.db", "ophl7.db"), ("sqlite:////data/x.db", "/data/x.db"), ("sqlite:///a/b.db", "a/b.db")],
)
def test_a_database_address_names_a_file(text: str, path: str) -> None:
    assert units.sqlite_path(text) == path


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("postgresql://user@host/db", "not there yet"),
        ("sqlite:///:memory:", "keeps nothing on disk"),
        ("sqlite://", "no database address"),
        ("sqlite://host/file.db", "no database address"),
        ("sqlite:///x.db?mode=ro", "no database address"),
        ("ophl7.db", "no database address"),
    ],
)
def test_a_database_that_cannot_be_used_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        units.sqlite_path(text)


def test_an_assigning_authority_cannot_hold_a_delimiter() -> None:
    assert units.namespace("OP") == "OP"
    for text in ("A|B", "A^B", "A&B", "A~B", "A\\B", "A B", "x" * 21):
        with pytest.raises(ValueError, match="assigning authority"):
            units.namespace(text)


def test_events_are_types_with_or_without_trigger() -> None:
    assert units.events("oru^r01, ADT^A60,MDM") == {"ORU^R01", "ADT^A60", "MDM"}
    with pytest.raises(ValueError, match="ORU-R01"):
        units.events("ADT^A08,ORU-R01")


def test_processing_ids_are_letters_or_any() -> None:
    assert units.processing_ids("p,T") == frozenset({"P", "T"})
    assert units.processing_ids("ANY") == "any"
    for text in ("", ",", "PROD", "P;T"):
        with pytest.raises(ValueError, match="HL7 table 0103"):
            units.processing_ids(text)


def test_plugin_names_may_carry_a_minus() -> None:
    assert units.plugin_names("superbill,-charge_authority") == ("superbill", "-charge_authority")
    with pytest.raises(ValueError, match="no plugin name"):
        units.plugin_names("super bill")


def test_a_required_time_zone_says_why() -> None:
    assert units.zone("America/New_York").key == "America/New_York"
    with pytest.raises(ValueError, match="a container does not know it"):
        units.zone(units.ZONE_REQUIRED)
    for text in ("Mars/Olympus", "../etc/passwd", "EST5EDT4,"):
        with pytest.raises(ValueError, match="IANA"):
            units.zone(text)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("PM", [("PM", None)]),
        (" PM , PM | MAIN ,", [("PM", None), ("PM", "MAIN")]),
        ("PM|", [("PM", "")]),
        ("|MAIN", [("", "MAIN")]),
        ("PM^1.2^ISO|OUR HOUSE", [("PM^1.2^ISO", "OUR HOUSE")]),
    ],
)
def test_names_of_a_link_are_msh_3_with_or_without_msh_4(text: str, names: list[tuple[str, str | None]]) -> None:
    assert units.link_names(text) == frozenset(names)


@pytest.mark.parametrize("text", ["PM|MAIN|X", "|", "PM\x07"])
def test_a_name_of_a_link_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="for example PM"):
        units.link_names(text)
