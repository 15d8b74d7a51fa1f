"""What the settings say of alarms, as the rooms that ring take it."""

from __future__ import annotations

from ophl7.domain.office_hours import OfficeHours
from ophl7.feeds import Limits
from ophl7.links import SIDES
from ophl7.observe.logs import Log
from ophl7.observe.webhook import Webhook
from ophl7.settings import Settings


def hours_of(settings: Settings) -> OfficeHours:
    """When somebody is there."""
    return OfficeHours(settings.timezone, settings.office_hours, settings.closed_days)


def limits_of(settings: Settings) -> Limits:
    """From when on something is too quiet, too old or too much."""
    return Limits({side: settings.peer(side).silence for side in SIDES}, settings.queue_age, settings.queue_depth)


def webhook_of(settings: Settings, log: Log) -> Webhook | None:
    """Where alarms are posted to, if anywhere."""
    if settings.alarm_webhook is None:
        return None
    key = settings.alarm_webhook_key
    return Webhook(settings.alarm_webhook.get_secret_value(), key.get_secret_value() if key is not None else None, log)
