"""The outcome in plain words, and as data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ophl7.selftest.disk import Timing
from ophl7.selftest.rounds import Outcome

_MOST_LINES: Final = 10

CANNOT_SHOW: Final = (
    "a real power cut: a killed process leaves the system's cache as it is, only pulling the plug takes that away too",
    "whether the drive, its controller or a virtual machine's host keeps its own cache at a power cut",
    "whether a drive that dies takes the data with it: keep backups on another one",
)


def words(outcome: Outcome) -> Iterator[str]:
    """One line after another."""
    found = outcome.findings
    kind = outcome.mount.kind if outcome.mount is not None else "unknown"
    yield f"ophl7 selftest in {outcome.folder} ({kind})"
    yield ""
    yield f"  kill rounds     {outcome.kills} in {outcome.seconds:.0f} s (seed {outcome.seed})"
    yield f"  acknowledged    {found.acknowledged} messages, {outcome.resent} sent again because a kill came before the answer"
    yield f"  delivered       {found.delivered} copies, {found.repeated} sent again under the same MSH-10"
    yield f"  lost            {len(found.lost)}"
    yield f"  doubled         {len(found.doubled)}"
    yield f"  out of order    {len(found.out_of_order)}"
    yield f"  altered         {len(found.altered)}"
    yield f"  database        {'damaged' if found.damaged else 'whole (integrity_check)'}"
    yield f"  write + fsync   {_timing(outcome.fsync)}"
    yield f"  + fdatasync     {_timing(outcome.fdatasync)}"
    for remark in outcome.remarks:
        yield ""
        yield f"  {'FAILED' if remark.grade == 'failure' else 'ATTENTION'}: {remark.text}."
    broken = [*found.broken, *outcome.refused]
    if broken:
        yield ""
        for line in broken[:_MOST_LINES]:
            yield f"  FAILED: {line}"
        if len(broken) > _MOST_LINES:
            yield f"  and {len(broken) - _MOST_LINES} more"
    yield ""
    yield "What this cannot show:"
    for line in CANNOT_SHOW:
        yield f"  - {line}"
    yield ""
    yield "Passed." if outcome.passed else "NOT passed: do not keep messages here before that is mended."


def _timing(timing: Timing) -> str:
    return f"{_span(timing.median)} in the middle, {_span(timing.p99)} p99, {timing.rate:.0f} commits a second at most"


def _span(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} us" if seconds < 0.001 else f"{seconds * 1e3:.1f} ms"


def document(outcome: Outcome) -> dict[str, Any]:
    """For `--json`; durations in microseconds."""
    found = outcome.findings
    return {
        "passed": outcome.passed,
        "folder": str(outcome.folder),
        "file_system": outcome.mount.kind if outcome.mount is not None else None,
        "rounds": outcome.kills,
        "seconds": round(outcome.seconds, 1),
        "seed": outcome.seed,
        "acknowledged": found.acknowledged,
        "sent_again": outcome.resent,
        "delivered": found.delivered,
        "delivered_again": found.repeated,
        "lost": len(found.lost),
        "doubled": len(found.doubled),
        "out_of_order": len(found.out_of_order),
        "altered": len(found.altered),
        "damaged": len(found.damaged),
        "refused": len(outcome.refused),
        "broken": [*found.broken, *outcome.refused][:_MOST_LINES],
        "fsync_us": _figures(outcome.fsync),
        "fdatasync_us": _figures(outcome.fdatasync),
        "remarks": [{"grade": remark.grade, "text": remark.text} for remark in outcome.remarks],
        "cannot_show": list(CANNOT_SHOW),
    }


def _figures(timing: Timing) -> dict[str, float]:
    return {
        "count": timing.count,
        "p50": round(timing.median * 1e6, 1),
        "p99": round(timing.p99 * 1e6, 1),
        "commits_per_second": round(timing.rate, 1),
    }
