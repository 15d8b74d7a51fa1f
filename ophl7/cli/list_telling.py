"""What `ophl7 patients load` says: how far it is, what became of a list, what was not taken and where it stands."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import click

from ophl7.cli.text import visible
from ophl7.engine.lists import ListProgress, ListRefusal, Tally
from ophl7.golive.loading import Loaded, Order
from ophl7.golive.source import Source

SHOWN: Final = 20  # of what was not taken; a report has all of it
_REASONS: Final = 20
_LINE_EVERY: Final = 10_000  # patients, where nobody looks at a progress bar

_UNKNOWN_PATIENTS = (
    "  Some of these patients are not known: only the list of the {owner} creates patients. Load that one first, and give\n"
    "  each row of this one the patient's id there too (column {owner_lower}_id or other_id); then load this one with --again."
)


@dataclass(slots=True)
class _NotTaken:
    """The first ones in full, all of them counted by reason."""

    first: list[ListRefusal] = field(default_factory=list)
    reasons: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def add(self, refusals: Sequence[ListRefusal]) -> None:
        self.first += refusals[: SHOWN - len(self.first)]
        self.reasons.update((one.row, one.code, one.reason) for one in refusals)


class ListTeller:
    """Tells people while it happens (golive.loading.Teller). quiet: progress only; the summary is printed by somebody else."""

    def __init__(self, order: Order, report: TextIO | None, *, quiet: bool) -> None:
        self._order = order
        self._quiet = quiet
        self._report = csv.writer(report) if report is not None else None
        if self._report is not None:
            self._report.writerow(("list", "place", "number", "outcome", "row", "code", "reason"))
        self._bar: Any = None
        self._told = 0
        self.began = False
        self.not_taken: dict[int, _NotTaken] = {}

    def begins(self, source: Source, progress: ListProgress) -> None:
        """Says what is left out, and where a broken off load goes on."""
        self.began = True
        if source.unknown:
            click.echo(
                f"{source.name}: columns that are not known are left out: {visible(', '.join(source.unknown))}", err=True
            )
        if progress.tally.records:
            click.echo(f"{source.name}: {progress.tally.records} patients were done already; it goes on behind them", err=True)
        if not source.can_resume:
            click.echo(f"{source.name}: cannot be taken up again when it is broken off; a file can", err=True)
        self._told = progress.tally.records // _LINE_EVERY
        if sys.stderr.isatty() and source.size:
            self._bar = click.progressbar(length=source.size, label=source.name, file=sys.stderr)
            self._bar.__enter__()
            self._bar.update(progress.offset)

    def advances(self, source: Source, progress: ListProgress) -> None:
        """A bar on a terminal, else a line now and then."""
        if self._bar is not None:
            self._bar.update(progress.offset - self._bar.pos)
            return
        done = progress.tally.records // _LINE_EVERY
        if done > self._told:
            self._told = done
            share = f", {progress.offset * 100 // source.size} %" if source.size else ""
            click.echo(f"{source.name}: {progress.tally.records} patients{share}", err=True)

    def refused(self, source: Source, refusals: Sequence[ListRefusal]) -> None:
        """Into the report, and what of it is shown."""
        self.close()
        self.not_taken.setdefault(refusals[0].list, _NotTaken()).add(refusals)
        if self._report is not None:
            for one in refusals:
                outcome = "for a person" if one.fate == "held" else "not taken"
                self._report.writerow((source.name, source.places, one.place, outcome, one.row, one.code, one.reason))

    def ends(self, loaded: Loaded) -> None:
        """The summary of one list."""
        self.close()
        if self._quiet:
            return
        for line in self._summary(loaded):
            click.echo(visible(line))

    def close(self) -> None:
        """Takes the progress bar away. Idempotent."""
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.__exit__(None, None, None)

    def _summary(self, loaded: Loaded) -> list[str]:
        source, tally = loaded.source, loaded.progress.tally
        head = f"{source.name}: {_state(loaded, self._order)}"
        lines = [head, *(f"  {label:<16}{number:>9}" for label, number in _counts(tally).items())]
        found = self.not_taken.get(loaded.progress.id, _NotTaken())
        if tally.differences:
            lines.append(
                f"  {tally.differences} values differ from what their owner says and were not taken; they are listed as drift."
            )
        if tally.released:
            lines.append(f"  {tally.released} messages had waited for these patients; they leave when the broker runs.")
        for (row, code, reason), number in found.reasons.most_common(_REASONS):
            lines.append(f"  {number} x {_why(row, code, reason)}")
        if any(code == "P01" for _, code, _ in found.reasons):
            owner = "EMR" if self._order.peer == "pm" else "PM"
            lines += _UNKNOWN_PATIENTS.format(owner=owner, owner_lower=owner.lower()).split("\n")
        lines += [f"  {source.places} {one.place}: {_why(one.row, one.code, one.reason)}" for one in found.first]
        rest = tally.refused + tally.held - len(found.first)
        if rest > 0:
            lines.append(f"  ... and {rest} more; --report FILE writes all of them")
        return lines


def _counts(tally: Tally) -> dict[str, int]:
    return {
        "created": tally.created,
        "linked": tally.linked,
        "changed": tally.changed,
        "unchanged": tally.unchanged,
        "not taken": tally.refused,
        "for a person": tally.held,
    }


def _state(loaded: Loaded, order: Order) -> str:
    number = loaded.progress.tally.records
    if loaded.already:
        when = datetime.fromtimestamp(loaded.progress.finished_at or 0, UTC).astimezone()
        return f"loaded already on {when:%Y-%m-%d at %H:%M}, nothing was done (--again loads it once more). It was:"
    words = "would be loaded (dry run, nothing was written)" if order.dry_run else "loaded"
    return f"{number} patients {words}" + (f", {loaded.before} of them earlier" if loaded.before else "")


def _why(row: str, code: str, reason: str) -> str:
    return " ".join(part for part in (row, code, reason) if part)


def document(order: Order, loaded: Sequence[Loaded], teller: ListTeller) -> dict[str, Any]:
    """The summary for programs."""
    return {"peer": order.peer, "dry_run": order.dry_run, "lists": [_list(one, teller) for one in loaded]}


def _list(loaded: Loaded, teller: ListTeller) -> dict[str, Any]:
    progress, tally = loaded.progress, loaded.progress.tally
    found = teller.not_taken.get(progress.id, _NotTaken())
    return {
        "list": loaded.source.name,
        "run": progress.id,
        "already": loaded.already,
        "finished_at": datetime.fromtimestamp(progress.finished_at or 0, UTC).isoformat(timespec="seconds"),
        "records": tally.records,
        "before": loaded.before,
        "created": tally.created,
        "linked": tally.linked,
        "changed": tally.changed,
        "unchanged": tally.unchanged,
        "not_taken": tally.refused,
        "held": tally.held,
        "differences": tally.differences,
        "released": tally.released,
        "unknown_columns": list(loaded.source.unknown),
        "reasons": [
            {"row": row, "code": code, "reason": reason, "number": number}
            for (row, code, reason), number in found.reasons.most_common(_REASONS)
        ],
        "first_not_taken": [
            {
                loaded.source.places: one.place,
                "held": one.fate == "held",
                "row": one.row,
                "code": one.code,
                "reason": one.reason,
            }
            for one in found.first
        ],
    }
