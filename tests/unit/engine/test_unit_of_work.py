"""The open batch: what it numbers, what it reads, what it writes."""

from __future__ import annotations

import pytest

from ophl7.domain.charge import ChargeLine
from ophl7.domain.identifiers import NamedPatient, subject_of
from ophl7.engine.ids import Ids
from ophl7.engine.state import Origin
from ophl7.engine.storage import Counters, Keys, Rows
from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.kit import Match
from ophl7.kit.context import Read
from ophl7.store.memory import MemoryStore
from tests.unit.store.records import appointment, charge, held, hold, ident, journal, patient, registered

NOTHING = Counters(0, 0, 0, 0, 0, 0, 0, 0, "ABCD")


async def opened(*rows: Rows) -> UnitOfWork:
    store = MemoryStore()
    for one in rows:
        await store.commit(one)
    return UnitOfWork(store, Ids(NOTHING))


def test_numbers_ascend_table_by_table_and_control_ids_are_short_and_unique() -> None:
    ids = Ids(NOTHING)
    assert [ids.next("journal"), ids.next("journal"), ids.next("patient")] == [1, 2, 1]
    made = {ids.control_id(kind, number) for kind in "ABD" for number in (0, 1, 35, 36, 2**63)}
    assert len(made) == 15
    assert all(len(one) <= 20 for one in made)
    assert ids.control_id("D", 36) == "ABCDD10"


LINE = ChargeLine("T1", "CG", "20240301", "99213", (), "1", (), "142.00", "V1", b"", usable_id=True, segments=())


async def test_what_was_not_loaded_is_a_lookup_error_and_a_read_mends_it() -> None:
    uow = await opened(registered(patient(1)), Rows(appointments={1: appointment(1, "F1")}))
    one = patient(1)
    match = Match(NamedPatient((ident("P1"),), ()), one, ambiguous=False, unknown=())
    with pytest.raises(LookupError):
        uow.patient(("PM", "P1"))
    with pytest.raises(LookupError):
        uow.appointment("pm", "F1")
    with pytest.raises(LookupError):
        uow.charge(match, LINE)
    await uow.read(Read("patient", ("PM", "P1")))
    await uow.read(Read("appointment", ("pm", "F1")))
    await uow.read(Read("charge", ("PM", "P1", "T1")))
    assert uow.patient(("PM", "P1")) == one
    assert uow.appointment("pm", "F1") == appointment(1, "F1")
    assert uow.charge(match, LINE) is None
    assert uow.extra_reads == 3


async def test_the_batchs_own_load_is_not_counted_as_an_extra_read() -> None:
    uow = await opened(registered(patient(1)))
    await uow.load(Keys(identifiers={("PM", "P1"), ("PM", "P2")}), small=True)
    assert uow.patient(("PM", "P1")) == patient(1)
    assert uow.patient(("PM", "P2")) is None
    assert uow.extra_reads == 0


async def test_a_closed_hold_stays_closed_whatever_is_read_later() -> None:
    row = journal(1, state="held")
    uow = await opened(Rows(journal=[row], holds=[hold(1, 1)]))
    await uow.load(Keys(identifiers={("PM", "P1")}), small=True)
    uow.close_hold(uow.state.holds[1], 1.0, "released")
    await uow.fetch(Keys(identifiers={("PM", "P1")}, held={1}))
    assert uow.waiting_for("patient:PM:P1") == []
    assert uow.holds_of(1) == []
    assert uow.state.held == {1: held(row)}


async def test_a_closed_hold_is_open_again_after_an_undo() -> None:
    uow = await opened(Rows(journal=[journal(1)], holds=[hold(1, 1), hold(2, 1, "x:y", "charges:1")]))
    await uow.load(Keys(held={1}), small=True)
    mark = uow.mark()
    for row in uow.holds_of(1):
        uow.close_hold(row, 1.0, "released")
    assert uow.holds_of(1) == []
    uow.undo(mark)
    assert [row.id for row in uow.holds_of(1)] == [1, 2]
    assert [row.id for row in uow.blocking("charges:1")] == [2]
    assert uow.rows.closed_holds == []


async def test_charges_of_a_patient_registered_in_this_batch_are_found_by_each_of_his_ids() -> None:
    second = ident("9", "EMR")
    waiting = charge(1, subject_of(ident("P1")), state="held", message=1)
    uow = await opened(Rows(charges=[(waiting, None)]))
    one = patient(1, ident("P1"), second)
    uow.save_patient(one)
    for identifier in one.identifiers:
        uow.link(identifier, one)
    uow.current = 7
    await uow.read(Read("charge", ("EMR", "9", "T1")))
    match = Match(NamedPatient((second,), ()), one, ambiguous=False, unknown=())
    assert uow.charge(match, LINE) == waiting


async def test_a_patient_that_changes_its_lane_is_in_the_new_one_only() -> None:
    uow = await opened(registered(patient(1), patient(2)))
    await uow.load(Keys(identifiers={("PM", "P1"), ("PM", "P2")}), small=True)
    uow.save_patient(patient(2, lane=patient(1).lane))
    assert [one.id for one in uow.members_of(patient(1).lane)] == [1, 2]
    assert uow.members_of(patient(2).lane) == []
    await uow.fetch(Keys(identifiers={("PM", "P2")}))
    assert [one.id for one in uow.members_of(patient(1).lane)] == [1, 2]
    assert uow.members_of(patient(2).lane) == []


async def test_an_appointment_does_not_take_a_reference_that_is_anothers_filler() -> None:
    uow = await opened(Rows(appointments={1: appointment(1, "X")}))
    await uow.load(Keys(appointments={("pm", "X"), ("pm", "Y")}), small=True)
    uow.save_appointment(appointment(2, "Y", "X"))
    assert uow.appointment("pm", "X") == appointment(1, "X")
    assert uow.appointment("pm", "Y") == appointment(2, "Y", "X")


async def test_a_copy_that_a_run_makes_in_this_batch_has_the_message_it_came_of() -> None:
    uow = await opened()
    uow.state.origins[3] = Origin(8, None, "pm", b"MSH|again", None)
    assert uow.source_of(8) == ("pm", b"MSH|again")
