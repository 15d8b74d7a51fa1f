"""Reads a profile: a shipped one by its name, or a file. A bad one is refused as a whole, with file, key and reason."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ophl7.domain.profile import GENERIC, Profile

_MOST_BYTES = 1024 * 1024


def shipped() -> list[str]:
    """The names of the profiles that come with ophl7."""
    return sorted(
        entry.name.removesuffix(".toml") for entry in files("ophl7.profiles").iterdir() if entry.name.endswith(".toml")
    )


def read(text: str) -> Profile:
    """The profile of this name, or of the TOML file at this path.

    Raises ValueError with all faults of a file: where it lies, the key, and what is wrong.
    """
    if text == "generic":
        return GENERIC
    if text in shipped():
        return parse((files("ophl7.profiles") / f"{text}.toml").read_text("utf-8"), text, text)
    path = Path(text)
    if path.suffix != ".toml":
        raise ValueError(f"is neither a shipped profile ({', '.join(shipped())}) nor a .toml file")
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("is too big for a profile")
        content = path.read_text("utf-8")
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ValueError("is no UTF-8 text") from None
    return parse(content, path.stem, text)


def parse(content: str, name: str, origin: str) -> Profile:
    """The profile that a TOML text describes. origin: where it came from, for people. Raises ValueError."""
    try:
        said: dict[str, Any] = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"the profile {origin} is no TOML: {error}") from None
    if "origin" in said:
        raise ValueError(f"the profile {origin} cannot be used: origin: there is no such key")
    said |= {"name": said.get("name", name), "origin": origin}
    try:
        return TypeAdapter(Profile).validate_python(said)
    except ValidationError as error:
        faults = [_fault(one) for one in error.errors(include_url=False, include_input=False)]
        raise ValueError(f"the profile {origin} cannot be used: {'; '.join(faults)}") from None


def _fault(error: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails, whose keys are all that is used
    where = ".".join(str(part) for part in error["loc"] if part != "[key]")
    what = error["msg"].removeprefix("Value error, ").replace("Unexpected keyword argument", "there is no such key")
    return f"{where}: {what}" if where else str(what)
