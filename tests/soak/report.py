"""What a soak has shown, as a verdict and as a table. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.benchmarks.figures import markdown
from tests.soak.load import Tenth
from tests.soak.watching import Sample

MOST_GROWTH = 1.10  # resident memory at the end, as a share of what it was after the first tenth
SLOWEST = 1.5  # p99 of the last tenth, as a share of the first tenth's


@dataclass(frozen=True, slots=True)
class Stretch:
    """A tenth of the messages, with what the broker took when it ended. wal: the largest of its time, MiB."""

    tenth: Tenth
    sample: Sample
    wal: float


@dataclass(frozen=True, slots=True)
class Books:
    """What there is at the end. arrived: messages that each destination has; expected: that it must have, over all."""

    arrived: int
    expected: int
    unsettled: int
    open_holds: int
    journal: int
    sent: int
    check: str  # PRAGMA quick_check


def faults(stretches: Sequence[Stretch], books: Books) -> list[str]:
    """Why this soak shows nothing good about correctness; empty when all is well."""
    found = [f"tenth {one.tenth.number}: {count} x {words}" for one in stretches for words, count in one.tenth.wrong.items()]
    if books.arrived != books.expected:
        found.append(f"{books.arrived} deliveries arrived, {books.expected} had to")
    if books.unsettled or books.open_holds:
        found.append(f"{books.unsettled} deliveries are not settled, {books.open_holds} holds are open")
    if books.journal != books.sent:
        found.append(f"the journal has {books.journal} messages, {books.sent} were answered")
    if books.check != "ok":
        found.append(f"the database: {books.check}")
    return found


def bounds(stretches: Sequence[Stretch]) -> list[tuple[str, float, float, bool]]:
    """The two that must hold: what, the figure, its limit, and whether it is kept."""
    first, last = stretches[0], stretches[-1]
    memory = round(last.sample.rss / first.sample.rss, 3) if first.sample.rss else 1.0
    slower = round(last.tenth.p99_ms / first.tenth.p99_ms, 3)
    return [
        ("RSS at the end / after the first tenth", memory, MOST_GROWTH, memory <= MOST_GROWTH),
        ("p99 of the last tenth / of the first", slower, SLOWEST, slower <= SLOWEST),
    ]


def document(facts: Mapping[str, str | int | float], stretches: Sequence[Stretch], books: Books) -> str:
    """The whole report as Markdown."""
    kinds: dict[str, int] = {}
    for one in stretches:
        for kind, count in one.tenth.kinds.items():
            kinds[kind] = kinds.get(kind, 0) + count
    total = sum(kinds.values())
    parts = [
        f"# Soak of {facts['commit']}",
        (
            f"{facts['date']}, {facts['processor']}, {facts['cores']} cores, {facts['system']}, Python {facts['python']}, "
            f"{facts['filesystem']}, one durable write of 4 KiB takes {facts['durable_write_us']} us; load average before: "
            f"{facts['load_average']}. {total:,} messages of {facts['patients']:,} patients at {facts['rate']:,} a second "
            f"({facts['share']:.0%} of the {facts['capacity']:,} that went through to both destinations before it began); "
            f"processors {facts['pinning']}; {facts['minutes']} minutes."
        ),
        "Sent: " + ", ".join(f"{kind} {count:,}" for kind, count in sorted(kinds.items())) + ".",
        table(stretches),
        "\n".join(
            f"- {what}: {figure:.2f} (at most {limit:.2f}): {'holds' if kept else '**does not hold**'}"
            for what, figure, limit, kept in bounds(stretches)
        ),
        (
            f"- deliveries: {books.arrived:,} of {books.expected:,}; journal: {books.journal:,} of {books.sent:,}; "
            f"not settled: {books.unsettled}; open holds: {books.open_holds}; database check: {books.check}\n"
            f"- the load took at most {max(one.tenth.load_cpu for one in stretches):.0%} of its core"
        ),
    ]
    broken = faults(stretches, books)
    if broken:
        parts.append("**Not valid**:\n\n" + "\n".join(f"- {line}" for line in broken))
    return "\n\n".join(parts) + "\n"


def table(stretches: Sequence[Stretch]) -> str:
    """A row a tenth."""
    heads = (
        "tenth",
        "messages",
        "messages/s",
        "p50 ms",
        "p99 ms",
        "max ms",
        "left late by ms",
        "RSS MiB",
        "queued",
        "WAL MiB",
        "database MiB",
        "descriptors",
        "threads",
        "tasks",
    )
    rows = [
        (
            str(tenth.number),
            f"{tenth.answers:,}",
            f"{tenth.answers / tenth.seconds:,.0f}",
            f"{tenth.p50_ms:.2f}",
            f"{tenth.p99_ms:.2f}",
            f"{tenth.max_ms:.1f}",
            f"{tenth.late_ms:.1f}",
            f"{sample.rss:.1f}",
            f"{sample.queued:,}",
            f"{wal:.1f}",
            f"{sample.database:,.0f}",
            str(sample.descriptors),
            str(sample.threads),
            str(sample.tasks),
        )
        for tenth, sample, wal in ((one.tenth, one.sample, one.wal) for one in stretches)
    ]
    return markdown(heads, rows)
