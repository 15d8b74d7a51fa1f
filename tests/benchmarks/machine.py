"""What the figures were measured on. Nothing here names the machine or a path of it."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryFile

_MEMORY_FILESYSTEMS = frozenset({"tmpfs", "ramfs"})


def describe(scratch: Path) -> dict[str, str | int | float]:
    """Processor, interpreter, and the disk under `scratch`, with the median time of a small durable write in microseconds."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "system": platform.system(),
        "python": platform.python_version(),
        "filesystem": filesystem(scratch, _mounts()),
        "durable_write_us": durable_write(scratch),
        "load_average": round(os.getloadavg()[0], 2),
    }


def in_memory(kind: str) -> bool:
    """Whether a file system of this kind forgets everything, so that a durable write costs nothing and proves nothing."""
    return kind in _MEMORY_FILESYSTEMS


def durable_write(folder: Path, times: int = 100) -> float:
    """The median of `times` writes of 4 KiB, each followed by fsync, in microseconds."""
    taken = []
    with TemporaryFile(dir=folder) as file:
        for _ in range(times):
            begun = time.perf_counter()
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - begun)
    return round(statistics.median(taken) * 1e6, 1)


def filesystem(folder: Path, mounts: str) -> str:
    """The kind of file system that holds `folder`, from the text of /proc/mounts; `unknown` without one."""
    wanted = folder.resolve()
    best, kind = -1, "unknown"
    for line in mounts.splitlines():
        _, point, found, *_ = line.split(" ")
        # A later mount on the same point hides the earlier one.
        if wanted.is_relative_to(point) and len(point) >= best:
            best, kind = len(point), found
    return kind


def commit(checkout: Path) -> str:
    """The short commit id of a checkout, with a `+` when code that is measured differs from it; `unknown` outside of git."""
    try:
        ident = _git(checkout, "rev-parse", "--short", "HEAD")
        changed = _git(checkout, "status", "--porcelain", "--", "ophl7", "handlers", "plugins")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{ident}+" if changed else ident


def _git(checkout: Path, *arguments: str) -> str:
    done = subprocess.run(("git", "-C", str(checkout), *arguments), capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _mounts() -> str:
    mounts = Path("/proc/mounts")
    return mounts.read_text(encoding="utf-8") if mounts.exists() else ""


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
