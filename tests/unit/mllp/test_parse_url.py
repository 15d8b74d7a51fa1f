"""Where to deliver, as people write it."""

from __future__ import annotations

import pytest

from ophl7.mllp.sender import Address, parse_url


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("mllp://pm.example.org:2575", Address("pm.example.org", 2575)),
        ("mllp://10.0.0.7:6661/", Address("10.0.0.7", 6661)),
        ("mllps://pm.example.org:2575", Address("pm.example.org", 2575, tls=True)),
        ("mllp://[::1]:2575", Address("::1", 2575)),
        (" mllp://PM:2575\n", Address("pm", 2575)),
    ],
)
def test_a_url_names_host_port_and_whether_it_is_tls(text: str, address: Address) -> None:
    assert parse_url(text) == address


@pytest.mark.parametrize("text", ["mllp://pm:2575", "mllps://pm:2575", "mllp://[::1]:2575"])
def test_an_address_is_written_as_it_is_read(text: str) -> None:
    assert str(parse_url(text)) == text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("pm.example.org:2575", "does not begin with mllp://"),
        ("http://pm:2575", "does not begin with mllp://"),
        ("", "does not begin with mllp://"),
        ("mllp://", "does not begin with mllp://"),
        ("mllp://pm", "names no port"),
        ("mllp://pm:0", "names no port"),
        ("mllp://pm:70000", "is no address"),
        ("mllp://pm:abc", "is no address"),
        ("mllp://[::1:2575", "is no address"),
        ("mllp://:2575", "names no host"),
        ("mllp://pm..example:2575", "names a host that cannot be"),
        (f"mllps://{'x' * 64}.example:2575", "names a host that cannot be"),
        ("mllp://pm:2575/path", "goes on after the port"),
        ("mllp://pm:2575?x=1", "goes on after the port"),
    ],
)
def test_a_wrong_url_is_told_what_is_wrong_and_what_to_write(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        parse_url(text)
    assert "mllp://pm.example.org:2575" in str(caught.value)


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="user or password") as caught:
        parse_url("mllp://me:secret@pm:2575")
    assert "secret" not in str(caught.value)
