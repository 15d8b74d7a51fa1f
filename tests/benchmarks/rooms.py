"""A profile of the broker, counted by room. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from .figures import markdown
from .processes import HERE

Place = tuple[str, int, str]
"""File, line and function; the file of a built-in function is `~`."""
Call = tuple[int, int, float, float]
"""Calls, calls without recursion, own seconds, seconds with callees, as in the standard library's pstats."""
Entry = tuple[int, int, float, float, dict[Place, Call]]
Stats = dict[Place, Entry]

WAITING = "(waiting)"
_BUILTINS = (
    (re.compile(r"'(commit|rollback)' of 'sqlite3"), "SQLite: commit"),
    (re.compile(r"sqlite3"), "SQLite: statements"),
    (re.compile(r"_socket\.socket"), "sockets"),
    (re.compile(r"select\.(epoll|kqueue|poll)|_thread\.(R?lock|lock)|_queue\.SimpleQueue"), WAITING),
)
_NATIVE = (
    (re.compile(r"f(data)?sync"), "SQLite: fsync"),
    (re.compile(r"sqlite3"), "SQLite: statements"),
    (re.compile(r"\b(sock_|__send|__recv|send|recv)"), "sockets"),
    (re.compile(r"gc_collect|collect_main|deduce_unreachable"), "garbage collector"),
    (re.compile(r"epoll_wait|sem_(clock|timed)?wait|pthread_cond"), WAITING),
)


def room(path: str) -> str:
    """The room that a source file belongs to: `ophl7.engine`, `handlers`, `asyncio`, the name of an installed package."""
    parts = Path(path).parts
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1].removesuffix(".py")
    if Path(path).is_relative_to(HERE):
        first, *rest = Path(path).relative_to(HERE).parts
        if first == "ophl7" and rest:
            return f"ophl7.{rest[0].removesuffix('.py')}"
        return first
    for package in ("asyncio", "json", "logging", "sqlite3", "concurrent"):
        if package in parts:
            return package
    return "standard library"


def add(left: Stats, right: Stats) -> Stats:
    """The sum of two profiles."""
    return _combine(left, right, 1)


def subtract(later: Stats, earlier: Stats) -> Stats:
    """What was spent between two readings of the same profile."""
    return _combine(later, earlier, -1)


def _combine(left: Stats, right: Stats, sign: int) -> Stats:
    total = dict(left)
    for place, (calls, plain, own, within, callers) in right.items():
        held = total.get(place, (0, 0, 0.0, 0.0, {}))
        merged = dict(held[4])
        for caller, call in callers.items():
            before = merged.get(caller, (0, 0, 0.0, 0.0))
            merged[caller] = _sum(before, call, sign)
        total[place] = (*_sum((held[0], held[1], held[2], held[3]), (calls, plain, own, within), sign), merged)
    return total


def _sum(left: Call, right: Call, sign: int) -> Call:
    return (
        left[0] + sign * right[0],
        left[1] + sign * right[1],
        left[2] + sign * right[2],
        left[3] + sign * right[3],
    )


def by_room(stats: Stats) -> dict[str, float]:
    """Own seconds by room. The time of a built-in goes to its callers' rooms, but for SQLite, sockets and waiting."""
    spent: defaultdict[str, float] = defaultdict(float)
    for (path, _, name), (_, _, own, _, callers) in stats.items():
        if path != "~":
            spent[room(path)] += own
            continue
        named = _named(name, _BUILTINS)
        if named is not None:
            spent[named] += own
            continue
        for (caller_path, _, _), call in callers.items():
            spent["interpreter" if caller_path == "~" else room(caller_path)] += call[2]
    return spent


def by_function(stats: Stats, count: int) -> list[tuple[str, float, int]]:
    """The dearest functions: name, own seconds, calls."""
    dearest = sorted(stats.items(), key=lambda item: item[1][2], reverse=True)
    busy = [(place, entry) for place, entry in dearest if _named(place[2], _BUILTINS) != WAITING]
    return [(_label(place), entry[2], entry[0]) for place, entry in busy[:count]]


def _label(place: Place) -> str:
    path, line, name = place
    if path == "~":
        return name.replace("|", "/")
    folder = Path(path)
    short = folder.relative_to(HERE) if folder.is_relative_to(HERE) else Path(*folder.parts[-2:])
    return f"{name} ({short}:{line})"


def by_room_sampled(collapsed: str, rate: int) -> dict[str, float]:
    """Seconds by room, from py-spy's raw output at `rate` samples a second.

    A line of it is `outermost (file:line);...;innermost (file:line) samples`.
    """
    spent: defaultdict[str, float] = defaultdict(float)
    for line in collapsed.splitlines():
        stack, _, samples = line.rpartition(" ")
        spent[_innermost(stack.split(";"))] += int(samples) / rate
    return spent


def _innermost(frames: list[str]) -> str:
    for frame in reversed(frames):
        python = re.search(r"\((/.*\.py)(:\d+)?\)$", frame)
        if python:
            return room(python[1])
        named = _named(frame, _NATIVE)
        if named is not None:
            return named
    return "interpreter"


def _named(text: str, table: tuple[tuple[re.Pattern[str], str], ...]) -> str | None:
    return next((name for pattern, name in table if pattern.search(text)), None)


def table(spent: Mapping[str, float], messages: int) -> str:
    """Rooms by their share of the busy time, with microseconds a message."""
    busy = {name: seconds for name, seconds in spent.items() if name != WAITING and seconds > 0}
    whole = sum(busy.values())
    rows = [
        (name, f"{seconds:.2f}", f"{seconds / whole:.1%}", f"{seconds / messages * 1e6:.1f}")
        for name, seconds in sorted(busy.items(), key=lambda item: item[1], reverse=True)
    ]
    rows.append(("all that was busy", f"{whole:.2f}", "", f"{whole / messages * 1e6:.1f}"))
    return markdown(("room", "seconds", "share", "us a message"), rows)
