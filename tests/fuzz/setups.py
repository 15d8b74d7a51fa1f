"""The practices whose intake is fuzzed: who owns what, what one peer's settings say, and profiles that ask for everything."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from ophl7.domain.policy import PeerPolicy, Policy
from ophl7.profiles.reading import parse, read
from tests.unit.engine.desk import policy

DEMANDING_PM = """
[fields]
drift = "restore"
blank = "delete"
takes = ["PID-11", "PID-13", "AL1", "IN1"]
[schedule]
writeback = ["roomed", "seen"]
forward_blocks = true
progress_events = { "ADT^A04" = "arrived", "ADT^A03" = "checked_out", "ADT^A11" = "booked" }
[charges]
corrections = "replace"
payments = "forward"
supply_ids = true
negative_voids = true
oldest_days = 30
service_date = "hold"
[merges]
forward = true
[outbound]
version = "2.3"
sending_application = "HUB"
[maps.provider]
fields = ["AIP-3", "PV1-7"]
codes = { D1 = "101" }
[maps.plan]
fields = ["IN1-3"]
codes = { "77" = "P77" }
"""
DEMANDING_EMR = """
[messages]
strict = true
ignore_events = ["ORU^R01"]
[ids]
keys = ["PID-3", "PID-2", "PID-4"]
ours = ["PID-4"]
[fields]
drift = "restore"
blank_deletes = ["PID-11"]
[charges]
corrections = "update"
update_code = "UP"
update = ["UP"]
[maps.procedure]
fields = ["FT1-7"]
codes = { "99213" = "99213", "90460" = "" }
[maps.provider]
fields = ["FT1-20", "AIP-3"]
codes = { D1 = "7" }
[superbill]
events = ["DFT^P11"]
"""


def _peers(pm: PeerPolicy, emr: PeerPolicy | None = None, **changed: Any) -> Policy:  # noqa: ANN401 - any field of Policy
    return policy(peers={"pm": pm, "emr": emr or PeerPolicy("EMR")}, **changed)


@lru_cache(maxsize=1)
def policies() -> Sequence[Policy]:
    """The set-ups of decisions 1, then what one peer's settings and profiles change."""
    owners: Any = {"patient_authority": "emr", "schedule_authority": "emr"}

    demanding = parse(DEMANDING_PM, "pm", "demanding PM"), parse(DEMANDING_EMR, "emr", "demanding EMR")
    return (
        policy(),
        policy(**owners),
        policy(schedule_authority="emr"),
        _peers(PeerPolicy("PM", ack_mode="accept"), PeerPolicy("EMR", ack_mode="none")),
        _peers(PeerPolicy("PM", weak_control_ids=True), PeerPolicy("EMR", weak_control_ids=True)),
        _peers(PeerPolicy("PM", encoding="ISO IR87"), PeerPolicy("EMR", encoding="8859/1")),
        _peers(PeerPolicy("PM", profile=read("nextgen")), PeerPolicy("EMR", profile=read("ecw"))),
        _peers(PeerPolicy("PM", profile=read("centricity")), PeerPolicy("EMR", profile=read("epic"))),
        _peers(PeerPolicy("PM", profile=demanding[0]), PeerPolicy("EMR", profile=demanding[1])),
        _peers(PeerPolicy("PM", profile=demanding[0]), PeerPolicy("EMR", profile=demanding[1]), **owners),
    )
