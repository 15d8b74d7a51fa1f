"""What a running broker takes, seen from outside: /proc, its files, its metrics."""

from __future__ import annotations

import re
import urllib.request
from dataclasses import dataclass
from pathlib import Path

_SAMPLE = re.compile(r"^(ophl7_\w+)(?:\{[^}]*\})? (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Sample:
    """One look. Sizes in MiB."""

    rss: float
    threads: int
    descriptors: int
    tasks: int
    queued: int
    parked: int
    database: float
    wal: float


class Watched:
    """A broker process. Zeros where /proc is missing."""

    def __init__(self, pid: int, database: Path, metrics_url: str) -> None:
        self._proc = Path(f"/proc/{pid}")
        self._database = database
        self._wal = database.with_name(f"{database.name}-wal")
        self._url = metrics_url

    def look(self) -> Sample:
        """Takes a sample; one scrape of the metrics. Raises OSError when the broker does not answer it."""
        with urllib.request.urlopen(self._url, timeout=10) as answer:
            sums = totals(answer.read().decode("utf-8"))
        status = self._status()
        return Sample(
            rss=round(status.get("VmRSS", 0) / 1024, 1),
            threads=status.get("Threads", 0),
            descriptors=self._descriptors(),
            tasks=int(sums.get("ophl7_tasks", 0)),
            queued=int(sums.get("ophl7_queue_depth", 0)),
            parked=int(sums.get("ophl7_dead_letters", 0)),
            database=size(self._database),
            wal=self.wal(),
        )

    def wal(self) -> float:
        """Its size now, in MiB; a file that SQLite keeps and writes anew from its beginning."""
        return size(self._wal)

    def _status(self) -> dict[str, int]:
        """The numbers of proc_pid_status(5)."""
        try:
            text = (self._proc / "status").read_text(encoding="ascii", errors="replace")
        except OSError:
            return {}
        pairs = (line.partition(":")[::2] for line in text.splitlines())
        return {name: int(rest.split()[0]) for name, rest in pairs if rest.split() and rest.split()[0].isdigit()}

    def _descriptors(self) -> int:
        try:
            return sum(1 for _ in (self._proc / "fd").iterdir())
        except OSError:
            return 0


def totals(exposition: str) -> dict[str, float]:
    """Name of a metric -> the sum over its labels."""
    sums: dict[str, float] = {}
    for name, value in _SAMPLE.findall(exposition):
        sums[name] = sums.get(name, 0.0) + float(value)
    return sums


def size(path: Path) -> float:
    """Of a file, in MiB; 0 where there is none."""
    return round(path.stat().st_size / 2**20, 1) if path.exists() else 0.0
