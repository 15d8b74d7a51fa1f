"""The key that a broker leaves beside its database while it runs: for people on the same machine (docs/decisions/0032).

Where no token was set, one is made at each start. The link that is printed carries it to a browser; this file carries it to
`ophl7 holds list` and its like, together with the address, which may be on a free port. It is for whoever owns the database.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ophl7.errors import OperationsError

_MOST_BYTES = 4096


@dataclass(frozen=True, slots=True)
class DoorKey:
    """url: where the API answers. token: what it must be asked with; a secret."""

    url: str
    token: str


def place_of(database: Path) -> Path:
    """Where the key to the broker of this database lies."""
    return database.with_name(database.name + ".token")


@contextmanager
def left(database: Path, key: DoorKey | None) -> Iterator[None]:
    """The key lies there meanwhile; None: none does, also none that a killed broker has left. Raises OperationsError."""
    take_away(database)
    if key is not None:
        try:
            leave(database, key)
        except OSError as error:
            why = f"{place_of(database)} cannot be written ({error.strerror})"
            raise OperationsError(f"{why}; it must be a file in a folder that ophl7 may write") from error
    try:
        yield
    finally:
        take_away(database)


def leave(database: Path, key: DoorKey) -> None:
    """Writes it for the owner alone; one that a killed broker has left is replaced. Raises OSError."""
    place = place_of(database)
    draft = place.with_name(place.name + ".new")
    with suppress(FileNotFoundError):
        draft.unlink()  # of a broker that was killed while it wrote; the lease says that no other one is at work
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, json.dumps(asdict(key)).encode())
    finally:
        os.close(file)
    draft.replace(place)


def take_away(database: Path) -> None:
    """Removes it, whoever has left it: the lease on the database says that it is ours. A key to nowhere opens nothing."""
    with suppress(OSError):
        place_of(database).unlink()


def find(database: Path) -> DoorKey | None:
    """The key beside this database; None when there is none that can be read. It may be one of a broker that was killed."""
    try:
        file = os.open(place_of(database), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = json.loads(os.read(file, _MOST_BYTES))
        finally:
            os.close(file)
        return DoorKey(str(found["url"]), str(found["token"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
