"""The schedule: bookings, their changes, progress and what happens to blocks (decisions 4)."""

from __future__ import annotations

from ophl7.domain.rows.row import DecisionRow

ROWS = (
    DecisionRow(
        "#20", "schedule", "owner", "book, move or change (S12, S13, S14, S27)",
        pm="the appointment is as the PM says", emr="the appointment is as the EMR says", ack="AA",
        plain="The appointment was booked or changed by the system that owns the schedule.",
    ),
    DecisionRow(
        "#21", "schedule", "owner", "cancel, discontinue or delete (S15, S16, S17)",
        pm="cancelled, discontinued or entered in error; the row stays", emr="the same", ack="AA",
        plain="The appointment was cancelled or deleted; it stays on record.",
    ),
    DecisionRow(
        "#22", "schedule", "owner", "the patient did not come (S26)",
        pm="the appointment is a no-show", emr="the same", ack="AA",
        plain="The patient did not come; the appointment was marked so.",
    ),
    DecisionRow(
        "#23", "schedule", "owner", "progress told by a visit message (A03, A04, A09, A10, A11)",
        pm="the appointment's status only, where the profile wants it and the visit number is known; else #18",
        emr="the same", ack="AA",
        plain="The visit told how far the appointment is, and its status was changed.",
    ),
    DecisionRow(
        "#24", "schedule", "owner", "a change of resources (S18 to S22)",
        pm="taken as a change when all resources are said, else it waits", emr="the same", ack="AA",
        plain="Rooms or people of the appointment have changed; without the whole list the message waits for it.",
    ),
    DecisionRow(
        "#25", "schedule", "owner", "time is blocked (S23, S24, or no patient named)",
        pm="a block that is about no patient", emr="the same", ack="AA",
        plain="Time was blocked or freed in the schedule; no patient is concerned.",
    ),
    DecisionRow(
        "#26", "schedule", "other", "any change of a patient's appointment (S12 to S22, S26, S27)",
        pm="refused: the PM keeps the schedule", emr="refused: the EMR keeps the schedule", ack="AE",
        plain="The schedule is kept by the other system, so the change was refused; the two calendars differ until it is made "
        "there.",
    ),
    DecisionRow(
        "#27", "schedule", "other", "time is blocked, no patient named",
        pm="kept; passed on only where that is wanted", emr="the same", ack="AA",
        plain="The other system blocked time in its own calendar; it was kept here.",
    ),
    DecisionRow(
        "#28", "schedule", "other", "a known appointment is roomed or seen",
        pm="refused unless the profile lets the EMR write progress back", emr="refused unless the profile lets the PM",
        ack="AE or AA",
        plain="The other system told how far the appointment is; it is taken only where the practice has allowed that.",
    ),
    DecisionRow(
        "#29", "schedule", "other", "a request for an appointment (SRM)",
        pm="refused", emr="refused", ack="AR",
        plain="Requests for appointments are not taken here, so this was refused.",
    ),
    DecisionRow(
        "#30", "schedule", "owner", "an appointment of somebody unknown, from the owner of the patients",
        pm="the patient is noted provisionally when enough is said, else it waits for the registration", emr="the same",
        ack="AA",
        plain="The appointment is for somebody who was not registered yet: with id, name, birth date and sex the patient was "
        "noted until the registration comes, and otherwise the booking waits for it.",
    ),
    DecisionRow(
        "#31", "schedule", "owner", "an appointment of somebody unknown, and the other side owns the patients",
        pm="waits for the registration", emr="the same", ack="AA",
        plain="The appointment is for somebody who is not registered yet, so it waits for the registration.",
    ),
    DecisionRow(
        "#32", "schedule", "owner", "an appointment under a chart that was merged away",
        pm="goes on under the id that the receiver uses", emr="the same", ack="AA W02",
        plain="The chart was merged, so the appointment went on under the id that the other system uses.",
    ),
    DecisionRow(
        "#33", "schedule", "owner", "a known appointment under another patient, and no merge explains it",
        pm="waits for a person", emr="the same", ack="AA",
        plain="This appointment belonged to another patient before, and no merge explains that: somebody has to look.",
    ),
    DecisionRow(
        "#34", "schedule", "owner", "the status goes back, later in time",
        pm="taken", emr="the same", ack="AA",
        plain="The appointment's status was set back by the system that owns the schedule.",
    ),
    DecisionRow(
        "#35", "schedule", "owner", "an unknown status code",
        pm="the rest is taken, the status stays, the code is kept", emr="the same", ack="AA W03",
        plain="The appointment's status was said in a code that is not known; everything else was taken and the status stayed.",
    ),
    DecisionRow(
        "#36", "schedule", "owner", "a code that the profile's table does not have",
        pm="taken with the code as it came, and a task to map it", emr="the same", ack="AA W",
        plain="The appointment has a code that nobody has mapped yet; it was taken as it came, and somebody has to map it.",
    ),
    DecisionRow(
        "#37", "schedule", "other", "nothing differs from what is known",
        pm="ignored", emr="ignored", ack="AA",
        plain="The other system said what was known already, so nothing has changed.",
    ),
)  # fmt: skip
