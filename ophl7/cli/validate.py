"""`ophl7 validate`: do the messages of a file conform to their HL7 version? For people who set up an interface."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Final

import click

from ophl7.cli import loop
from ophl7.cli.conformance import Checked, check_files
from ophl7.cli.exits import Exit
from ophl7.cli.text import visible
from ophl7.hl7v2.conformance import Finding

LARGEST: Final = 64 * 1024 * 1024  # bytes of a file


@dataclass(slots=True)
class _Tally:
    messages: int = 0
    conforming: int = 0
    faults: int = 0

    def count(self, checked: Checked) -> None:
        if checked.message:
            self.messages += 1
            self.conforming += checked.report.conforms
        else:
            self.faults += 1


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a message, and a file with a fault, on each line.")
def command(files: tuple[str, ...], as_json: bool) -> int:
    """Check every message of the files (- is standard input) against its HL7 version and print what does not conform.

    A file may hold one message, several, a batch, or MLLP blocks. Places are written as in PID-3[2].4: field 3, its second
    repetition, component 4. Errors do not conform; notes are for you to look at: codes that a table does not list, local (Z)
    segments. No value of a message is ever printed.

    Exit status 0 when every message conforms, 4 when one does not, 1 when a file could not be read.
    """
    names: list[str] = []
    contents: list[bytes] = []
    unread = False
    for name in files:
        try:
            contents.append(_read(name))
            names.append(visible(name))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            click.echo(f"{visible(name)} cannot be read: {reason}", err=True)
            unread = True
    tally = loop.run(_check(names, contents, as_json=as_json)) if names else _Tally()
    if names:
        click.echo(_summary(tally, len(names)), err=True)
    if unread:
        return Exit.USAGE
    return Exit.OK if tally.conforming == tally.messages and not tally.faults else Exit.REFUSED


def _read(name: str) -> bytes:
    """Raises OSError, and ValueError for what is too large to be meant."""
    if name == "-":
        data = sys.stdin.buffer.read(LARGEST + 1)
    else:
        with open(name, "rb") as file:  # noqa: PTH123 - a pipe is welcome too
            data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"it is larger than {LARGEST // 2**20} MiB; split it")
    return data


async def _check(names: list[str], contents: list[bytes], *, as_json: bool) -> _Tally:
    tally = _Tally()
    async for checked in check_files(contents):
        tally.count(checked)
        name = names[checked.file]
        click.echo(json.dumps(_document(name, checked)) if as_json else "\n".join(_lines(name, checked)))
    return tally


def _document(name: str, checked: Checked) -> dict[str, object]:
    report = checked.report
    return {
        "file": name,
        "message": checked.message or None,
        "event": report.event or None,
        "version": report.version or None,
        "structure": report.structure or None,
        "conforms": report.conforms,
        "findings": [{"place": finding.place, **asdict(finding)} for finding in report.findings],
    }


def _lines(name: str, checked: Checked) -> list[str]:
    report = checked.report
    if not checked.message:
        return [f"{name}: {finding.problem}" for finding in report.findings]
    known = ", ".join(part for part in (report.event, report.version) if part)
    head = f"{name}, message {checked.message}" + (f" ({known})" if known else "")
    lines = [f"{head}: {'conforms' if report.conforms else 'does not conform'}"]
    alike = Counter(_kind(finding) for finding in report.findings)
    for finding in report.findings:
        times = alike.pop(_kind(finding), 0)
        if times:  # the first of its kind
            more = f" (and at {_places(times - 1)} more)" if times > 1 else ""
            lines.append(f"  {finding.severity:<5}  {finding.place or 'message':<12}  {finding.problem}{more}")
    return lines


def _kind(finding: Finding) -> tuple[object, ...]:
    """What is the same fault at another occurrence or repetition, told once."""
    return (finding.severity, finding.problem, finding.segment, finding.field, finding.component, finding.subcomponent)


def _places(number: int) -> str:
    return "1 place" if number == 1 else f"{number} places"


def _summary(tally: _Tally, files: int) -> str:
    text = f"{tally.conforming} of {tally.messages} messages in {files} {'file' if files == 1 else 'files'} conform"
    if not tally.faults:
        return text
    return text + f"; {tally.faults} {'fault is' if tally.faults == 1 else 'faults are'} of a file as a whole"
