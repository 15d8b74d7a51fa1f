"""The words in which people read what the database holds as codes. No patient data."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PEERS = {"pm": "the practice management", "emr": "the EMR"}

STATES = {
    "accepted": "Accepted",
    "rejected": "Refused: its sender must act",
    "held": "Taken over, but waiting: its effects follow when the condition clears",
    "ignored": "Taken note of, without any effect",
    "duplicate": "The same message as one before: no second effect",
    "stale": "Came too late: kept, not applied; a person can have it applied",
    "error": "Could not be read: kept aside for a person",
}

DELIVERIES = {
    "queued": "waits to be sent",
    "sending": "is being sent",
    "accepted": "was accepted",
    "held": "was refused: the patient is not known there; it waits",
    "unknown": "was sent, but no answer came: a person must decide",
    "parked": "was refused: it is parked until a person acts",
    "rejected": "was closed by a person",
    "skipped": "was skipped by a person",
}

# What was done, besides a patient's fields: kinds of change (domain.changes).
CHANGES: Mapping[str, str] = MappingProxyType(
    {
        "patient.create": "A chart was made for the patient",
        "patient.link": "Another id of the patient was learned",
        "patient.confirm": "The patient's provisional chart was confirmed",
        "patient.active": "The chart was put into or out of use",
        "patient.merge": "The charts are one from now on, on the sender's side",
        "appointment.set": "The appointment stands in the schedule as this message says",
    }
)

# Kinds of hold (decisions 11).
_WAITING: Mapping[str, str] = MappingProxyType(
    {
        "patient": "the patient's registration",
        "target": "the registration of the chart that stays",
        "charge": "another charge",
        "mapping": "a code to be mapped",
        "identity": "somebody to say who is meant",
        "demographics": "somebody to look at the chart",
        "fields": "somebody to look at the fields",
        "appointment": "somebody to look at the appointment",
        "merge": "somebody to look at the merge",
        "delete": "what is still open about the patient",
        "retired": "somebody to look at the chart that was merged away",
        "handler": "a part of the broker to be mended",
        "unwritable": "a value that fits the message's characters",
        "refused": "somebody to have it corrected by its sender",
        "repeat": "a biller to say whether it is a repetition",
    }
)

_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "PID-2": "other id",
        "PID-3": "ids",
        "PID-4": "alternate ids",
        "PID-5": "name",
        "PID-6": "mother's maiden name",
        "PID-7": "birth date",
        "PID-8": "sex",
        "PID-9": "other names",
        "PID-10": "race",
        "PID-11": "address",
        "PID-13": "home phone",
        "PID-14": "business phone",
        "PID-15": "language",
        "PID-16": "marital status",
        "PID-17": "religion",
        "PID-18": "account",
        "PID-19": "social security number",
        "PID-22": "ethnic group",
        "PID-29": "date of death",
        "PID-30": "death indicator",
        "PD1": "further demographics",
        "NK1": "contacts and next of kin",
        "GT1": "guarantor",
        "IN1": "insurance",
        "IN2": "insurance, further data",
        "IN3": "insurance, certification",
        "AL1": "allergies",
        "IAM": "allergies",
        "DG1": "diagnoses",
    }
)

# HL7 table 0357, as a receiver means it.
_ANSWERS: Mapping[str, str] = MappingProxyType(
    {
        "100": "a segment is missing or out of order",
        "101": "a field is missing",
        "102": "a field is of the wrong kind",
        "103": "a value is not in its table",
        "200": "it does not take this type of message",
        "201": "it does not take this event",
        "202": "it does not take this processing id",
        "203": "it does not take this version",
        "204": "it does not know this id",
        "205": "it has this id already",
        "206": "the record is open at somebody's desk there",
        "207": "a fault of its own",
    }
)


def waits_for(kind: str) -> str:
    """What a hold of this kind waits for."""
    return _WAITING.get(kind, "somebody to look at it")


def field_name(path: str) -> str:
    """`address (PID-11)`; the path alone where it has no common name."""
    name = _FIELDS.get(path)
    return f"{name} ({path})" if name is not None else path


def answered(answer: str) -> str:
    """A peer's answer as it is kept (`AE 204`), with what it means."""
    words = next((_ANSWERS[part] for part in answer.split() if part in _ANSWERS), "")
    return f"{answer} ({words})" if words else answer
