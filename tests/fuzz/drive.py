"""One target under atheris, in a process of its own: `python -m tests.fuzz.drive NAME FOLDER [libFuzzer options]`.

A find does not stop it: the input is written to FOLDER/finds beside the traceback, thrice for one place at most.
"""

from __future__ import annotations

import random
import sys
import time
import traceback
from collections.abc import Callable
from hashlib import sha1
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.fuzz.mutating import crossed, mutated
from tests.fuzz.names import FOLDER, load

INSTRUMENTED = ["ophl7", "ophl7_shipped_handlers", "ophl7_shipped_plugins"]
MOST_OF_ONE_PLACE = 3  # a second and a third input of one place often say what the first does not


class TooSlow(AssertionError):
    """One input took more processor time than its target allows."""


class Finds:
    """A folder of inputs that broke a sentence."""

    def __init__(self, folder: Path, target: str) -> None:
        self.folder = folder
        self.target = target
        self.seen: dict[str, int] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def keep(self, data: bytes, error: Exception) -> None:
        """Writes it down, unless there is enough of the same."""
        steps = traceback.extract_tb(error.__traceback__)
        place = " ".join([type(error).__name__, *(f"{Path(step.filename).name}:{step.lineno}" for step in steps[-3:])])
        self.seen[place] = self.seen.get(place, 0) + 1
        if self.seen[place] > MOST_OF_ONE_PLACE:
            return
        name = sha1(data, usedforsecurity=False).hexdigest()[:12]
        (self.folder / name).write_bytes(data)
        said = "".join(traceback.format_exception(error))
        (self.folder / f"{name}.txt").write_text(
            f"{self.target}: {place}\n\n{said}", encoding="utf-8", errors="backslashreplace"
        )
        print(f"FIND {self.target} {name} {place}", file=sys.stderr, flush=True)


def watched(target: ModuleType, finds: Finds) -> Callable[[bytes], None]:
    """The target's check; its finds are kept."""
    limit: float = target.BUDGET_SECONDS

    def run(data: bytes) -> None:
        began = time.process_time()
        try:
            target.check(data)
            spent = time.process_time() - began
            if spent > limit:
                raise TooSlow(f"{spent:.1f} s of processor time for {len(data)} bytes; at most {limit} s")  # noqa: TRY301
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a find
            finds.keep(data, error)

    return run


def main(name: str, folder: Path, options: list[str]) -> None:
    """Runs until libFuzzer's own limits end the process."""
    import atheris  # type: ignore[import-not-found, unused-ignore]  # installed by `make fuzz` only

    fuzzer: Any = atheris
    with fuzzer.instrument_imports(include=INSTRUMENTED):
        target = load(name)
        seeds = target.seeds()
        target.check(seeds[0])  # what is imported late is imported now
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    deep = [path.read_bytes() for path in sorted((FOLDER / "seeds" / name).glob("*"))]
    for seed in (*seeds, *deep):
        (corpus / f"seed-{sha1(seed, usedforsecurity=False).hexdigest()[:12]}").write_bytes(seed)
    check = watched(target, Finds(folder / "finds", name))

    def mutate(data: bytes, longest: int, seed: int) -> bytes:
        return mutated(data, longest, random.Random(seed), target.TOKENS, target.HEAD, fuzzer.Mutate)

    def cross(first: bytes, second: bytes, longest: int, seed: int) -> bytes:
        return crossed(first, second, longest, random.Random(seed), target.HEAD)

    arguments = [sys.argv[0], str(corpus), f"-artifact_prefix={folder / 'finds'}/", *options]
    fuzzer.Setup(arguments, check, custom_mutator=mutate, custom_crossover=cross)
    fuzzer.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
