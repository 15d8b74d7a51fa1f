"""Charges: from the EMR in every set-up, whole or not at all, and never lost (decisions 5)."""

from __future__ import annotations

from ophl7.domain.rows.row import DecisionRow

ROWS = (
    DecisionRow(
        "#40", "charges", "emr", "complete charges of a known patient",
        pm="to the PM at once", emr="the same", ack="AA",
        plain="The charges were complete and went to the practice management.",
    ),
    DecisionRow(
        "#41", "charges", "emr", "incomplete: no charge, no patient id, a bad date or number, no type, no procedure",
        pm="refused, kept and listed", emr="the same", ack="AE",
        plain="Something that billing needs was missing or wrong, so the charges were refused; they have to be "
        "corrected in the EMR.",
    ),
    DecisionRow(
        "#42", "charges", "emr", "one charge of several needs a map or a person",
        pm="all of them wait, with all reasons", emr="the same", ack="AA",
        plain="One of the charges cannot go on yet, so all of the message wait together.",
    ),
    DecisionRow(
        "#43", "charges", "emr", "a patient who is not known",
        pm="waits for the registration", emr="the same", ack="AA",
        plain="The patient was not registered yet, so the charges wait and go on with the registration.",
    ),
    DecisionRow(
        "#44", "charges", "emr", "a chart that the PM has merged away",
        pm="to the PM under the chart that stays", emr="the same", ack="AA W02",
        plain="The practice management has merged the chart, so the charges went to the chart that stays.",
    ),
    DecisionRow(
        "#45", "charges", "emr", "an inactive chart that was not merged",
        pm="what was done before that day goes on; later charges wait", emr="the same", ack="AA W",
        plain="The chart is inactive: what was done before that day has gone on, and anything later waits until the chart is "
        "in use again.",
    ),
    DecisionRow(
        "#46", "charges", "emr", "a code that the profile's table does not have",
        pm="waits until somebody maps it", emr="the same", ack="AA",
        plain="The charges have a code that nobody has mapped yet, so they wait for that.",
    ),
    DecisionRow(
        "#47", "charges", "emr", "an unknown visit number",
        pm="to the PM with a warning", emr="the same", ack="AA W",
        plain="The visit of these charges was not known; they went on all the same.",
    ),
    DecisionRow(
        "#48", "charges", "emr", "a charge that is known, with the same content",
        pm="ignored", emr="the same", ack="AA",
        plain="The same charge had come before, so it was not sent a second time.",
    ),
    DecisionRow(
        "#49", "charges", "emr", "a charge that is known, with another content",
        pm="waits for a biller, or replaces the first one where the profile says how", emr="the same", ack="AA",
        plain="A charge with this number had come before with another content: it is replaced where the practice has said how, "
        "and otherwise waits for a biller.",
    ),
    DecisionRow(
        "#50", "charges", "emr", "a known charge is taken back",
        pm="to the PM strictly after the answer to the charge", emr="the same", ack="AA",
        plain="A charge was taken back; that goes on only after the practice management has answered the charge itself.",
    ),
    DecisionRow(
        "#51", "charges", "emr", "an unknown charge is taken back",
        pm="waits for the charge", emr="the same", ack="AA",
        plain="A charge was taken back that had not come yet, so this waits for it.",
    ),
    DecisionRow(
        "#52", "charges", "emr", "a payment or an adjustment",
        pm="waits for a biller unless the profile allows it", emr="the same", ack="AA",
        plain="Payments and adjustments are a biller's: it waits, unless the practice has allowed them.",
    ),
    DecisionRow(
        "#53", "charges", "emr", "zero amounts, equal lines, several drug codes",
        pm="as it is: nothing is left out as superfluous", emr="the same", ack="AA",
        plain="The charges went on line by line, as they were entered.",
    ),
    DecisionRow(
        "#54", "charges", "emr", "a service in the future, or older than the profile's limit",
        pm="to the PM with a warning, or waits where the profile says so", emr="the same", ack="AA W",
        plain="The day of the service is in the future or long past; it went on with a warning, or waits where the practice "
        "has said so.",
    ),
    DecisionRow(
        "#55", "charges", "pm", "charges from the PM",
        pm="refused", emr="refused", ack="AR",
        plain="Charges come from the EMR only, so this was refused.",
    ),
    DecisionRow(
        "#56", "charges", "any", "a claim or a superbill (BAR, EHC)",
        pm="refused", emr="refused", ack="AR",
        plain="Claims and superbills are made in the practice management only, so this was refused.",
    ),
    DecisionRow(
        "#57", "charges", "emr", "charges without usable numbers, for the same visit and day again",
        pm="waits for a biller: a possible repeat", emr="the same", ack="AA",
        plain="The same charges may have come before, but they have no numbers to tell: a biller has to look.",
    ),
)  # fmt: skip
