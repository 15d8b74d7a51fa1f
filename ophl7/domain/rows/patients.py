"""Patients: who may create, change and delete them, and when a person is asked (decisions 3)."""

from __future__ import annotations

from ophl7.domain.rows.row import DecisionRow

ROWS = (
    DecisionRow(
        "#1", "patients", "pm", "a registration (A01, A04, A05, A28) of somebody unknown",
        pm="the patient is created", emr="refused: the EMR creates patients", ack="AA / AE",
        plain="The practice management registered somebody new; only the system that owns the patients creates them.",
    ),
    DecisionRow(
        "#2", "patients", "pm", "a registration of a known patient",
        pm="taken as an update (#4)", emr="taken as an update of the other side (#5)", ack="AA",
        plain="The practice management registered somebody who was known already, so it was taken as an update.",
    ),
    DecisionRow(
        "#3", "patients", "pm", "an update (A08, A31) of somebody unknown",
        pm="the patient is created if id, name, birth date and sex are said; else it waits for the registration",
        emr="waits until the EMR announces the patient", ack="AA",
        plain="The practice management updated somebody who was not known: the patient is created when enough was said by the "
        "system that owns the patients, and otherwise the update waits for the registration.",
    ),
    DecisionRow(
        "#4", "patients", "owner", "an update of a known patient",
        pm="the PM's fields are taken, the EMR's stay as they are", emr="the EMR's fields are taken, the PM's stay as they are",
        ack="AA",
        plain="The system that owns the patients changed its fields of the patient; those of the other system stayed.",
    ),
    DecisionRow(
        "#5", "patients", "other", "an update of a known patient",
        pm="only the EMR's own fields are taken, the rest is listed as drift; no change at all: ignored",
        emr="only the PM's own fields are taken, the rest is listed as drift; no change at all: ignored", ack="AA W",
        plain="The other system may change its own fields of a patient only; whatever else it said was left out and listed.",
    ),
    DecisionRow(
        "#6", "patients", "emr", "a registration or an update of somebody unknown",
        pm="refused: the PM creates patients", emr="the patient is created", ack="AE / AA",
        plain="The EMR named somebody who was not known; only the system that owns the patients creates them.",
    ),
    DecisionRow(
        "#7", "patients", "owner", "another birth date and another given name or sex at once",
        pm="waits for a person", emr="the same", ack="AA",
        plain="Birth date and given name or sex have changed at once, which looks like another child's data on this chart: "
        "somebody has to look.",
    ),
    DecisionRow(
        "#8", "patients", "any", "an id that the sender's own side has merged away",
        pm="kept on the old chart and not passed on, listed; a registration waits for a person", emr="the same", ack="AA W",
        plain="The chart was merged away before, so the message was kept on the old chart and not passed on; a registration "
        "on it waits for a person.",
    ),
    DecisionRow(
        "#9", "patients", "owner", "an inactive chart that was not merged",
        pm="a registration or a booking uses it again; an update leaves it inactive", emr="the same", ack="AA W",
        plain="The chart was inactive and is in use again.",
    ),
    DecisionRow(
        "#10", "patients", "any", "ids of different patients in one message",
        pm="waits for a person", emr="the same", ack="AA",
        plain="The ids in the message belong to different patients: somebody has to say who is meant.",
    ),
    DecisionRow(
        "#11", "patients", "any", "id, name, birth date or sex is to be deleted",
        pm="waits for a person", emr="the same", ack="AA",
        plain="The message would have emptied the id, name, birth date or sex of a patient: somebody has to look.",
    ),
    DecisionRow(
        "#12", "patients", "owner", "delete a patient (A29)",
        pm="the chart becomes inactive if nothing is open, else it waits; nobody is ever removed", emr="the same", ack="AA",
        plain="The chart was to be deleted: it becomes inactive once nothing is open about the patient, and is never removed.",
    ),
    DecisionRow(
        "#13", "patients", "other", "delete a patient (A29)",
        pm="refused", emr="refused", ack="AE",
        plain="Only the system that owns the patients may delete one, so this was refused.",
    ),
    DecisionRow(
        "#14", "patients", "any", "link or unlink two ids (A24, A37)",
        pm="noted, no effect", emr="the same", ack="AA",
        plain="Two charts were linked or unlinked, which is no merge: it was noted and has changed nothing.",
    ),
    DecisionRow(
        "#15", "patients", "any", "no id by which the patient could be found",
        pm="refused", emr="refused", ack="AE",
        plain="The message named no patient that could be found by an id, so it was refused.",
    ),
    DecisionRow(
        "#16", "patients", "any", "a known id under another birth date and another name",
        pm="waits for a person", emr="the same", ack="AA",
        plain="Birth date and name both contradicted the patient of that id, so it may be about somebody else: somebody has "
        "to look.",
    ),
    DecisionRow(
        "#17", "patients", "owner", "a visit is deleted or cancelled (A11, A23, A38)",
        pm="that visit only; the patient is untouched", emr="the same", ack="AA",
        plain="A visit was undone; the patient was not touched.",
    ),
    DecisionRow(
        "#18", "patients", "any", "any other event about a visit",
        pm="what it says of the patient counts as an update, the visit is noted", emr="the same", ack="AA",
        plain="What the message said of the patient was taken as an update, and the visit was noted.",
    ),
)  # fmt: skip
