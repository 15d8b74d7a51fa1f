"""What was measured, in words and tables that can be pasted into a pull request. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .figures import Spread, markdown, ratios, spread
from .rounds import Measurement

LIMIT = "load's own limit"
BASELINE = "hl7.mllp + hl7.parse"
OURS = "ophl7"
OURS_DELIVERING = "ophl7, delivering"
OTHER = "other"
OTHER_DELIVERING = "other, delivering"

_PAIRS = (
    (OURS, BASELINE),
    (OURS_DELIVERING, BASELINE),
    (OURS_DELIVERING, OURS),
    (OTHER, BASELINE),
    (OURS, OTHER),
    (OURS_DELIVERING, OTHER_DELIVERING),
    (LIMIT, OURS),
)


def _of(measurements: Sequence[Measurement], name: str, connections: int) -> list[Measurement]:
    return [one for one in measurements if one.name == name and one.outcome.connections == connections]


def _names(measurements: Sequence[Measurement]) -> list[str]:
    return list(dict.fromkeys(one.name for one in measurements))


def _sizes(measurements: Sequence[Measurement]) -> list[int]:
    return sorted({one.outcome.connections for one in measurements})


def rates(measurements: Sequence[Measurement]) -> str:
    """The main table: a row per number of connections and contender."""
    heads = ("connections", "server", "messages/s", "p50 ms", "p99 ms", "CPU (cores)", "RSS MiB", "x baseline")
    rows = []
    for connections in _sizes(measurements):
        for name in _names(measurements):
            found = _of(measurements, name, connections)
            if not found:
                continue
            beside = _paired(measurements, name, BASELINE, connections)
            rows.append(
                (
                    str(connections),
                    name,
                    _spread(found, lambda one: one.outcome.rate).text(),
                    _spread(found, lambda one: one.outcome.p50_ms).text(2),
                    _spread(found, lambda one: one.outcome.p99_ms).text(2),
                    f"{_spread(found, lambda one: one.cpu).median:.2f}",
                    f"{_spread(found, lambda one: one.rss).median:.0f}",
                    beside.text(1) if beside and name != BASELINE else "",
                )
            )
    return markdown(heads, rows)


def pairs(measurements: Sequence[Measurement]) -> str:
    """Ratios of rates, each of two runs of the same round; empty when nothing can be compared."""
    sizes = _sizes(measurements)
    rows = []
    for upper, lower in _PAIRS:
        found = [_paired(measurements, upper, lower, connections) for connections in sizes]
        if any(found):
            rows.append((f"{upper} / {lower}", *(one.text(2) if one else "" for one in found)))
    return markdown(("ratio of messages/s", *(f"{size} conn." for size in sizes)), rows) if rows else ""


def deliveries(measurements: Sequence[Measurement]) -> str:
    """The outbound side; empty when nothing was delivered."""
    rows = []
    for connections in _sizes(measurements):
        for name in _names(measurements):
            found = [one.deliveries for one in _of(measurements, name, connections) if one.deliveries is not None]
            if not found:
                continue
            drained = [one.drained for one in found if one.drained is not None]
            rows.append(
                (
                    str(connections),
                    name,
                    spread([one.rate for one in found]).text(),
                    spread([one.backlog for one in found]).text(),
                    spread(drained).text(2) if len(drained) == len(found) else "not within the limit",
                )
            )
    heads = ("connections", "server", "delivered/s under load", "backlog at its end", "drained after s")
    return markdown(heads, rows) if rows else ""


def faults(measurements: Sequence[Measurement]) -> list[str]:
    """Why figures must not be used: answers that were not the one AA. One line each."""
    return [
        f"round {one.round}, {one.name}, {one.outcome.connections} connections: {count} x {text}"
        for one in measurements
        for text, count in one.outcome.refusals.items()
    ]


def notes(measurements: Sequence[Measurement]) -> list[str]:
    """What a reader must know to trust the tables: the mix that was really sent, the share of a core that the load took."""
    kinds: dict[str, int] = {}
    for one in measurements:
        if one.name not in (LIMIT, BASELINE):
            for kind, count in one.outcome.kinds.items():
                kinds[kind] = kinds.get(kind, 0) + count
    lines = []
    total = sum(kinds.values())
    if total:
        mix = ", ".join(f"{kind} {count / total:.0%}" for kind, count in sorted(kinds.items()))
        lines.append(f"Mix really sent to ophl7: {mix}.")
    ours = [one.outcome.load_cpu for one in measurements if one.name not in (LIMIT, BASELINE)]
    if ours:
        lines.append(f"Largest share of one core that the load took while ophl7 was measured: {max(ours):.0%}.")
    startups = [one.startup for one in measurements if one.name == OURS]
    if startups:
        lines.append(f"ophl7 listened {spread(startups).text(2)} s after its process began (empty database).")
    return lines


def _spread(found: Sequence[Measurement], value: Callable[[Measurement], float]) -> Spread:
    return spread([value(one) for one in found])


def _paired(measurements: Sequence[Measurement], upper: str, lower: str, connections: int) -> Spread | None:
    return ratios(
        {one.round: one.outcome.rate for one in _of(measurements, upper, connections)},
        {one.round: one.outcome.rate for one in _of(measurements, lower, connections)},
    )
