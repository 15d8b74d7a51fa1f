"""One process a database: an operating system's file lock, gone with the process, never a row with an expiry."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from ophl7.errors import DatabaseLocked, StoreAway


class Lease:
    """Held from `take` to `give_back`; a killed process gives it back by dying."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + ".lock")
        self._file: int | None = None

    def take(self) -> None:
        """Raises DatabaseLocked, saying who holds it, and StoreAway when the lock file cannot be made."""
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreAway(f"the folder of the database cannot be written ({error.strerror}): {self._path.parent}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(file, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(file)
            raise DatabaseLocked(
                f"another ophl7 (process {holder}) works with this database; stop it, or give this one its own database",
                holder=holder,
            ) from error
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode("ascii"))
        self._file = file

    def give_back(self) -> None:
        """Idempotent. The file stays: removing it would let two processes lock two files of one name."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
