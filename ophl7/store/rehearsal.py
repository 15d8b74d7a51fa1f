"""A copy of the database to try things on: what is done to it is what would be done, and nothing of it stays."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import quote

from ophl7.errors import DatabaseLocked, StoreAway
from ophl7.store.lease import Lease

_PREFIX = ".ophl7-rehearsal-"
_NAME = "rehearsal"


@contextmanager
def rehearsal(database: Path, reserve: int) -> Iterator[Path]:
    """The path of a copy beside the database, where the records are as well protected as in it; gone at the end.

    Works while a broker uses the database. reserve: bytes that must stay free on its disk. What a killed rehearsal left behind
    is removed by the next one. Raises StoreAway when there is no room or the database cannot be read.
    """
    home = database.absolute().parent
    try:
        free = shutil.disk_usage(home).free
        size = database.stat().st_size if database.is_file() else 0
        _sweep(home)
        folder = Path(mkdtemp(prefix=_PREFIX, dir=home))  # readable by its owner alone
    except OSError as error:
        raise StoreAway(f"the folder of the database cannot be used ({error.strerror}): {home}") from error
    lease = Lease(folder / _NAME)
    lease.take()
    try:
        if free - size < reserve:
            raise StoreAway(f"there is no room for a copy of the database ({size // 2**20} MiB): {free // 2**20} MiB are free")
        copy = folder / database.name
        if size:
            _copy(database, copy)
        yield copy
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lease.give_back()


def _copy(database: Path, copy: Path) -> None:
    uri = f"file:{quote(str(database.absolute()))}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
    except sqlite3.Error as error:
        raise StoreAway(f"the database cannot be copied: {error}") from error


def _sweep(home: Path) -> None:
    """Removes copies whose process is gone: nobody holds their lease any more."""
    for lock in home.glob(f"{_PREFIX}*/{_NAME}.lock"):
        lease = Lease(lock.with_suffix(""))
        try:
            lease.take()
        except (DatabaseLocked, StoreAway):
            continue
        shutil.rmtree(lock.parent, ignore_errors=True)
        lease.give_back()
