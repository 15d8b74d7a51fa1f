"""What `ophl7 simulate` and `ophl7 demo` make of their options."""

from __future__ import annotations

from datetime import date

import pytest

from ophl7 import cli
from ophl7.cli.exits import Exit
from ophl7.cli.simulate import read_date, read_listener, read_pace
from ophl7.mllp.sender import Address


@pytest.mark.parametrize(
    "arguments",
    [
        ["simulate"],
        ["simulate", "lab"],
        ["simulate", "pm", "--to", "broker:2575"],
        ["simulate", "pm", "--to", "mllps://broker:2575"],
        ["simulate", "pm", "--listen", "2675"],
        ["simulate", "pm", "--pace", "0"],
        ["simulate", "pm", "--pace", "inf"],
        ["simulate", "pm", "--pace", "quick"],
        ["simulate", "pm", "--patients", "0"],
        ["simulate", "pm", "--patients", "401"],
        ["simulate", "pm", "--days", "-1"],
        ["simulate", "pm", "--seed", "-1"],
        ["simulate", "pm", "--date", "yesterday"],
        ["simulate", "pm", "--date", "2019-12-31"],
        ["simulate", "pm", "--version", "3.0"],
        ["simulate", "pm", "--set-up", "emr/pm"],
        ["simulate", "pm", "--outage", "5"],
        ["simulate", "pm", "--wait", "long"],
        ["demo", "--pace", "-1"],
        ["demo", "--set-up", "pm"],
        ["demo", "--date", "2026-02-30"],
    ],
)
def test_an_option_that_cannot_be_used_is_a_usage_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(arguments) == Exit.USAGE
    assert "Error: " in capsys.readouterr().err


def test_a_pace_is_fast_or_so_many_messages_a_second() -> None:
    assert (read_pace("fast"), read_pace("4"), read_pace("0.5")) == (0.0, 0.25, 2.0)


def test_a_date_is_a_day_or_today() -> None:
    assert read_date("2026-01-05") == date(2026, 1, 5)
    assert read_date("today").year >= 2026


def test_the_listener_is_an_address_of_mllp() -> None:
    assert read_listener("mllp://broker:2575") == Address("broker", 2575)


@pytest.mark.parametrize("verb", ["simulate", "demo"])
def test_the_help_says_that_everybody_is_invented(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([verb, "--help"]) == Exit.OK
    assert "invented" in capsys.readouterr().out
