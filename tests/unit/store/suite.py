"""What every store guarantees (engine/storage.py). Each store's tests inherit this and say how one is opened."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ophl7.domain.appointment import Progress
from ophl7.domain.charge import Charge
from ophl7.domain.identifiers import subject_of
from ophl7.domain.merge import Merge
from ophl7.engine.alarm_rows import AlarmRow, AlarmsKept
from ophl7.engine.storage import (
    AftermathKey,
    AuditRow,
    ChargeUpdate,
    ClosedHold,
    ClosedHow,
    JournalUpdate,
    Keys,
    LinkMark,
    OpenDelivery,
    Origin,
    PauseMark,
    QueuedBytes,
    Rendering,
    Restored,
    Rows,
    Seen,
    Store,
    UnmergeRow,
)
from ophl7.errors import StoreRefused
from tests.unit.store.records import (
    appointment,
    charge,
    code,
    delivery,
    drift,
    held,
    hold,
    ident,
    ids_of,
    journal,
    mark,
    patient,
    registered,
)


class StoreSuite:
    """Tests against `store`, a fixture of the class that inherits: an empty store, opened."""

    # -- controls -------------------------------------------------------------------------------------------------------

    async def test_everything_that_was_asked_for_is_answered_with_none_where_nothing_is(self, store: Store) -> None:
        keys = Keys(
            controls={("pm", "C1", b"d")},
            identifiers={("PM", "1")},
            appointments={("pm", "A1")},
            charges={("PM", "2", "T1")},
            last={("pm", 7, "PM", "1"), ("emr", 8, "", "")},
        )
        for small in (True, False):
            state = await store.load(keys, small=small)
            assert state.controls == {("pm", "C1", b"d"): None}
            assert state.aliases == {("PM", "1"): None, ("PM", "2"): None}
            assert state.appointments == {("pm", "A1"): None}
            assert state.charges == {(subject_of(ident("2")), "T1"): None}
            assert state.last == {("pm", 7): None, ("emr", 8): None}
            assert [state.patients, state.lanes, state.holds, state.held, state.reused] == [{}, {}, {}, {}, set()]

    async def test_a_control_id_and_digest_find_the_last_message_that_is_no_duplicate(self, store: Store) -> None:
        same = {"control_id": "C", "digest": b"d"}
        first = journal(1, state="rejected", ack_code="AE", answer=b"first", **same)
        second = journal(2, answer=b"second", **same)
        copy = journal(3, state="duplicate", repeats=2, answer=b"second", **same)
        await store.commit(Rows(journal=[first, second, copy]))
        state = await store.load(Keys(controls={("pm", "C", b"d"), ("pm", "C", b"x"), ("emr", "C", b"d")}), small=True)
        assert state.controls == {
            ("pm", "C", b"d"): Seen(2, b"d", second.received_at, True, "AA", b"second"),
            ("pm", "C", b"x"): None,
            ("emr", "C", b"d"): None,
        }
        assert state.reused == {("pm", "C")}

    async def test_a_refusal_is_found_too_and_a_silent_answer_is_none(self, store: Store) -> None:
        await store.commit(Rows(journal=[journal(1, ack_code="AE", state="rejected", answer=None)]))
        state = await store.load(Keys(controls={("pm", "C1", b"digest1")}), small=True)
        assert state.controls["pm", "C1", b"digest1"] == Seen(1, b"digest1", 1001.25, False, "AE", None)

    async def test_a_blank_control_id_is_nobodys(self, store: Store) -> None:
        await store.commit(Rows(journal=[journal(1, control_id="", digest=b"d")]))
        state = await store.load(Keys(controls={("pm", "", b"d")}), small=True)
        assert state.controls == {("pm", "", b"d"): None}
        assert state.reused == set()

    # -- patients -------------------------------------------------------------------------------------------------------

    async def test_a_patient_comes_back_as_it_was_written(self, store: Store) -> None:
        one = patient(
            1, ident("1"), ident("9", "EMR", "PI"), provisional=True, inactive_emr=5.5, origins='[[1,"#1",2.5,"IN1"]]'
        )
        await store.commit(registered(one))
        state = await store.load(ids_of("9", authority="EMR"), small=True)
        assert state.patients == {1: one}
        assert state.aliases == {("EMR", "9"): 1}
        assert state.lanes == {one.lane: (1,)}

    async def test_the_same_value_of_another_authority_is_another_id(self, store: Store) -> None:
        await store.commit(registered(patient(1, ident("7", "PM")), patient(2, ident("7", "EMR"))))
        state = await store.load(Keys(identifiers={("PM", "7"), ("EMR", "7"), ("LAB", "7")}), small=True)
        assert state.aliases == {("PM", "7"): 1, ("EMR", "7"): 2, ("LAB", "7"): None}

    async def test_everybody_of_the_lane_comes_with_any_of_them(self, store: Store) -> None:
        first, second = patient(1), patient(2, lane=subject_of(ident("P1")))
        await store.commit(registered(first, second, patient(3)))
        for one in ("P1", "P2"):
            state = await store.load(ids_of(one), small=True)
            assert set(state.patients) == {1, 2}
            assert state.lanes == {first.lane: (1, 2)}

    @pytest.mark.parametrize("side", ["merged_pm", "merged_emr"])
    async def test_survivors_come_along_whole_chains_of_them_with_their_lanes(self, store: Store, side: str) -> None:
        chain = [patient(number, **{side: number + 1 if number < 4 else None}) for number in range(1, 5)]
        mate = patient(5, lane=chain[3].lane)
        await store.commit(registered(*chain, mate, patient(6)))
        state = await store.load(ids_of("P1"), small=True)
        assert set(state.patients) == {1, 2, 3, 4, 5}
        assert state.lanes[mate.lane] == (4, 5)
        assert set((await store.load(ids_of("P4"), small=True)).patients) == {4, 5}

    async def test_two_redirect_maps_are_followed_each_to_its_own_survivor(self, store: Store) -> None:
        await store.commit(registered(patient(1, merged_pm=2, merged_emr=3), patient(2), patient(3)))
        assert set((await store.load(ids_of("P1"), small=True)).patients) == {1, 2, 3}

    async def test_a_circle_and_a_survivor_that_does_not_exist_end_the_search(self, store: Store) -> None:
        await store.commit(registered(patient(1, merged_pm=2), patient(2, merged_emr=1), patient(3, merged_pm=99)))
        assert set((await store.load(ids_of("P1"), small=True)).patients) == {1, 2}
        assert set((await store.load(ids_of("P3"), small=True)).patients) == {3}

    async def test_an_upsert_replaces_a_patient_but_never_its_subject(self, store: Store) -> None:
        one = patient(1)
        await store.commit(registered(one))
        moved = replace(one, lane=77, fields={"PID-5": "Rivers^Bea"}, merged_pm=2, message=9, inactive_pm=1.5)
        await store.commit(Rows(patients={1: replace(moved, subject=4, created_at=2.0), 2: patient(2)}))
        assert (await store.load(ids_of("P1"), small=True)).patients[1] == moved

    async def test_an_id_can_be_given_to_another_patient(self, store: Store) -> None:
        await store.commit(registered(patient(1), patient(2)))
        await store.commit(Rows(aliases=[(ident("P1"), 2)]))
        assert (await store.load(ids_of("P1"), small=True)).aliases == {("PM", "P1"): 2}

    # -- appointments ---------------------------------------------------------------------------------------------------

    async def test_an_appointment_is_found_by_either_reference_with_its_patient(self, store: Store) -> None:
        one = appointment(1, "F1", "L1", patient=3, starts_at=None)
        await store.commit(registered(patient(3)))
        await store.commit(Rows(appointments={1: one}))
        for reference in ("F1", "L1"):
            state = await store.load(Keys(appointments={("pm", reference), ("emr", reference)}), small=True)
            assert state.appointments == {("pm", reference): 1, ("emr", reference): None}
            assert state.appointment_rows == {1: one}
            assert set(state.patients) == {3}

    async def test_where_two_claim_a_reference_the_filler_wins_then_the_newer(self, store: Store) -> None:
        rows = [appointment(1, "X"), appointment(2, "F2", "X"), appointment(3, "F3", "Y"), appointment(4, "F4", "Y")]
        await store.commit(Rows(appointments={row.id: row for row in rows}))
        state = await store.load(Keys(appointments={("pm", "X"), ("pm", "Y")}), small=True)
        assert state.appointments == {("pm", "X"): 1, ("pm", "Y"): 4}

    async def test_an_appointment_is_replaced_and_forgets_its_old_references(self, store: Store) -> None:
        await store.commit(Rows(appointments={1: appointment(1, "F1")}))
        changed = appointment(1, "F2", status="arrived", resources=(), progress=())
        await store.commit(Rows(appointments={1: changed}))
        state = await store.load(Keys(appointments={("pm", "F1"), ("pm", "F2")}), small=True)
        assert state.appointments == {("pm", "F1"): None, ("pm", "F2"): 1}
        assert state.appointment_rows == {1: changed}

    async def test_one_filler_cannot_belong_to_two_appointments_of_a_side(self, store: Store) -> None:
        await store.commit(Rows(appointments={1: appointment(1, "F1"), 2: appointment(2, "F1", origin="emr")}))
        with pytest.raises(StoreRefused):
            await store.commit(Rows(appointments={3: appointment(3, "F1")}))

    # -- charges --------------------------------------------------------------------------------------------------------

    async def test_a_charge_is_found_under_anybody_of_the_lane_and_by_an_id_that_nobody_has(self, store: Store) -> None:
        first, second = patient(1), patient(2, lane=subject_of(ident("P1")))
        unknown = subject_of(ident("nobody"))
        found = [charge(1, second.subject), charge(2, unknown, "T2", state="held")]
        await store.commit(registered(first, second))
        await store.commit(Rows(charges=[(one, None) for one in found]))
        state = await store.load(Keys(charges={("PM", "P1", "T1"), ("PM", "nobody", "T2")}), small=True)
        assert state.charges == {
            (first.subject, "T1"): None,
            (second.subject, "T1"): found[0],
            (unknown, "T2"): found[1],
        }

    async def test_what_was_refused_cancelled_or_counted_elsewhere_is_no_live_charge(self, store: Store) -> None:
        await store.commit(registered(patient(1)))
        subject = patient(1).subject
        states = ("rejected", "cancelled", "superseded")
        written: list[tuple[Charge, int | None]] = [
            (charge(number, subject, state=state), None) for number, state in enumerate(states, 1)
        ]
        await store.commit(Rows(charges=written))
        assert (await store.load(Keys(charges={("PM", "P1", "T1")}), small=True)).charges == {(subject, "T1"): None}

    async def test_of_several_live_charges_the_last_sent_counts_else_the_first_that_waits(self, store: Store) -> None:
        await store.commit(registered(patient(1)))
        subject = patient(1).subject

        async def counts() -> int:
            found = (await store.load(Keys(charges={("PM", "P1", "T1")}), small=True)).charges[subject, "T1"]
            assert found is not None
            return found.message

        await store.commit(Rows(charges=[(charge(n, subject, state="held"), None) for n in (2, 3)]))
        assert await counts() == 2
        await store.commit(Rows(charges=[(charge(n, subject), None) for n in (1, 4)]))
        assert await counts() == 4

    async def test_a_line_of_a_message_has_one_row_which_keeps_its_id(self, store: Store) -> None:
        await store.commit(registered(patient(1)))
        subject = patient(1).subject
        await store.commit(Rows(charges=[(charge(1, 5, state="held"), None)]))
        await store.commit(Rows(charges=[(charge(2, subject, message=1, amount="7"), 3)]))
        state = await store.load(Keys(charges={("PM", "P1", "T1")}), small=True)
        assert state.charges == {(subject, "T1"): charge(1, subject, delivery=3)}

    async def test_a_charge_moves_on_and_one_that_is_not_there_does_not(self, store: Store) -> None:
        await store.commit(registered(patient(1)))
        subject = patient(1).subject
        await store.commit(Rows(charges=[(charge(1, subject, state="held"), None)]))
        moves = [ChargeUpdate(1, 0, "sent", subject, 8), ChargeUpdate(9, 0, "sent", subject, None)]
        await store.commit(Rows(charge_updates=moves))
        state = await store.load(Keys(charges={("PM", "P1", "T1")}), small=True)
        assert state.charges == {(subject, "T1"): charge(1, subject, delivery=8)}

    async def test_what_its_receiver_refused_for_good_is_no_live_charge_and_what_was_skipped_is_marked(
        self, store: Store
    ) -> None:
        await store.commit(registered(patient(1)))
        subject = patient(1).subject
        states = {1: "rejected", 2: "skipped", 3: "accepted", 4: "parked"}
        rows = Rows(journal=[journal(1)], deliveries=[delivery(n, state=state) for n, state in states.items()])
        rows.charges = [(charge(n, subject, f"T{n}", message=1, line=n, same_set=b"S"), n) for n in states]
        await store.commit(rows)
        state = await store.load(Keys(charges={("PM", "P1", f"T{n}") for n in states}, sets={("PM", "P1", b"S")}), small=True)
        found = {transaction: one and (one.delivery, one.skipped) for (_, transaction), one in state.charges.items()}
        assert found == {"T1": None, "T2": (2, True), "T3": (3, False), "T4": (4, False)}
        assert [one.transaction_id for one in state.sets[subject, b"S"]] == ["T2", "T3", "T4"]

    async def test_payments_are_found_apart_from_the_charges_whose_number_they_bear(self, store: Store) -> None:
        await store.commit(registered(patient(1)))
        subject = patient(1).subject
        paid, billed = charge(1, subject, kind="PY", verb="payment"), charge(2, subject, verb="update")
        await store.commit(Rows(charges=[(billed, None), (paid, None)]))
        state = await store.load(Keys(charges={("PM", "P1", "T1")}), small=True)
        assert state.charges == {(subject, "T1"): billed, (subject, "\rT1"): paid}

    async def test_a_set_of_charges_without_numbers_is_found_under_anybody_of_the_lane_and_as_long_as_it_lives(
        self, store: Store
    ) -> None:
        first, second = patient(1), patient(2, lane=subject_of(ident("P1")))
        unknown = subject_of(ident("nobody"))
        await store.commit(registered(first, second))
        rows = [
            charge(1, second.subject, "", same_set=b"S"),
            charge(2, first.subject, "", same_set=b"other"),
            charge(3, unknown, "", same_set=b"S", state="held"),
            charge(4, first.subject, "", same_set=b"S", state="cancelled"),
        ]
        await store.commit(Rows(charges=[(one, None) for one in rows]))
        state = await store.load(Keys(sets={("PM", "P1", b"S"), ("PM", "nobody", b"S")}), small=True)
        assert state.sets == {(first.subject, b"S"): (), (second.subject, b"S"): (rows[0],), (unknown, b"S"): (rows[2],)}

    async def test_what_waits_to_take_back_a_lost_charge_is_found_by_it(self, store: Store) -> None:
        rows = Rows(journal=[journal(1)], deliveries=[delivery(n) for n in range(1, 6)])
        rows.taken_back = [(1, 2), (1, 3), (4, 5), (1, 2)]
        await store.commit(rows)
        await store.commit(Rows(marks=[mark(3)]))
        state = await store.load(Keys(lost={1, 2}), small=True)
        assert state.taken_back == {1: (2,), 2: ()}

    # -- the last of a lane ---------------------------------------------------------------------------------------------

    async def test_the_last_message_of_a_lane_is_found_by_any_id_of_its_patient(self, store: Store) -> None:
        one = patient(1, ident("1"), ident("9", "EMR"))
        await store.commit(registered(one))
        rows = [journal(1, subject=one.subject), journal(2, subject=one.subject), journal(3, subject=one.subject, peer="emr")]
        rows.append(journal(4, subject=one.subject, state="duplicate"))
        await store.commit(Rows(journal=rows))
        named = subject_of(ident("9", "EMR"))
        keys = Keys(last={("pm", named, "EMR", "9"), ("pm", one.subject, "PM", "1"), ("emr", named, "EMR", "9")})
        state = await store.load(keys, small=True)
        assert {key: seen.message if seen else None for key, seen in state.last.items()} == {
            ("pm", named): 2,
            ("pm", one.subject): 2,
            ("emr", named): 3,
        }
        assert state.aliases == {("EMR", "9"): 1, ("PM", "1"): 1}

    async def test_the_last_message_of_an_unknown_id_or_a_block_is_found_by_its_subject(self, store: Store) -> None:
        await store.commit(Rows(journal=[journal(1, subject=7), journal(2, subject=8)]))
        state = await store.load(Keys(last={("pm", 7, "", ""), ("pm", 8, "PM", "nobody")}), small=True)
        assert {key: seen.message if seen else None for key, seen in state.last.items()} == {("pm", 7): 1, ("pm", 8): 2}

    # -- holds ----------------------------------------------------------------------------------------------------------

    async def test_holds_are_found_by_the_id_they_wait_for_by_what_they_block_and_by_message(self, store: Store) -> None:
        one = patient(1)
        messages = [journal(number, state="held") for number in range(1, 7)]
        holds = [
            hold(1, 1, "patient:PM:P1"),
            hold(2, 2, "patient:PM:P9"),
            hold(3, 3, "handler:x", f"record:{one.subject}"),
            hold(4, 4, "handler:x", f"charges:{one.lane}"),
            hold(5, 5, "appointment:PM:A1", "appointment:A1"),
            hold(6, 6, "handler:x", f"record:{subject_of(ident('P9'))}"),
        ]
        await store.commit(registered(one))
        await store.commit(Rows(journal=messages, holds=holds))
        assert set((await store.load(ids_of("P1"), small=True)).holds) == {1, 3, 4}
        assert set((await store.load(ids_of("P9"), small=True)).holds) == {2, 6}
        assert set((await store.load(Keys(appointments={("pm", "A1")}), small=True)).holds) == {5}
        state = await store.load(Keys(held={3}), small=True)
        assert state.held == {3: held(messages[2])}
        assert state.holds == {3: holds[2]}

    async def test_a_closed_hold_is_not_found_whether_closed_at_once_or_later(self, store: Store) -> None:
        held = [hold(1, 1), hold(2, 2)]
        await store.commit(Rows(journal=[journal(1), journal(2)], holds=held, closed_holds=[ClosedHold(1, 5.0, "released")]))
        assert set((await store.load(ids_of("P1"), small=True)).holds) == {2}
        await store.commit(Rows(closed_holds=[ClosedHold(2, 6.0, "released")]))
        assert (await store.load(ids_of("P1"), small=True)).holds == {}
        assert (await store.load(Keys(held={1, 2}), small=True)).holds == {}

    async def test_what_blocks_is_found_by_the_object_it_blocks(self, store: Store) -> None:
        await store.commit(
            Rows(journal=[journal(1)], holds=[hold(1, 1, "handler:x", "own:thing"), hold(2, 1, "handler:y", "")])
        )
        assert set((await store.load(Keys(blocks={"own:thing", "nothing"}), small=True)).holds) == {1}

    async def test_what_a_person_accepted_is_known_with_its_message_and_nothing_else_is(self, store: Store) -> None:
        holds = [hold(number, number if number < 4 else 1, f"review:{number}") for number in (1, 2, 3, 4, 5)]
        ends: list[tuple[int, ClosedHow]] = [(1, "accepted"), (2, "released"), (3, "discarded"), (4, "accepted")]
        closed = [ClosedHold(number, 5.0, how, "somebody", "so") for number, how in ends]
        await store.commit(Rows(journal=[journal(number) for number in (1, 2, 3)], holds=holds))
        await store.commit(Rows(closed_holds=closed))
        state = await store.load(Keys(held={1, 2, 3}), small=True)
        assert state.accepted == {1: (("review:1", holds[0].reason), ("review:4", holds[3].reason))}
        assert set(state.holds) == {5}
        assert (await store.load(Keys(held={2}), small=True)).accepted == {}

    async def test_only_held_charges_of_a_message_are_cancelled_also_those_of_the_same_commit(self, store: Store) -> None:
        one = patient(1)
        await store.commit(registered(one))
        lines = [
            charge(1, one.subject, "T1", message=1, line=0, state="held"),
            charge(2, one.subject, "T2", message=1, line=1, state="sent"),
            charge(3, one.subject, "T3", message=2, line=0, state="held"),
        ]
        await store.commit(Rows(charges=[(line, None) for line in lines], cancelled=[1]))
        asked = {("PM", "P1", transaction) for transaction in ("T1", "T2", "T3")}
        state = await store.load(Keys(charges=asked), small=True)
        found = {transaction: one is not None for (_, transaction), one in state.charges.items()}
        assert found == {"T1": False, "T2": True, "T3": True}

    # -- commit ---------------------------------------------------------------------------------------------------------

    async def test_a_refused_row_leaves_nothing_of_its_commit_and_the_store_goes_on(self, store: Store) -> None:
        await store.commit(Rows(journal=[journal(1)]))
        bad = registered(patient(1))
        bad.journal = [journal(2), journal(1)]
        bad.appointments = {1: appointment(1, "F1")}
        bad.charges = [(charge(1, 5), None)]
        bad.deliveries = [delivery(1, 2)]
        bad.holds = [hold(1, 2)]
        with pytest.raises(StoreRefused):
            await store.commit(bad)
        keys = Keys(controls={("pm", "C2", b"digest2")}, identifiers={("PM", "P1")}, appointments={("pm", "F1")})
        state = await store.load(keys, small=True)
        assert state.controls == {("pm", "C2", b"digest2"): None}
        assert state.aliases == {("PM", "P1"): None}
        assert state.appointments == {("pm", "F1"): None}
        assert state.holds == {}
        assert await store.open_deliveries() == []
        bad.journal = [journal(2)]
        await store.commit(bad)
        assert (await store.load(keys, small=True)).aliases == {("PM", "P1"): 1}

    @pytest.mark.parametrize("table", ["hold", "delivery", "drift", "charge", "patient"])
    async def test_every_number_is_given_once(self, store: Store, table: str) -> None:
        twins = {
            "hold": Rows(holds=[hold(1, 1)]),
            "delivery": Rows(deliveries=[delivery(1)]),
            "drift": Rows(drift=[drift(1)]),
            "charge": Rows(charges=[(charge(1, 5, message=2), None)]),
            "patient": Rows(patients={2: replace(patient(2), subject=patient(1).subject)}),
        }
        first = registered(patient(1))
        first.journal, first.holds, first.deliveries = [journal(1)], [hold(1, 1)], [delivery(1)]
        first.drift, first.charges = [drift(1)], [(charge(1, 5, message=1), None)]
        await store.commit(first)
        with pytest.raises(StoreRefused):
            await store.commit(twins[table])

    async def test_a_release_changes_the_journal_row_also_of_the_same_commit(self, store: Store) -> None:
        rows = Rows(journal=[journal(1, state="held", control_id="C", digest=b"d")])
        rows.updates = [JournalUpdate(1, "duplicate", 44, "#40", "released", "{}")]
        await store.commit(rows)
        state = await store.load(Keys(controls={("pm", "C", b"d")}, last={("pm", 44, "", "")}), small=True)
        assert state.controls == {("pm", "C", b"d"): None}, "the state that the release gave counts"
        assert state.last == {("pm", 44): None}

    async def test_audit_and_drift_rows_are_taken_and_nothing_at_all_is_no_commit(self, store: Store) -> None:
        await store.commit(Rows())
        await store.commit(Rows(audit=[AuditRow(1.0, "operator", "look", "message 1", "asked")], drift=[drift(1)]))

    # -- deliveries -----------------------------------------------------------------------------------------------------

    async def test_what_was_restored_of_a_patient_is_known_and_what_was_only_reported_is_not(self, store: Store) -> None:
        rows = [replace(drift(1), restored="sent"), replace(drift(2), restored="task"), drift(3)]
        rows.append(replace(drift(4), restored="sent", patient=9))
        await store.commit(Rows(drift=rows))
        state = await store.load(Keys(restored={1, 2}), small=True)
        assert state.restored == {1: (Restored(rows[0].peer, rows[0].field, rows[0].offered, rows[0].at),), 2: ()}

    async def test_what_is_not_settled_comes_back_oldest_first_with_its_last_mark(self, store: Store) -> None:
        rows = Rows(journal=[journal(1)], deliveries=[delivery(number) for number in (3, 1, 2, 4, 5, 6)])
        rows.deliveries[0] = delivery(3, destination="pm", lane=9, stream="charges")
        await store.commit(rows)
        marks = [mark(1), mark(2, "parked", 2), mark(4, "queued", 3, 99.5), mark(5, "skipped"), mark(6, "rejected")]
        await store.commit(Rows(marks=marks))
        assert list(await store.open_deliveries()) == [
            OpenDelivery(2, "emr", 5, "record", "D2", "parked", 2, None, 1000.0),
            OpenDelivery(3, "pm", 9, "charges", "D3", "queued", 0, None, 1000.0),
            OpenDelivery(4, "emr", 5, "record", "D4", "queued", 3, 99.5, 1000.0),
        ]

    async def test_a_body_is_its_own_or_the_messages_or_the_members(self, store: Store) -> None:
        raw = b"BHS|\rMSH|one\rMSH|two\xff\x00\r"
        rows = Rows(journal=[journal(1, raw=raw), journal(2, raw=raw, start=13, end=len(raw))])
        rows.deliveries = [delivery(1, 1), delivery(2, 2), delivery(3, 2, body=b"own\xfe"), delivery(4, 1, body=b"")]
        await store.commit(rows)
        bodies = [await store.body_of(number) for number in range(1, 5)]
        assert bodies == [raw, raw[13:], b"own\xfe", b""]

    # -- merges ---------------------------------------------------------------------------------------------------------

    async def test_pairs_are_found_by_either_of_their_charts_and_come_back_as_they_became(self, store: Store) -> None:
        first, second = Merge(1, 1, 2, 5.5, None, "one_sided", 7), Merge(2, 3, 4, None, 6.5, "one_sided", 8)
        people = registered(*(patient(number) for number in range(1, 5)))
        people.merges = {1: first, 2: second}
        await store.commit(people)
        settled = replace(first, emr_at=9.5, state="two_sided")
        await store.commit(Rows(merges={1: settled}))
        for one in (1, 2):
            assert (await store.load(Keys(merges={one}), small=True)).merges == {(1, 2): settled}
        assert (await store.load(Keys(merges={1, 4, 9}), small=True)).merges == {(1, 2): settled, (3, 4): second}

    async def test_a_merge_is_found_by_its_number_with_both_its_charts_and_by_whom_it_was_done(self, store: Store) -> None:
        people = registered(*(patient(number) for number in range(1, 4)))
        known = Merge(1, 1, 2, 5.5, 6.5, "two_sided", 7, 7, 8, 5.0)
        people.merges = {1: known}
        await store.commit(people)
        state = await store.load(Keys(pairs={1, 9}), small=True)
        assert state.merges == {(1, 2): known}
        assert set(state.patients) == {1, 2}
        taken_apart = replace(known, pm_at=None, pm_message=None, state="one_sided")
        await store.commit(Rows(merges={1: taken_apart}, unmerges=[UnmergeRow(1, "pm", 9.5, "somebody", "two children")]))
        assert (await store.load(Keys(pairs={1}), small=True)).merges == {(1, 2): taken_apart}

    async def test_what_came_of_a_redirect_is_found_by_those_whom_it_led_away(self, store: Store) -> None:
        one, other = patient(1), patient(2)
        rows = registered(one, other)
        rows.journal = [
            journal(1, event="SIU^S12", subject=one.subject),
            journal(2, event="DFT^P03", subject=one.subject, state="held"),
            journal(3, event="SIU^S13", subject=other.subject),
            journal(4, event="SIU^S14", subject=one.subject, row="#32"),
            journal(5, event="SIU^S14", subject=one.subject, state="duplicate"),
        ]
        rows.deliveries = [delivery(1, 1), delivery(2, 4), delivery(3, 4, destination="pm")]
        steps = (Progress("booked", 1.0, 1), Progress("arrived", 2.0, 3))
        rows.appointments = {
            1: appointment(1, "F1", subject=one.subject),
            2: appointment(2, "F2", subject=other.subject, progress=steps),
            3: appointment(3, "F3", subject=other.subject, progress=steps[1:]),
        }
        await store.commit(rows)
        key = AftermathKey(frozenset({one.subject}), frozenset({other.subject}), 1)
        found = (await store.load(Keys(aftermath={key}), small=True)).aftermath[key]
        assert [(came.message, came.event, came.row, came.destination, came.copy) for came in found.processed] == [
            (2, "DFT^P03", "#1", None, None),
            (4, "SIU^S14", "#32", "emr", "queued"),
            (4, "SIU^S14", "#32", "pm", "queued"),
        ]
        assert [[row.id for row in kind] for kind in (found.appointments, found.moved)] == [[1], [2]]

    async def test_a_delivery_tells_its_message_as_it_came_and_for_whom_a_person_has_taken_it(self, store: Store) -> None:
        rows = Rows(journal=[journal(1, subject=7, raw=b"BHS|\rMSH|one\r", start=5, end=13), journal(2, peer="emr")])
        rows.deliveries = [delivery(1, 1, body=b"own"), delivery(2, 2)]
        rows.holds = [hold(1, 2), hold(2, 2)]
        await store.commit(rows)
        first, second = ident("7050", kind=""), ident("7051", kind="")
        await store.commit(Rows(closed_holds=[ClosedHold(1, 5.0, "redirected", "somebody", "so", taken_for=first)]))
        await store.commit(Rows(closed_holds=[ClosedHold(2, 6.0, "redirected", "somebody", "no, so", taken_for=second)]))
        state = await store.load(Keys(origins={1, 2}, held={2}), small=True)
        assert state.origins == {
            1: Origin(1, 7, "pm", b"MSH|one\r", b"own"),
            2: Origin(2, None, "emr", journal(2).raw, None, second),
        }
        assert state.held[2].taken_for == second

    async def test_everybody_with_an_account_is_found_by_its_number(self, store: Store) -> None:
        accounts = ("A-1", "A-1^^^PM", "A-12", 'A"1é', "~A-1")
        people = registered(*(patient(number, fields={"PID-18": said}) for number, said in enumerate(accounts, 1)), patient(9))
        await store.commit(people)
        state = await store.load(Keys(accounts={"A-1", 'A"1é', "A-9"}), small=True)
        assert state.accounts == {"A-1": (1, 2), 'A"1é': (4,), "A-9": ()}
        assert set(state.patients) >= {1, 2, 4}

    async def test_what_waits_moves_to_another_lane_and_is_made_anew(self, store: Store) -> None:
        rows = Rows(journal=[journal(1, raw=b"MSH|one\rMSH|two\r", start=8, end=16), journal(2, peer="emr")])
        rows.deliveries = [delivery(1), delivery(2, body=b"own"), delivery(3, 2), delivery(4, 2)]
        await store.commit(rows)
        await store.commit(Rows(marks=[mark(2, "held", 1, None), mark(4, "held", 1, None)]))
        queued = (await store.load(Keys(queued={1, 2, 3}), small=True)).queued
        assert queued == {
            1: QueuedBytes("pm", b"MSH|two\r", "emr"),
            2: QueuedBytes("pm", b"own", "emr"),
            3: QueuedBytes("emr", journal(2, peer="emr").raw, "emr"),
        }
        await store.commit(
            Rows(
                moved=[(1, 77), (2, 77)],
                rendered=[Rendering(1, b"other", ""), Rendering(2, b"new", "R2"), Rendering(2, b"newer", "R2")],
            )
        )
        assert list(await store.open_deliveries()) == [
            OpenDelivery(1, "emr", 77, "record", "D1", "queued", 0, None, 1000.0),
            OpenDelivery(2, "emr", 77, "record", "R2", "queued", 0, None, 1000.0),
            OpenDelivery(3, "emr", 5, "record", "D3", "queued", 0, None, 1000.0),
            OpenDelivery(4, "emr", 5, "record", "D4", "held", 1, None, 1000.0),
        ]
        assert [await store.body_of(number) for number in (1, 2)] == [b"other", b"newer"]

    async def test_what_is_open_about_a_patient(self, store: Store) -> None:
        rows = registered(patient(1))
        subject = patient(1).subject
        rows.journal = [journal(1), journal(2)]
        rows.deliveries = [delivery(number) for number in range(1, 5)]
        rows.charges = [
            (charge(number, subject, f"T{number}", line=number, message=1), number if number < 5 else None)
            for number in range(1, 7)
        ]
        rows.charges += [(charge(9, subject, "T9", message=2, state="rejected"), None), (charge(10, 8, "T9", message=3), None)]
        rows.appointments = {
            1: appointment(1, "A", subject=subject, starts_at=99.0),
            2: appointment(2, "B", subject=subject, starts_at=101.0),
            3: appointment(3, "C", subject=8, starts_at=101.0),
        }
        await store.commit(rows)
        await store.commit(Rows(marks=[mark(1, "accepted"), mark(2, "parked"), mark(3, "skipped")]))
        state = await store.load(Keys(open_for={(subject, 100.0)}), small=True)
        assert state.unanswered == {subject: 4}, "one parked, one that waits, two whose delivery nobody knows"
        assert set(state.appointment_rows) == {2}
        assert state.appointments == {}
        assert (await store.load(Keys(open_for={(404, 1.0)}), small=True)).unanswered == {404: 0}

    async def test_a_code_is_what_was_said_of_it_last(self, store: Store) -> None:
        await store.commit(Rows(codes=[code("D-1", "101"), code("D-2", "102"), code("D-1", "201"), code("D-3", "103")]))
        asked = Keys(maps={("emr", "provider", f"D-{number}") for number in range(1, 5)} | {("pm", "provider", "D-1")})
        for small in (True, False):
            found = (await store.load(asked, small=small)).maps
            assert {key[2]: to for key, to in found.items() if key[0] == "emr"} == {
                "D-1": "201",
                "D-2": "102",
                "D-3": "103",
                "D-4": None,
            }
            assert found["pm", "provider", "D-1"] is None
        await store.commit(
            Rows(codes=[code("D-1", None), code("D-2", None), code("D-2", "202"), code("D-3", "9"), code("D-3", None)])
        )
        found = (await store.load(asked, small=True)).maps
        assert {key[2]: to for key, to in found.items() if to is not None} == {"D-2": "202"}

    async def test_a_destination_is_unreachable_from_one_mark_to_the_next(self, store: Store) -> None:
        assert list(await store.unreachable()) == []
        await store.commit(Rows(links=[LinkMark("pm", reachable=False), LinkMark("emr", reachable=False)]))
        assert sorted(await store.unreachable()) == ["emr", "pm"]
        await store.commit(Rows(links=[LinkMark("pm", reachable=False), LinkMark("pm", reachable=True)]))
        assert list(await store.unreachable()) == ["emr"]

    async def test_open_alarms_and_when_a_peer_was_heard_of_are_there_for_the_next_start(self, store: Store) -> None:
        assert (await store.alarms()).last == 0
        first, second = (AlarmRow(number, "silent", side, "nothing came", 10.0) for number, side in ((1, "pm"), (2, "emr")))
        await store.commit(Rows(alarms={1: first, 2: second}, heard={"pm": 5.0}))
        ended = second._replace(times=3, resolved_at=20.0, how="cause_gone")
        await store.commit(Rows(alarms={2: ended}, heard={"pm": 6.0}))
        assert await store.alarms() == AlarmsKept((first,), 2, (("pm", 6.0),))

    async def test_a_destination_is_paused_until_it_is_resumed(self, store: Store) -> None:
        assert await store.paused() == {}
        moved, misfit = PauseMark("pm", "moved"), PauseMark("emr", "refused", by_itself=True)
        await store.commit(Rows(pauses=[moved, misfit]))
        assert await store.paused() == {"pm": moved, "emr": misfit}
        await store.commit(Rows(pauses=[PauseMark("emr", "upgrade", "drain")]))
        assert await store.paused() == {"pm": moved, "emr": misfit}, "that it is drained as well says not who paused it"
        await store.commit(Rows(pauses=[PauseMark("pm", ""), PauseMark("emr", ""), PauseMark("emr", "again")]))
        assert await store.paused() == {"emr": PauseMark("emr", "again")}

    async def test_holds_are_found_by_a_key_of_any_kind(self, store: Store) -> None:
        rows = Rows(journal=[journal(1)], holds=[hold(1, 1, "identity:PM:P1"), hold(2, 1, "target:PM:P1")])
        await store.commit(rows)
        assert set((await store.load(Keys(waiting={"identity:PM:P1"}), small=True)).holds) == {1}
        assert set((await store.load(ids_of("P1"), small=True)).holds) == {2}

    async def test_bytes_that_are_nowhere_are_a_fault_of_ours(self, store: Store) -> None:
        with pytest.raises(StoreRefused):
            await store.body_of(404)

    # -- life -----------------------------------------------------------------------------------------------------------

    async def test_probe_returns_while_all_is_well_and_close_can_be_called_twice(self, store: Store) -> None:
        await store.probe()
        await store.close()
        await store.close()
