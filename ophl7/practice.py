"""The practice's set-up: settings, as the rules need them."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ophl7.domain.ownership import contradictions
from ophl7.domain.policy import PeerPolicy, Policy
from ophl7.errors import SettingsError
from ophl7.settings import PeerSettings, Settings


def policy_from(settings: Settings) -> Policy:
    """The practice's set-up, as the rules need it. Raises SettingsError where the two profiles contradict each other."""
    _agree(settings)

    def peer(one: PeerSettings) -> PeerPolicy:
        quirks = one.profile.messages
        return PeerPolicy(
            one.authority,
            one.encoding,
            weak_control_ids="weak" in (one.control_id, quirks.control_id),
            ignore_events=one.ignore_events | quirks.ignore_events,
            ack_mode=one.ack_mode,
            names=one.names,
            profile=one.profile,
        )

    wanted = settings.processing_id
    return Policy(
        patient_authority=settings.patient_authority,
        schedule_authority=settings.schedule_authority,
        zone=settings.timezone,
        peers={"pm": peer(settings.pm), "emr": peer(settings.emr)},
        foreign_fields=settings.foreign_fields,
        processing_ids=None if wanted == "any" else wanted,
        learn_until=_end_of(settings.learn_until, settings.timezone),
    )


def _agree(settings: Settings) -> None:
    """A field has one owner, whichever profile says so (decisions 9)."""
    pm, emr = settings.pm.profile, settings.emr.profile
    raise_for = [
        f"OPHL7_PM_PROFILE, OPHL7_EMR_PROFILE: {path} belongs to {pm.fields.owners[path]} in {pm.origin or pm.name} and to "
        f"{emr.fields.owners[path]} in {emr.origin or emr.name}; say the same in both, or in one of them only"
        for path in contradictions(pm.fields.owners, emr.fields.owners)
    ]
    if raise_for:
        raise SettingsError(raise_for)


def _end_of(day: date | None, zone: ZoneInfo) -> float:
    """The midnight after that day in the practice's zone, in seconds since the epoch; 0 for no day."""
    return 0.0 if day is None else datetime.combine(day + timedelta(days=1), time(), zone).timestamp()
