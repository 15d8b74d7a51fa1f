"""What the disk promises: how long a sync takes, and on which file system the database would lie.

`Mount` and `judge` are pure; `measure` writes one file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Final, Literal

PAGE_BYTES: Final = 4096  # what SQLite's write-ahead log grows by, page by page
_MOST_TIMES: Final = 500

# A write, the file's new length and the flush of a drive's cache: no device that keeps them at a power cut is as quick as this.
IMPOSSIBLE_SECONDS: Final = 20e-6
# Below this only drives with a cache of their own that survives a power cut (capacitors, a battery).
PROTECTED_SECONDS: Final = 60e-6

_MEMORY: Final = frozenset({"tmpfs", "ramfs", "devtmpfs", "zram"})
_NETWORK: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "ceph", "glusterfs", "afs", "vboxsf"})
_LAYER: Final = frozenset({"overlay", "aufs"})

Grade = Literal["ok", "warning", "failure"]


@dataclass(frozen=True, slots=True)
class Remark:
    """A sentence for the person who chose the disk. failure: what is acknowledged here can be lost."""

    grade: Grade
    text: str


@dataclass(frozen=True, slots=True)
class Mount:
    """Where a folder lies. kind: the file system, as the kernel calls it; options: of the mount and of the file system."""

    point: str
    kind: str
    options: frozenset[str]

    @classmethod
    def of(cls, folder: Path, mountinfo: str) -> Mount | None:
        """The mount that holds this folder (an absolute path without links), out of the text of /proc/self/mountinfo."""
        found: Mount | None = None
        for line in mountinfo.splitlines():
            fields, _, rest = line.partition(" - ")
            before, after = fields.split(), rest.split()
            if len(before) < 6 or len(after) < 3:
                continue
            point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), before[4])
            inside = folder == Path(point) or Path(point) in folder.parents
            if inside and (found is None or len(point) >= len(found.point)):  # a later mount covers an earlier one
                found = cls(point, after[0], frozenset(before[5].split(",")) | frozenset(after[2].split(",")))
        return found


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of writing one page and syncing it. count: how many were measured."""

    count: int
    median: float
    p99: float
    rate: float

    @classmethod
    def out_of(cls, seconds: Sequence[float]) -> Timing:
        """seconds: at least one."""
        ordered = sorted(seconds)
        last = len(ordered) - 1
        return cls(
            len(ordered), ordered[len(ordered) // 2], ordered[min(last, len(ordered) * 99 // 100)], len(ordered) / sum(ordered)
        )


def measure(folder: Path, sync: Callable[[int], None], seconds: float) -> Timing:
    """Appends pages to a file of its own and syncs each, as a commit does. Raises OSError."""
    place = folder / "pages"
    page = os.urandom(PAGE_BYTES)  # nothing that a clever device could leave away
    file = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    taken: list[float] = []
    try:
        began = perf_counter()
        while len(taken) < _MOST_TIMES and (not taken or perf_counter() - began < seconds):
            start = perf_counter()
            os.write(file, page)
            sync(file)
            taken.append(perf_counter() - start)
    finally:
        os.close(file)
        place.unlink()
    return Timing.out_of(taken)


def judge(mount: Mount | None, timing: Timing) -> list[Remark]:
    """What is to be said about this place; the worst first. timing: of fsync."""
    remarks = [*_of_speed(timing), *(_of_mount(mount) if mount is not None else ())]
    return sorted(remarks, key=lambda remark: remark.grade != "failure")


def _of_speed(timing: Timing) -> list[Remark]:
    took = f"a write with fsync takes {timing.median * 1e6:.0f} us in the middle"
    if timing.median < IMPOSSIBLE_SECONDS:
        return [
            Remark(
                "failure",
                f"{took}: that is faster than a disk can be. Something answers before the data is safe (memory, a library that "
                "switches fsync off, a virtual machine whose host only caches). A power cut takes acknowledged messages along",
            )
        ]
    if timing.median < PROTECTED_SECONDS:
        return [
            Remark(
                "warning",
                f"{took}: only a drive or controller whose cache survives a power cut (capacitors, a battery) is so quick. "
                "Find out whether yours has that, and on a virtual machine, what the host does with a flush",
            )
        ]
    return []


def _of_mount(mount: Mount) -> list[Remark]:
    remarks = []
    if mount.kind in _MEMORY:
        remarks.append(Remark("failure", f"{mount.point} is {mount.kind}: memory, empty after every restart. Choose a disk"))
    if mount.options & {"nobarrier", "barrier=0"}:
        remarks.append(
            Remark(
                "failure", f"{mount.point} is mounted without barriers: a power cut may lose or damage it. Mount it with them"
            )
        )
    if mount.kind in _NETWORK:
        remarks.append(
            Remark(
                "warning",
                f"{mount.point} is {mount.kind}: SQLite's log (WAL) needs shared memory and locks that hold, which network "
                "and shared folders do not promise. Put the database on a local disk",
            )
        )
    if mount.kind in _LAYER:
        remarks.append(
            Remark(
                "warning",
                f"{mount.point} is {mount.kind}: if this is a container's own layer, it goes with the container. "
                "Put the database on a volume",
            )
        )
    if mount.kind.startswith("fuse"):
        remarks.append(
            Remark(
                "warning", f"{mount.point} is {mount.kind}: what a sync means there is for that program to say. Ask its makers"
            )
        )
    return remarks
