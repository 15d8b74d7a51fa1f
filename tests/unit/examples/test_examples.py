"""The folders under examples/, loaded the way their READMEs tell, and judged with the shipped parts beside them."""

from __future__ import annotations

import shutil
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from ophl7.domain.policy import PeerPolicy
from ophl7.engine.code_entries import Entered
from ophl7.errors import RegistrationError
from ophl7.extend.loading import Loaded, load_parts
from ophl7.profiles.reading import read as read_profile
from tests.packaging.test_doors import faults_of_a_drop_in
from tests.unit.engine.desk import Desk, adt, dft, message, msh, pid, siu

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"
PLUGIN = EXAMPLES / "installable_plugin"


def beside_the_shipped(parts: Loaded) -> Desk:
    return Desk(shipped=False, handlers=parts.handlers, rules=parts.rules)


def copied(folder: Path, tmp_path: Path) -> Path:
    """The folder as a careful operator mounts it: a checkout may be writable by a group, and the loader refuses that."""
    return _closed(Path(shutil.copytree(folder, tmp_path / folder.name, ignore=shutil.ignore_patterns("__pycache__"))))


def _closed(folder: Path) -> Path:
    folder.chmod(0o755)
    return folder


def file(name: str) -> bytes:
    return (EXAMPLES / name).read_bytes().replace(b"\n", b"\r")


def registration() -> bytes:
    return file("tour/1-registration.hl7")


@pytest.fixture
def with_handler(tmp_path: Path) -> Desk:
    return beside_the_shipped(load_parts(handlers_path=[copied(EXAMPLES / "custom_handler/handlers", tmp_path)]))


@pytest.fixture
def with_rule(tmp_path: Path) -> Desk:
    return beside_the_shipped(load_parts(plugins_path=[copied(EXAMPLES / "custom_rule/plugins", tmp_path)]))


async def test_the_custom_handler_keeps_the_allergies_that_the_emr_reports(with_handler: Desk) -> None:
    async with with_handler as desk:
        assert await desk.send("pm", registration()) == ["AA"]
        assert await desk.send("emr", file("custom_handler/allergy.hl7")) == ["AA"]
        (patient,) = desk.memory.patients.values()
        assert "Penicillin" in patient.fields["AL1"]
        assert desk.delivered == ["PM0001"]


async def test_without_the_custom_handler_its_event_is_refused() -> None:
    async with Desk() as desk:
        assert await desk.send("pm", registration()) == ["AA"]
        assert await desk.send("emr", file("custom_handler/allergy.hl7")) == ["AR"]


async def test_the_same_allergies_again_change_nothing(with_handler: Desk) -> None:
    allergy = file("custom_handler/allergy.hl7")
    async with with_handler as desk:
        await desk.send("pm", registration())
        assert await desk.send("emr", allergy, allergy.replace(b"EMR0112", b"EMR0113")) == ["AA", "AA"]
        assert desk.journal("EMR0113").state == "ignored"


async def test_what_the_pm_says_of_allergies_is_left_to_the_shipped_rules(with_handler: Desk) -> None:
    async with with_handler as desk:
        await desk.send("pm", registration())
        assert await desk.send("pm", file("custom_handler/allergy.hl7")) == ["AA"]
        (patient,) = desk.memory.patients.values()
        assert "AL1" not in patient.fields


async def test_allergies_of_somebody_unknown_wait_for_the_registration(with_handler: Desk) -> None:
    async with with_handler as desk:
        assert await desk.send("emr", file("custom_handler/allergy.hl7")) == ["AA"]
        assert desk.states == ["held"]
        await desk.send("pm", registration())
        assert desk.states == ["accepted", "accepted"]


async def test_allergies_of_nobody_are_refused(with_handler: Desk) -> None:
    nobody = message(msh("REF^I12", "N1"), pid(""))
    async with with_handler as desk:
        assert await desk.send("emr", nobody) == ["AE"]


async def test_the_custom_rule_refuses_a_charge_without_a_diagnosis(with_rule: Desk) -> None:
    async with with_rule as desk:
        await desk.send("pm", registration())
        assert await desk.send("emr", file("custom_rule/no-diagnosis.hl7")) == ["AE"]
        assert await desk.send("emr", file("tour/5-charges.hl7")) == ["AA"]


async def test_the_custom_rule_lets_a_credit_pass(with_rule: Desk) -> None:
    original, credit = (f"FT1|1|T-1||20260105||{kind}|99213|||1|125.00||||||||{dx}" for kind, dx in (("CG", "Z23"), ("CD", "")))
    async with with_rule as desk:
        await desk.send("pm", adt("P1"))
        assert await desk.send("emr", dft("C1", original), dft("C2", credit)) == ["AA", "AA"]
        assert desk.journal("C2").state == "accepted"


async def test_without_the_custom_rule_a_charge_needs_no_diagnosis() -> None:
    async with Desk() as desk:
        await desk.send("pm", registration())
        assert await desk.send("emr", file("custom_rule/no-diagnosis.hl7")) == ["AA"]


async def test_the_profile_maps_what_its_tables_know_and_a_new_doctor_waits_to_be_named() -> None:
    profile = read_profile(str(EXAMPLES / "profile/our-emr.toml"))
    async with Desk(peers={"pm": PeerPolicy("PM"), "emr": PeerPolicy("EMR", profile=profile)}) as desk:
        await desk.send("pm", registration())
        known, new = file("profile/charge.hl7"), file("profile/charge-new-doctor.hl7")
        assert await desk.send("emr", known, new) == ["AA", "AA"]
        assert desk.waits_for("EMR0081") == ["mapping:provider:D-9"]
        outcome = await desk.enter("D-9", "103")
        assert isinstance(outcome, Entered)
        assert outcome.released == 1
        for (_, body), sent, old, code in zip(desk.seen.fed[1:], (known, new), (b"D-7", b"D-9"), (b"101", b"103"), strict=True):
            assert body is not None
            expected = sent.replace(old, code).replace(b"|CLINIC|||", b"|11|||")
            assert body.split(b"\r")[1:] == expected.split(b"\r")[1:]


def entry_points(group: str) -> list[EntryPoint]:
    """What an installer would note down for the example package."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text("utf-8"))["project"]
    return [EntryPoint(name, value, group) for name, value in project["entry-points"].get(group, {}).items()]


async def test_the_installed_plugin_warns_of_a_booking_at_night(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PLUGIN / "src")
    parts = load_parts(enabled=["opening_hours"], installed=entry_points)
    assert [(one.name, one.place) for one in parts.sources if one.origin == "package"] == [
        ("opening_hours", "ophl7_opening_hours:rules")
    ]
    async with beside_the_shipped(parts) as desk:
        await desk.send("pm", adt("P1"))
        await desk.send("pm", siu("DAY", "F1", start="20240305090000"), siu("NIGHT", "F2", start="20240306030000"))
        day, night = (desk.journal(name).answer for name in ("DAY", "NIGHT"))
        assert b"opening hours" not in day
        assert b"|W|" in night
        assert b"opening hours" in night


def test_an_installed_plugin_that_is_not_enabled_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PLUGIN / "src")
    assert {one.origin for one in load_parts(installed=entry_points).sources} == {"shipped"}


def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    folder = copied(EXAMPLES / "custom_rule/plugins", tmp_path)
    folder.chmod(0o775)
    with pytest.raises(RegistrationError, match="chmod go-w"):
        load_parts(plugins_path=[folder])


def test_an_empty_folder_is_fine(tmp_path: Path) -> None:
    parts = load_parts(handlers_path=[_closed(tmp_path)], plugins_path=[tmp_path])
    assert {one.origin for one in parts.sources} == {"shipped"}


# Parts that a broker loads; bad_peers is a test that a user runs, with `ophl7.testing`.
PARTS = sorted(path for path in EXAMPLES.rglob("*.py") if path.parent.name != "bad_peers")


@pytest.mark.parametrize("module", PARTS, ids=lambda path: path.name)
def test_the_examples_use_the_door_for_authors_only(module: Path) -> None:
    assert faults_of_a_drop_in(module.read_text("utf-8")) == []
