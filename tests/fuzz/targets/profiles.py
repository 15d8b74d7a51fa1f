"""Any text is a usable profile or is refused with a ValueError that names it, and nothing else happens.

Input: the text of a profile, TOML.
"""

from __future__ import annotations

from dataclasses import fields
from importlib.resources import files

from ophl7.domain.profile import Profile
from ophl7.profiles.reading import parse, shipped

HEAD = 0
BUDGET_SECONDS = 2.0
TOKENS = (
    *(f"{one.name} = ".encode() for one in fields(Profile)),
    *(f"[{one.name}]\n".encode() for one in fields(Profile)),
    *(
        b"true\n",
        b"false\n",
        b'""\n',
        b'["PID-3", "PID-11"]\n',
        b"[]\n",
        b"{}\n",
        b"3\n",
        b"-1\n",
        b"1e400\n",
        b"2024-03-01\n",
        b"'PID-5'",
    ),
    *(
        b'"hold"',
        b'"replace"',
        b'"restore"',
        b'"pm"',
        b'"emr"',
        b'"PID-3"',
        b'"both"',
        b'"SCH-25.1"',
        b"nan",
        b"[[",
        b"\\u0000",
        b'"""',
    ),
)


def seeds() -> list[bytes]:
    """The shipped ones whole, then table by table, and what the reference shows."""
    whole = [(files("ophl7.profiles") / f"{name}.toml").read_bytes() for name in shipped() if name != "generic"]
    tables = [b"[" + table for raw in whole for table in raw.split(b"\n[")[1:]]
    return [*whole, *tables, b"", b'name = "x"\n', b'[charges]\ncorrections = "replace"\n']


def check(data: bytes) -> None:
    """Raises AssertionError where the sentence above does not hold."""
    text = data.decode("utf-8", "replace")
    try:
        profile = parse(text, "fuzzed", "fuzzed.toml")
    except ValueError as error:
        assert "fuzzed.toml" in str(error)  # noqa: PT017 - a check, not a test of one error
        return
    assert isinstance(profile, Profile)
    assert profile.origin == "fuzzed.toml"
    hash(profile.name)
    assert repr(profile)
