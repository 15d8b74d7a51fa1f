"""Writes the tables of the reference pages and of the README out of the code.

.venv/bin/python docs/reference/generate.py
A test compares what stands in the pages with what this would write.
"""
# ruff: noqa: INP001 - a script, no package

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import get_args

from click import Argument, Command, Group

from ophl7.admin.api import CALLS
from ophl7.admin.calls import Deed, Inquiry, Listing, Single
from ophl7.cli import VERBS
from ophl7.domain.appointment import ENDED, EVENT_STATUS, STATUS_CODES
from ophl7.domain.decisions import DECISIONS, Domain, Sender
from ophl7.domain.ownership import ANY_OTHER, FIELD_OWNERS
from ophl7.hl7v2.codes import CODES
from ophl7.observe.logs import FIELDS
from ophl7.observe.metrics import Counter, Counters, Histogram
from ophl7.settings import Row, settings_table

ROOT = Path(__file__).parents[2]
_PEERS = ("PM", "EMR")


def peer_rows(rows: list[Row]) -> list[tuple[str, Row]]:
    """Settings as people look them up: what both peers have stands once, as `OPHL7_<PEER>_NAME`."""
    texts = {row.name: row for row in rows}
    found: list[tuple[str, Row]] = []
    for row in rows:
        twins = [texts[row.name.replace(f"_{_PEERS[0]}_", f"_{peer}_")] for peer in _PEERS] if _is_of(row, _PEERS[0]) else []
        if twins and len({(twin.default, twin.meaning) for twin in twins}) == 1:
            found.append((row.name.replace(f"_{_PEERS[0]}_", "_<PEER>_"), row))
        elif not _is_of(row, _PEERS[1]) or row.name.replace("_EMR_", "_<PEER>_") not in {name for name, _ in found}:
            found.append((row.name, row))
    return found


def _is_of(row: Row, peer: str) -> bool:
    return row.name.startswith(f"OPHL7_{peer}_")


def settings_lines(*, there: bool) -> str:
    """One table: the settings whose part is there, or those whose part is not there yet."""
    head = "| setting | default | meaning |" if there else "| setting | what is missing |"
    lines = [head, "|" + "---|" * (head.count("|") - 1)]
    for name, row in peer_rows(settings_table()):
        if bool(row.planned) is there:
            continue
        if there:
            default = f"`{row.default}`" if row.default else "-"
            secret = "; a secret, also as `" + name + "_FILE`" if row.secret else ""
            lines.append(f"| `{name}` | {default} | {row.meaning}{secret} |")
        else:
            lines.append(f"| `{name}` | {row.planned} |")
    return "\n".join(lines)


def metric_lines() -> str:
    """Everything that is counted and timed; gauges stand in the page by hand, and a test looks whether all are there."""
    counters, histograms = Counters().families()
    families: list[Counter | Histogram] = [*counters, *histograms]
    lines = ["| metric | labels | meaning |", "|---|---|---|"]
    lines += [f"| `{one.name}` | {', '.join(f'`{label}`' for label in one.labels) or '-'} | {one.help} |" for one in families]
    return "\n".join(lines)


def field_lines() -> str:
    """The fields that a log line may carry."""
    return ", ".join(f"`{name}`" for name in sorted(FIELDS))


def call_lines() -> str:
    """Every call of the API, with what it takes."""
    lines = ["| call | answers | takes |", "|---|---|---|"]
    for call in CALLS:
        method = "POST" if isinstance(call, Deed | Inquiry) else "GET"
        takes: list[str] = list(call.known) if isinstance(call, Deed) else []
        if isinstance(call, Listing | Single | Inquiry):
            takes = [one.name for one in call.parameters]
        shown = ", ".join(f"`{name}`" for name in takes) or "-"
        lines.append(f"| `{method} {call.path}` | {call.summary} | {shown} |")
    return "\n".join(lines)


def command_lines() -> str:
    """Every command, those of a group one by one."""
    lines = ["| command | does |", "|---|---|"]
    for verb, summary in VERBS.items():
        command = import_module(f"ophl7.cli.{verb}").command
        if isinstance(command, Group):
            for name, one in sorted(command.commands.items()):
                lines.append(f"| `{_usage(f'{verb} {name}', one)}` | {_first_sentence(one)} |")
        else:
            lines.append(f"| `{_usage(verb, command)}` | {summary} |")
    return "\n".join(lines)


def _usage(name: str, command: Command) -> str:
    taken = [one.metavar or one.name or "" for one in command.params if isinstance(one, Argument)]
    return " ".join(["ophl7", name, *taken])


def _first_sentence(command: Command) -> str:
    return " ".join((command.help or "").split()).partition(". ")[0].rstrip(".") + "."


SENDERS: Mapping[Sender, str] = {
    "pm": "PM",
    "emr": "EMR",
    "owner": "owner",
    "other": "other",
    "any": "either",
    "person": "a person",
}


def decision_lines(domain: Domain) -> str:
    """The rows of the decision table that are about one domain."""
    lines = [
        "| row | from | what comes | where the PM owns | where the EMR owns | answer |",
        "|---|---|---|---|---|---|",
    ]
    for row in DECISIONS.values():
        if row.domain == domain:
            answer = " ".join(f"`{word}`" if word.isupper() else word for word in row.ack.split())
            lines.append(f"| {row.number} | {SENDERS[row.sender]} | {row.case} | {row.pm} | {row.emr} | {answer} |")
    return "\n".join(lines)


def owner_lines() -> str:
    """Whose each field is, in both set-ups."""
    words = {"pm": "PM", "emr": "EMR", "shared": "shared"}
    lines = ["| field | | where the PM owns the patients | where the EMR owns them |", "|---|---|---|---|"]
    for row in FIELD_OWNERS:
        where = f"`{row.path}`" if row.path != ANY_OTHER else ""
        lines.append(f"| {row.name} | {where} | {words[row.pm]} | {words[row.emr]} |")
    return "\n".join(lines)


def status_lines() -> str:
    """Every status of an appointment, and what says it."""
    lines = ["| status | said by the code or text | or by the event | |", "|---|---|---|---|"]
    for status in dict.fromkeys(STATUS_CODES.values()):
        codes = ", ".join(f"`{code}`" for code, meant in STATUS_CODES.items() if meant == status)
        events = ", ".join(f"`SIU^{event}`" for event, meant in EVENT_STATUS.items() if meant == status)
        lines.append(f"| `{status}` | {codes} | {events or '-'} | {'nobody comes any more' if status in ENDED else ''} |")
    return "\n".join(lines)


def code_lines(letter: str) -> str:
    """Our application codes that begin with this letter: what they mean, and which answer they come with."""
    lines = ["| code | meaning | answer | HL7 error | before version 2.5 |", "|---|---|---|---|---|"]
    for code in CODES.values():
        if code.code.startswith(letter):
            numbers = "/".join(str(one) for one in code.choices) or str(code.hl7)
            before = "in the journal only" if code.severity == "W" else str(code.hl7_before_25 or "the same")
            lines.append(f"| `{code.code}` | {code.meaning} | `{code.msa}` | {numbers} | {before} |")
    return "\n".join(lines)


LETTERS: Mapping[Domain, str] = {"patients": "P", "schedule": "S", "charges": "C", "merges": "M", "messages": "W"}

TABLES: Mapping[str, Callable[[], str]] = {
    "settings": lambda: settings_lines(there=True),
    "settings not there yet": lambda: settings_lines(there=False),
    "metrics": metric_lines,
    "log fields": field_lines,
    "calls": call_lines,
    "commands": command_lines,
    **{f"rows of {domain}": partial(decision_lines, domain) for domain in get_args(Domain)},
    **{f"codes of {domain}": partial(code_lines, letter) for domain, letter in LETTERS.items()},
    "field owners": owner_lines,
    "appointment statuses": status_lines,
}
PAGES = (
    "README.md",
    "docs/reference/settings.md",
    "docs/reference/metrics-and-logs.md",
    "docs/reference/api.md",
    "docs/reference/commands.md",
    *(f"docs/explanation/{domain}.md" for domain in get_args(Domain)),
)


def filled(page: str) -> str:
    """The page with what stands between its marks made anew."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, found, rest = page.partition(begin)
        if found:
            page = f"{before}{begin}{table()}\n{end}{rest[rest.index(end) + len(end) :]}"
    return page


if __name__ == "__main__":
    for name in PAGES:
        path = ROOT / name
        path.write_text(filled(path.read_text("utf-8")), "utf-8")
