"""The ports of the demo."""

from __future__ import annotations

import socket

from ophl7.demo import free_ports, is_free
from ophl7.units import Address


def test_default_ports_that_are_free_are_used() -> None:
    assert free_ports((), lambda _: True) == ({}, [])


def test_a_default_port_that_another_program_has_is_told_and_a_free_one_taken() -> None:
    instead, remarks = free_ports((), lambda address: address.port != 2576)
    assert instead == {"EMR_LISTEN": "127.0.0.1:0"}
    assert len(remarks) == 1
    assert "127.0.0.1:2576" in remarks[0]
    assert "OPHL7_EMR_LISTEN" in remarks[0]


def test_what_somebody_chose_is_not_changed_behind_his_back() -> None:
    assert free_ports({"PM_LISTEN", "EMR_LISTEN", "HTTP_LISTEN"}, lambda _: False) == ({}, [])


def test_a_port_is_free_while_nobody_listens_there() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = Address("127.0.0.1", other.getsockname()[1])
        assert not is_free(address)
    assert is_free(address)
