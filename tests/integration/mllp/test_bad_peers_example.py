"""examples/bad_peers runs, and is what the guide shows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples/bad_peers/bad_peers.py"


def test_the_example_passes_as_its_users_run_it() -> None:
    asked = [sys.executable, "-m", "pytest", "-q", "-n", "0", "--asyncio-mode=auto", "-p", "no:cacheprovider", str(EXAMPLE)]
    ran = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False, timeout=50)
    assert ran.returncode == 0, ran.stdout[-2000:]
    assert "5 passed" in ran.stdout


def test_the_snippets_of_the_guide_are_the_example_that_runs() -> None:
    guide = (ROOT / "docs/howto/test-against-bad-peers.md").read_text("utf-8")
    snippets = re.findall(r"^```python\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)
    assert len(snippets) == 4
    source = EXAMPLE.read_text("utf-8")
    for snippet in snippets:
        assert snippet in source


def test_the_guide_names_every_behaviour_manner_and_fault_that_chance_draws() -> None:
    from ophl7.testing.chaos import BEHAVIOURS, FAULTS, MANNERS

    guide = (ROOT / "docs/howto/test-against-bad-peers.md").read_text("utf-8")
    assert {name for name in {*BEHAVIOURS, *MANNERS, *FAULTS} if f"`{name}`" not in guide} == set()
