"""Reads the rows that a batch can touch: a few statements over sets of keys, following references until none is open."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from ophl7.domain.charge import counting
from ophl7.domain.identifiers import Identifier, subject_of
from ophl7.domain.merge import Merge, account_of
from ophl7.domain.patient import Patient, Side
from ophl7.engine.originals import Original, Run
from ophl7.engine.storage import (
    MOST_OF_AFTERMATH,
    Aftermath,
    AftermathKey,
    HeldMessage,
    HoldRow,
    Keys,
    Origin,
    Processed,
    QueuedBytes,
    Restored,
    Seen,
    State,
    claim,
    was_taken,
)
from ophl7.store.rows import appointment_from, known_charge_from, patient_from
from ophl7.store.sqlite_resends import load_resends
from ophl7.store.sqlite_roll_ups import load_roll_ups
from ophl7.store.statements import padded, statements, with_keys

# Keys in one statement; SQLite's own limit is on places (32,766 since 3.32), and a row of keys has up to three.
_CHUNK = 1024


class Loader:
    """Fills a State. Every key that was asked for is in the answer, with None where nothing exists."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def load(self, keys: Keys, *, holds: bool) -> State:
        """holds: whether any hold is open at all; if none is, nobody needs to look."""
        state = State()
        if keys.controls:
            self._controls(keys.controls, state)
        identifiers = keys.identifiers | {(authority, value) for authority, value, _ in (*keys.charges, *keys.sets)}
        identifiers |= {(authority, value) for _, _, authority, value in keys.last if value}
        if identifiers:
            self._aliases(identifiers, state)
        if keys.appointments:
            self._appointments(keys.appointments, state)
        self._patients(state, self._pairs(keys.pairs, state) | self._accounts(keys.accounts, state))
        self._ledger(keys, state)
        if keys.last:
            self._last(keys.last, state)
        if holds and (identifiers or keys.appointments or keys.waiting or keys.blocks):
            self._holds(identifiers, keys, state)
        if holds and keys.appointments_of:
            self._take_holds("open_appointment_holds", keys.appointments_of, state)
        if keys.merges or keys.queued or keys.origins or keys.aftermath:
            self._around_merges(keys, state)
        if keys.open_for:
            self._open_for(keys.open_for, state)
        self._maps(keys.maps, state)
        if keys.held or keys.originals:
            self._stored(keys, state)
        load_roll_ups(self._connection, keys, state)
        load_resends(self._connection, keys, state)
        self._restored(keys.restored, state)
        return state

    def _restored(self, patients: Collection[int], state: State) -> None:
        for number in patients:
            state.restored[number] = ()
        for patient, *sent in self._rows("restored", patients):
            state.restored[patient] += (Restored(*sent),)

    def _around_merges(self, keys: Keys, state: State) -> None:
        if keys.merges:
            self._merges(keys.merges, state)
        if keys.queued:
            self._queued(keys.queued, state)
        if keys.origins:
            for number, message, subject, peer, raw, start, end, body in self._rows("origins", keys.origins):
                state.origins[number] = Origin(message, subject, peer, raw[start:end], body)
            taken_for = self._redirected({one.message for one in state.origins.values()}) if state.origins else {}
            for number, one in state.origins.items():
                state.origins[number] = one._replace(taken_for=taken_for.get(one.message))
        for key in keys.aftermath:
            state.aftermath[key] = self._aftermath(key)

    def _aftermath(self, key: AftermathKey) -> Aftermath:
        def some(name: str, subjects: Collection[int], *more: int) -> list[Sequence[Any]]:
            chosen = padded(sorted(subjects))
            statement = with_keys("sqlite", name, len(chosen))
            return self._connection.execute(statement, [*chosen, *more, MOST_OF_AFTERMATH]).fetchall()

        own = {number for (number,) in some("messages_of", key.subjects)}
        theirs = [appointment_from(row) for row in some("schedule_of", key.others)] if key.others else []
        return Aftermath(
            tuple([Processed(*row) for row in some("processed_since", key.subjects, key.after)]),
            tuple([appointment_from(row) for row in some("schedule_of", key.subjects)]),
            tuple([one for one in theirs if any(step.message in own for step in one.progress)]),
        )

    def _rows(self, name: str, keys: Collection[Any], width: int = 1) -> Iterable[Sequence[Any]]:
        ordered = sorted(keys)
        for begin in range(0, len(ordered), _CHUNK):
            chunk = padded(ordered[begin : begin + _CHUNK])
            values = chunk if width == 1 else [value for key in chunk for value in key]
            yield from self._connection.execute(with_keys("sqlite", name, len(chunk), width), values)

    def _controls(self, keys: Collection[tuple[str, str, bytes]], state: State) -> None:
        found: dict[int, list[tuple[str, str, bytes]]] = {}
        for peer, control_id, digest, number, used in self._rows("seen", keys, 3):
            key = (peer, control_id, digest)
            state.controls[key] = None
            if used:
                state.reused.add((peer, control_id))
            if number is not None:
                found.setdefault(number, []).append(key)
        for seen in self._seen(found):
            for key in found[seen.message]:
                state.controls[key] = seen

    def _seen(self, numbers: Collection[int]) -> Iterable[Seen]:
        if numbers:
            for number, digest, received_at, code, state, answer in self._rows("answered", numbers):
                yield Seen(number, digest, received_at, was_taken(code, state), code, answer)

    def _aliases(self, keys: Collection[tuple[str, str]], state: State) -> None:
        for key in keys:
            state.aliases[key] = None
        for authority, value, patient in self._rows("aliases", {value for _, value in keys}):
            if (authority, value) in state.aliases:
                state.aliases[authority, value] = patient

    def _appointments(self, keys: Collection[tuple[str, str]], state: State) -> None:
        for origin, reference in keys:
            state.appointments["pm" if origin == "pm" else "emr", reference] = None
        for row in self._rows("appointments", {(reference, origin) for origin, reference in keys}, 2):
            found = appointment_from(row)
            state.appointment_rows[found.id] = found
        for found in sorted(state.appointment_rows.values(), key=lambda one: one.id):
            claim(state, found)

    def _pairs(self, numbers: Collection[int], state: State) -> set[int]:
        """These merges; the patients whom they are about."""
        for row in self._rows("merge_pairs", numbers) if numbers else ():
            state.merges[row[1], row[2]] = Merge(*row)
        return {number for pair in state.merges for number in pair}

    def _accounts(self, numbers: Collection[str], state: State) -> set[int]:
        """Everybody whose PID-18 one of these is."""
        for number in numbers:
            text = json.dumps(number, ensure_ascii=False)[1:-1]
            rows = self._connection.execute(statements("sqlite")["account_holders"], (f'"PID-18":"{text}',))
            state.accounts[number] = tuple([one.id for one in map(patient_from, rows) if account_of(one) == number])
        return {one for found in state.accounts.values() for one in found}

    def _patients(self, state: State, wanted: set[int]) -> None:
        """These, the patients named so far, everybody in their lanes, their survivors, until no new one turns up."""
        wanted |= {number for number in state.aliases.values() if number is not None}
        wanted |= {row.patient for row in state.appointment_rows.values() if row.patient is not None}
        asked: set[int] = set()
        while wanted:
            members: dict[int, list[int]] = {}
            for row in self._rows("lane_mates", wanted):
                patient: Patient = patient_from(row)
                if patient.id not in state.patients:
                    state.patients[patient.id] = patient
                    members.setdefault(patient.lane, []).append(patient.id)
            for lane, numbers in members.items():
                state.lanes[lane] = tuple(sorted({*numbers, *state.lanes.get(lane, ())}))
            asked |= wanted  # a survivor that does not exist is not looked for twice
            survivors = {patient.merged_pm for patient in state.patients.values()}
            survivors |= {patient.merged_emr for patient in state.patients.values()}
            wanted = {number for number in survivors if number is not None} - set(state.patients) - asked

    def _ledger(self, keys: Keys, state: State) -> None:
        if keys.charges:
            self._charges(keys.charges, state)
        if keys.sets:
            self._sets(keys.sets, state)
        state.taken_back.update(dict.fromkeys(keys.lost, ()))
        for lost, number in self._rows("taken_back", keys.lost):
            state.taken_back[lost] = (*state.taken_back[lost], number)

    def _charges(self, keys: Collection[tuple[str, str, str]], state: State) -> None:
        """The same FT1-2 under anybody of the patient's lane is the same charge (decisions 5)."""
        wanted = {
            (subject, transaction) for authority, value, transaction in keys for subject in _subjects(state, authority, value)
        }
        for key in wanted:
            state.charges[key] = None
        for row in self._rows("charges", wanted, 2):
            charge = known_charge_from(row)
            key = (charge.subject, charge.identity)
            state.charges[key] = counting(state.charges.get(key), charge)

    def _sets(self, keys: Collection[tuple[str, str, bytes]], state: State) -> None:
        """What has no FT1-2 is found by all that a message billed without one (#57)."""
        wanted = {(subject, same_set) for authority, value, same_set in keys for subject in _subjects(state, authority, value)}
        state.sets.update(dict.fromkeys(wanted, ()))
        for row in self._rows("charge_sets", wanted, 2):
            charge = known_charge_from(row)
            key = (charge.subject, charge.same_set)
            if charge not in state.sets[key]:  # the last key of a padded statement is asked for more than once
                state.sets[key] = (*state.sets[key], charge)

    def _last(self, keys: Collection[tuple[Any, int, str, str]], state: State) -> None:
        asked: dict[tuple[str, int], list[tuple[Any, int]]] = {}
        for peer, subject, authority, value in keys:
            number = state.aliases.get((authority, value)) if value else None
            actual = subject if number is None else state.patients[number].subject
            asked.setdefault((peer, actual), []).append((peer, subject))
            state.last[peer, subject] = None
        found: dict[int, tuple[str, int]] = {}
        for peer, subject, number in self._rows("last_of_lane", set(asked), 2):
            if number is not None:
                found[number] = (peer, subject)
        for seen in self._seen(found):
            for key in asked[found[seen.message]]:
                state.last[key] = seen

    def _holds(self, identifiers: Collection[tuple[str, str]], keys: Keys, state: State) -> None:
        """What waits for these patients and charges, and what makes their later messages wait."""
        waiting = {f"{kind}:{authority}:{value}" for authority, value in identifiers for kind in ("patient", "target")}
        waiting |= keys.waiting
        waiting |= {f"charge:{transaction}" for _, _, transaction in keys.charges}
        subjects = {patient.subject for patient in state.patients.values()}
        subjects |= {subject_of(Identifier(*key)) for key, number in state.aliases.items() if number is None}
        blocks = {f"record:{subject}" for subject in subjects}
        blocks |= {f"charges:{lane}" for lane in (*state.lanes, *subjects)}
        blocks |= {f"appointment:{reference}" for _, reference in keys.appointments} | keys.blocks
        if waiting:
            self._take_holds("open_holds_by_key", waiting, state)
        if blocks:
            self._take_holds("open_holds_by_block", blocks, state)

    def _merges(self, patients: Collection[int], state: State) -> None:
        ordered = sorted(patients)
        for begin in range(0, len(ordered), _CHUNK):
            chunk = padded(ordered[begin : begin + _CHUNK])
            for row in self._connection.execute(with_keys("sqlite", "merges", len(chunk)), [*chunk, *chunk]):
                merge = Merge(*row)
                state.merges[merge.retired, merge.survivor] = merge

    def _queued(self, deliveries: Collection[int], state: State) -> None:
        for number, peer, destination, body, raw, start, end in self._rows("queued_bytes", deliveries):
            state.queued[number] = QueuedBytes(peer, body if body is not None else raw[start:end], destination)

    def _open_for(self, wanted: Collection[tuple[int, float]], state: State) -> None:
        subjects = {subject for subject, _ in wanted}
        state.unanswered.update(dict.fromkeys(subjects, 0))
        for row in self._rows("coming_appointments", wanted, 2):
            found = appointment_from(row)
            state.appointment_rows[found.id] = found
        for subject, charges in self._rows("unanswered", subjects):
            state.unanswered[subject] = charges

    def _stored(self, keys: Keys, state: State) -> None:
        """Messages by their number."""
        if keys.held:
            self._held(keys.held, state)
        if keys.originals:
            self._originals(keys.originals, state)

    def _maps(self, codes: Collection[tuple[Side, str, str]], state: State) -> None:
        state.maps.update(dict.fromkeys(codes))
        for peer, table, code, to in self._rows("code_entries", codes, 3):
            state.maps[peer, table, code] = to

    def _redirected(self, messages: Collection[int]) -> dict[int, Identifier]:
        """For whom people have said that these messages are."""
        return {number: Identifier(*key) for number, *key in self._rows("redirected_messages", messages)}

    def _held(self, messages: Collection[int], state: State) -> None:
        taken_for = self._redirected(messages)
        for number, peer, raw, start, end, received_at, spared in self._rows("held", messages):
            state.held[number] = HeldMessage(
                number, peer, raw, start, end, received_at, tuple(spared.split()), taken_for.get(number)
            )
        self._take_holds("open_holds_by_message", messages, state)
        for number, key, reason in self._rows("accepted_of_message", messages):
            state.accepted[number] = (*state.accepted.get(number, ()), (key, reason))

    def _originals(self, wanted: Collection[int], state: State) -> None:
        found: dict[int, list[Any]] = {asked: values for asked, *values in self._rows("originals", wanted)}
        runs: dict[int, list[Run]] = {}
        ordered = sorted({values[0] for values in found.values()})
        for begin in range(0, len(ordered), _CHUNK):
            chunk = padded(ordered[begin : begin + _CHUNK])
            for number, run, became, copies in self._connection.execute(with_keys("sqlite", "runs", len(chunk)), [*chunk] * 2):
                runs.setdefault(number, []).append(Run(run, became, tuple(sorted(copies.split(","))) if copies else ()))
        for asked, values in found.items():
            state.originals[asked] = Original._make([*values, tuple(runs[values[0]])])

    def _take_holds(self, name: str, keys: Collection[Any], state: State) -> None:
        for row in self._rows(name, keys):
            state.holds[row[0]] = HoldRow(*row)


def _subjects(state: State, authority: str, value: str) -> list[int]:
    """Everybody of that patient's lane; of an id that nobody has yet, its own."""
    number = state.aliases[authority, value]
    if number is None:
        return [subject_of(Identifier(authority, value))]
    return [state.patients[mate].subject for mate in state.lanes[state.patients[number].lane]]
