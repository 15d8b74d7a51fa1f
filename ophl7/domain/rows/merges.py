"""Merges: each side merges its own charts and says so (decisions 6)."""

from __future__ import annotations

from ophl7.domain.rows.row import DecisionRow

ROWS = (
    DecisionRow(
        "#60", "merges", "any", "a merge of two known charts",
        pm="in the sender's own map; a task for the other side", emr="the same", ack="AA",
        plain="Two charts were merged there; the other system keeps both until its own staff merge them too.",
    ),
    DecisionRow(
        "#61", "merges", "any", "the other side merges the same pair",
        pm="both sides agree, the task is closed", emr="the same", ack="AA",
        plain="Both systems have merged the two charts now.",
    ),
    DecisionRow(
        "#62", "merges", "any", "the other side merges them the other way round",
        pm="a conflict and a task", emr="the same", ack="AA W",
        plain="The two systems have merged the charts in opposite directions: somebody has to settle it.",
    ),
    DecisionRow(
        "#63", "merges", "any", "the same merge again",
        pm="ignored", emr="the same", ack="AA",
        plain="This merge was known already, so nothing has changed.",
    ),
    DecisionRow(
        "#64", "merges", "any", "the chart that goes away is unknown",
        pm="the redirect is kept; late messages follow it", emr="the same", ack="AA W",
        plain="The chart that goes away was not known; whatever still comes for it goes to the one that stays.",
    ),
    DecisionRow(
        "#65", "merges", "any", "the chart that stays is unknown",
        pm="waits for its registration", emr="the same", ack="AA",
        plain="The chart that stays was not known yet, so the merge waits for its registration.",
    ),
    DecisionRow(
        "#66", "merges", "any", "merged elsewhere already, or round in a circle",
        pm="waits for a person", emr="the same", ack="AA",
        plain="This chart was merged differently before: somebody has to look.",
    ),
    DecisionRow(
        "#67", "merges", "any", "both ids are the same",
        pm="refused", emr="refused", ack="AE",
        plain="The merge named the same chart twice, so it was refused.",
    ),
    DecisionRow(
        "#68", "merges", "any", "the id that goes away is missing",
        pm="refused", emr="refused", ack="AE",
        plain="The merge did not say which chart goes away, so it was refused.",
    ),
    DecisionRow(
        "#69", "merges", "any", "an account merge (A35, A41)",
        pm="the patient's account is the new one", emr="the same", ack="AA",
        plain="An account was merged; the patient has the new one.",
    ),
    DecisionRow(
        "#70", "merges", "any", "moves, and merges of visits (A42 to A45, A49 to A51)",
        pm="waits for a person, who does it by hand", emr="the same", ack="AA",
        plain="Visits or accounts were moved or merged, which has to be done by hand in the other system.",
    ),
    DecisionRow(
        "#72", "merges", "any", "an id was changed (A46, A47)",
        pm="both ids are the same patient's", emr="the same", ack="AA",
        plain="The patient got another id; the old one still finds the same chart.",
    ),
    DecisionRow(
        "#73", "merges", "person", "a merge is undone",
        pm="the redirect is removed; what was processed meanwhile is listed", emr="the same", ack="-",
        plain="Somebody undid the merge; what had come in meanwhile was listed.",
    ),
    DecisionRow(
        "#74", "merges", "any", "birth date or sex of the two differ",
        pm="merged, with a warning and a task", emr="the same", ack="AA W",
        plain="The merged charts have another birth date or sex: somebody has to see whether they are really one child.",
    ),
)  # fmt: skip
