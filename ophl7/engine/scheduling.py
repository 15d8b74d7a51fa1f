"""Turns what a message says of the schedule into rows: appointments with every step of theirs (decisions 4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ophl7.domain.appointment import (
    Appointment,
    Progress,
    Status,
    resources_after,
    starts_at,
    status_after,
    status_raw_after,
)
from ophl7.domain.changes import SetAppointment, SetProgress
from ophl7.domain.identifiers import subject_of_block
from ophl7.domain.patient import Patient, Side
from ophl7.domain.policy import Policy
from ophl7.engine.ruling import Ruling
from ophl7.engine.storage import JournalUpdate
from ophl7.engine.unit_of_work import UnitOfWork

_OF_THE_SCHEDULE = frozenset({SetAppointment, SetProgress})


class ScheduleEffects:
    """Applies one message's changes of appointments."""

    def __init__(
        self, uow: UnitOfWork, policy: Policy, number: int, peer: Side, at: float, said_at: Callable[[], float]
    ) -> None:
        """number: the message's journal id; at: when it is decided; said_at: when it says that it happened."""
        self._uow = uow
        self._policy = policy
        self._number = number
        self._peer = peer
        self._at = at
        self._said_at = said_at

    def apply(self, ruling: Ruling, patient: Patient | None, mark: str | None) -> None:
        """All that the ruling takes of them. mark: the watermark that they have afterwards, None: as before."""
        if ruling.kinds.isdisjoint(_OF_THE_SCHEDULE):
            return
        for judged in ruling.judged:
            if judged.applies and isinstance(judged.change, SetAppointment | SetProgress):
                self._schedule(judged.change, patient, mark)

    def _schedule(self, change: SetAppointment | SetProgress, patient: Patient | None, mark: str | None) -> None:
        known = change.known
        marks: dict[Side, str | None] = {side: known.mark_of(side) if known is not None else None for side in ("pm", "emr")}
        if mark is not None:
            marks[self._peer] = mark
        if isinstance(change, SetAppointment):
            self._booking(change, known, patient, marks)
            return
        self._uow.save_appointment(
            replace(
                change.known,
                status=change.status,
                status_raw=change.raw,
                progress=self._progress(known, change.status),
                message=self._number,
                mark_pm=marks["pm"],
                mark_emr=marks["emr"],
            )
        )

    def _progress(self, known: Appointment | None, status: Status) -> tuple[Progress, ...]:
        """Every step is kept, backwards ones too (#34)."""
        if known is not None and known.status == status:
            return known.progress
        step = Progress(status, self._said_at(), self._number)
        return (step,) if known is None else (*known.progress, step)

    def _booking(
        self,
        change: SetAppointment,
        known: Appointment | None,
        patient: Patient | None,
        marks: Mapping[Side, str | None],
    ) -> None:
        said = change.booking
        if change.whole:
            self._supersede(f"resources:{said.reference}")
        number = known.id if known is not None else self._uow.ids.next("appointment")
        status = status_after(known, said, change.default_status)
        start = said.start or (known.start if known is not None else "")
        subject, whose = subject_of_block(change.origin, said.reference), None
        if patient is not None:
            subject, whose = patient.subject, patient.id
        elif known is not None and known.patient is not None:
            subject, whose = known.subject, known.patient  # a SIU without PID says nothing of whom it is about (P5)
        self._uow.save_appointment(
            Appointment(
                id=number,
                origin=change.origin,
                filler=said.filler or (known.filler if known is not None else ""),
                placer=said.placer or (known.placer if known is not None else ""),
                subject=subject,
                patient=whose,
                start=start,
                starts_at=starts_at(start, self._policy.zone),
                duration=said.duration or (known.duration if known is not None else ""),
                status=status,
                status_raw=status_raw_after(known, said),
                resources=resources_after(known.resources if known is not None else (), said),
                progress=self._progress(known, status),
                message=self._number,
                mark_pm=marks["pm"],
                mark_emr=marks["emr"],
            )
        )

    def _supersede(self, scope: str) -> None:
        """What waited for all resources of an appointment is over: this message has said them, and all else, later (#24)."""
        for row in self._uow.blocking(scope):
            if row.message < self._number:
                self._uow.close_hold(row, self._at, "released")
                if not self._uow.holds_of(row.message):
                    reason = f"message {self._number} has said the whole appointment since"
                    self._uow.rows.updates.append(JournalUpdate(row.message, "ignored", None, "#24", reason, None))
