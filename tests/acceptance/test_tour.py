"""The tour of the README, typed in as it stands there: same commands, same answers.

Only what differs from run to run is made equal before comparing: times, ages, ports, the token, and our own control ids.
`make`, `curl` and `.venv/bin/ophl7` are small stand-ins, because the test must run where none of them is at hand.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIMIT_SECONDS = 20.0

# A stand-in for `curl -s [-H HEADER] URL`: any status is printed like a good one, as curl does.
CURL = """
import http.client, sys, urllib.parse
headers, url = {}, ""
arguments = iter(sys.argv[1:])
for argument in arguments:
    if argument == "-H":
        name, _, value = next(arguments).partition(": ")
        headers[name] = value
    elif argument != "-s":
        url = urllib.parse.urlsplit(argument)
connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
connection.request("GET", url.path + ("?" + url.query if url.query else ""), headers=headers)
sys.stdout.write(connection.getresponse().read().decode())
"""

_UNSTEADY = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(?:Z|[+-]\d\d:\d\d)"), "TIME"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "TIME"),
    (re.compile(r'"oldest_seconds":[\d.]+'), '"oldest_seconds":AGE'),
    (re.compile(r"\b[A-Z2-9]{4}D([0-9A-Z]+)\b"), r"OURS-\1"),
    (re.compile(r"token=\S+"), "token=TOKEN"),
    (re.compile(r"(connection \d+ from 127\.0\.0\.1):\d+"), r"\1"),
    (re.compile(r"kept in \S+"), "kept in DATABASE"),
)


@dataclass(frozen=True, slots=True)
class Command:
    """One line that the reader types, or ^C, and what is printed below it."""

    text: str
    printed: str


def commands_of(page: str) -> list[Command]:
    """The commands of all `console` blocks, in order."""
    found: list[Command] = []
    for block in re.findall(r"^```console\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^(?:\$ |(?=\^C$))", block, flags=re.MULTILINE)[1:]:
            text, _, printed = part.partition("\n")
            found.append(Command(text, printed))
    return found


def steady(text: str) -> str:
    for pattern, instead in _UNSTEADY:
        text = pattern.sub(instead, text)
    return text.strip()


@dataclass(slots=True)
class Program:
    """Something that goes on running in a terminal of its own; `shown` is the file it prints to."""

    child: subprocess.Popen[bytes]
    shown: Path


@dataclass(slots=True)
class Reader:
    """Somebody who types in the README. ports: what stands there -> what is used here."""

    home: Path
    stack: ExitStack
    ports: dict[str, str] = field(default_factory=dict)
    token: str = ""
    broker: Program | None = None
    listening: list[tuple[Program, str]] = field(default_factory=list)

    def type_in(self, command: Command) -> None:
        if command.text == "^C":
            self._interrupt(command.printed)
        elif command.text.endswith("make run"):
            self._start_broker(command)
        elif " listen " in command.text:
            self._listen(command)
        elif command.text.startswith("TOKEN="):
            assert self.token, "the README wants the token before the broker has printed one"
        else:
            self._shell(command)

    def _environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OPHL7_")}
        own = dict.fromkeys(("OPHL7_PM_LISTEN", "OPHL7_EMR_LISTEN"), "127.0.0.1:0")
        own["OPHL7_HTTP_LISTEN"] = f"127.0.0.1:{self.ports.get('8080', 0)}"  # where commands look for the broker
        return kept | own | {"PATH": f"{self.home / 'bin'}:{os.environ['PATH']}", "TOKEN": self.token}

    def _here(self, text: str) -> str:
        """A command with this test's ports."""
        return re.sub(r"(?<=:)\d{4}\b", lambda found: self.ports.get(found[0], found[0]), text)

    def _there(self, text: str) -> str:
        """What was printed, with the README's ports."""
        back = {mine: theirs for theirs, mine in self.ports.items()}
        return re.sub(r"(?:(?<=:)|(?<=port ))\d{4,5}\b", lambda found: back.get(found[0], found[0]), text)

    def _shell(self, command: Command) -> None:
        """Looks again and again where the README asks the broker: what it shows may need a moment."""
        deadline = time.monotonic() + (LIMIT_SECONDS if command.text.startswith("curl") else 0)
        while True:
            done = subprocess.run(
                ["sh", "-c", self._here(command.text)],
                cwd=self.home,
                env=self._environ(),
                capture_output=True,
                text=True,
                check=False,
                timeout=LIMIT_SECONDS,
            )
            printed = steady(self._there(done.stdout))
            if printed == steady(command.printed) or time.monotonic() > deadline:
                assert (printed, done.stderr) == (steady(command.printed), ""), command.text
                return

    def _open(self, text: str, *, errors_too: bool) -> Program:
        shown = self.home / f"terminal-{len(list(self.home.glob('terminal-*')))}"
        file = self.stack.enter_context(shown.open("wb"))
        log = file if errors_too else self.stack.enter_context((self.home / f"{shown.name}.log").open("wb"))
        child = self.stack.enter_context(
            subprocess.Popen(["sh", "-c", f"exec env {text}"], cwd=self.home, env=self._environ(), stdout=file, stderr=log)
        )
        self.stack.callback(child.kill)
        return Program(child, shown)

    def _start_broker(self, command: Command) -> None:
        self.ports.pop("8080", None)
        for theirs in re.findall(r"mllp://127\.0\.0\.1:(\d+)", command.text):
            self.ports.setdefault(theirs, free_port())  # somebody will listen there later
        self.broker = self._open(self._here(command.text), errors_too=False)
        said = wait_for(self.broker, lambda text: "Ctrl-C." in text)
        for name, pattern in {"2575": r"\(PM\) sends .* port (\d+)", "2576": r"EMR sends .* port (\d+)"}.items():
            self.ports[name] = found_in(pattern, said)
        self.ports["8080"] = found_in(r"Status page: http://127\.0\.0\.1:(\d+)/", said)
        self.token = found_in(r"token=(\S+)", said)
        assert steady(self._there(said)) == steady(command.printed)

    def _listen(self, command: Command) -> None:
        theirs = found_in(r"--port (\d+)", command.text)
        program = self._open(command.text.replace(theirs, self.ports.get(theirs, "0")), errors_too=True)
        self.ports[theirs] = found_in(r"on 127\.0\.0\.1:(\d+)", wait_for(program, lambda text: "Try:" in text))
        self.listening.append((program, command.printed))

    def _interrupt(self, printed: str) -> None:
        assert self.broker is not None
        before = self.broker.shown.read_text()
        self.broker.child.send_signal(signal.SIGINT)
        assert self.broker.child.wait(LIMIT_SECONDS) == 0
        assert self.broker.shown.read_text().removeprefix(before).strip() == printed.strip()

    def look_at_the_other_terminals(self) -> None:
        """What arrived there. Two patients' messages may overtake each other, so the order of lines is left open."""
        for program, printed in self.listening:
            wanted = sorted(steady(printed).splitlines())
            said = wait_for(program, lambda text, wanted=wanted: len(text.splitlines()) >= len(wanted))  # type: ignore[misc]
            assert sorted(steady(self._there(said)).splitlines()) == wanted


def free_port() -> str:
    """A port on which nobody listens yet."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])


def found_in(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, f"{pattern} is not in: {text}"
    return found[1]


def wait_for(program: Program, there: Callable[[str], bool]) -> str:
    """What the program has printed, once it is enough."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not there(text := program.shown.read_text()):
        assert program.child.poll() is None, f"it ended: {text}"
        assert time.monotonic() < deadline, f"not printed in time: {text}"
        time.sleep(0.02)
    return text


def script(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o755)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """A folder as the README's reader has it, and the commands that it takes for granted."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    script(tmp_path / ".venv/bin/ophl7", f'exec {sys.executable} -m ophl7 "$@"')
    script(tmp_path / "bin/make", '[ "$*" = run ]', "exec .venv/bin/ophl7 serve")
    (tmp_path / "curl.py").write_text(CURL)
    script(tmp_path / "bin/curl", f'exec {sys.executable} {tmp_path / "curl.py"} "$@"')
    with ExitStack() as stack:
        yield Reader(tmp_path, stack)


def test_the_tour_of_the_readme_happens_as_it_is_told(reader: Reader) -> None:
    commands = commands_of((ROOT / "README.md").read_text("utf-8"))
    assert sum(" send " in command.text for command in commands) == 13
    for command in commands:
        reader.type_in(command)
    reader.look_at_the_other_terminals()


def test_the_page_of_metrics_names_every_metric_of_a_running_broker(reader: Reader) -> None:
    reader.type_in(commands_of((ROOT / "README.md").read_text("utf-8"))[0])
    asked = subprocess.run(
        [reader.home / "bin/curl", "-s", f"http://127.0.0.1:{reader.ports['8080']}/metrics"],
        capture_output=True,
        text=True,
        check=True,
        timeout=LIMIT_SECONDS,
    )
    told = set(re.findall(r"^# TYPE (\S+)", asked.stdout, re.MULTILINE))
    page = (ROOT / "docs/reference/metrics-and-logs.md").read_text("utf-8")
    assert told == set(re.findall(r"^\| `(ophl7_\w+)` \|", page, re.MULTILINE))


def test_every_file_of_the_tour_is_in_the_tour() -> None:
    page = (ROOT / "README.md").read_text("utf-8")
    files = {path.name for path in (ROOT / "examples/tour").iterdir()}
    assert files == set(re.findall(r"send examples/tour/(\S+)", page))
