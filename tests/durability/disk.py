"""A disk with a volatile cache, as a model: what was not synced may be lost at a power cut, wholly, in part, or torn.

Pure bookkeeping; tests/durability/vfs.py puts it beneath SQLite. What is promised is what a disk promises: after a sync of a
file its content stays, after a sync of its directory its name stays. All else is chance, in sectors of 512 bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import RLock
from typing import Literal

SECTOR = 512

Kind = Literal["open", "read", "write", "truncate", "sync", "delete", "shm_map"]
"""What SQLite asks of a disk."""

Outcome = Literal["done", "eio", "full", "short", "late", "off"]
"""short: half of a write, then an error. late: done, and an error all the same. off: there is no power any more."""


@dataclass(frozen=True, slots=True)
class Change:
    """One write that is not synced; without data, a truncation to `offset`."""

    offset: int
    data: bytes | None

    def into(self, content: bytearray) -> None:
        if self.data is None:
            del content[self.offset :]
            return
        if len(content) < self.offset:
            content.extend(bytes(self.offset - len(content)))
        content[self.offset : self.offset + len(self.data)] = self.data

    def sectors(self) -> list[Change]:
        """Cut where the disk cuts: each piece reaches it or does not."""
        if self.data is None:
            return [self]
        pieces, place = [], 0
        while place < len(self.data):
            size = SECTOR - (self.offset + place) % SECTOR
            pieces.append(Change(self.offset + place, self.data[place : place + size]))
            place += size
        return pieces


class Content:
    """What a file holds on the disk, and what was written since."""

    def __init__(self, durable: bytes = b"") -> None:
        self.durable = bytearray(durable)
        self.pending: list[Change] = []

    def change(self, change: Change) -> None:
        self.pending.append(change)

    def sync(self) -> None:
        for change in self.pending:
            change.into(self.durable)
        self.pending.clear()

    def forget(self, chance: Random) -> None:
        """A sync failed: the system takes what it held for written (so does Linux), whatever of it reached the disk."""
        self.durable = bytearray(self.after_power_cut(chance))
        self.pending.clear()

    def after_power_cut(self, chance: Random) -> bytes:
        """One of the contents that a disk may hold."""
        content = bytearray(self.durable)
        way = chance.choice(("nothing", "everything", "first", "sectors", "sectors"))
        if way == "everything":
            kept = self.pending
        elif way == "first":
            kept = self.pending[: chance.randint(0, len(self.pending))]
        elif way == "sectors":
            likely = chance.choice((0.1, 0.5, 0.9))
            kept = [piece for change in self.pending for piece in change.sectors() if chance.random() < likely]
        else:
            kept = []
        for change in kept:
            change.into(content)
        torn = [change for change in self.pending if change.data]
        if torn and chance.random() < 0.5:
            last = chance.choice(torn)
            assert last.data is not None
            Change(last.offset, last.data[: chance.randrange(len(last.data))]).into(content)
        if len(content) > len(self.durable) and chance.random() < 0.2:
            del content[len(self.durable) :]  # the data came, the new length of the file did not
        return bytes(content)


@dataclass(frozen=True, slots=True)
class Trouble:
    """From the `first` operation of these kinds on (counted from 1), `times` of them end so. only: file name's end."""

    outcome: Outcome
    first: int = 1
    times: int = 1
    kinds: tuple[Kind, ...] = ("write", "sync", "truncate", "delete", "open", "read", "shm_map")
    only: str = ""


@dataclass(slots=True)
class Disk:
    """The files of one folder. lies: a sync returns at once and does nothing (a cache that nobody backs)."""

    folder: Path
    chance: Random = field(default_factory=Random)
    lies: bool = False
    operations: Counter[str] = field(default_factory=Counter)
    hits: int = 0
    on: bool = True
    lock: RLock = field(default_factory=RLock)
    on_cut: Callable[[], None] = lambda: None
    _trouble: Trouble | None = None
    _seen: int = 0
    _now: dict[str, Content] = field(default_factory=dict)
    _durable: dict[str, Content] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """What lies there before anybody works with it is safe."""
        for path in self.folder.glob("*"):
            self._now[path.name] = self._durable[path.name] = Content(path.read_bytes())

    def holds(self, path: str) -> bool:
        return Path(path).parent == self.folder

    # -- trouble --------------------------------------------------------------------------------------------------------

    def expect(self, trouble: Trouble | None) -> None:
        """What goes wrong from now on; None: the disk is well again."""
        with self.lock:
            self._trouble, self._seen = trouble, 0

    def step(self, kind: Kind, name: str) -> Outcome:
        """Counts one operation and says how it ends."""
        with self.lock:
            if not self.on:
                return "off"
            self.operations[kind] += 1
            trouble = self._trouble
            if trouble is None or kind not in trouble.kinds or not name.endswith(trouble.only):
                return "done"
            self._seen += 1
            if not trouble.first <= self._seen < trouble.first + trouble.times:
                return "done"
            self.hits += 1
            if trouble.outcome == "off":
                self.cut()
            return trouble.outcome

    def cut(self) -> None:
        """The power goes: nothing works any more, what is on the disk stays as it is."""
        with self.lock:
            if self.on:
                self.on = False
                self.on_cut()

    # -- what SQLite does ------------------------------------------------------------------------------------------------

    def open(self, name: str) -> Content:
        """A file by its name; one that nobody knew is a new name in the folder, not yet safe."""
        with self.lock:
            return self._now.setdefault(name, Content())

    def write(self, content: Content, offset: int, data: bytes) -> None:
        with self.lock:
            content.change(Change(offset, data))

    def truncate(self, content: Content, size: int) -> None:
        with self.lock:
            content.change(Change(size, None))

    def sync(self, content: Content) -> None:
        with self.lock:
            if not self.lies:
                content.sync()

    def failed_sync(self, content: Content) -> None:
        with self.lock:
            content.forget(self.chance)

    def delete(self, name: str) -> None:
        with self.lock:
            self._now.pop(name, None)

    def sync_folder(self) -> None:
        with self.lock:
            if self.on and not self.lies:
                self._durable = dict(self._now)

    # -- afterwards -----------------------------------------------------------------------------------------------------

    def survive(self, folder: Path) -> None:
        """Writes what a disk may hold now into an empty folder. Memory that processes share (`-shm`) is gone."""
        folder.mkdir()
        with self.lock:
            for name in sorted(self._now.keys() | self._durable.keys()):
                old, new = self._durable.get(name), self._now.get(name)
                found = old if old is new else self.chance.choice((old, new))
                if found is not None and not name.endswith("-shm"):
                    (folder / name).write_bytes(found.after_power_cut(self.chance))
