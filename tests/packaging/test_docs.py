"""The pages say what the program does: tables made from the code, snippets that run elsewhere, links that lead somewhere."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ophl7.domain.changes import KINDS
from ophl7.extend.loading import load_parts
from ophl7.settings import settings_table

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [path for folder in ("docs", "examples") for path in (ROOT / folder).rglob("*.md")]
    + [path for path in ROOT.glob("*.md") if path.name != "CHANGELOG.md"]
)
RECORDS = sorted((ROOT / "docs/decisions").glob("*.md"))


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """docs/reference/generate.py, which is a script and no package."""
    spec = importlib.util.spec_from_file_location("ophl7_docs_generate", ROOT / "docs/reference/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_in_the_pages_are_those_of_the_code(generate: ModuleType) -> None:
    for name in generate.PAGES:
        page = (ROOT / name).read_text("utf-8")
        assert generate.filled(page) == page, f"{name} is out of date: run docs/reference/generate.py"


def test_every_setting_is_in_the_readme_or_said_to_be_missing(generate: ModuleType) -> None:
    there, missing = generate.settings_lines(there=True), generate.settings_lines(there=False)
    for row in settings_table():
        peerless = re.sub(r"OPHL7_(PM|EMR)_", "OPHL7_<PEER>_", row.name)
        lines = missing if row.planned else there
        assert f"| `{row.name}` |" in lines or f"| `{peerless}` |" in lines, row.name
    readme, reference = ((ROOT / name).read_text("utf-8") for name in ("README.md", "docs/reference/settings.md"))
    assert there in readme
    assert there in reference
    assert missing in reference


def links(page: Path) -> Iterator[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"\]\(([^)\s]+)\)", text)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_link_leads_to_a_file_or_a_heading(page: Path) -> None:
    for link in links(page):
        if "://" in link:
            continue
        place, _, heading = link.partition("#")
        target = page if not place else (page.parent / place).resolve()
        assert target.exists(), link
        if heading:
            titles = re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.MULTILINE)
            assert heading in {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}, link


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_path_that_a_page_names_is_there(page: Path) -> None:
    said = re.findall(
        r"(?<![\w/])((?:examples|docs|tests|ophl7|handlers|plugins)/[\w./*-]*\w(?:\.\w+)?)", page.read_text("utf-8")
    )
    installed = "ophl7/_shipped/"  # only in the wheel
    missing = [
        name for name in said if not (name.startswith(installed) or list(ROOT.glob(name)) or list(page.parent.glob(name)))
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_setting_that_a_page_names_exists(page: Path) -> None:
    known = {row.name for row in settings_table()}
    known |= {f"{row.name}_FILE" for row in settings_table() if row.secret}
    for name in re.findall(r"OPHL7_[A-Z_<>]*[A-Z]", page.read_text("utf-8")):
        options = [name.replace("<PEER>", "PM"), name] if "<PEER>" in name else [name]
        assert name == "OPHL7_PLUGIN" or any(option in known for option in options), name


@pytest.mark.parametrize(
    ("page", "module"),
    [
        ("write-a-handler.md", "custom_handler/handlers/allergies.py"),
        ("write-a-rule.md", "custom_rule/plugins/diagnosis.py"),
    ],
)
def test_the_snippets_of_a_guide_are_the_example_that_runs(page: str, module: str) -> None:
    source = (ROOT / "examples" / module).read_text("utf-8")
    snippets = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/howto" / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(snippets) == 3
    for snippet in snippets:
        assert snippet in source


@pytest.mark.parametrize("page", ["write-a-handler.md", "write-a-rule.md"])
def test_the_guides_name_every_kind_of_change_and_no_other(page: str) -> None:
    text = (ROOT / "docs/howto" / page).read_text("utf-8")
    families = "|".join({kind.partition(".")[0] for kind in KINDS})
    assert set(re.findall(rf"`((?:{families})\.[a-z]+)`", text)) == set(KINDS)


def test_what_the_guides_switch_off_is_shipped() -> None:
    shipped = {source.name for source in load_parts().sources}
    for page in (ROOT / "docs/howto").glob("*.md"):
        for name in re.findall(r"OPHL7_PLUGINS=-(\w+)", page.read_text("utf-8")):
            assert name in shipped, name


def test_the_guide_to_the_log_names_every_event_and_every_alarm() -> None:
    guide = (ROOT / "docs/howto/read-the-log.md").read_text("utf-8")
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "ophl7").rglob("*.py"))
    events = set(re.findall(r"log\.(?:info|warning|error)\(\s*\"([a-z_]+)\"", source))
    alarms = set(re.findall(r"alarms\.ring\(\s*\"([a-z_]+)\"", source))
    assert len(events) > 8
    assert len(alarms) > 4
    assert {name for name in events | alarms if f"`{name}`" not in guide} == set()


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.name)
def test_a_decision_says_context_choice_cost_and_what_would_change_it(record: Path) -> None:
    text = record.read_text("utf-8")
    assert text.startswith(f"# {record.name[:4]} ")
    parts = re.findall(r"^\*\*(.+?)\.\*\*", text, re.MULTILINE)
    assert [part for part in parts if part in {"Context", "Choice", "Cost", "What would change it"}] == [
        "Context",
        "Choice",
        "Cost",
        "What would change it",
    ]


def test_no_two_decisions_share_a_number() -> None:
    numbers = [record.name[:4] for record in RECORDS]
    assert len(numbers) == len(set(numbers))
