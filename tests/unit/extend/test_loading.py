"""Handlers and rules are found through one door; a mistake stops the start and names the place."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from ophl7.errors import RegistrationError
from ophl7.extend.loading import load_parts, mount, shipped_folder
from ophl7.kit import Handlers, Rules

HANDLER = """
from ophl7.kit import Change, Context, Handlers, Segment
handlers = Handlers("{name}")

@handlers.on("{event}", segment="{segment}")
async def part(_segment: Segment, _ctx: Context) -> list[Change]:
    return []
"""

RULE = """
from ophl7.kit import Change, Context, Rules, Verdict
rules = Rules("{name}")

@rules.judge("{kind}")
async def part(_change: Change, _ctx: Context) -> Verdict | None:
    return None
"""


def handler(name: str = "mine", event: str = "ADT^A04", segment: str = "PID") -> str:
    return HANDLER.format(name=name, event=event, segment=segment)


def rule(name: str = "own", kind: str = "patient.*") -> str:
    return RULE.format(name=name, kind=kind)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    found = tmp_path / "parts"
    found.mkdir(mode=0o755)
    found.chmod(0o755)
    before = set(sys.modules)
    yield found
    for name in set(sys.modules) - before:
        if name.startswith(("ophl7_handlers_", "ophl7_plugins_", "mounted")):
            del sys.modules[name]


def nothing(_group: str) -> list[EntryPoint]:
    return []


def offered(**parts: str) -> Callable[[str], list[EntryPoint]]:
    """An installed package that offers these under ophl7.plugins: name -> module:attribute."""
    return lambda group: [EntryPoint(name, value, group) for name, value in parts.items() if group == "ophl7.plugins"]


def test_what_is_shipped_is_loaded_in_the_same_order_every_time() -> None:
    first, second = load_parts(installed=nothing), load_parts(installed=nothing)
    assert [source.name for source in first.sources] == [source.name for source in second.sources]
    assert {"patient", "schedule", "charge", "superbill", "identity"} <= {source.name for source in first.sources}
    assert [part.name for part in first.handlers] == [part.name for part in second.handlers]
    assert {source.origin for source in first.sources} == {"shipped"}
    assert first.off == ()
    for name in ("handlers", "plugins"):
        assert shipped_folder(name).is_dir()


def test_two_brokers_in_one_process_share_no_parts() -> None:
    first, second = load_parts(installed=nothing), load_parts(installed=nothing)
    assert not {id(source.part) for source in first.sources} & {id(source.part) for source in second.sources}


def test_a_folder_of_modules_is_loaded_after_what_is_shipped_in_the_order_of_names(folder: Path) -> None:
    (folder / "b.py").write_text(handler("second"))
    (folder / "a.py").write_text(handler("first") + rule("own"))
    (folder / "_shared.py").write_text("VALUE = 1")
    found = load_parts(handlers_path=[folder], installed=nothing)
    mine = [source for source in found.sources if source.origin == "folder"]
    assert [source.name for source in mine] == ["first", "own", "second"]
    assert mine[0].place == str(folder / "a.py")
    assert [part.name for part in found.handlers][-2:] == ["first.part", "second.part"]
    assert "own.part" in [part.name for part in found.rules]


def test_modules_of_a_folder_may_import_their_helpers_relatively(folder: Path) -> None:
    (folder / "_shared.py").write_text("NAME = 'visits'")
    (folder / "a.py").write_text("from ._shared import NAME\n" + handler("mine").replace('"mine"', "NAME"))
    assert load_parts(handlers_path=[folder], installed=nothing).sources[-1].name
    (module,) = mount(folder, "mounted")
    assert module.handlers.name == "visits"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (handler(event="ADT-A04"), "'ADT-A04' is not an event"),
        (handler(segment="pid"), "'pid' is not a segment name"),
        (handler(name="My Part"), "'My Part' is not a usable name"),
        (rule(kind="patient.creat"), "no change is called 'patient.creat'"),
        ("VALUE = 1", "neither Handlers nor Rules"),
        ("this is no python", "cannot be loaded: SyntaxError"),
        ("import no_such_module_anywhere", "cannot be loaded: ModuleNotFoundError"),
        ("1 / 0", "cannot be loaded: ZeroDivisionError"),
        (handler().replace("async def", "def"), "mine.part is no coroutine"),
    ],
)
def test_a_mistake_in_a_module_stops_the_start_and_names_the_file(folder: Path, text: str, says: str) -> None:
    (folder / "part.py").write_text(text)
    with pytest.raises(RegistrationError) as stopped:
        load_parts(handlers_path=[folder], installed=nothing)
    assert str(folder / "part.py") in str(stopped.value)
    assert says in str(stopped.value)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RegistrationError, match="nowhere is not a folder"):
        load_parts(plugins_path=[tmp_path / "nowhere"], installed=nothing)


@pytest.mark.parametrize("right", [stat.S_IWGRP, stat.S_IWOTH])
@pytest.mark.parametrize("what", ["folder", "file"])
def test_what_others_may_write_is_not_run(folder: Path, right: int, what: str) -> None:
    module = folder / "a.py"
    module.write_text(handler())
    module.chmod(0o644)
    place = folder if what == "folder" else module
    place.chmod(place.stat().st_mode | right)
    with pytest.raises(RegistrationError, match="chmod go-w") as stopped:
        load_parts(handlers_path=[folder], installed=nothing)
    assert str(place) in str(stopped.value)


def test_two_parts_of_one_name_are_an_error_that_names_both(folder: Path) -> None:
    (folder / "a.py").write_text(handler("patient"))
    with pytest.raises(RegistrationError) as stopped:
        load_parts(handlers_path=[folder], installed=nothing)
    assert "'patient'" in str(stopped.value)
    assert str(folder / "a.py") in str(stopped.value)
    assert "-patient" in str(stopped.value)


def test_a_shipped_part_is_replaced_by_switching_it_off(folder: Path) -> None:
    (folder / "a.py").write_text(handler("patient"))
    found = load_parts(handlers_path=[folder], enabled=["-patient"], installed=nothing)
    assert found.off == ("patient",)
    assert [source.origin for source in found.sources if source.name == "patient"] == ["folder"]


def test_a_handler_and_a_rule_may_share_a_name(folder: Path) -> None:
    (folder / "a.py").write_text(handler("mine") + rule("mine"))
    assert (
        len([source for source in load_parts(handlers_path=[folder], installed=nothing).sources if source.name == "mine"]) == 2
    )


def test_one_part_that_two_modules_or_names_show_is_one_part(folder: Path) -> None:
    (folder / "a.py").write_text(handler("mine") + "\nalso = handlers\n")
    (folder / "b.py").write_text("from .a import handlers\n" + rule("own"))
    found = load_parts(handlers_path=[folder], installed=nothing)
    assert [source.name for source in found.sources if source.origin == "folder"] == ["mine", "own"]


@pytest.mark.parametrize("name", ["-patiant", "-nothing"])
def test_switching_off_what_is_not_shipped_is_a_typo(name: str) -> None:
    with pytest.raises(RegistrationError, match=f"switches off {name[1:]}, but what is shipped is .*patient"):
        load_parts(enabled=[name], installed=nothing)


def test_a_plugin_that_is_not_installed_is_a_typo_and_says_what_there_is() -> None:
    with pytest.raises(RegistrationError, match="names nothing_such, but what is installed is nothing"):
        load_parts(enabled=["nothing_such"], installed=nothing)
    with pytest.raises(RegistrationError, match="names nothing_such, but what is installed is growth"):
        load_parts(enabled=["nothing_such"], installed=offered(growth="a:b"))


def test_an_installed_plugin_takes_part_only_when_it_is_enabled(monkeypatch: pytest.MonkeyPatch) -> None:
    module = type(sys)("growth_package")
    module.rules = Rules("growth")  # type: ignore[attr-defined]
    module.handlers = Handlers("growth")  # type: ignore[attr-defined]
    module.rubbish = 7  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "growth_package", module)
    here = offered(growth="growth_package:rules", broken="growth_package:nothing", rubbish="growth_package:rubbish")
    assert "growth" not in [source.name for source in load_parts(installed=here).sources]
    found = load_parts(enabled=["growth"], installed=here).sources[-1]
    assert (found.name, found.origin, found.place) == ("growth", "package", "growth_package:rules")
    with pytest.raises(RegistrationError, match="growth_package:nothing cannot be loaded"):
        load_parts(enabled=["broken"], installed=here)
    with pytest.raises(RegistrationError, match="growth_package:rubbish is neither Handlers nor Rules"):
        load_parts(enabled=["rubbish"], installed=here)


def test_two_packages_that_offer_one_name_are_an_error() -> None:
    def twice(group: str) -> list[EntryPoint]:
        return [EntryPoint("growth", f"{group}:part", group)]

    with pytest.raises(RegistrationError, match="two installed packages offer 'growth'"):
        load_parts(enabled=["growth"], installed=twice)
