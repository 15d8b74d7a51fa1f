"""A profile is read as a whole or refused with file, key and reason."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from ophl7 import settings
from ophl7.domain.profile import GENERIC, Profile
from ophl7.errors import SettingsError
from ophl7.practice import policy_from
from ophl7.profiles.reading import parse, read, shipped


def test_the_file_of_the_generic_profile_says_what_is_used_when_none_is_named() -> None:
    content = (files("ophl7.profiles") / "generic.toml").read_text("utf-8")
    assert parse(content, "generic", "generic") == GENERIC == read("generic")


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_profile_can_be_used_and_promises_no_verification(name: str) -> None:
    profile = read(name)
    assert profile.name == name
    assert not profile.about.verified
    assert name == "generic" or profile.about.source


def test_what_a_file_leaves_out_is_as_in_generic(tmp_path: Path) -> None:
    file = tmp_path / "ours.toml"
    file.write_text('[schedule]\nstatus_from = ["SCH-6"]\n[schedule.status_codes]\nCI = "checked_in"\n', encoding="utf-8")
    profile = read(str(file))
    assert profile.name == "ours"
    assert profile.schedule.status_codes == {"CI": "checked_in"}
    assert (profile.charges, profile.ids, profile.outbound) == (GENERIC.charges, GENERIC.ids, GENERIC.outbound)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[schedule]\nstatus_form = ["SCH-6"]', "schedule.status_form: there is no such key"),
        ('[schedule]\nstatus_from = ["SCH-9"]', "'SCH-9' holds no status"),
        ('[schedule.status_codes]\nCI = "chekked"', "schedule.status_codes.CI: Input should be 'pending'"),
        ('[schedule.progress_events]\nA04 = "arrived"', "'A04' is not an event"),
        ('[schedule]\nvisit = "PV1"', "visit: 'PV1' is no HL7 path"),
        ('[charges]\noldest_days = "x"', "charges.oldest_days"),
        ("[charges]\noldest_days = -1", "oldest_days: write a number of days"),
        ('[charges]\nnew = ["CD"]', "one code has one meaning"),
        ('[charges]\nnew = ["cd"]', "one code has one meaning"),
        ('[charges]\ncorrections = "update"', "needs the code that the receiver reads as an update"),
        ('[charges]\namount = ["FT1-6"]', "amount: 'FT1-6' is none of"),
        ('[charges]\ndrug_code = "NTE"', "drug_code: 'NTE' is no field of FT1"),
        ("[ids]\nkeys = []", "at least one field must hold the key id"),
        ('[ids]\nours = ["MRG-1"]', "'MRG-1' is no field of PID"),
        ('[fields.owners]\n"OBX" = "pm"', "'OBX' is no field of PID"),
        ('[fields.owners]\n"PID-11" = "both"', "fields.owners.PID-11: Input should be 'pm', 'emr' or 'shared'"),
        ('[outbound]\nversion = "3.0"', "'3.0' is not 2.1 to 2.9"),
        ("[maps.provider]\nfields = []", "say where the codes of this table stand"),
        ('[maps.Provider]\nfields = ["FT1-20"]', "is no name of a table"),
        ('[maps.a]\nfields = ["FT1-20"]\n[maps.b]\nfields = ["FT1-20"]', "a field has one table"),
        ('[maps.ids]\nfields = ["PID-3"]', "'PID-3' is never mapped"),
        ('[superbill]\nuser_field = "x"', "user_field"),
        ('[maps.ids]\nfields = ["PID-4.1"]', "'PID-4.1' is never mapped"),
        ('[outbound]\nreceiving_facility = "A|B"', "receiving_facility: 'A|B' would break MSH"),
        ("[messages]\nstrict = true", "refuses other names than the link's"),
        ("[messages", "is no TOML"),
    ],
)
def test_a_bad_file_stops_the_start_with_setting_file_key_and_reason(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError) as failed:
        settings.load({"OPHL7_PM_PROFILE": str(file)})
    told = str(failed.value)
    strict = "strict = true" in content  # what is wrong is then the names that are missing
    assert ("OPHL7_PM_NAMES" if strict else "OPHL7_PM_PROFILE") in told
    assert ("bad" if strict else str(file)) in told
    assert said in told


@pytest.mark.parametrize("text", ["pcx", "missing.toml"])
def test_a_name_that_is_none_says_which_there_are(text: str) -> None:
    with pytest.raises(SettingsError, match=r"generic|cannot be read"):
        settings.load({"OPHL7_EMR_PROFILE": text})


def test_quirks_of_a_profile_and_settings_add_up(tmp_path: Path) -> None:
    file = tmp_path / "weak.toml"
    file.write_text('[messages]\ncontrol_id = "weak"\nignore_events = ["ADT^A60"]\n', encoding="utf-8")
    policy = policy_from(settings.load({"OPHL7_EMR_PROFILE": str(file), "OPHL7_EMR_IGNORE_EVENTS": "ORU^R01"}))
    assert policy.peers["emr"].weak_control_ids
    assert policy.peers["emr"].ignore_events == {"ADT^A60", "ORU^R01"}
    assert policy.peers["pm"].profile == Profile()
    assert not policy.peers["pm"].weak_control_ids


def test_a_strict_profile_with_names_starts(tmp_path: Path) -> None:
    file = tmp_path / "strict.toml"
    file.write_text("[messages]\nstrict = true\n", encoding="utf-8")
    loaded = settings.load({"OPHL7_PM_PROFILE": str(file), "OPHL7_PM_NAMES": "PM|DESK"})
    assert loaded.pm.profile.messages.strict
    with pytest.raises(SettingsError, match="OPHL7_EMR_NAMES"):
        settings.load({"OPHL7_PM_PROFILE": str(file), "OPHL7_PM_NAMES": "PM", "OPHL7_EMR_PROFILE": str(file)})


def test_codes_of_other_fields_of_a_patient_may_be_mapped() -> None:
    assert parse('[maps.race]\nfields = ["PID-10", "PID-22.1"]', "x", "x").maps["race"].codes == {}
