"""A folder beside the real database, on the same disk, which is gone afterwards, also after a kill."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from ophl7.errors import StoreAway

_PREFIX: Final = ".ophl7-selftest-"
_HELD: Final = "held"


@contextmanager
def scratch(home: Path) -> Iterator[Path]:
    """An empty folder in `home`. What a killed test left there is removed first. Raises StoreAway."""
    try:
        _sweep(home)
        folder = Path(mkdtemp(prefix=_PREFIX, dir=home))
        held = os.open(folder / _HELD, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreAway(f"the folder to test cannot be written ({error.strerror}): {home}") from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _sweep(home: Path) -> None:
    """Removes the folders whose test is gone: nobody holds their lock any more. They hold invented people only."""
    for mark in home.glob(f"{_PREFIX}*/{_HELD}"):
        held = os.open(mark, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # another test is running there
        else:
            shutil.rmtree(mark.parent, ignore_errors=True)
        finally:
            os.close(held)
